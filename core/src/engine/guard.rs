//! Work for one certificate that is to hold up no other.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::timeout;

use super::report::JobError;
use crate::store::CertificateId;

/// Gives up the place if the work takes longer than this.
pub(super) async fn making_room<T>(
    work: impl Future<Output = T>,
    place: impl Sized,
    limit: Duration,
) -> T {
    let mut work = Box::pin(work);
    if let Ok(done) = timeout(limit, &mut work).await {
        return done;
    }
    drop(place);
    work.await
}

/// A defect in the work for one certificate must not end that for the others.
pub(super) async fn guarded<T>(
    id: &CertificateId,
    work: impl Future<Output = Result<T, JobError>>,
) -> Result<T, JobError> {
    let outcome = AssertUnwindSafe(work).catch_unwind().await;
    outcome.unwrap_or_else(|_| Err(JobError::Defect { id: id.clone() }))
}
