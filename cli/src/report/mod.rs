//! How certificates, zones and the process are: one snapshot, and from it the status page and the metrics.

pub(crate) mod certificates;
mod delegations;
pub(crate) mod file;
pub(crate) mod metrics;
pub(crate) mod page;
mod problem;
#[cfg(test)]
mod sample;
mod snapshot;
mod status;

pub(crate) use self::delegations::{Delegations, DelegationsSoFar, FoundFor};
pub(crate) use self::snapshot::Snapshot;
pub(crate) use self::status::{LastRun, Phase, Status, Trouble};
