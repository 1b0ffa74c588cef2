//! The protocols that change one value in a run: `lego` and `acme.sh`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use acme_alias_core::program::{Input, ProgramError, check_runnable};
use acme_alias_core::provider::{Applied, Failure, ProviderError};
use acme_alias_core::txt::{Action, TxtChange, TxtRecord};

use crate::acme_sh;
use crate::config::Config;
use crate::error::{no_turn, of_program};
use crate::parameters::{AcmeSh, Program};
use crate::runner::Run;
use crate::turns::Turns;

/// After so many runs that hung, the rest of the request fails: others wait for a turn of the same program.
const HUNG_MAX: usize = 2;
/// How much longer than its timeout a run may take, until it was stopped.
const STOPPING: Duration = Duration::from_secs(10);

/// What is run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tool<'a> {
    /// A program for lego's exec provider, in its default mode: `PROGRAM present|cleanup NAME. VALUE`
    /// (<https://go-acme.github.io/lego/dns/exec/>).
    Lego(&'a Program),
    /// A DNS script of acme.sh.
    AcmeSh(&'a AcmeSh),
}

/// A tool with its configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Single<'a> {
    pub(crate) config: &'a Config,
    pub(crate) tool: Tool<'a>,
}

/// Why a change was not made.
struct RunFailure {
    error: ProviderError,
    /// Whether the program did not end.
    is_hung: bool,
    /// Whether other changes would fail as well.
    is_of_all: bool,
}

impl Single<'_> {
    /// Carries out changes, each value's last one, one after the other: removals first, because some programs remove
    /// more than the value. A change that fails does not keep the others from being tried, because the program may fail
    /// when a value exists already, or hang at a name of one certificate. If it hangs again and again, or cannot be
    /// run, it is not run again.
    pub(crate) async fn apply(
        self,
        changes: &[&TxtChange],
        applied: &mut Applied,
    ) -> Result<(), ProviderError> {
        self.check().await?;
        let of = |action| {
            let changes = changes.iter().copied();
            changes.filter(move |change| change.action == action)
        };
        let ordered: Vec<_> = of(Action::Remove).chain(of(Action::Add)).collect();
        let turns = self.turns();
        let (mut first_error, mut failed, mut hung) = (None, BTreeSet::new(), 0);
        for (runs, change) in ordered.iter().enumerate() {
            let Err(failure) = self.change(&turns, change).await else {
                applied.requests += 1;
                continue;
            };
            hung += usize::from(failure.is_hung);
            let mut error = failure.error;
            if runs > 0 {
                error.failure = Failure::UnknownOutcome;
            }
            first_error.get_or_insert(error);
            if failure.is_of_all || hung == HUNG_MAX {
                failed.extend(ordered[runs..].iter().map(|change| change.record()));
                break;
            }
            failed.insert(change.record());
        }
        if let Some(error) = first_error {
            return Err(in_part(error, failed, changes.len()));
        }
        "exit status 0".clone_into(&mut applied.response);
        Ok(())
    }

    /// Makes one change, when it is its turn. The program of another zone may hang: it does not keep the turn for longer
    /// than a run.
    async fn change(self, turns: &Turns, change: &TxtChange) -> Result<(), RunFailure> {
        let label = self.label();
        let turn = turns.next(self.run_max()).await;
        let turn = turn.ok_or_else(|| RunFailure {
            error: no_turn(&label, self.run_max()),
            is_hung: false,
            is_of_all: true,
        })?;
        let input = turn.file().map_or(Input::Nothing, Input::File);
        let run = self.run_for(change, input);
        let ended = run.wait(&label, self.config).await;
        ended.map_err(|error| RunFailure {
            is_hung: matches!(error, ProgramError::TimedOut { .. }),
            is_of_all: !matches!(
                error,
                ProgramError::Failed { .. } | ProgramError::TimedOut { .. }
            ),
            error: of_program(&label, &error),
        })
    }

    /// Fails if no change can be made. Returns when no run is under way that another process has left.
    pub(crate) async fn ready(self) -> Result<(), ProviderError> {
        self.check().await?;
        let limit = self.run_max();
        if self.turns().others_ended(limit).await {
            Ok(())
        } else {
            Err(no_turn(&self.label(), limit))
        }
    }

    /// Fails if what is to be run does not exist, or others can change it.
    pub(crate) async fn check(self) -> Result<(), ProviderError> {
        match self.tool {
            Tool::Lego(program) => {
                let name = program.name();
                let checked = check_runnable(name).await;
                checked.map_err(|error| of_program(name, &error))
            }
            Tool::AcmeSh(acme_sh) => acme_sh::check_files(acme_sh).await,
        }
    }

    /// All scripts of one acme.sh take turns, because each of them may write its `account.conf`.
    fn turns(self) -> Turns {
        Turns::of(match self.tool {
            Tool::Lego(program) => PathBuf::from(program.name()),
            Tool::AcmeSh(acme_sh) => acme_sh.main(),
        })
    }

    /// How long a run takes at most.
    fn run_max(self) -> Duration {
        self.config.timeout + STOPPING
    }

    fn run_for(self, change: &TxtChange, input: Input) -> Run {
        let TxtChange { name, value, .. } = change;
        let is_add = change.action == Action::Add;
        match self.tool {
            Tool::Lego(program) => {
                let action = if is_add { "present" } else { "cleanup" };
                Run {
                    command: program.with([action, &name.fqdn(), value.as_str()]),
                    input,
                    ..Run::default()
                }
            }
            Tool::AcmeSh(acme_sh) => {
                let action = if is_add { "add" } else { "rm" };
                acme_sh::run(acme_sh, action, name.as_str(), value.as_str(), input)
            }
        }
    }

    /// What is run, for messages and the ledger.
    pub(crate) fn label(self) -> String {
        match self.tool {
            Tool::Lego(program) => program.name().to_owned(),
            Tool::AcmeSh(acme_sh) => acme_sh.file().display().to_string(),
        }
    }
}

