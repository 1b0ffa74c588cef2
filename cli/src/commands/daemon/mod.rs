//! `acme-alias run`: the engine in a loop. A run follows when a certificate is due, when the settings have changed, and
//! at least once an interval; in between nothing is done but to look at the clock and the settings.

mod configuration;
mod delegation_checks;
#[cfg(feature = "http")]
mod http;
#[cfg(not(feature = "http"))]
mod no_http;
mod service;
mod status;

use std::time::Duration;

use acme_alias_core::engine::{RunError, RunOptions, RunReport, Selection};
use jiff::Timestamp;
use tokio::signal::unix::Signal;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use self::configuration::{Changed, Configuration};
use self::delegation_checks::DelegationChecks;
#[cfg(feature = "http")]
use self::http::Server;
#[cfg(not(feature = "http"))]
use self::no_http::Server;
use self::status::SharedStatus;
use super::outcome;
use crate::cli::Cli;
use crate::failure::Failure;
use crate::output::Output;
use crate::signals;

/// How often the settings files are looked at, and the clock: a monotonic one does not see that the machine was suspended
/// or that its time was set.
const TICK: Duration = Duration::from_secs(10);
/// The shortest time from one run to the next, unless the settings have changed.
const RUNS_APART: Duration = Duration::from_mins(1);
/// How long a run may take to withdraw what it has written when the process is to end. systemd kills after 90 s, and
/// container runtimes after 10 s.
const STOP_GRACE: Duration = Duration::from_secs(9);

/// Runs until a signal ends the process.
pub(crate) async fn run(
    cli: &Cli,
    output: Output,
    cancel: &CancellationToken,
) -> Result<(), Failure> {
    let hangup = signals::hangups()?;
    let configuration = Configuration::read(cli, output).await?;
    let status = SharedStatus::new(configuration.now());
    let server = Server::start(&configuration, &status, output).await?;
    let mut daemon = Daemon {
        cli,
        output,
        cancel,
        hangup,
        configuration,
        status,
        server,
        delegation_checks: DelegationChecks::default(),
    };
    let certificates = daemon.configuration.certificates();
    output.event("started", &started(certificates));
    service::ready();
    let ended = service::alive(daemon.run()).await;
    service::stopping();
    daemon.status.ended();
    output.event("stopped", "stopped");
    ended
}

fn started(certificates: usize) -> String {
    match certificates {
        0 => "started; the settings have no certificates".to_owned(),
        1 => "started; the settings have 1 certificate".to_owned(),
        more => format!("started; the settings have {more} certificates"),
    }
}

struct Daemon<'a> {
    cli: &'a Cli,
    output: Output,
    cancel: &'a CancellationToken,
    /// SIGHUP: somebody wants the settings to be read again.
    hangup: Signal,
    configuration: Configuration,
    status: SharedStatus,
    server: Server,
    delegation_checks: DelegationChecks,
}

/// The time of the next run, by both clocks: one may be set, and the other one stands still in a suspended machine.
struct Next {
    at: Timestamp,
    by: Instant,
}

impl Next {
    fn new(at: Timestamp, now: Timestamp) -> Self {
        let rest = now.duration_until(at);
        Next {
            at,
            by: Instant::now() + Duration::try_from(rest).unwrap_or_default(),
        }
    }

    fn rest(&self, now: Timestamp) -> Duration {
        let rest = now.duration_until(self.at);
        let by_clock = Duration::try_from(rest).unwrap_or_default();
        by_clock.min(self.by.saturating_duration_since(Instant::now()))
    }
}

