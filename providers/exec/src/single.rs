//! The protocols that change one value in a run: `lego` and `acme.sh`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use acme_alias_core::program::{Input, ProgramError, check_runnable};
use acme_alias_core::provider::{Applied, Failure, ProviderError};
use acme_alias_core::txt::{Action, TxtChange, TxtRecord};

use crate::acme_sh;
use crate::config::Config;
use crate::error::{no_turn, of_program};
use crate::parameters::{AcmeSh, Program};
use crate::runner::Run;
use crate::turns::Turn;

/// After so many runs that hung, the program is not run again for the same request: something else is wrong.
const HUNG_MAX: usize = 6;

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
        let turn = self.turn().await?;
        let label = self.label();
        let of = |action| {
            let changes = changes.iter().copied();
            changes.filter(move |change| change.action == action)
        };
        let ordered: Vec<_> = of(Action::Remove).chain(of(Action::Add)).collect();
        let (mut first_error, mut failed, mut hung) = (None, BTreeSet::new(), 0);
        for (runs, change) in ordered.iter().enumerate() {
            let input = turn.file().map_or(Input::Nothing, Input::File);
            let run = self.run_for(change, input);
            let Err(error) = run.wait(&label, self.config).await else {
                applied.requests += 1;
                continue;
            };
            hung += usize::from(matches!(error, ProgramError::TimedOut { .. }));
            let may_go_on = match error {
                ProgramError::Failed { .. } => true,
                ProgramError::TimedOut { .. } => hung < HUNG_MAX,
                _ => false,
            };
            let mut error = of_program(&label, &error);
            if runs > 0 {
                error.failure = Failure::UnknownOutcome;
            }
            first_error.get_or_insert(error);
            if !may_go_on {
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

    /// Fails if no change can be made. Returns when no run is under way that another process has left.
    pub(crate) async fn ready(self) -> Result<(), ProviderError> {
        self.check().await?;
        self.turn().await.map(drop)
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
    async fn turn(self) -> Result<Turn, ProviderError> {
        let path = match self.tool {
            Tool::Lego(program) => PathBuf::from(program.name()),
            Tool::AcmeSh(acme_sh) => acme_sh.main(),
        };
        let limit = self.config.timeout;
        let turn = Turn::at(&path, limit).await;
        turn.ok_or_else(|| no_turn(&self.label(), limit))
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
