//! The values that a run could not remove: the first ones, and how many others there are.

use std::collections::{BTreeMap, HashMap};
use std::mem::{Discriminant, discriminant};
use std::sync::Arc;
use std::time::Duration;

use crate::ledger::OpenValue;
use crate::name::DnsName;
use crate::zone::{OpenError, WriteError};

/// So many values of one zone are kept for each kind of reason.
const KEPT: usize = 20;

/// Values that may still be in a zone. Of each zone the first ones are kept for each kind of reason, and the others are
/// counted: there may be more than memory and readers have room for.
#[derive(Debug, Default)]
pub struct LeftValues {
    first: Vec<LeftValue>,
    others: BTreeMap<DnsName, usize>,
    kept: HashMap<(DnsName, Discriminant<LeftReason>), usize>,
}

/// A value that could not be removed now.
#[derive(Clone, Debug)]
pub struct LeftValue {
    /// The value.
    pub value: Arc<OpenValue>,
    /// Why it could not be removed.
    pub reason: LeftReason,
}

/// Why a value could not be removed now.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeftReason {
    /// Its line in the ledger is not as it was written: somebody may have forged it.
    #[error("its line in the ledger is not as it was written")]
    Doubtful,
    /// It has the form of no challenge and no probe, or its name is outside its zone. No job writes such a value.
    #[error("no job writes such a value; somebody may have forged its line in the ledger")]
    Foreign,
    /// The provider that wrote it is not configured any more.
    #[error("the provider that wrote it is not configured any more")]
    NoProvider,
    /// The provider cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The zone cannot be changed.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The zone was not cleaned in time; its writer goes on for as long as the process runs.
    #[error("the zone's servers did not finish within {limit:?}")]
    Timeout {
        /// How long was waited.
        limit: Duration,
    },
}

impl LeftValues {
    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty() && self.others.is_empty()
    }

    /// How many values are left.
    pub fn count(&self) -> usize {
        self.first.len() + self.others.values().sum::<usize>()
    }

    /// The first ones, each with the reason.
    pub fn first(&self) -> &[LeftValue] {
        &self.first
    }

    /// How many others are left, by zone.
    pub fn others(&self) -> &BTreeMap<DnsName, usize> {
        &self.others
    }

    /// Adds a value.
    pub(super) fn add(&mut self, value: &Arc<OpenValue>, reason: &LeftReason) {
        let kind = (value.zone.clone(), discriminant(reason));
        let kept = self.kept.entry(kind).or_default();
        if *kept == KEPT {
            return self.count_others(&value.zone, 1);
        }
        *kept += 1;
        self.first.push(LeftValue {
            value: Arc::clone(value),
            reason: reason.clone(),
        });
    }

    /// Adds values that could not be removed for the same reason.
    pub(super) fn add_all(&mut self, values: &[Arc<OpenValue>], reason: &LeftReason) {
        for value in values {
            self.add(value, reason);
        }
    }

    /// Adds values of one zone that are only counted.
    pub(super) fn count_others(&mut self, zone: &DnsName, count: usize) {
        if count > 0 {
            *self.others.entry(zone.clone()).or_default() += count;
        }
    }

    /// Adds what is left of another group of values.
    pub(super) fn append(&mut self, more: LeftValues) {
        for left in more.first {
            self.add(&left.value, &left.reason);
        }
        for (zone, count) in more.others {
            self.count_others(&zone, count);
        }
    }
}
