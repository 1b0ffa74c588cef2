//! Waiting until the servers that count have a set of values: by asking them.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::{join, join_all};
use futures_util::stream::{self, StreamExt};
use hickory_proto::rr::RecordType;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::lag_cause::LagCause;
use super::server_state::{NameAnswer, ServerState};
use crate::dns::{Dns, Lagging, Server, WaitFor};
use crate::name::DnsName;
use crate::txt::{TxtRecord, TxtValue};

/// A secondary on the same network has the change within milliseconds of the NOTIFY.
const FIRST_INTERVAL: Duration = Duration::from_millis(10);
/// A server that takes minutes is not asked more often than this.
const LONGEST_INTERVAL: Duration = Duration::from_secs(5);
/// Queries that a server has to answer at a time.
const NAMES_AT_ONCE: usize = 50;
/// A query to a server that has not answered anything yet has this time, in which it is sent several times.
const TRY: Duration = Duration::from_secs(1);
/// A server is not silent before this time: while it restarts, it refuses queries.
const SILENT_TIME: Duration = Duration::from_secs(2);
/// A server that is waited for longer than this is named in the progress.
const NAMED_AFTER: Duration = Duration::from_secs(3);

/// Values that did not reach every server in time.
#[non_exhaustive]
#[derive(Clone, Debug, thiserror::Error)]
#[error("after {waited:?} this is the last answer of {}{}",
    .lagging.iter().map(Lagging::to_string).collect::<Vec<_>>().join("; of "),
    .cause.map_or_else(String::new, |cause| format!(" ({cause})")))]
pub struct PropagationError {
    /// How long was waited.
    pub waited: Duration,
    /// The servers that are behind.
    pub lagging: Vec<Lagging>,
    /// Why one of them may never have the values, if that was found out.
    pub cause: Option<LagCause>,
}

/// When a server had all values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The server.
    pub server: Server,
    /// How long after the backend had acknowledged them.
    pub after: Duration,
}

/// What the servers of a zone have.
#[derive(Debug, Default)]
pub(super) struct Propagation {
    /// The servers that have everything.
    pub(super) reached: Vec<Reached>,
    /// What servers that answer lacked at the deadline.
    pub(super) lagging: Vec<Lagging>,
    /// Why one of those may never have it, if that was found out.
    pub(super) cause: Option<LagCause>,
    /// The servers that never answered. The CA's resolver asks another one, so they cannot mislead it.
    pub(super) silent: Vec<Lagging>,
}

/// Waits until each of the `servers` of `zone` that counts has all of `records`, at most until the limit, and then for the
/// configured extra time. If no server answers, all of them lag.
pub(super) async fn wait<'a>(
    dns: &Dns,
    zone: &DnsName,
    servers: &[Server],
    records: impl IntoIterator<Item = &'a TxtRecord>,
    limit: Duration,
) -> Propagation {
    let begun = Instant::now();
    let mut names: BTreeMap<&DnsName, Vec<&TxtValue>> = BTreeMap::new();
    for record in records {
        names.entry(&record.name).or_default().push(&record.value);
    }
    let policy = dns.propagation();
    let wait = Wait {
        dns,
        zone,
        names,
        begun,
        deadline: begun + limit,
        all_count: policy.wait_for == WaitFor::All,
        reached: watch::Sender::new(0),
    };
    let propagation = wait.servers(servers).await;
    if propagation.lagging.is_empty() && !propagation.reached.is_empty() {
        // Not to wait for a server that is asked, but as the settings want it.
        sleep(policy.extra_wait).await;
    }
    propagation
}

/// The wait for one set of values.
struct Wait<'a> {
    dns: &'a Dns,
    zone: &'a DnsName,
    names: BTreeMap<&'a DnsName, Vec<&'a TxtValue>>,
    begun: Instant,
    deadline: Instant,
    /// Whether a server that does not answer is waited for as well.
    all_count: bool,
    /// How many servers have everything.
    reached: watch::Sender<usize>,
}

enum Outcome {
    Reached { after: Duration },
    Lagging(Vec<Lagging>),
    Silent(Lagging),
}

impl<'a> Wait<'a> {
    /// Asks all servers at once. Those that were silent a moment ago are asked beside the others, and do not
    /// delay them.
    async fn servers(&self, servers: &[Server]) -> Propagation {
        let is_silent = |server: &&Server| self.last_silence(server).is_some();
        let (silent, usual): (Vec<_>, Vec<_>) = servers.iter().partition(is_silent);
        let (silent, usual) = if usual.is_empty() {
            (usual, silent)
        } else {
            (silent, usual)
        };
        let (done, _) = watch::channel(false);
        let all_usual = async {
            let mut asked = Vec::with_capacity(usual.len());
            for server in &usual {
                asked.push(self.server(server));
            }
            let outcomes = join_all(asked).await;
            done.send_replace(true);
            outcomes
        };
        let mut asked = Vec::with_capacity(silent.len());
        for server in &silent {
            asked.push(self.silent_server(server, done.subscribe()));
        }
        let (usual_outcomes, silent_outcomes) = join(all_usual, join_all(asked)).await;
        let mut propagation = Propagation::default();
        let outcomes = usual_outcomes.into_iter().chain(silent_outcomes);
        for (server, outcome) in usual.into_iter().chain(silent).zip(outcomes) {
            match outcome {
                Outcome::Reached { after } => propagation.reached.push(Reached {
                    server: server.clone(),
                    after,
                }),
                Outcome::Lagging(lagging) => propagation.lagging.extend(lagging),
                Outcome::Silent(silent) => propagation.silent.push(silent),
            }
        }
        propagation
    }

