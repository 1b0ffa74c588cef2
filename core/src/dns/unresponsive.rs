//! Servers that did not answer lately. They are asked last, so that a dead server costs its head start once
//! and not with every query. Those that did not answer several tries are silent: nothing waits for them again.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::lagging::LaggingNews;
use super::server::Server;
use crate::name::DnsName;

/// After this time a server is asked in its turn again.
const FORGET_AFTER: Duration = Duration::from_mins(1);
/// Servers that are remembered of each kind: anyone can name thousands in their zones.
const KEPT_MAX: usize = 4096;

/// The servers, each with the moment at which it is forgotten.
#[derive(Debug, Default)]
pub(super) struct Unresponsive {
    slow: Mutex<HashMap<SocketAddr, Instant>>,
    /// By zone: a server may answer for one, and not for another that somebody else has delegated to it.
    silent: Mutex<HashMap<(DnsName, SocketAddr), (Instant, String)>>,
    pub(super) news: LaggingNews,
}

impl Unresponsive {
    /// The server did not answer in time.
    pub(super) fn add(&self, address: SocketAddr) {
        let now = Instant::now();
        let mut servers = locked(&self.slow);
        make_room(&mut servers, |until| *until > now);
        servers.insert(address, now + FORGET_AFTER);
    }

    /// The server answered.
    pub(super) fn remove(&self, address: SocketAddr) {
        let mut servers = locked(&self.slow);
        servers.remove(&address);
    }

    /// The server did not answer several tries, or not for its zone; with its last answer in words.
    pub(super) fn add_silent(&self, zone: &DnsName, server: &Server, answer: &str) {
        let now = Instant::now();
        let mut silent = locked(&self.silent);
        for address in &server.addresses {
            make_room(&mut silent, |(until, _)| *until > now);
            let of_zone = (zone.clone(), *address);
            silent.insert(of_zone, (now + FORGET_AFTER, answer.to_owned()));
        }
    }

    /// The server answers for its zone.
    pub(super) fn remove_silent(&self, zone: &DnsName, server: &Server) {
        let mut silent = locked(&self.silent);
        for address in &server.addresses {
            silent.remove(&(zone.clone(), *address));
        }
    }

    /// The last answer of a server that was silent about its zone less than a minute ago.
    pub(super) fn last_silence(&self, zone: &DnsName, server: &Server) -> Option<String> {
        let silent = locked(&self.silent);
        let of_zone = (zone.clone(), *server.addresses.first()?);
        let (until, answer) = silent.get(&of_zone)?;
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

/// Makes room for one more. What is not to be kept goes first; if that is not enough, all others go: to ask them once
/// more costs little.
fn make_room<K, V>(servers: &mut HashMap<K, V>, is_kept: impl Fn(&V) -> bool) {
    if servers.len() < KEPT_MAX {
        return;
    }
    servers.retain(|_, server| is_kept(server));
    if servers.len() >= KEPT_MAX {
        servers.clear();
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
        let zone = "example.com".parse().unwrap();
        let last = |server| unresponsive.last_silence(&zone, server);
        assert_eq!(last(&servers[0]), None);
        for server in &servers {
            unresponsive.add_silent(&zone, server, "no answer");
        }
        unresponsive.remove_silent(&zone, &servers[0]);
        assert_eq!(last(&servers[0]), None);
        assert_eq!(last(&servers[1]).as_deref(), Some("no answer"));
        advance(FORGET_AFTER).await;
        assert_eq!(last(&servers[1]), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_silent_about_one_zone_is_not_silent_about_others() {
        let unresponsive = Unresponsive::default();
        let server = Server::at(SocketAddr::from(([192, 0, 2, 53], 53)));
        let [one, other] = ["example.com", "example.net"].map(|zone| zone.parse().unwrap());
        unresponsive.add_silent(&one, &server, "REFUSED");
        unresponsive.remove_silent(&other, &server);
        assert_eq!(unresponsive.last_silence(&other, &server), None);
        let last = unresponsive.last_silence(&one, &server);
        assert_eq!(last.as_deref(), Some("REFUSED"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_hundred_thousand_servers_that_do_not_answer_take_little_room() {
        // A thousand names can have 120 servers queried each.
        let servers =
            (0..120_000_u32).map(|n| SocketAddr::from(((0x0900_0000 | n).to_be_bytes(), 53)));
        let unresponsive = Unresponsive::default();
        let zone = "example.com".parse().unwrap();
        for address in servers {
            unresponsive.add(address);
            let server = Server::at(address);
            unresponsive.add_silent(&zone, &server, "REFUSED");
            let kept = [
                locked(&unresponsive.slow).len(),
                locked(&unresponsive.silent).len(),
            ];
            assert!(
                kept.iter().all(|kept| (1..=KEPT_MAX).contains(kept)),
                "{kept:?}"
            );
            assert!(unresponsive.last_silence(&zone, &server).is_some());
        }
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
