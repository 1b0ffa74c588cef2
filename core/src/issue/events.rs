//! The steps that an observer sees while a certificate is obtained.

use super::preflight::Plan;
use super::request::LeftOut;
use crate::crash::Point;
use crate::store::{CertificateId, StoredCertificate};
use crate::zone::{CacheWait, Lagging, Publication, Published};

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
    /// A server still does not have the values, after some seconds.
    Lagging(&'a Lagging),
    /// The CA's resolver may still have older records of a name in its cache.
    OutlastCache(&'a CacheWait),
    /// The CA did not find the values, perhaps because of older ones in its cache. It is asked once more, with
    /// a new order.
    Again,
    /// Names have failed, and the certificate is obtained without them.
    LeaveOut(&'a LeftOut),
    /// All servers that answer have the values; the CA validates.
    Validate(&'a [Published]),
    /// The TXT values are withdrawn, while the CA signs.
    Withdraw,
    /// The CA signs.
    Finalize,
    /// The certificate is being stored.
    Store,
    /// The certificate has been stored. The withdrawal may still be under way, and the deploy hook is run next.
    Stored(&'a StoredCertificate),
}

impl Step<'_> {
    /// Where a test may let the process end; `None` for a step that not every certificate has.
    pub(super) fn point(&self) -> Option<Point> {
        Some(match self {
            Step::Preflight => Point::Preflight,
            Step::Planned(_) => Point::Planned,
            Step::Order => Point::Order,
            Step::Publish(_) => Point::Publish,
            Step::Lagging(_)
            | Step::OutlastCache(_)
            | Step::Again
            | Step::LeaveOut(_)
            | Step::Stored(_) => return None,
            Step::Validate(_) => Point::Validate,
            Step::Finalize => Point::Finalize,
            Step::Store => Point::Store,
            Step::Withdraw => Point::Withdraw,
        })
    }
}

/// Follows the progress.
pub trait Observer: Send + Sync {
    /// So many more certificates will be worked on in this run, which may plan in two parts.
    fn planned(&self, _certificates: usize) {}

    /// A step of this certificate begins.
    fn step(&self, certificate: &CertificateId, step: &Step<'_>);

    /// The work for this certificate has ended.
    fn ended(&self, _certificate: &CertificateId) {}
}

/// Ignores everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn step(&self, _: &CertificateId, _: &Step<'_>) {}
}
