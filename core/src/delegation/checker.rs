//! The checker that a process shares.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, Either, select};
use futures_util::stream::FuturesOrdered;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::alias_findings;
use super::expectation::DelegationCheck;
use super::name_check::{self, Told};
use super::report::DelegationReport;
use super::zone_reports::ZoneReports;
use crate::dns::{Dns, Turn, Turns, Usage};

/// Challenge names that are checked at a time, by all callers together. Those of the certificate whose names have taken
/// least time go first: one with a hundred names whose servers are slow must not hold up all others.
const AT_ONCE: usize = 64;
/// A check that takes longer makes room for another one.
const SLOW_AFTER: Duration = Duration::from_secs(2);
/// Such checks at a time, so that memory does not grow with their number.
const SLOW_AT_ONCE: usize = 512;

/// Checks delegations. One checker serves a whole process.
///
/// Challenge names and alias names are always queried now. The report of a zone is shared by all names that
/// lead there. It is kept for the time to live of the records that it rests on, at most five minutes.
#[derive(Debug)]
pub struct DelegationChecker {
    zones: ZoneReports,
    turns: Arc<Turns>,
    slow: Semaphore,
}

impl DelegationChecker {
    /// A checker that asks through `dns`.
    pub fn new(dns: Arc<Dns>) -> Self {
        DelegationChecker {
            zones: ZoneReports::new(dns),
            turns: Arc::new(Turns::new(AT_ONCE)),
            slow: Semaphore::new(SLOW_AT_ONCE),
        }
    }

    /// Checks many challenge names, and what they add up to if they share an alias name. The reports are in the
    /// order of `checks`.
    pub async fn check_all(&self, checks: &[DelegationCheck<'_>]) -> Vec<DelegationReport> {
        self.check_all_and_tell(checks, &|_| {}).await
    }

    /// The same. `told` is called once for each check, with the alias name that the CNAME leads to, as soon as
    /// that is known, or with none if it leads to none. The rest of the check may still prove it wrong.
    pub(crate) async fn check_all_and_tell(
        &self,
        checks: &[DelegationCheck<'_>],
        told: Told<'_>,
    ) -> Vec<DelegationReport> {
        let mut usages: BTreeMap<Option<&str>, Arc<Usage>> = BTreeMap::new();
        let running = checks.iter().map(|check| {
            let usage = Arc::clone(usages.entry(check.certificate).or_default());
            self.check_and_tell(check, told, usage)
        });
        let running: FuturesOrdered<_> = running.collect();
        let mut reports: Vec<_> = running.collect().await;
        alias_findings::add_large_answers(checks, &mut reports);
        reports
    }

    /// Checks one challenge name by itself. It always ends, with a report.
    pub async fn check(&self, check: &DelegationCheck<'_>) -> DelegationReport {
        self.check_and_tell(check, &|_| {}, Arc::default()).await
    }

    /// In a box, so that the type of the future is small.
    fn check_and_tell<'a>(
        &'a self,
        check: &'a DelegationCheck<'_>,
        told: Told<'a>,
        usage: Arc<Usage>,
    ) -> BoxFuture<'a, DelegationReport> {
        Box::pin(async move {
            let turn = self.turns.take(usage).await;
            let limits = self.zones.dns.name_limits();
            // In a box of its own, so that checks that wait for their turn take little memory.
            let checked = Box::pin(name_check::check(&self.zones, check, &limits, told));
            let report = self
                .in_its_lane(Box::pin(limits.scope(checked)), turn)
                .await;
            tracing::debug!(
                name = %check.challenge_name,
                queries = limits.sent(),
                limit = ?limits.spent(),
                took = ?limits.elapsed(),
                "delegation checked"
            );
            report
        })
    }

    /// Runs a check. One that takes long makes room for another, so that slow zones do not delay others.
    async fn in_its_lane(
        &self,
        mut checked: BoxFuture<'_, DelegationReport>,
        turn: Turn,
    ) -> DelegationReport {
        if let Ok(report) = timeout(SLOW_AFTER, &mut checked).await {
            return report;
        }
        match select(checked, Box::pin(self.slow.acquire())).await {
            Either::Left((report, _)) => report,
            Either::Right((_slow, checked)) => {
                drop(turn);
                checked.await
            }
        }
    }

    /// Forgets everything about zones, for a caller who knows that they have changed.
    pub fn clear_cache(&self) {
        self.zones.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Config;

    #[test]
    fn checks_can_run_in_tasks_of_a_process() {
        fn assert_send_and_sync<T: Send + Sync>(_: &T) {}
        fn assert_send<T: Send>(_: &T) {}
        let checker = DelegationChecker::new(Arc::new(Dns::new(Config::default())));
        assert_send_and_sync(&checker);
        assert_send(&checker.check_all(&[]));
    }
}
