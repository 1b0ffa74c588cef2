//! The client that a process shares.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RecordType};

use super::answer::Answer;
use super::budget::{Budget, NameLimits};
use super::cache::Cache;
use super::config::Config;
use super::counter::QueryCounter;
use super::error::DnsError;
use super::liveness::Liveness;
use super::server::{Server, Zone};
use super::trust_anchors::TrustAnchors;
use super::unresponsive::Unresponsive;
use crate::clock::Clock;
use crate::name::DnsName;

/// The time limit of one search, which asks one server after the other, in time limits of one answer.
const ANSWERS_MAX: u32 = 20;
/// The time limit of the check of one challenge name, in time limits of one answer.
const ANSWERS_OF_A_NAME: u32 = 10;
/// The head start of a server or an address before the next one is asked as well. RFC 8305 §5 recommends it
/// for connections; few servers are farther away.
const HEAD_START: Duration = Duration::from_millis(250);
/// Answers about zones and servers that are kept. Those of 500 zones fit, and take about 6 MB.
const ANSWERS_KEPT: usize = 4096;
/// Signed answers about the root that are kept: its keys, and the DS records of top-level domains.
const ROOT_ANSWERS_KEPT: usize = 256;
/// Zones whose servers are kept.
const ZONES_KEPT: usize = 2048;

/// What was asked of whom; the key of a kept answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct AnswerKey {
    pub(super) name: DnsName,
    pub(super) kind: RecordType,
    /// Whether a resolver was asked, and not an authoritative server.
    pub(super) of_resolver: bool,
    /// Whether signatures were asked for.
    pub(super) signed: bool,
}

/// Asks authoritative servers and resolvers. One client serves a whole process.
///
/// [`ask`](Dns::ask) and [`ask_server`](Dns::ask_server) always send queries: what they return is the state of
/// the servers now, as challenge names and alias names need it. Only records about zones and servers are
/// cached, each for its time to live within bounds, and concurrent callers share a query for them.
#[derive(Debug)]
pub struct Dns {
    pub(super) config: Config,
    pub(super) configured: HashMap<DnsName, Arc<Zone>>,
    pub(super) zones: Cache<DnsName, Arc<Zone>, DnsError>,
    pub(super) answers: Cache<AnswerKey, Answer, DnsError>,
    /// Signed answers of resolvers about the root and the delegations in it.
    pub(super) root_answers: Cache<(Name, RecordType), Arc<Message>, String>,
    pub(super) unresponsive: Unresponsive,
    pub(super) liveness: Liveness,
    pub(super) counter: QueryCounter,
}

impl Dns {
    /// A client with this configuration.
    pub fn new(config: Config) -> Self {
        let mut configured = HashMap::new();
        for zone in &config.zones {
            let servers = zone.servers.iter().copied().map(Server::at).collect();
            let apex = zone.zone.clone();
            // Of two entries for one zone the first counts.
            configured
                .entry(apex.clone())
                .or_insert_with(|| Arc::new(Zone { apex, servers }));
        }
        Dns {
            config,
            configured,
            zones: Cache::new(ZONES_KEPT),
            answers: Cache::new(ANSWERS_KEPT),
            root_answers: Cache::new(ROOT_ANSWERS_KEPT),
            unresponsive: Unresponsive::default(),
            liveness: Liveness::default(),
            counter: QueryCounter::default(),
        }
    }

    /// The number of queries sent so far by record type, such as `TXT`. For metrics and tests.
    pub fn queries(&self) -> BTreeMap<&'static str, u64> {
        self.counter.by_type()
    }

    /// Forgets all cached records, for a caller who knows that they have changed.
    pub fn clear_cache(&self) {
        self.answers.remove(|_| true);
        self.root_answers.remove(|_| true);
        self.zones.remove(|_| true);
    }

    /// The keys with which validation begins.
    pub(crate) fn trust_anchors(&self) -> &TrustAnchors {
        &self.config.trust_anchors
    }

    /// The clock that tells whether signatures are expired.
    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.config.clock
    }

    /// The time limit of one answer.
    pub(crate) fn timeout(&self) -> Duration {
        self.config.timeout
    }

    /// The time limit of one search, which asks one server after the other.
    fn search_limit(&self) -> Duration {
        self.config.timeout * ANSWERS_MAX
    }

    /// Fresh limits for the check of one challenge name.
    pub(crate) fn name_limits(&self) -> NameLimits {
        let time = self.config.timeout * ANSWERS_OF_A_NAME;
        NameLimits::new(self.config.queries_per_name, time)
    }

    /// The head start of one of several servers.
    pub(super) fn head_start(&self) -> Duration {
        HEAD_START.min(self.config.timeout)
    }

    /// The result of a search about `name` within [`search_limit`](Dns::search_limit), and within the limits of
    /// the name for which it runs, or else limits of its own. Searches contain searches: in a box, the outermost is
    /// not as large as all of them.
    pub(super) async fn in_time<T>(
        &self,
        name: &DnsName,
        search: BoxFuture<'_, Result<T, DnsError>>,
    ) -> Result<T, DnsError> {
        let limit = self.search_limit();
        if Budget::current().is_none() {
            let limits = NameLimits::new(self.config.queries_per_name, limit);
            let found = limits.scope(limits.run(search)).await;
            return found.unwrap_or_else(|spent| Err(spent.error(name)));
        }
        let found = tokio::time::timeout(limit, search).await;
        found.unwrap_or_else(|_| Err(DnsError::too_slow(name, limit)))
    }
}
