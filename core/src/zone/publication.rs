//! The values of one job: brought into their zones, seen on every server, withdrawn again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};

use super::error::ZoneError;
use super::propagation::{self, Reached};
use super::recorder::ChangeContext;
use super::writer::ZoneWriter;
use crate::dns::Dns;
use crate::name::DnsName;
use crate::txt::{Action, TxtRecord};

/// Things with a name, each with the writer of the zone that contains it.
pub(super) type ByZone<T> = Vec<(Arc<ZoneWriter>, Vec<T>)>;

/// All the TXT values of one job, by zone.
#[derive(Debug)]
pub struct Publication {
    dns: Arc<Dns>,
    zones: ByZone<TxtRecord>,
    context: ChangeContext,
    propagation_timeout: Duration,
}

/// What it took to publish in one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The alias zone.
    pub zone: DnsName,
    /// The servers that have the values, and when each of them had.
    pub servers: Vec<Reached>,
    /// From the acknowledgement until the last of them had them.
    pub propagation: Duration,
}

impl Publication {
    pub(super) fn new(
        dns: Arc<Dns>,
        zones: ByZone<TxtRecord>,
        context: ChangeContext,
        propagation_timeout: Duration,
    ) -> Self {
        Publication {
            dns,
            zones,
            context,
            propagation_timeout,
        }
    }

    /// The records, by zone.
    pub fn records(&self) -> impl Iterator<Item = (&DnsName, &[TxtRecord])> {
        let zones = self.zones.iter();
        zones.map(|(writer, records)| (writer.zone(), records.as_slice()))
    }

    /// Writes all values, in all zones at once, and returns when every authoritative server of
    /// each zone has them. The first error ends the wait; any value may be there then: withdraw.
    pub async fn publish(&self) -> Result<Vec<Published>, ZoneError> {
        let zones = self.zones.iter();
        try_join_all(zones.map(|(writer, records)| self.publish_in(writer, records))).await
    }

    /// Removes all values, by value, whether or not they were ever written. Returns an error for each
    /// zone that may still have some.
    pub async fn withdraw(&self) -> Vec<ZoneError> {
        let zones = self.zones.iter().map(async |(writer, records)| {
            let removed = writer.write(Action::Remove, records, &self.context).await;
            // Nothing waits until the servers no longer have a value.
            removed.map(drop).map_err(|source| ZoneError::Write {
                zone: writer.zone().clone(),
                source,
            })
        });
        let outcomes = join_all(zones).await.into_iter();
        outcomes.filter_map(Result::err).collect()
    }

    async fn publish_in(
        &self,
        writer: &ZoneWriter,
        records: &[TxtRecord],
    ) -> Result<Published, ZoneError> {
        let zone = writer.zone();
        // The servers are found first: without them nothing is written.
        let servers = self.dns.servers(zone).await;
        let servers = servers.map_err(|source| ZoneError::Servers {
            zone: zone.clone(),
            source,
        })?;
        let failed = |source| ZoneError::Write {
            zone: zone.clone(),
            source,
        };
        let applied = writer.write(Action::Add, records, &self.context).await;
        let applied = applied.map_err(failed)?;
        let acknowledged = Instant::now();
        // Outside the writer's queue, so that others need not wait for it.
        let settled = writer.settle(&applied).await;
        settled.map_err(|error| failed(error.into()))?;
        let servers = propagation::wait(&self.dns, &servers, records, self.propagation_timeout)
            .await
            .map_err(|source| ZoneError::Propagation {
                zone: zone.clone(),
                source,
            })?;
        Ok(Published {
            zone: zone.clone(),
            servers,
            propagation: acknowledged.elapsed(),
        })
    }
}