    /// The last answer of a server that was silent a moment ago and does not count.
    fn last_silence(&self, server: &Server) -> Option<String> {
        let last = self.dns.last_silence(self.zone, server);
        last.filter(|_| !self.all_count)
    }

    /// Asks a server that was silent a moment ago. It counts if it answers before the others are done.
    async fn silent_server(&self, server: &Server, mut done: watch::Receiver<bool>) -> Outcome {
        let first = self.names.keys().next().copied();
        let answers = async {
            if let Some(name) = first
                && let Some(NameAnswer::None(_)) | None = self.ask(server, name).await
            {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = answers => {}
            // The sender lives as long as this.
            _ = done.wait_for(|done| *done) => if let (Some(name), Some(answer)) = (first, self.last_silence(server)) {
                let (server, name) = (server.clone(), name.clone());
                return Outcome::Silent(Lagging { server, name, answer });
            }
        }
        self.server(server).await
    }

    /// Asks one server until it has everything.
    async fn server(&self, server: &Server) -> Outcome {
        let mut state = ServerState::new(server, self.names.keys().copied());
        let mut interval = FIRST_INTERVAL;
        while !state.is_done() {
            let answers = self.ask_missing(&state).await;
            state.add(answers);
            if state.is_done() {
                break;
            }
            let pause = if state.is_confirming() {
                FIRST_INTERVAL
            } else {
                interval
            };
            let is_late = Instant::now() + pause >= self.deadline;
            let is_silent = state.is_silent() && self.begun.elapsed() >= SILENT_TIME
                || is_late && !state.has_answered();
            if is_silent
                && !self.all_count
                && *self.reached.borrow() > 0
                && let Some(silent) = state.lagging().next()
            {
                self.dns.note_silent(self.zone, server, &silent.answer);
                return Outcome::Silent(silent);
            }
            if self.begun.elapsed() >= NAMED_AFTER
                && let Some(lagging) = state.unnamed()
            {
                self.dns.tell_lagging(lagging);
            }
            if is_late {
                return Outcome::Lagging(state.lagging().collect());
            }
            // Not to wait for the server, but so as not to flood it while it catches up.
            sleep(pause).await;
            interval = (interval * 3 / 2).min(LONGEST_INTERVAL);
        }
        self.dns.note_answering(self.zone, server);
        self.reached.send_modify(|reached| *reached += 1);
        Outcome::Reached {
            after: self.begun.elapsed(),
        }
    }

    /// Asks for all names that are missing; for one only if the server has not answered anything yet.
    async fn ask_missing(&self, state: &ServerState<'a>) -> Vec<(&'a DnsName, Option<NameAnswer>)> {
        let is_patient = self.all_count || state.has_answered();
        let limit = if is_patient { Duration::MAX } else { TRY };
        let mut asked = Vec::new();
        for name in state.next() {
            asked.push(async move {
                let asked = timeout(limit, self.ask(state.server(), name));
                let none = || Some(NameAnswer::None(format!("no answer within {limit:?}")));
                (name, asked.await.unwrap_or_else(|_| none()))
            });
        }
        let answers = stream::iter(asked).buffer_unordered(NAMES_AT_ONCE);
        answers.collect().await
    }

    /// `None` if there was no time left.
    async fn ask(&self, server: &Server, name: &DnsName) -> Option<NameAnswer> {
        let asked = self.dns.ask_propagation(server, name, RecordType::TXT);
        let answer = match timeout_at(self.deadline, asked).await.ok()? {
            Ok(answer) => answer,
            Err(error) => return Some(NameAnswer::None(error.to_string())),
        };
        let values = self.names.get(name).into_iter().flatten().copied();
        let is_wanted = answer.is_authoritative() || !self.dns.propagation().resolvers.is_empty();
        Some(if is_wanted && answer.has_txt(values) {
            NameAnswer::Complete
        } else if answer.is_error() {
            NameAnswer::None(answer.to_string())
        } else if answer.is_authoritative() && !answer.txt().is_empty() {
            NameAnswer::Incomplete("older TXT records".to_owned())
        } else {
            NameAnswer::Incomplete(answer.to_string())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::stub::{ALIAS_NAME, StubServer, ZONE, name};

    #[tokio::test]
    async fn an_address_that_could_not_be_looked_up_is_looked_up_again_while_waiting() {
        let stub = StubServer::start();
        let dns = stub.client(&[stub.address], Duration::from_secs(1));
        stub.fail(Some(RecordType::A));
        let servers = [Server {
            name: Some(name("ns.example.com")),
            ..Server::default()
        }];
        let found = dns.servers(&name(ZONE)).await;
        assert!(found.is_err(), "{found:?}");
        let zone = name(ZONE);
        let record = TxtRecord {
            name: name(ALIAS_NAME),
            value: "value".parse().unwrap(),
        };
        let recovers = async {
            sleep(Duration::from_millis(500)).await;
            stub.fail(None);
        };
        let limit = Duration::from_mins(1);
        let (waited, ()) = join(wait(&dns, &zone, &servers, [&record], limit), recovers).await;
        assert_eq!(waited.reached.len(), 1, "{waited:?}");
        assert!(
            waited.reached[0].after < Duration::from_secs(5),
            "{waited:?}"
        );
    }
}
