//! The values of one job.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::existing::Existing;
use super::propagation::Reached;
use super::recorder::{ChangeContext, Requested};
use super::writer::ZoneWriter;
use crate::dns::{Dns, Lagging};
use crate::name::DnsName;
use crate::txt::{Action, TxtChange, TxtRecord};

/// Things with a name, each with the writer of the zone that contains it.
pub(super) type ByZone<T> = Vec<(Arc<ZoneWriter>, Vec<T>)>;

/// All the TXT values of one job, by zone. It is made before anything is written, so that every value can be
/// withdrawn, by value, whatever happens. A [`Round`](super::Round) publishes it.
#[derive(Clone, Debug)]
pub struct Publication {
    pub(super) dns: Arc<Dns>,
    pub(super) zones: Arc<ByZone<TxtRecord>>,
    pub(super) context: ChangeContext,
    pub(super) existing: Arc<Existing>,
    pub(super) propagation_timeout: Duration,
}

/// What it took to publish in one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The alias zone.
    pub zone: DnsName,
    /// The servers that have the values, and when each of them had.
    pub servers: Vec<Reached>,
    /// The servers that did not answer, and so cannot mislead the CA.
    pub silent: Vec<Lagging>,
    /// From the acknowledgement until the last server that answers had the values.
    pub propagation: Duration,
}

impl Publication {
    /// The records, by zone.
    pub fn records(&self) -> impl Iterator<Item = (&DnsName, &[TxtRecord])> {
        let zones = self.zones.iter();
        zones.map(|(writer, records)| (writer.zone(), records.as_slice()))
    }

    /// How long is waited once the servers have the values, because the settings want it.
    pub fn extra_wait(&self) -> Duration {
        self.dns.propagation().extra_wait
    }

    /// The alias names, each once.
    pub fn names(&self) -> BTreeSet<DnsName> {
        let records = self.zones.iter().flat_map(|(_, records)| records);
        records.map(|record| record.name.clone()).collect()
    }

    /// The changes that do `action` with these records.
    pub(super) fn changes(&self, action: Action, records: &[TxtRecord]) -> Vec<Requested> {
        let requested = |record: &TxtRecord| Requested {
            change: TxtChange {
                name: record.name.clone(),
                value: record.value.clone(),
                action,
                ttl: self.existing.ttl(&record.name),
            },
            context: self.context.clone(),
        };
        records.iter().map(requested).collect()
    }
}
