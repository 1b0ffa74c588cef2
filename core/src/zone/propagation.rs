//! Waiting until the authoritative servers of a zone have a set of values: by asking them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use hickory_proto::rr::RecordType;
use tokio::time::{Instant, sleep, timeout_at};

use crate::dns::{Dns, Server};
use crate::name::DnsName;
use crate::txt::TxtRecord;
use crate::txt::TxtValue;

/// A secondary on the same network has the change within milliseconds of the NOTIFY.
const FIRST_INTERVAL: Duration = Duration::from_millis(10);
/// A server that takes minutes is not asked more often than this.
const LONGEST_INTERVAL: Duration = Duration::from_secs(5);
/// Queries that a server has to answer at a time.
const NAMES_AT_ONCE: usize = 50;
/// A server that answers none of so many rounds of queries, each with its time limit, is silent.
const SILENT_AFTER: usize = 3;

/// A server that did not have all values at the deadline, or did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lagging {
    /// The server.
    pub server: Server,
    /// The name at which it lacked a value.
    pub name: DnsName,
    /// Its last answer, in words.
    pub answer: String,
}

impl fmt::Display for Lagging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} about {}: {}", self.server, self.name, self.answer)
    }
}

/// Values that did not reach every server in time.
#[non_exhaustive]
#[derive(Clone, Debug, thiserror::Error)]
#[error("after {waited:?} this is the last answer of {}",
    .lagging.iter().map(Lagging::to_string).collect::<Vec<_>>().join("; of "))]
pub struct PropagationError {
    /// How long was waited.
    pub waited: Duration,
    /// The servers that are behind.
    pub lagging: Vec<Lagging>,
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
    /// The servers that never answered. The CA's resolver asks another one, so they cannot mislead it.
    pub(super) silent: Vec<Lagging>,
}

/// Waits until each of `servers` that answers has all of `records`, at most until the limit. If none
/// answers, all of them lag.
pub(super) async fn wait<'a>(
    dns: &Dns,
    servers: &[Server],
    records: impl IntoIterator<Item = &'a TxtRecord>,
    limit: Duration,
) -> Propagation {
    let begun = Instant::now();
    let mut names: BTreeMap<&DnsName, Vec<&TxtValue>> = BTreeMap::new();
    for record in records {
        names.entry(&record.name).or_default().push(&record.value);
    }
    let wait = Wait {
        dns,
        names,
        begun,
        deadline: begun + limit,
        has_reached_one: AtomicBool::new(false),
    };
    let mut asked = Vec::with_capacity(servers.len());
    for server in servers {
        asked.push(wait.server(server));
    }
    let outcomes = join_all(asked).await;
    let mut propagation = Propagation::default();
    for (server, outcome) in servers.iter().zip(outcomes) {
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

/// The wait for one set of values.
struct Wait<'a> {
    dns: &'a Dns,
    names: BTreeMap<&'a DnsName, Vec<&'a TxtValue>>,
    begun: Instant,
    deadline: Instant,
    /// Whether any server has everything.
    has_reached_one: AtomicBool,
}

enum Outcome {
    Reached { after: Duration },
    Lagging(Vec<Lagging>),
    Silent(Lagging),
}

/// What a server said about one name.
enum Answer {
    /// It has all values.
    Complete,
    /// It answers, but lacks a value, or is not authoritative.
    Incomplete(String),
    /// It does not answer, or not for this zone.
    None(String),
}

impl Wait<'_> {
    /// Asks one server until it has everything.
    async fn server(&self, server: &Server) -> Outcome {
        let mut missing: Vec<&DnsName> = self.names.keys().copied().collect();
        let mut interval = FIRST_INTERVAL;
        let mut has_answered = false;
        let mut unanswered = 0;
        let mut last: BTreeMap<&DnsName, String> = BTreeMap::new();
        while !missing.is_empty() {
            let mut asked = Vec::with_capacity(missing.len());
            for name in missing.iter().copied() {
                asked.push(async move { (name, self.ask(server, name).await) });
            }
            let answers = stream::iter(asked).buffer_unordered(NAMES_AT_ONCE);
            let answers: Vec<_> = answers.collect().await;
            unanswered += 1;
            for (name, answer) in answers {
                match answer {
                    Some(Answer::Complete) => missing.retain(|missing| *missing != name),
                    Some(Answer::Incomplete(words)) => {
                        has_answered = true;
                        last.insert(name, words);
                    }
                    Some(Answer::None(words)) => {
                        last.insert(name, words);
                    }
                    None => {}
                }
            }
            let Some(first) = missing.first().copied() else {
                break;
            };
            let lagging = |name: &DnsName| Lagging {
                server: server.clone(),
                name: name.clone(),
                answer: last
                    .get(name)
                    .cloned()
                    .unwrap_or_else(|| "no answer yet".to_owned()),
            };
            let is_silent = !has_answered && unanswered >= SILENT_AFTER;
            if is_silent && self.has_reached_one.load(Ordering::Relaxed) {
                return Outcome::Silent(lagging(first));
            }
            if Instant::now() + interval >= self.deadline {
                return Outcome::Lagging(missing.into_iter().map(lagging).collect());
            }
            // Not to wait for the server, but so as not to flood it while it catches up.
            sleep(interval).await;
            interval = (interval * 3 / 2).min(LONGEST_INTERVAL);
        }
        self.has_reached_one.store(true, Ordering::Relaxed);
        Outcome::Reached {
            after: self.begun.elapsed(),
        }
    }

    /// `None` if there was no time left.
    async fn ask(&self, server: &Server, name: &DnsName) -> Option<Answer> {
        let asked = self.dns.ask_server(server, name, RecordType::TXT);
        let answer = match timeout_at(self.deadline, asked).await.ok()? {
            Ok(answer) => answer,
            Err(error) => return Some(Answer::None(error.to_string())),
        };
        let values = self.names.get(name).into_iter().flatten().copied();
        Some(if answer.is_authoritative() && answer.has_txt(values) {
            Answer::Complete
        } else if answer.is_error() {
            Answer::None(answer.to_string())
        } else {
            Answer::Incomplete(answer.to_string())
        })
    }
}
