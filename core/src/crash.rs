//! Points at which a test lets the process end, as `kill -9` or a power cut would
//! (feature `failpoints`; without it nothing of this is compiled in).

/// Declares the points once, so that the list a test walks is the list there is.
macro_rules! points {
    ($($(#[doc = $doc:literal])* $point:ident = $name:literal,)*) => {
        /// A point on the way of a certificate.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Point {
            $($(#[doc = $doc])* $point,)*
        }

        impl Point {
            /// Every point, in the order of the way.
            pub const ALL: &[Point] = &[$(Point::$point,)*];

            /// The point's name in `FAILPOINTS`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Point::$point => $name,)*
                }
            }
        }
    };
}

points! {
    /// The delegations are about to be followed.
    Preflight = "preflight",
    /// The delegations are good.
    Planned = "planned",
    /// The CA has made an account, and it is not kept yet.
    AccountMade = "account-made",
    /// The account is kept.
    AccountKept = "account-kept",
    /// An order is about to be opened.
    Order = "order",
    /// The CA has opened an order, and it is not kept yet.
    OrderOpened = "order-opened",
    /// The order and its key are kept.
    OrderKept = "order-kept",
    /// Values are about to be written.
    Publish = "publish",
    /// That values are to be added is written down, and nothing was sent.
    AddIntended = "add-intended",
    /// Values were added, and that is not written down.
    AddSent = "add-sent",
    /// That they were added is written down.
    AddAcknowledged = "add-acknowledged",
    /// They were read back.
    AddVerified = "add-verified",
    /// The CA is about to be told.
    Validate = "validate",
    /// The certification request is about to be handed in.
    Finalize = "finalize",
    /// It was handed in, and nothing was fetched.
    Finalized = "finalized",
    /// The certificate is about to be stored.
    Store = "store",
    /// The new version is there, and the old one is the current one.
    VersionMade = "version-made",
    /// The new version is the current one.
    VersionSwitched = "version-switched",
    /// The certificate is stored, and its order not forgotten.
    Stored = "stored",
    /// Values are about to be withdrawn.
    Withdraw = "withdraw",
    /// That values are to be removed is written down, and nothing was sent.
    RemoveIntended = "remove-intended",
    /// Values were removed, and that is not written down.
    RemoveSent = "remove-sent",
    /// That they were removed is written down.
    RemoveAcknowledged = "remove-acknowledged",
    /// They are gone, and that is written down.
    RemoveVerified = "remove-verified",
}

/// Does here what `FAILPOINTS` says: `NAME=return` ends the process without any clean-up, and
/// `NAME=return(term)` sends it a SIGTERM.
#[cfg(feature = "failpoints")]
pub(crate) fn point(point: Point) {
    use rustix::process::{Signal, getpid, kill_process};
    fail::fail_point!(point.name(), |action: Option<String>| {
        if action.as_deref() != Some("term") || kill_process(getpid(), Signal::TERM).is_err() {
            std::process::abort();
        }
    });
}

#[cfg(not(feature = "failpoints"))]
pub(crate) fn point(_: Point) {}
