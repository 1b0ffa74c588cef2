//! All rules, in order.

use super::fixture::Fixture;
use super::outcome::{Mismatch, Outcome};
use super::suite::Suite;
use crate::testkit::suite::{CapturedLog, Violation, Violations};

/// Checks every rule of the contract with the provider of `fixture`.
///
/// The log is searched for secrets on this thread only, so the runtime must have one thread.
pub async fn run(fixture: &dyn Fixture) -> Result<(), Violations> {
    let log = CapturedLog::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let logging = tracing::subscriber::set_default(subscriber);
    let suite = Suite::new(fixture).await;
    let mut violations = Vec::new();
    let mut rule = |rule, outcome: Outcome| {
        let broken = outcome.err();
        violations.extend(broken.map(|Mismatch(observed)| Violation { rule, observed }));
    };
    rule("add and remove are idempotent", suite.idempotent().await);
    rule("one name has two values", suite.two_values().await);
    rule(
        "the last change of a value counts",
        suite.last_change().await,
    );
    rule("a foreign value stays", suite.foreign_value().await);
    rule("one of ten values is removed", suite.one_of_ten().await);
    rule(
        "a value of 255 octets is read back unchanged",
        suite.longest_value().await,
    );
    rule("names have no case", suite.upper_case().await);
    rule(
        "a hundred names take no more requests than the limits allow",
        suite.hundred_names().await,
    );
    rule("two writers lose nothing", suite.two_writers().await);
    rule(
        "changes are pending if propagation is reported",
        suite.propagation().await,
    );
    rule("the serial increases with a change", suite.serial().await);
    rule(
        "a partial failure is an error",
        suite.partial_failure().await,
    );
    rule(
        "after a lost reply the outcome is unknown, or read back",
        suite.lost_reply().await,
    );
    rule("a foreign zone is refused", suite.foreign_zone().await);
    rule(
        "a name outside the zone is refused",
        suite.name_outside().await,
    );
    drop(logging);
    rule("no secret is shown", suite.secrets(&log.text()));
    if violations.is_empty() {
        return Ok(());
    }
    Err(Violations(violations))
}
