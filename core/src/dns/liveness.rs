//! Which resolvers are dead: nobody waits long for those. The owner of a zone can make any resolver take forever for a
//! name, which says nothing about the resolver.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hickory_proto::op::{Message, ResponseCode};
use tokio::time::Instant;

use super::answer::has_result;

/// The resolvers that were asked.
#[derive(Debug, Default)]
pub(super) struct Liveness(Mutex<HashMap<SocketAddr, Resolver>>);

#[derive(Debug, Default)]
struct Resolver {
    /// When it last answered anything.
    heard: Option<Instant>,
    /// Whether its last answer was a result or SERVFAIL: it looked for one.
    searches: bool,
    is_dead: bool,
}

impl Liveness {
    /// The resolver answered.
    pub(super) fn heard(&self, resolver: SocketAddr, answer: &Message) {
        let failed = answer.metadata.response_code == ResponseCode::ServFail;
        let heard = Resolver {
            heard: Some(Instant::now()),
            searches: has_result(answer) || failed,
            is_dead: false,
        };
        self.resolvers().insert(resolver, heard);
    }

    /// The resolver did not answer a question of this moment. It is dead if it has not answered another one since.
    pub(super) fn not_heard(&self, resolver: SocketAddr, since: Instant) {
        if !self.is_heard(resolver, since) {
            self.resolvers().entry(resolver).or_default().is_dead = true;
        }
    }

    /// Whether the resolver has answered anything since this moment.
    pub(super) fn is_heard(&self, resolver: SocketAddr, since: Instant) -> bool {
        let resolvers = self.resolvers();
        let heard = resolvers.get(&resolver).and_then(|known| known.heard);
        heard.is_some_and(|heard| heard >= since)
    }

    /// Whether the resolver answered neither its last question nor the one about the root. The others are asked before
    /// it.
    pub(super) fn is_dead(&self, resolver: SocketAddr) -> bool {
        let resolvers = self.resolvers();
        resolvers.get(&resolver).is_some_and(|known| known.is_dead)
    }

    /// Whether the resolver looks for answers. One that refuses queries is not dead, but no help.
    pub(super) fn searches(&self, resolver: SocketAddr) -> bool {
        let resolvers = self.resolvers();
        let known = resolvers.get(&resolver);
        known.is_some_and(|known| known.searches && !known.is_dead)
    }

    fn resolvers(&self) -> MutexGuard<'_, HashMap<SocketAddr, Resolver>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