impl Daemon<'_> {
    async fn run(&mut self) -> Result<(), Failure> {
        while !self.cancel.is_cancelled() {
            let next = self.run_once().await;
            if let Some(next) = next {
                let next = Next::new(next, self.configuration.now());
                self.wait(&next).await;
            }
        }
        Ok(())
    }

    /// One run. Returns when the next one is; `None` if the process is to end.
    async fn run_once(&mut self) -> Option<Timestamp> {
        self.status.running(self.configuration.now());
        service::status("renewing what is due");
        let options = RunOptions {
            selection: Selection::All,
            except: self.configuration.unusable(),
            cancel: self.cancel.clone(),
            ..RunOptions::default()
        };
        let ran = tokio::select! {
            ran = self.configuration.engine().run(&options) => ran,
            () = too_long(self.cancel) => {
                let message = "a run did not end in time; the next one removes what it left in zones";
                self.output.warning(message);
                return None;
            }
        };
        let next = match ran {
            Ok(report) => {
                let next = self.next(&report, &options).await;
                self.report(report);
                next
            }
            Err(RunError::Interrupted) => return None,
            Err(error) => Err(error.into()),
        };
        if self.cancel.is_cancelled() {
            return None;
        }
        let now = self.configuration.now();
        let next = next.unwrap_or_else(|failure: Failure| {
            self.output.failure(&failure);
            self.status.failed(now, &failure);
            now
        });
        // What failed at once is not tried at once again.
        let next = next.max(now + RUNS_APART);
        self.status.waiting(next);
        service::status(&format!("the next run is at {next:.0}"));
        Some(next)
    }

    async fn next(&self, report: &RunReport, options: &RunOptions) -> Result<Timestamp, Failure> {
        let next = self.configuration.engine().next_run(report, options).await;
        next.map_err(Failure::from)
    }

    /// Prints what a run did, if it did anything.
    fn report(&mut self, report: RunReport) {
        let unusable = self.configuration.newly_unusable();
        let is_idle = report.jobs.is_empty() && unusable.is_empty();
        let output = Output {
            quiet: self.output.quiet || is_idle,
            ..self.output
        };
        let report = outcome::of_many(report, unusable, false, output);
        if !is_idle {
            output.report(&report);
        }
        if report.exit_code() != 0 || self.configuration.is_refused() {
            // A secret, a resolver or a file that the settings name may have changed: they are read only once.
            self.configuration.expire();
        }
        self.status.ran(self.configuration.now(), &report);
    }

    /// Waits for the next run, or for settings that have changed.
    async fn wait(&mut self, next: &Next) {
        loop {
            let rest = next.rest(self.configuration.now());
            if rest.is_zero() {
                return;
            }
            self.delegation_checks
                .start_if_due(&self.configuration, &self.status, self.output);
            let is_wanted = tokio::select! {
                () = self.cancel.cancelled() => return,
                _ = self.hangup.recv() => true,
                () = sleep(rest.min(TICK)) => false,
            };
            if self.reload(is_wanted).await {
                return;
            }
        }
    }

    /// Reads the settings again if they have changed, or if that is wanted. Those that cannot be used are reported, and
    /// the old ones stay. Returns whether there are new ones.
    async fn reload(&mut self, is_wanted: bool) -> bool {
        if is_wanted {
            service::reloading();
        }
        let was_refused = self.configuration.is_refused();
        let changed = self
            .configuration
            .reload(self.cli, self.output, is_wanted)
            .await;
        let is_new = matches!(changed, Changed::Settings);
        if is_new || was_refused && !self.configuration.is_refused() {
            let message = "the settings were read again";
            self.output.event("reloaded", message);
        }
        match changed {
            Changed::Nothing => {}
            Changed::Settings => self.delegation_checks.settings_changed(),
            Changed::Refused(failure) => {
                self.status.refused(&failure);
                self.output.failure(&failure);
                let message = "the settings cannot be used; the old ones stay in force";
                self.output.event("refused", message);
            }
        }
        if let Err(failure) = self.server.update(&self.configuration).await {
            self.output.failure(&failure);
        }
        if is_wanted {
            service::ready();
        }
        is_new
    }
}

/// Ends when a signal ends the process, and the run has not ended in time.
async fn too_long(cancel: &CancellationToken) {
    cancel.cancelled().await;
    sleep(STOP_GRACE).await;
}
