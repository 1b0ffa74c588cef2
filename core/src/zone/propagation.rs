//! Waiting until every authoritative server of a zone has a set of values: by asking them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use futures_util::future::join_all;
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

/// A server that did not have all values at the deadline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lagging {
    /// The server.
    pub server: Server,
    /// The first name at which it lacked a value.
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

/// Waits until each of `servers` has all of `records`; tells when each of them had.
pub(super) async fn wait(
    dns: &Dns,
    servers: &[Server],
    records: &[TxtRecord],
    limit: Duration,
) -> Result<Vec<Reached>, PropagationError> {
    let begun = Instant::now();
    let mut names: BTreeMap<&DnsName, Vec<&TxtValue>> = BTreeMap::new();
    for record in records {
        names.entry(&record.name).or_default().push(&record.value);
    }
    let deadline = Instant::now() + limit;
    let asked =
        servers.iter().map(
            async |server| match server_has(dns, server, &names, deadline).await {
                None => Ok(Reached {
                    server: server.clone(),
                    after: begun.elapsed(),
                }),
                Some(lagging) => Err(lagging),
            },
        );
    let (mut reached, mut lagging) = (Vec::new(), Vec::new());
    for outcome in join_all(asked).await {
        match outcome {
            Ok(server) => reached.push(server),
            Err(behind) => lagging.push(behind),
        }
    }
    if lagging.is_empty() {
        Ok(reached)
    } else {
        Err(PropagationError {
            waited: limit,
            lagging,
        })
    }
}

/// Asks one server until it has everything; what it lacks at the deadline otherwise.
async fn server_has(
    dns: &Dns,
    server: &Server,
    names: &BTreeMap<&DnsName, Vec<&TxtValue>>,
    deadline: Instant,
) -> Option<Lagging> {
    for (name, values) in names {
        let mut interval = FIRST_INTERVAL;
        let mut last = "no answer yet".to_owned();
        loop {
            match timeout_at(deadline, dns.ask_server(server, name, RecordType::TXT)).await {
                Ok(Ok(answer))
                    if answer.is_authoritative() && answer.has_txt(values.iter().copied()) =>
                {
                    break;
                }
                Ok(Ok(answer)) => last = answer.to_string(),
                Ok(Err(error)) => last = error.to_string(),
                Err(_) => {}
            }
            if Instant::now() + interval >= deadline {
                let name = (*name).clone();
                return Some(Lagging {
                    server: server.clone(),
                    name,
                    answer: last,
                });
            }
            // Not to wait for the server, but so as not to flood it while it catches up.
            sleep(interval).await;
            interval = (interval * 3 / 2).min(LONGEST_INTERVAL);
        }
    }
    None
}
