//! Rules for leases.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use jiff::SignedDuration;

use super::checks::{Outcome, Suite, equal};
use crate::lease::{JobName, Lease};
use crate::store::StoreError;

/// How long the leases of the suite last.
const DURATION: SignedDuration = SignedDuration::from_mins(5);
const SECOND: SignedDuration = SignedDuration::from_secs(1);
/// How many tasks of each process want one lease at the same time.
const TASKS: usize = 20;

impl Suite<'_> {
    pub(super) async fn lease_has_one_holder(&self) -> Outcome {
        let job = job("one-holder")?;
        let tasks = (0..2 * TASKS).map(|task| {
            let store = if task % 2 == 0 {
                &self.store
            } else {
                &self.other
            };
            store.acquire_lease(&job, DURATION)
        });
        let mut held = None;
        for result in join_all(tasks).await {
            match (result, &held) {
                (Ok(lease), None) => held = Some(lease),
                (Ok(lease), Some(held)) => {
                    return Err(format!("two leases at once: {held:?} and {lease:?}"));
                }
                (Err(error), _) => self.is_busy(error, &job)?,
            }
        }
        let Some(held) = held else {
            return Err("nobody got the lease".to_owned());
        };
        equal("the job", &held.job, &job)?;
        equal("the expiry", &held.expires, &(self.now() + DURATION))?;
        for store in [&self.store, &self.other] {
            match self.err(store.acquire_lease(&job, DURATION).await)? {
                StoreError::Busy {
                    holder, expires, ..
                } => equal(
                    "who is busy until when",
                    &(&holder, expires),
                    &(&held.holder, held.expires),
                )?,
                other => return Err(other.to_string()),
            }
        }
        self.ok(self.store.release_lease(&held).await)
    }

    pub(super) async fn released_lease_is_free(&self) -> Outcome {
        let job = job("released")?;
        let first = self.ok(self.store.acquire_lease(&job, DURATION).await)?;
        self.ok(self.store.release_lease(&first).await)?;
        let second = self.ok(self.other.acquire_lease(&job, DURATION).await)?;
        if first.id == second.id {
            return Err(format!("two acquisitions have the id {}", first.id));
        }
        // Releasing it again must not end the lease of the other.
        self.ok(self.store.release_lease(&first).await)?;
        self.err(self.store.acquire_lease(&job, DURATION).await)?;
        self.ok(self.other.release_lease(&second).await)
    }

    pub(super) async fn renewal_moves_the_expiry(&self) -> Outcome {
        let job = job("renewed")?;
        let clock = self.fixture.clock();
        let mut lease = self.ok(self.store.acquire_lease(&job, DURATION).await)?;
        for _ in 0..3 {
            clock.advance(DURATION - SECOND);
            let renewed = self.ok(self.store.renew_lease(&lease, DURATION).await)?;
            equal("the id", &renewed.id, &lease.id)?;
            equal("the expiry", &renewed.expires, &(self.now() + DURATION))?;
            lease = renewed;
        }
        clock.advance(DURATION - SECOND);
        self.err(self.other.acquire_lease(&job, DURATION).await)?;
        // It expires, and nobody wants it.
        clock.advance(SECOND);
        lease = self.ok(self.store.renew_lease(&lease, DURATION).await)?;
        self.err(self.other.acquire_lease(&job, DURATION).await)?;
        self.ok(self.store.release_lease(&lease).await)
    }

    pub(super) async fn expired_lease_is_free(&self) -> Outcome {
        let job = job("expired")?;
        let lost = self.ok(self.store.acquire_lease(&job, DURATION).await)?;
        self.fixture.clock().advance(DURATION);
        let lease = self.ok(self.other.acquire_lease(&job, DURATION).await)?;
        self.is_lost(&lost).await?;
        self.ok(self.store.release_lease(&lost).await)?;
        self.err(self.store.acquire_lease(&job, DURATION).await)?;
        self.ok(self.other.release_lease(&lease).await)?;
        // Somebody else held it in between, so that it stays lost.
        self.is_lost(&lost).await?;
        let again = self.ok(self.store.acquire_lease(&job, DURATION).await)?;
        self.ok(self.store.release_lease(&again).await)
    }

    pub(super) async fn live_leases_are_those_of_all(&self) -> Outcome {
        let (one, two) = (job("live-1")?, job("live-2")?);
        let first = self.ok(self.store.acquire_lease(&one, DURATION).await)?;
        let second = self.ok(self.other.acquire_lease(&two, DURATION * 2).await)?;
        self.live(&[&first, &second]).await?;
        self.fixture.clock().advance(DURATION);
        self.live(&[&second]).await?;
        self.ok(self.other.release_lease(&second).await)?;
        self.live(&[]).await
    }

    pub(super) async fn lease_of_a_dead_holder_is_free(&self) -> Outcome {
        let job = job("dead")?;
        let doomed = self.fixture.open().await;
        let held = self.ok(doomed.acquire_lease(&job, DURATION).await)?;
        self.err(self.store.acquire_lease(&job, DURATION).await)?;
        self.live(&[&held]).await?;
        self.fixture.kill(doomed).await;
        if self.fixture.notices_dead_holders() {
            self.live(&[]).await?;
        } else {
            self.fixture.clock().advance(DURATION);
        }
        let lease = self.ok(self.store.acquire_lease(&job, DURATION).await)?;
        self.ok(self.store.release_lease(&lease).await)
    }

    pub(super) async fn no_lease_is_immortal(&self) -> Outcome {
        let job = job("immortal")?;
        let longest = SignedDuration::from_hours(100_000);
        let lease = self.ok(self.store.acquire_lease(&job, longest).await)?;
        let latest = self.now() + Lease::MAX_DURATION;
        equal("the latest expiry", &lease.expires, &latest)?;
        // The clock is set back by a year.
        let year = SignedDuration::from_hours(365 * 24);
        self.fixture.clock().advance(-year);
        let lease = self.ok(self.other.acquire_lease(&job, DURATION).await)?;
        self.ok(self.other.release_lease(&lease).await)?;
        self.fixture.clock().advance(year);
        Ok(())
    }

    fn is_busy(&self, error: StoreError, expected: &JobName) -> Outcome {
        match self.err::<()>(Err(error))? {
            StoreError::Busy { job, .. } if job == *expected => Ok(()),
            other => Err(other.to_string()),
        }
    }

    async fn is_lost(&self, lease: &Lease) -> Outcome {
        match self.err(self.store.renew_lease(lease, DURATION).await)? {
            StoreError::LeaseLost { job } => equal("the lost job", &job, &lease.job),
            other => Err(other.to_string()),
        }
    }

    /// Exactly these leases of the suite are live, for both processes.
    async fn live(&self, expected: &[&Lease]) -> Outcome {
        for store in [&self.store, &self.other] {
            let leases = self.ok(store.live_leases().await)?;
            let leases: BTreeSet<_> = leases.iter().map(|lease| (&lease.job, &lease.id)).collect();
            let expected = expected.iter().map(|lease| (&lease.job, &lease.id));
            equal("live leases", &leases, &expected.collect())?;
        }
        Ok(())
    }
}

fn job(name: &str) -> Outcome<JobName> {
    JobName::new("conformance", name).map_err(|error| error.to_string())
}
