//! Servers that did not answer lately. They are asked last, so that a dead server costs its head start once
//! and not with every query. Those that did not answer several tries are silent: nothing waits for them again.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::lagging::LaggingNews;
use super::server::Server;

/// After this time a server is asked in its turn again.
const FORGET_AFTER: Duration = Duration::from_mins(1);

/// The servers, each with the moment at which it is forgotten.
#[derive(Debug, Default)]
pub(super) struct Unresponsive {
    slow: Mutex<HashMap<SocketAddr, Instant>>,
    silent: Mutex<HashMap<SocketAddr, (Instant, String)>>,
    /// Resolvers that did not answer the last time, for as long as that holds.
    dead: Mutex<HashSet<SocketAddr>>,
    pub(super) news: LaggingNews,
}

impl Unresponsive {
    /// The server did not answer in time.
    pub(super) fn add(&self, address: SocketAddr) {
        let now = Instant::now();
        let mut servers = locked(&self.slow);
        servers.retain(|_, until| *until > now);
        servers.insert(address, now + FORGET_AFTER);
    }

    /// The server answered.
    pub(super) fn remove(&self, address: SocketAddr) {
        let mut servers = locked(&self.slow);
        servers.remove(&address);
    }

    /// Notes whether a resolver answered at all.
    pub(super) fn note_resolver(&self, address: SocketAddr, has_answered: bool) {
        let mut dead = locked(&self.dead);
        if has_answered {
            dead.remove(&address);
        } else {
            dead.insert(address);
        }
    }

    /// Whether a resolver did not answer the last time. The others are asked before it.
    pub(super) fn is_dead(&self, address: SocketAddr) -> bool {
        locked(&self.dead).contains(&address)
    }

    /// The server did not answer several tries, or not for its zone; with its last answer in words.
    pub(super) fn add_silent(&self, server: &Server, answer: &str) {
        let until = Instant::now() + FORGET_AFTER;
        let mut silent = locked(&self.silent);
        for address in &server.addresses {
            silent.insert(*address, (until, answer.to_owned()));
        }
    }

    /// The server answers for its zone.
    pub(super) fn remove_silent(&self, server: &Server) {
        let mut silent = locked(&self.silent);
        for address in &server.addresses {
            silent.remove(address);
        }
    }

    /// The last answer of a server that was silent less than a minute ago.
    pub(super) fn last_silence(&self, server: &Server) -> Option<String> {
        let silent = locked(&self.silent);
        let (until, answer) = silent.get(server.addresses.first()?)?;
        (*until > Instant::now()).then(|| answer.clone())
    }

    /// The same items in their order, those of servers that are unresponsive or have no address last.
    pub(super) fn last<'a, T>(
        &self,
        items: impl IntoIterator<Item = &'a T>,
        address: impl Fn(&T) -> Option<SocketAddr>,
    ) -> Vec<&'a T> {
        let now = Instant::now();
        let servers = locked(&self.slow);
        let is_unresponsive = |item: &T| {
            address(item).is_none_or(|address| {
                let until = servers.get(&address);
                until.is_some_and(|until| *until > now)
            })
        };
        let mut sorted: Vec<_> = items.into_iter().collect();
        sorted.sort_by_key(|item| is_unresponsive(item));
        sorted
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_silent_server_is_remembered_for_a_minute_or_until_it_answers() {
        let unresponsive = Unresponsive::default();
        let servers = [1, 2].map(|port| Server::at(SocketAddr::from(([192, 0, 2, 53], port))));
        assert_eq!(unresponsive.last_silence(&servers[0]), None);
        for server in &servers {
            unresponsive.add_silent(server, "no answer");
        }
        unresponsive.remove_silent(&servers[0]);
        assert_eq!(unresponsive.last_silence(&servers[0]), None);
        assert_eq!(
            unresponsive.last_silence(&servers[1]).as_deref(),
            Some("no answer")
        );
        advance(FORGET_AFTER).await;
        assert_eq!(unresponsive.last_silence(&servers[1]), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_unresponsive_server_is_asked_last_for_a_while() {
        let servers = [1, 2, 3].map(|port| SocketAddr::from(([192, 0, 2, 53], port)));
        let unresponsive = Unresponsive::default();
        let order = || {
            let sorted = unresponsive.last(&servers, |address| Some(*address));
            sorted
                .iter()
                .map(|address| address.port())
                .collect::<Vec<_>>()
        };
        assert_eq!(order(), [1, 2, 3]);
        unresponsive.add(servers[0]);
        unresponsive.add(servers[1]);
        assert_eq!(order(), [3, 1, 2]);
        unresponsive.remove(servers[1]);
        assert_eq!(order(), [2, 3, 1]);
        advance(FORGET_AFTER).await;
        assert_eq!(order(), [1, 2, 3]);
    }
}
