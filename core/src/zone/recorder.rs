//! The ledger's entries for the changes of one zone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::configured_provider::ConfiguredProvider;
use crate::ledger::{Entry, Event, Ledger, LedgerError, Origin, RunId, SerialStep};
use crate::name::DnsName;
use crate::printable::shortened;
use crate::provider::Identity;
use crate::txt::{Action, TxtChange, TxtSets};

/// The longest answer of a backend that is recorded, in characters. It is in the line of each change.
const RESPONSE_MAX: usize = 2_000;

/// In which run, and for whom, a change is made.
#[derive(Clone, Debug)]
pub struct ChangeContext {
    /// The run.
    pub run: RunId,
    /// The certificate, its order and the lease of the job.
    pub origin: Origin,
}

/// A change that a job asks for.
#[derive(Clone, Debug)]
pub(super) struct Requested {
    pub(super) change: TxtChange,
    pub(super) context: ChangeContext,
}

/// What the backend answered.
#[derive(Clone, Copy, Default)]
pub(super) struct BackendAnswer<'a> {
    pub(super) server: Option<&'a str>,
    pub(super) response: Option<&'a str>,
    pub(super) serial: Option<SerialStep>,
}

/// Records the changes of one zone in the ledger.
pub(super) struct ChangeRecorder {
    zone: DnsName,
    identity: Identity,
    provider: Arc<ConfiguredProvider>,
    ledger: Arc<dyn Ledger>,
    /// The time to live, in seconds, that the backend gave the last records which came without one.
    served_ttl: AtomicU32,
}

impl ChangeRecorder {
    pub(super) fn new(
        zone: DnsName,
        identity: Identity,
        provider: Arc<ConfiguredProvider>,
        ledger: Arc<dyn Ledger>,
    ) -> Self {
        ChangeRecorder {
            zone,
            identity,
            provider,
            ledger,
            served_ttl: AtomicU32::new(0),
        }
    }

    /// The time to live of our records in this zone, in seconds: a backend may raise what is configured.
    pub(super) fn ttl(&self) -> u32 {
        let configured = self.identity.ttl.unwrap_or_default();
        configured.max(self.served_ttl.load(Ordering::Relaxed))
    }

    /// Notes with which time to live our records are served.
    pub(super) fn note_ttls(&self, requested: &[Requested], read_back: &TxtSets) {
        for Requested { change, .. } in requested {
            if change.action == Action::Add
                && change.ttl.is_none()
                && let Some(ttl) = read_back.get(&change.name).and_then(|set| set.ttl)
            {
                self.served_ttl.store(ttl, Ordering::Relaxed);
            }
        }
    }

    /// Records an event of these changes, those of each run together and in their order.
    pub(super) async fn record(
        &self,
        event: Event,
        changes: &[Requested],
        answer: &BackendAnswer<'_>,
    ) -> Result<(), LedgerError> {
        for of_run in changes.chunk_by(|one, next| one.context.run == next.context.run) {
            let entries = of_run
                .iter()
                .map(|change| self.entry(event, change, answer));
            let run = &of_run[0].context.run;
            self.ledger.record(run, entries.collect()).await?;
        }
        Ok(())
    }

    fn entry(&self, event: Event, requested: &Requested, answer: &BackendAnswer<'_>) -> Entry {
        let TxtChange {
            name,
            value,
            action,
            ttl,
        } = requested.change.clone();
        Entry {
            event,
            action,
            origin: requested.context.origin.clone(),
            zone: self.zone.clone(),
            provider: self.identity.kind.to_owned(),
            provider_id: Some(self.provider.id().to_owned()),
            credentials: Some(self.provider.credentials().to_owned()),
            key: self.identity.key.clone(),
            ttl: Some(ttl.unwrap_or_else(|| self.ttl())),
            name,
            value,
            server: answer.server.map(str::to_owned),
            response: answer
                .response
                .map(|response| shortened(response, RESPONSE_MAX)),
            serial: answer.serial,
        }
    }
}
