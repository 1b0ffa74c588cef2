//! When a process that runs again and again has something to do, by the index and the configuration.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::core::Engine;
use super::options::RunOptions;
use super::report::{RunError, RunReport};
use crate::store::CertificateId;

impl Engine {
    /// When there is something to do after the run with this report and these options: a certificate is due, or a pause
    /// after a failure ends. It is at most the interval of runs ([`EngineBuilder::runs_every`]) from now, because what
    /// others do to the store, to zones and at the CA is found by runs only. Changes nothing, and asks nobody.
    ///
    /// [`EngineBuilder::runs_every`]: super::EngineBuilder::runs_every
    pub async fn next_run(
        &self,
        after: &RunReport,
        options: &RunOptions,
    ) -> Result<Timestamp, RunError> {
        let now = self.parts.clock.now();
        let schedule = self.plan(options).await?;
        let worked_on: BTreeSet<&CertificateId> = after.jobs.iter().map(|job| &job.id).collect();
        let limited = after.waiting.iter().map(|waiting| &waiting.id);
        let known: BTreeSet<&CertificateId> = worked_on.into_iter().chain(limited).collect();
        // What the run could not do has a time of its own among the others, or needs the next usual run.
        let is_new = schedule.work.iter().any(|(id, _)| !known.contains(id));
        let times = (schedule.not_due.iter().map(|one| one.due))
            .chain(schedule.waiting.iter().map(|one| one.until))
            .chain(after.waiting.iter().map(|one| one.until))
            .chain(schedule.undeployed.iter().map(|(_, until)| *until))
            .chain(schedule.stored.values().copied().flatten())
            .chain(is_new.then_some(now))
            .chain([now + self.parts.runs_every]);
        Ok(times.min().unwrap_or(now).max(now))
    }
}
