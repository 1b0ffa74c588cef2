//! Counting the orders of a run: before they are opened, so that two runs together open no more than a CA allows, and once
//! more when they are, so that those that a killed run has not opened are free again.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::Mutex as AsyncMutex;

use crate::clock::Clock;
use crate::lease::JobName;
use crate::ledger::RunId;
use crate::renewal::{Rate, Reservation, Spent, forget_unopened};
use crate::store::{CaStatus, CertificateId, Store, StoreError, change_ca_status};

/// The orders of one run.
#[derive(Debug)]
pub(super) struct OrderCount {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    run: RunId,
    reserved: Mutex<Reserved>,
}

#[derive(Debug, Default)]
struct Reserved {
    by_ca: BTreeMap<String, Arc<Opening>>,
    /// The certificates for which an order was counted and not opened yet.
    certificates: BTreeMap<CertificateId, Arc<Opening>>,
}

/// Orders at one CA that are about to be opened. Those that come while others are recorded are recorded together.
#[derive(Debug)]
struct Opening {
    directory: String,
    unrecorded: AtomicU32,
    turn: AsyncMutex<()>,
}

/// Orders that were counted.
pub(super) struct Counted {
    /// When.
    pub(super) at: Timestamp,
    /// How many.
    pub(super) count: u32,
    /// All that count now, these among them.
    pub(super) all: Vec<Spent>,
}

impl OrderCount {
    pub(super) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, run: RunId) -> Self {
        OrderCount {
            store,
            clock,
            run,
            reserved: Mutex::default(),
        }
    }

    /// Counts as many orders as are wanted and left, before they are opened.
    pub(super) async fn reserve(
        &self,
        directory: &str,
        rate: Rate,
        wanted: u32,
    ) -> Result<Counted, StoreError> {
        let reserved = Reservation {
            run: self.run.clone(),
            opened: 0,
        };
        self.spend(directory, rate, wanted, Some(&reserved)).await
    }

    /// Counts an order that is opened now; `false` if none is left.
    pub(super) async fn open_one(&self, directory: &str, rate: Rate) -> Result<bool, StoreError> {
        let counted = self.spend(directory, rate, 1, None).await?;
        Ok(counted.count == 1)
    }

    async fn spend(
        &self,
        directory: &str,
        rate: Rate,
        wanted: u32,
        reserved: Option<&Reservation>,
    ) -> Result<Counted, StoreError> {
        let at = self.clock.now();
        let ended = ended_runs(&*self.store, directory).await?;
        let spend = |status: &mut CaStatus| {
            forget_unopened(&mut status.orders, &ended);
            let count = rate.left(&mut status.orders, at).min(wanted);
            if count > 0 {
                status.orders.push(Spent {
                    at,
                    count,
                    reserved: reserved.cloned(),
                });
            }
            Counted {
                at,
                count,
                all: status.orders.clone(),
            }
        };
        change_ca_status(&*self.store, directory, spend).await
    }

    /// These certificates may open the orders that were counted.
    pub(super) fn expect(&self, directory: &str, ids: impl IntoIterator<Item = CertificateId>) {
        let mut reserved = self.reserved();
        let opening = reserved
            .by_ca
            .entry(directory.to_owned())
            .or_insert_with(|| {
                Arc::new(Opening {
                    directory: directory.to_owned(),
                    unrecorded: AtomicU32::new(0),
                    turn: AsyncMutex::default(),
                })
            });
        let opening = Arc::clone(opening);
        let ids = ids.into_iter().map(|id| (id, Arc::clone(&opening)));
        reserved.certificates.extend(ids);
    }

    /// Records that an order is opened, if it was counted before.
    pub(super) async fn opens(&self, id: &CertificateId) {
        let opening = self.reserved().certificates.remove(id);
        let Some(opening) = opening else {
            return;
        };
        opening.unrecorded.fetch_add(1, Ordering::SeqCst);
        let _turn = opening.turn.lock().await;
        let opened = opening.unrecorded.swap(0, Ordering::SeqCst);
        if opened == 0 {
            // Another one has recorded it.
            return;
        }
        let record = |status: &mut CaStatus| {
            let mut left = opened;
            for spent in &mut status.orders {
                let ours = spent.reserved.as_mut();
                if let Some(ours) = ours.filter(|reserved| reserved.run == self.run) {
                    let more = left.min(spent.count.saturating_sub(ours.opened));
                    ours.opened += more;
                    left -= more;
                }
            }
        };
        if let Err(error) = change_ca_status(&*self.store, &opening.directory, record).await {
            // It matters only if this process is killed: then the CA tells if there were too many.
            tracing::warn!(%error, "it was not recorded that an order is opened");
        }
    }

    /// Lets only so many of the orders count that were counted at this time.
    pub(super) async fn settle(
        &self,
        directory: &str,
        at: Timestamp,
        ordered: usize,
    ) -> Result<(), StoreError> {
        let ordered = u32::try_from(ordered).unwrap_or(u32::MAX);
        let settle = |status: &mut CaStatus| {
            let is_ours = |spent: &&mut Spent| {
                let reserved = spent.reserved.as_ref();
                spent.at == at && reserved.is_some_and(|reserved| reserved.run == self.run)
            };
            if let Some(ours) = status.orders.iter_mut().find(is_ours) {
                ours.count = ours.count.min(ordered);
                ours.reserved = None;
            }
            status.orders.retain(|spent| spent.count > 0);
        };
        change_ca_status(&*self.store, directory, settle).await
    }

    fn reserved(&self) -> MutexGuard<'_, Reserved> {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The runs that have counted orders at a CA and have ended.
pub(super) async fn ended_runs(
    store: &dyn Store,
    directory: &str,
) -> Result<BTreeSet<RunId>, StoreError> {
    let orders = store.ca_status(directory).await?.orders.into_iter();
    let runs = orders.filter_map(|spent| Some(spent.reserved?.run));
    let mut runs: BTreeSet<_> = runs.collect();
    if !runs.is_empty() {
        // A run has its lease before it counts anything.
        let live = store.live_leases().await?.into_iter();
        let live: HashSet<_> = live.map(|lease| lease.job).collect();
        runs.retain(|run| !live.contains(&JobName::run(run)));
    }
    Ok(runs)
}
