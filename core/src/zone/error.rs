//! What can go wrong between a value and its zone.

use super::configured_provider::OpenError;
use super::propagation::PropagationError;
use crate::dns::DnsError;
use crate::ledger::LedgerError;
use crate::name::DnsName;
use crate::provider::ProviderError;
use crate::txt::{Action, TxtValue};

/// A change that was not made, or is not known to be made.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The backend refused the change, or could not be asked.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The backend accepted the change, and reading back shows something else.
    #[error("{server} accepted the change, but reading back shows that {} at {name} {}",
        .values.iter().map(TxtValue::as_str).collect::<Vec<_>>().join(", "),
        if *.action == Action::Add { "is missing" } else { "is still there" })]
    NotCarriedOut {
        /// The server that accepted the change.
        server: String,
        /// The alias name.
        name: DnsName,
        /// The values that are not as they should be.
        values: Vec<TxtValue>,
        /// What should have happened to them.
        action: Action,
    },
    /// The change could not be recorded, and so was not sent.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The writer's task is gone. This is a defect.
    #[error("the writer of this zone has ended")]
    Ended,
}

/// Values that could not be brought into a zone, or out of it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ZoneError {
    /// No alias zone contains the name.
    #[error("no alias zone contains {name}")]
    NoZone {
        /// The alias name.
        name: DnsName,
    },
    /// The provider of the zone could not be opened.
    #[error("the zone {zone} cannot be changed: {source}")]
    Open {
        /// The alias zone.
        zone: DnsName,
        /// Why.
        source: OpenError,
    },
    /// The backend did not return what is in the zone.
    #[error("the zone {zone} cannot be read: {source}")]
    Read {
        /// The alias zone.
        zone: DnsName,
        /// What the backend said.
        source: ProviderError,
    },
    /// The backend did not make the change.
    #[error("the zone {zone} could not be changed: {source}")]
    Write {
        /// The alias zone.
        zone: DnsName,
        /// What the backend said.
        source: WriteError,
    },
    /// The change did not reach every server in time.
    #[error("the zone {zone} has the values, but not on all its servers: {source}")]
    Propagation {
        /// The alias zone.
        zone: DnsName,
        /// Which servers lag.
        source: PropagationError,
    },
    /// The servers of the zone, or the zone of a name, could not be found.
    #[error("the name servers of {zone} could not be found: {source}")]
    Servers {
        /// The alias zone, or the alias name whose zone was searched.
        zone: DnsName,
        /// Why.
        source: DnsError,
    },
}
