//! The values of one run: brought into their zones, seen on every server, withdrawn again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::propagation::{self, Reached};
use super::{ByZone, ZoneError, ZoneWriter};
use crate::dns::Dns;
use crate::ledger::Origin;
use crate::name::DnsName;
use crate::txt::Action;
use crate::txt::TxtRecord;

/// All the TXT values of one run, by zone.
#[derive(Debug)]
pub struct Publication {
    dns: Arc<Dns>,
    zones: ByZone<TxtRecord>,
    origin: Origin,
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
        origin: Origin,
        propagation_timeout: Duration,
    ) -> Self {
        Publication {
            dns,
            zones,
            origin,
            propagation_timeout,
        }
    }

    /// The records, by zone.
    pub fn records(&self) -> impl Iterator<Item = (&DnsName, &[TxtRecord])> {
        self.zones
            .iter()
            .map(|(writer, records)| (writer.zone(), records.as_slice()))
    }

    /// Writes all values, in all zones at once, and returns when every authoritative server of
    /// each zone has them. After an error any of them may be there: withdraw.
    pub async fn publish(&self) -> Result<Vec<Published>, ZoneError> {
        let zones = self
            .zones
            .iter()
            .map(|(writer, records)| self.publish_in(writer, records));
        join_all(zones).await.into_iter().collect()
    }

    /// Removes all values, by value, whether or not they were ever written.
    pub async fn withdraw(&self) -> Result<(), ZoneError> {
        let zones = self.zones.iter().map(async |(writer, records)| {
            let removed = writer.write(Action::Remove, records, &self.origin).await;
            // Nobody waits for the servers to forget a value.
            removed.map(drop).map_err(|source| ZoneError::Write {
                zone: writer.zone().clone(),
                source,
            })
        });
        join_all(zones).await.into_iter().collect()
    }

    async fn publish_in(
        &self,
        writer: &ZoneWriter,
        records: &[TxtRecord],
    ) -> Result<Published, ZoneError> {
        let zone = writer.zone();
        // The servers are looked for first: where they cannot be found, nothing is written.
        let servers = self
            .dns
            .servers(zone)
            .await
            .map_err(|source| ZoneError::Servers {
                zone: zone.clone(),
                source,
            })?;
        let failed = |source| ZoneError::Write {
            zone: zone.clone(),
            source,
        };
        let applied = writer.write(Action::Add, records, &self.origin).await;
        let applied = applied.map_err(failed)?;
        let acknowledged = Instant::now();
        // Not in the writer's turn, so that others need not wait for it.
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