/// The error of some of so many changes, of which the others were accepted.
pub(crate) fn in_part(
    mut error: ProviderError,
    failed: BTreeSet<TxtRecord>,
    changes: usize,
) -> ProviderError {
    if failed.len() < changes {
        error.failure = Failure::UnknownOutcome;
        error.failed = Arc::new(failed);
    }
    error
}

/// The last change of each value, in the order of the first ones.
pub(crate) fn last_changes(changes: &[TxtChange]) -> Vec<&TxtChange> {
    let mut last: Vec<&TxtChange> = Vec::new();
    for change in changes {
        let is_same =
            |known: &&mut &TxtChange| known.name == change.name && known.value == change.value;
        match last.iter_mut().find(is_same) {
            Some(known) => *known = change,
            None => last.push(change),
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use acme_alias_core::name::DnsName;
    use acme_alias_core::provider::TxtProvider;
    use tokio::time::Instant;

    use super::*;
    use crate::Exec;

    const TIMEOUT: Duration = Duration::from_mins(2);

    // The clock of the test goes on while the program does nothing, so it hangs for no time.
    #[tokio::test(start_paused = true)]
    async fn a_program_that_hangs_leaves_turns_to_others_and_is_run_twice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hangs");
        fs::write(&path, "#!/bin/sh\nexec sleep 600\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        let program = Program::new([path.to_str().unwrap()]).unwrap();
        let hangs = Exec::lego(program).with_timeout(TIMEOUT);
        let zone: DnsName = "auth.example.net".parse().unwrap();
        let changes: Vec<_> = (0..9)
            .map(|number| TxtChange {
                name: zone.clone(),
                value: format!("value{number}").parse().unwrap(),
                action: Action::Add,
                ttl: None,
            })
            .collect();
        let begun = Instant::now();
        let hung = async {
            let outcome = hangs.apply(&zone, &changes).await;
            (outcome.unwrap_err(), begun.elapsed())
        };
        let other = async {
            tokio::task::yield_now().await;
            let turn = Turns::of(path.clone()).next(TIMEOUT).await;
            (turn.is_some(), begun.elapsed())
        };
        let ((error, hung), (had_turn, waited)) = tokio::join!(hung, other);
        assert_eq!(error.failure, Failure::UnknownOutcome, "{error}");
        assert!(had_turn && waited < TIMEOUT + STOPPING, "{waited:?}");
        assert!(hung > 2 * TIMEOUT && hung < 3 * TIMEOUT, "{hung:?}");
    }
}
