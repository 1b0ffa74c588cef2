//! Runs of the program of one provider: bounded, and with its own variables.

use acme_alias_core::program::{Input, Program, ProgramError, in_log};
use acme_alias_core::provider::ProviderError;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::config::Config;
use crate::error::of_program;

/// One run.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) command: Vec<String>,
    /// Variables that hold no secret.
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) input: Input,
}

impl Run {
    /// Runs the program until its end. Nothing cancels it: when the process is to end, what was begun is finished and
    /// then undone.
    pub(crate) async fn wait(self, label: &str, config: &Config) -> Result<(), ProgramError> {
        debug!("running `{label}`");
        let never = CancellationToken::new();
        let output = self.program(config).run(&never).await?;
        debug!("`{label}` succeeded{}", in_log(&output));
        Ok(())
    }

    /// The same, and returns what the program printed on its standard output: `max` octets at most.
    pub(crate) async fn answer(
        self,
        label: &str,
        config: &Config,
        max: usize,
    ) -> Result<Vec<u8>, ProviderError> {
        debug!("running `{label}`");
        let never = CancellationToken::new();
        let answer = self.program(config).answer(max, &never).await;
        answer.map_err(|error| of_program(label, &error))
    }

    fn program<'a>(&'a self, config: &'a Config) -> Program<'a> {
        Program {
            variables: self.variables.clone(),
            secrets: Some(config.environment.variables()),
            input: self.input.clone(),
            ..Program::new(&self.command, config.timeout)
        }
    }
}
