//! What an onlooker is told while a certificate is on its way.

use super::Plan;
use crate::crash::Point;
use crate::store::CertificateId;
use crate::zone::{Publication, Published};

/// The step that begins now, with what is known by then.
#[derive(Debug)]
#[non_exhaustive]
pub enum Step<'a> {
    /// The delegations are followed.
    Preflight,
    /// The delegations are good; the CA is asked for an account next.
    Planned(&'a Plan),
    /// The order is opened.
    Order,
    /// The TXT values are written, and awaited on every server.
    Publish(&'a Publication),
    /// The values are everywhere; the CA looks at them.
    Validate(&'a [Published]),
    /// The CA signs.
    Finalize,
    /// The certificate is stored.
    Store,
    /// The TXT values are withdrawn.
    Withdraw,
}

impl Step<'_> {
    /// Where a test may let the process end.
    pub(super) fn point(&self) -> Point {
        match self {
            Step::Preflight => Point::Preflight,
            Step::Planned(_) => Point::Planned,
            Step::Order => Point::Order,
            Step::Publish(_) => Point::Publish,
            Step::Validate(_) => Point::Validate,
            Step::Finalize => Point::Finalize,
            Step::Store => Point::Store,
            Step::Withdraw => Point::Withdraw,
        }
    }
}

/// Someone who wants to know how far the work is.
pub trait Observer: Send + Sync {
    /// A step of this certificate begins.
    fn step(&self, certificate: &CertificateId, step: &Step<'_>);
}
