//! Points at which a test can end the process, as `kill -9` or a power failure would (feature
//! `failpoints`; without it, none of this is compiled in).

/// Declares the points once, so that tests that walk the lists visit all of them.
macro_rules! points {
    ($($(#[doc = $list_doc:literal])* $list:ident {
        $($(#[doc = $doc:literal])* $point:ident = $name:literal,)*
    })*) => {
        /// A point in the flow of a certificate, or in a change of the account.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Point {
            $($($(#[doc = $doc])* $point,)*)*
        }

        impl Point {
            $(
                $(#[doc = $list_doc])*
                pub const $list: &[Point] = &[$(Point::$point,)*];
            )*

            /// The point's name in `FAILPOINTS`.
            pub fn name(self) -> &'static str {
                match self {
                    $($(Point::$point => $name,)*)*
                }
            }
        }
    };
}

points! {
    /// All points in the flow of a certificate, in its order.
    ALL {
        /// Before the delegations are followed.
        Preflight = "preflight",
        /// After all delegations were found correct.
        Planned = "planned",
        /// After the CA created the account, before it is stored.
        AccountMade = "account-made",
        /// After the account was stored.
        AccountKept = "account-kept",
        /// Before an order is opened.
        Order = "order",
        /// After the CA opened the order, before it is stored.
        OrderOpened = "order-opened",
        /// After the order and its key were stored.
        OrderKept = "order-kept",
        /// Before TXT values are added.
        Publish = "publish",
        /// After the intent to add values was recorded, before anything is sent.
        AddIntended = "add-intended",
        /// After values were added, before that is recorded.
        AddSent = "add-sent",
        /// After it was recorded that they were added.
        AddAcknowledged = "add-acknowledged",
        /// After they were read back.
        AddVerified = "add-verified",
        /// Before the CA is asked to validate.
        Validate = "validate",
        /// Before TXT values are withdrawn.
        Withdraw = "withdraw",
        /// After the intent to remove values was recorded, before anything is sent.
        RemoveIntended = "remove-intended",
        /// After values were removed, before that is recorded.
        RemoveSent = "remove-sent",
        /// After it was recorded that they were removed.
        RemoveAcknowledged = "remove-acknowledged",
        /// After it was verified and recorded that they are gone.
        RemoveVerified = "remove-verified",
        /// Before the certificate request is submitted.
        Finalize = "finalize",
        /// After it was submitted, before the chain is fetched.
        Finalized = "finalized",
        /// Before the certificate is stored.
        Store = "store",
        /// After the new version was written, while the old one is current.
        VersionMade = "version-made",
        /// After the new version became the current one.
        VersionSwitched = "version-switched",
        /// After the certificate was stored, before its order is deleted.
        Stored = "stored",
        /// After files of a target were written beside their places.
        FilesStaged = "files-staged",
        /// After they were put in their places, before that is recorded.
        FilesWritten = "files-written",
        /// Before a command of a target runs.
        Command = "command",
        /// After it succeeded, before that is recorded.
        CommandSucceeded = "command-succeeded",
        /// After that was recorded, before the certificate is marked as deployed.
        TargetsRecorded = "targets-recorded",
    }
    /// The points in a change of the account's key, in its order.
    KEY_CHANGE {
        /// After the new key was stored beside the old one, before the CA is asked.
        KeyPending = "key-pending",
        /// After the CA has the new key, before it takes the place of the old one in the store.
        KeyChanged = "key-changed",
        /// After it took its place, before the change is recorded as ended.
        KeyStored = "key-stored",
    }
}

/// Does what the variable `FAILPOINTS` says for this point: `NAME=return` ends the process without any
/// clean-up, and `NAME=return(term)` sends it a SIGTERM.
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
