//! The lease under which an account is created or changed: one process at a time does so.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::{sleep, timeout};

use super::ca_error::CaError;
use crate::lease::{JobName, Lease};
use crate::store::{Store, StoreError};

/// How long a process that stopped responding keeps others from working on the account.
const LEASE_DURATION: SignedDuration = SignedDuration::from_mins(1);
/// How often the lease is renewed while the account is worked on.
const RENEW_EVERY: Duration = Duration::from_secs(20);
/// The first pause before the lease is requested again, doubled each time up to [`POLL_MAX`].
const POLL_FIRST: Duration = Duration::from_millis(50);
const POLL_MAX: Duration = Duration::from_secs(2);

/// Asks for the lease of an account again and again, because nothing signals when it becomes free.
pub(super) struct AccountLease {
    job: JobName,
    pause: Duration,
}

impl AccountLease {
    /// The lease of the account at the CA with this directory URL.
    pub(super) fn new(directory: &str) -> Self {
        AccountLease {
            job: JobName::account(directory),
            pause: POLL_FIRST,
        }
    }

    /// The lease; `None`, after a pause, if another process holds it.
    pub(super) async fn request(&mut self, store: &dyn Store) -> Result<Option<Lease>, StoreError> {
        match store.acquire_lease(&self.job, LEASE_DURATION).await {
            Ok(lease) => Ok(Some(lease)),
            Err(StoreError::Busy { .. }) => {
                sleep(self.pause).await;
                self.pause = (self.pause * 2).min(POLL_MAX);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The lease, as soon as no other process holds it.
    pub(super) async fn acquire(mut self, store: &dyn Store) -> Result<Lease, StoreError> {
        loop {
            if let Some(lease) = self.request(store).await? {
                return Ok(lease);
            }
        }
    }
}

/// Does `work` while the lease is renewed, then releases it. Stops the work if the lease is lost.
pub(super) async fn under_lease<T>(
    store: &dyn Store,
    mut lease: Lease,
    work: impl Future<Output = Result<T, CaError>>,
) -> Result<T, CaError> {
    let mut work = pin!(work);
    let outcome = loop {
        if let Ok(outcome) = timeout(RENEW_EVERY, &mut work).await {
            break outcome;
        }
        match store.renew_lease(&lease, LEASE_DURATION).await {
            Ok(renewed) => lease = renewed,
            Err(error @ StoreError::LeaseLost { .. }) => return Err(error.into()),
            Err(error) => tracing::warn!(job = %lease.job, %error, "the lease was not renewed"),
        }
    };
    if let Err(error) = store.release_lease(&lease).await {
        // The lease expires by itself.
        tracing::warn!(job = %lease.job, %error, "the lease was not released");
    }
    outcome
}
