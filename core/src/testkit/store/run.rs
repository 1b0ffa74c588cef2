//! The list of rules, and the one about secrets that needs all others.

use std::sync::{Mutex, PoisonError};

use super::checks::{Outcome, SECRET, Suite};
use super::fixture::Fixture;
use crate::testkit::suite::{CapturedLog, Violation, Violations};

/// Checks every rule against the store of a fixture.
///
/// The suite reads the log of its own thread to look for secrets, so that it needs a
/// single-threaded runtime.
pub async fn run(fixture: &dyn Fixture) -> Result<(), Violations> {
    let log = CapturedLog::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let logging = tracing::subscriber::set_default(subscriber);
    let suite = Suite {
        fixture,
        store: fixture.open().await,
        other: fixture.open().await,
        errors: Mutex::default(),
    };
    let mut violations = records(&suite).await;
    violations.extend(certificates(&suite).await);
    violations.extend(leases(&suite).await);
    drop(logging);
    violations.extend(violation(
        "no secret is shown",
        suite.no_secret_is_shown(&log.text()),
    ));
    if violations.is_empty() {
        Ok(())
    } else {
        Err(Violations(violations))
    }
}

async fn records(suite: &Suite<'_>) -> Vec<Violation> {
    [
        violation(
            "accounts of two directories stay apart",
            suite.accounts_stay_apart().await,
        ),
        violation(
            "a pending account is kept apart",
            suite.pending_account_is_apart().await,
        ),
        violation("former accounts stay", suite.former_accounts_stay().await),
        violation(
            "settings and orders are read as they were stored",
            suite.settings_and_orders().await,
        ),
        violation(
            "a status is read as it was stored, and is in the index",
            suite.a_status_is_kept_and_indexed().await,
        ),
        violation(
            "what is known of a CA is replaced if it is as before",
            suite.a_ca_status_is_replaced_if_it_is_as_before().await,
        ),
        violation(
            "a stored alias name stays, unless its parent changes",
            suite.alias_names_stay().await,
        ),
        violation(
            "two writers of alias names lose nothing",
            suite.two_writers_of_alias_names().await,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

async fn certificates(suite: &Suite<'_>) -> Vec<Violation> {
    [
        violation(
            "the newest version is the current one",
            suite.newest_version_is_current().await,
        ),
        violation(
            "old versions are pruned with their keys",
            suite.old_versions_are_pruned().await,
        ),
        violation(
            "the key and the certificates of a version are read as they were stored",
            suite.a_version_has_its_pem().await,
        ),
        violation(
            "a version whose key only others have is whole without one",
            suite.a_version_may_have_no_key().await,
        ),
        violation(
            "a version is deployed when it was marked, not earlier",
            suite.new_version_is_not_deployed().await,
        ),
        violation(
            "what is set aside is no version",
            suite.what_is_set_aside_is_no_version().await,
        ),
        violation(
            "the versions that are kept have their chains and keys",
            suite.versions_are_kept_whole().await,
        ),
        violation(
            "a forgotten certificate keeps its versions and nothing else",
            suite.forgotten_certificates_keep_their_versions().await,
        ),
        violation(
            "a purged certificate leaves nothing",
            suite.purged_certificates_leave_nothing().await,
        ),
        violation(
            "the index agrees with the certificates",
            suite.index_agrees().await,
        ),
        violation(
            "a damaged certificate is an error of its own only",
            suite.damage_stays_where_it_is().await,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

async fn leases(suite: &Suite<'_>) -> Vec<Violation> {
    [
        violation("a lease has one holder", suite.lease_has_one_holder().await),
        violation(
            "a released lease is free",
            suite.released_lease_is_free().await,
        ),
        violation(
            "a renewal moves the expiry",
            suite.renewal_moves_the_expiry().await,
        ),
        violation(
            "an expired lease is free, and lost once somebody took it",
            suite.expired_lease_is_free().await,
        ),
        violation(
            "live leases are those of all processes",
            suite.live_leases_are_those_of_all().await,
        ),
        violation(
            "the lease of a dead holder becomes free",
            suite.lease_of_a_dead_holder_is_free().await,
        ),
        violation(
            "no lease lasts longer than a day, even if the clock is set back",
            suite.no_lease_is_immortal().await,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn violation(rule: &'static str, outcome: Outcome) -> Option<Violation> {
    let observed = outcome.err()?;
    Some(Violation { rule, observed })
}

impl Suite<'_> {
    fn no_secret_is_shown(&self, log: &str) -> Outcome {
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        let places = [
            ("`Debug` of the store", format!("{:?}", self.store)),
            ("the log", log.to_owned()),
            ("an error", errors.join("\n")),
        ];
        for (place, text) in places {
            if text.contains(SECRET) {
                return Err(format!("a secret is in {place}"));
            }
        }
        Ok(())
    }
}
