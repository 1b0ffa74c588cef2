//! How a process is that renews certificates, for those who watch it.

use std::collections::BTreeMap;
use std::sync::Arc;

use acme_alias_core::delegation::Finding;
use acme_alias_core::store::CertificateId;
use jiff::{SignedDuration, Timestamp};

use super::delegations::Delegations;
use crate::failure::Failure;
use crate::output::words::{in_words, moment};

/// A run that takes longer is stuck: a CA may take several minutes for each round, and thousands of certificates have
/// hundreds of rounds.
const RUN_MAX: SignedDuration = SignedDuration::from_hours(6);
/// A run that begins later than this is late. The process looks at the clock every minute.
const LATE: SignedDuration = SignedDuration::from_mins(5);
/// Findings of one failure that are shown.
const FINDINGS_MAX: usize = 3;

/// How a process is that renews certificates.
#[derive(Clone, Debug)]
pub(crate) struct Status {
    /// When it started; `None` if it carries out one run and ends.
    pub(crate) started: Option<Timestamp>,
    pub(crate) phase: Phase,
    /// Runs that have ended.
    pub(crate) runs: u64,
    pub(crate) last: Option<LastRun>,
    /// The certificates whose last attempt failed in this process, and why.
    pub(crate) failures: BTreeMap<CertificateId, Trouble>,
    /// Why the settings files as they are now cannot be used. Those that were read before are in force.
    pub(crate) refused: Option<Trouble>,
    /// The result of the last check of all delegations.
    pub(crate) delegations: Option<Arc<Delegations>>,
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It carries out a run that began then.
    Running(Timestamp),
    /// It waits for the run at this time.
    Waiting(Timestamp),
    /// It carries out no more runs.
    Ended,
}

/// The last run.
#[derive(Clone, Debug)]
pub(crate) struct LastRun {
    pub(crate) began: Timestamp,
    pub(crate) ended: Timestamp,
    /// How many certificates it could not obtain, deploy or read.
    pub(crate) failed: usize,
    /// Why it could not begin.
    pub(crate) error: Option<Trouble>,
}

/// Something that failed, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) message: String,
    /// The remedies, one after the other.
    pub(crate) remedies: Vec<String>,
}

impl From<&Failure> for Trouble {
    fn from(failure: &Failure) -> Self {
        let findings = failure.findings.iter().take(FINDINGS_MAX).map(|finding| {
            let name = finding.name.fqdn();
            format!("{name}: {}. {}", finding.answer, remedy(finding))
        });
        let remedy = failure.remedy.as_deref().map(str::to_owned);
        Trouble {
            message: failure.message.to_string(),
            remedies: findings.chain(remedy).collect(),
        }
    }
}

/// What to do about a finding, with the record to add on a line of its own.
pub(super) fn remedy(finding: &Finding) -> String {
    let record = finding.record.as_ref();
    let record = record.map_or(String::new(), |record| format!("\n{record}"));
    format!("{}{record}", finding.remedy)
}

impl Status {
    /// A process that begins its first run.
    pub(crate) fn new(started: Timestamp) -> Self {
        Status {
            started: Some(started),
            phase: Phase::Running(started),
            runs: 0,
            last: None,
            failures: BTreeMap::new(),
            refused: None,
            delegations: None,
        }
    }

    /// A process that carried out one run and ends.
    pub(crate) fn of_one_run(last: LastRun) -> Self {
        Status {
            started: None,
            phase: Phase::Ended,
            runs: 1,
            last: Some(last),
            ..Status::new(Timestamp::UNIX_EPOCH)
        }
    }

    /// Whether certificates are renewed when they are due; if not, why.
    pub(crate) fn health(&self, now: Timestamp) -> Result<(), String> {
        match self.phase {
            Phase::Running(since) if now.duration_since(since) > RUN_MAX => {
                return Err(format!(
                    "the run that began at {} has not ended after {}",
                    moment(since),
                    in_words(now.duration_since(since))
                ));
            }
            Phase::Waiting(until) if now.duration_since(until) > LATE => {
                return Err(format!("the run of {} has not begun", moment(until)));
            }
            Phase::Ended => return Err("the process is about to end".to_owned()),
            Phase::Running(_) | Phase::Waiting(_) => {}
        }
        match self.last.as_ref().and_then(|last| last.error.as_ref()) {
            Some(error) => Err(format!("the last run could not begin: {}", error.message)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_well_while_runs_begin_and_end_in_time() {
        let now: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        let ago = |minutes| now - SignedDuration::from_mins(minutes);
        let status = Status::new(ago(7 * 60));
        let with = |phase| Status {
            phase,
            ..status.clone()
        };
        for (phase, is_well) in [
            (Phase::Running(ago(359)), true),
            (Phase::Running(ago(361)), false),
            (Phase::Waiting(ago(-60)), true),
            (Phase::Waiting(ago(4)), true),
            (Phase::Waiting(ago(6)), false),
            (Phase::Ended, false),
        ] {
            assert_eq!(with(phase).health(now).is_ok(), is_well, "{phase:?}");
        }
        let error = Trouble {
            message: "the disk is full".to_owned(),
            remedies: Vec::new(),
        };
        let last = LastRun {
            began: ago(1),
            ended: now,
            failed: 0,
            error: Some(error),
        };
        let failed = Status {
            last: Some(last),
            ..with(Phase::Waiting(now))
        };
        assert!(
            failed
                .health(now)
                .unwrap_err()
                .ends_with("the disk is full")
        );
    }
}
