//! The ledger's entries for the changes of one zone.

use std::sync::Arc;

use super::configured_provider::ConfiguredProvider;
use crate::ledger::{Entry, Event, Ledger, LedgerError, Origin, RunId, SerialStep};
use crate::name::DnsName;
use crate::provider::Identity;
use crate::txt::{Action, TxtChange};

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
            ttl: self.identity.ttl.filter(|_| action == Action::Add),
            name,
            value,
            server: answer.server.map(str::to_owned),
            response: answer.response.map(str::to_owned),
            serial: answer.serial,
        }
    }
}
