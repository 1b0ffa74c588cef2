//! Stopping at a signal.

use tokio_util::sync::CancellationToken;

use crate::failure::{Failure, Part};

/// Does work that changes nothing, and stops at the first signal.
pub(super) async fn stoppable<T>(
    cancel: &CancellationToken,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let outcome = cancel.run_until_cancelled(work).await;
    outcome.unwrap_or_else(|| Err(Failure::new(Part::Interrupted, &"interrupted", None)))
}
