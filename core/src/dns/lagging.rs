//! Servers that are waited for, and who hears of them.

use std::fmt;

use tokio::sync::broadcast;

use super::answer::FROM_RESOLVER;
use super::server::Server;
use crate::name::DnsName;

/// News that a listener may be late for.
const NEWS_KEPT: usize = 64;

/// A server that does not have all values, or does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lagging {
    /// The server.
    pub server: Server,
    /// The name at which it lacks a value.
    pub name: DnsName,
    /// Its last answer, in words.
    pub answer: String,
}

impl Lagging {
    /// Whether a resolver answered in place of the server: the network probably intercepts port 53.
    pub fn is_intercepted(&self) -> bool {
        self.answer.contains(FROM_RESOLVER)
    }
}

impl fmt::Display for Lagging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} about {}: {}", self.server, self.name, self.answer)
    }
}

/// Receives the servers that a publication waits for.
#[derive(Debug)]
pub(super) struct LaggingNews(pub(super) broadcast::Sender<Lagging>);

impl Default for LaggingNews {
    fn default() -> Self {
        LaggingNews(broadcast::Sender::new(NEWS_KEPT))
    }
}
