//! Queries to authoritative servers, with a cache for records about zones and servers.
//!
//! A delegation has just been added, or a value just been written: an answer about such a name must not come from
//! a cache. So each query about a challenge name or an alias name goes to an authoritative server now
//! ([`Dns::ask`], [`Dns::ask_server`]). What names those servers is cached for its time to live and shared by
//! concurrent callers: NS sets, addresses, zone apexes, signed keys and delegations, and CAA records that many
//! identifiers lie below. These have record types of their own in the code, without TXT and CNAME.

mod answer;
mod authoritative;
mod budget;
mod cache;
mod client;
mod config;
mod connected;
mod counter;
mod delegation;
mod error;
mod infrastructure;
mod lagging;
mod lifetime;
mod listed;
mod liveness;
mod name_servers;
mod over_tcp;
mod propagation;
mod query;
mod race;
mod records;
mod resolver;
mod scoped;
#[cfg(any(test, fuzzing))]
pub(crate) mod scripted;
mod server;
mod signed;
mod sockets;
mod special;
mod stragglers;
#[cfg(test)]
pub(crate) mod stub;
#[cfg(test)]
pub(crate) mod test_network;
#[cfg(test)]
mod tests;
mod trust_anchors;
mod turns;
mod unresponsive;
mod waits;
mod zones;

pub use self::answer::Answer;
pub(crate) use self::answer::dns_name;
pub(crate) use self::budget::{NameLimits, Spent, uncharged};
pub(crate) use self::cache::{Cache, Timed};
pub use self::client::Dns;
pub use self::config::{Config, Propagation, WaitFor, ZoneServers};
pub use self::error::{DnsError, ServerError};
pub(crate) use self::infrastructure::InfrastructureKind;
pub use self::lagging::Lagging;
pub(crate) use self::race::while_running;
pub use self::records::Caa;
pub(crate) use self::records::Soa;
pub use self::scoped::{AddressError, parse_server};
pub use self::server::Server;
pub(crate) use self::server::ZoneCut;
pub(crate) use self::signed::is_of_root;
pub use self::special::SpecialAddress;
pub(crate) use self::stragglers::ask_at_once;
pub use self::trust_anchors::{TrustAnchorError, TrustAnchors};
pub(crate) use self::turns::{Turn, Turns, Usage};
pub(crate) use self::zones::ANCESTORS_AT_ONCE;
