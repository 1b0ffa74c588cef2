//! What can go wrong between a value and its zone.

use std::collections::BTreeSet;

use super::configured_provider::OpenError;
use super::propagation::PropagationError;
use crate::dns::DnsError;
use crate::ledger::LedgerError;
use crate::name::DnsName;
use crate::printable::few;
use crate::provider::ProviderError;
use crate::txt::{Action, TxtValue};

/// A change that was not made, or is not known to be made.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The backend could not be asked, or cannot make changes now.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The backend refused to change the TXT records at these names.
    #[error("{source} (TXT at {})", few(&.names.iter().map(DnsName::to_string).collect::<Vec<_>>(), ", "))]
    Refused {
        /// The alias names.
        names: BTreeSet<DnsName>,
        /// What the backend said of the first.
        source: ProviderError,
    },
    /// The backend accepted the change, and reading back shows something else.
    #[error("{server} accepted the change, but reading back shows that {} at {name} {}",
        few(&.values.iter().map(TxtValue::as_str).collect::<Vec<_>>(), ", "),
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

/// A failure in an alias zone, and the alias names that it concerns.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{source}")]
pub struct ZoneFailure {
    /// The alias names: those that the error names, or all that were asked for in the zone.
    pub names: BTreeSet<DnsName>,
    /// What failed.
    pub source: Box<ZoneError>,
}

impl ZoneFailure {
    /// The failure of what was asked for at these alias names.
    pub(super) fn at<'a>(names: impl IntoIterator<Item = &'a DnsName>, source: ZoneError) -> Self {
        let named = source.named();
        let names = names.into_iter();
        let names = names.filter(|name| named.as_ref().is_none_or(|named| named.contains(name)));
        ZoneFailure {
            names: names.cloned().collect(),
            source: source.into(),
        }
    }
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
    /// The delegation leads to other servers than those of the backend.
    #[error(
        "{zone} is delegated to {delegated_to}, but {backend} serves it at {at_backend}: the CA would not see what is written there"
    )]
    ServedElsewhere {
        /// The alias zone.
        zone: DnsName,
        /// The names of the servers that the delegation lists.
        delegated_to: String,
        /// The names of the servers that the backend has for the zone.
        at_backend: String,
        /// The API of the backend.
        backend: String,
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

impl ZoneError {
    /// The alias zone that it is about, or the alias name that has none.
    pub(super) fn zone(&self) -> &DnsName {
        match self {
            ZoneError::NoZone { name } => name,
            ZoneError::Open { zone, .. }
            | ZoneError::Read { zone, .. }
            | ZoneError::ServedElsewhere { zone, .. }
            | ZoneError::Write { zone, .. }
            | ZoneError::Propagation { zone, .. }
            | ZoneError::Servers { zone, .. } => zone,
        }
    }

    /// The alias names that it is about, if it is not about everything in the zone.
    fn named(&self) -> Option<BTreeSet<&DnsName>> {
        match self {
            ZoneError::Write { source, .. } => match source {
                WriteError::Refused { names, .. } => Some(names.iter().collect()),
                WriteError::NotCarriedOut { name, .. } => Some(BTreeSet::from([name])),
                _ => None,
            },
            ZoneError::Propagation { source, .. } => {
                let names = source.lagging.iter().map(|lagging| &lagging.name);
                Some(names.collect())
            }
            _ => None,
        }
    }
}
