//! A lease that is renewed while the work goes on.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::lease::{JobName, Lease, LeaseId};
use crate::store::{Store, StoreError};

/// How long a lease lasts without renewal: for as long as a suspended or unreachable holder blocks others.
const DURATION: SignedDuration = SignedDuration::from_mins(2);
/// How often it is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(30);
/// How often a lease that another holds is asked for again. Nothing tells when it becomes free.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// A lease that this process holds. It is renewed until it is released or dropped.
#[derive(Debug)]
pub struct HeldLease {
    store: Arc<dyn Store>,
    lease: Option<Lease>,
    id: LeaseId,
    renewal: JoinHandle<()>,
    lost: CancellationToken,
}

impl HeldLease {
    /// Acquires the lease of a job. If another process holds it, waits until it is free, or returns
    /// [`StoreError::Busy`].
    pub async fn acquire(
        store: &Arc<dyn Store>,
        job: &JobName,
        wait: bool,
    ) -> Result<Self, StoreError> {
        let lease = loop {
            match store.acquire_lease(job, DURATION).await {
                Err(StoreError::Busy { .. }) if wait => sleep(ASK_EVERY).await,
                outcome => break outcome?,
            }
        };
        let lost = CancellationToken::new();
        let renewal = renew(Arc::clone(store), lease.clone(), lost.clone());
        Ok(HeldLease {
            store: Arc::clone(store),
            id: lease.id.clone(),
            lease: Some(lease),
            renewal: tokio::spawn(renewal),
            lost,
        })
    }

    /// The lease's id, which the ledger keeps with each value that is written under it.
    pub fn id(&self) -> &LeaseId {
        &self.id
    }

    /// Cancelled when another holder took the lease, because it could not be renewed in time. The
    /// work must stop then.
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Gives the lease back.
    pub async fn release(mut self) -> Result<(), StoreError> {
        self.renewal.abort();
        match self.lease.take() {
            Some(lease) => self.store.release_lease(&lease).await,
            None => Ok(()),
        }
    }
}

impl HeldLease {
    /// Gives the lease back. One that cannot be given back expires.
    pub(super) async fn end(self) {
        if let Err(error) = self.release().await {
            warn!(%error, "a lease could not be released; it will expire");
        }
    }
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        self.renewal.abort();
        if let (Some(lease), Ok(runtime)) = (self.lease.take(), Handle::try_current()) {
            let store = Arc::clone(&self.store);
            runtime.spawn(async move {
                if let Err(error) = store.release_lease(&lease).await {
                    warn!(job = %lease.job, %error, "the lease could not be released; it will expire");
                }
            });
        }
    }
}

/// Renews the lease until it is lost or has expired.
async fn renew(store: Arc<dyn Store>, mut lease: Lease, lost: CancellationToken) {
    let mut expires = Instant::now() + DURATION.unsigned_abs();
    loop {
        // Not to wait for anything: the pace of renewals.
        sleep(RENEW_EVERY).await;
        let renewed = timeout_at(expires, store.renew_lease(&lease, DURATION)).await;
        match renewed {
            Ok(Ok(renewed)) => {
                lease = renewed;
                expires = Instant::now() + DURATION.unsigned_abs();
                continue;
            }
            Ok(Err(error)) => {
                warn!(job = %lease.job, %error, "the lease could not be renewed");
                if !matches!(error, StoreError::LeaseLost { .. }) && Instant::now() < expires {
                    continue;
                }
            }
            Err(_) => warn!(job = %lease.job, "the lease expired while it was being renewed"),
        }
        lost.cancel();
        return;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::testkit::{MemoryStore, StoreBehaviour};

    async fn held() -> (Arc<MemoryStore>, HeldLease) {
        let store = Arc::new(MemoryStore::new(Arc::new(SystemClock)));
        let job = JobName::certificate(&"web".parse().unwrap());
        let shared: Arc<dyn Store> = Arc::clone(&store) as Arc<dyn Store>;
        let lease = HeldLease::acquire(&shared, &job, false).await.unwrap();
        (store, lease)
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_cannot_be_renewed_is_lost_when_it_expires_and_not_before() {
        for behaviour in [StoreBehaviour::Fail, StoreBehaviour::Hang] {
            let (store, lease) = held().await;
            // It is renewed once, and never again.
            sleep(RENEW_EVERY + Duration::from_secs(1)).await;
            let renewed = Instant::now() - Duration::from_secs(1);
            store.set_behaviour(behaviour);
            lease.lost().cancelled().await;
            let lasted = renewed.elapsed();
            let limit = DURATION.unsigned_abs();
            assert!(
                lasted <= limit && lasted + RENEW_EVERY >= limit,
                "{behaviour:?}: lost after {lasted:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_answers_again_in_time_costs_no_lease() {
        let (store, lease) = held().await;
        store.set_behaviour(StoreBehaviour::Fail);
        sleep(2 * RENEW_EVERY).await;
        store.set_behaviour(StoreBehaviour::Work);
        sleep(10 * DURATION.unsigned_abs()).await;
        assert!(!lease.lost().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_another_holder_took_is_lost_at_the_next_renewal() {
        let (store, lease) = held().await;
        let stolen = lease.lease.clone().unwrap();
        store.release_lease(&stolen).await.unwrap();
        let before = Instant::now();
        lease.lost().cancelled().await;
        assert_eq!(before.elapsed(), RENEW_EVERY);
    }
}
