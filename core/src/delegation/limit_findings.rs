//! What is reported if a limit of time or of queries was reached.

use super::expectation::DelegationCheck;
use super::finding::{Finding, FindingKind};
use crate::dns::Spent;

/// The remedy for servers that were too slow.
pub(super) const REACHABLE: &str =
    "check that all servers of these zones can be reached from here: a CA may query any of them";

/// The remedy for zones that need too many queries.
pub(super) const TOO_MANY_QUERIES: &str = "lead the challenge name to the alias name by one CNAME, and remove NS records of servers that do not \
     answer: a CA limits its queries, too";

/// The finding that a limit was reached before something was done.
pub(super) fn unfinished(check: &DelegationCheck<'_>, spent: Spent, what: &str) -> Finding {
    let (reason, remedy) = match spent {
        Spent::Time(limit) => (
            format!("timed out after {limit:?}: some servers are slow or do not answer"),
            REACHABLE,
        ),
        Spent::Queries(limit) => (
            format!(
                "stopped after {limit} queries: too many zones, servers or CNAMEs are on the way"
            ),
            TOO_MANY_QUERIES,
        ),
    };
    check.expectation.warning(
        FindingKind::Incomplete,
        check.challenge_name,
        format!("could not {what}: {reason}"),
        remedy,
    )
}
