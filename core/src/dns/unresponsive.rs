//! Servers that did not answer lately. They are asked last, so that a dead server costs its head start once
//! and not with every query.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// After this time a server is asked in its turn again.
const FORGET_AFTER: Duration = Duration::from_mins(1);

/// The servers, each with the moment at which it is forgotten.
#[derive(Debug, Default)]
pub(super) struct Unresponsive(Mutex<HashMap<SocketAddr, Instant>>);

impl Unresponsive {
    /// The server did not answer in time.
    pub(super) fn add(&self, address: SocketAddr) {
        let now = Instant::now();
        let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        servers.retain(|_, until| *until > now);
        servers.insert(address, now + FORGET_AFTER);
    }

    /// The server answered.
    pub(super) fn remove(&self, address: SocketAddr) {
        let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        servers.remove(&address);
    }

    /// The same items in their order, those of servers that are unresponsive or have no address last.
    pub(super) fn last<'a, T>(
        &self,
        items: impl IntoIterator<Item = &'a T>,
        address: impl Fn(&T) -> Option<SocketAddr>,
    ) -> Vec<&'a T> {
        let now = Instant::now();
        let servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

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
