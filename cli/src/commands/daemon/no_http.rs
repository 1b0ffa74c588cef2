//! In place of the HTTP server in a program that was built without it.

use super::configuration::Configuration;
use super::status::SharedStatus;
use crate::failure::{Failure, Part};
use crate::output::Output;

/// Nothing is served.
pub(super) struct Server;

impl Server {
    /// Fails if the settings want a server.
    #[expect(clippy::unused_async, reason = "the server needs it")]
    pub(super) async fn start(
        configuration: &Configuration,
        _status: &SharedStatus,
        _output: Output,
    ) -> Result<Self, Failure> {
        refuse_server(configuration).map(|()| Server)
    }

    /// Fails if the settings want a server.
    #[expect(clippy::unused_async, reason = "the server needs it")]
    pub(super) async fn update(&mut self, configuration: &Configuration) -> Result<(), Failure> {
        refuse_server(configuration)
    }
}

fn refuse_server(configuration: &Configuration) -> Result<(), Failure> {
    if configuration.serves().listen.is_none() {
        return Ok(());
    }
    Err(Failure::new(
        Part::Settings,
        &"`run.listen` needs the HTTP server, and this program was built without it",
        "remove `listen` from `[run]`, or build it with `--features http`".to_owned(),
    ))
}
