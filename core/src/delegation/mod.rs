//! Checks of delegations: from a challenge name along its CNAMEs to the alias name, and every zone on the way.
//!
//! [`CnameChain::follow`] only asks; a [`DelegationChecker`] compares what it found with what is expected, before
//! the CA or any zone is touched. One checker serves a whole process.

mod agreement;
mod alias_findings;
mod caa;
mod caa_identity;
mod caa_property;
mod chain;
mod chain_findings;
mod checker;
mod dnssec_findings;
mod expectation;
mod finding;
mod foreign_values;
mod forwarding;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod limit_findings;
mod name_check;
mod own_values;
mod records;
mod report;
#[cfg(test)]
mod tests;
mod walk;
mod zone_file_mistakes;
mod zone_findings;
mod zone_report;
mod zone_reports;

pub use self::caa_identity::CaaIdentity;
pub use self::chain::{CnameChain, End, FoundTxt, HOPS_MAX, Hop};
pub use self::checker::DelegationChecker;
pub use self::expectation::{DelegationCheck, Expectation};
pub use self::finding::{Cause, Finding, FindingKind, Severity};
pub(crate) use self::foreign_values::ForeignValues;
pub use self::forwarding::ForwardedUpdates;
pub use self::own_values::OwnValues;
pub use self::records::{Compared, Presence, RecordData, Replaced, ZoneRecord};
pub use self::report::DelegationReport;
pub use self::zone_report::{ServerReport, ZoneReport};
