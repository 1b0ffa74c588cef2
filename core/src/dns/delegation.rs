//! What the zone above reports of a zone: whether it is delegated, and to which servers (RFC 1034 §4.2.2).

use std::collections::BTreeMap;
use std::net::IpAddr;

use futures_util::future::join;
use hickory_proto::rr::RecordType;

use super::authoritative::REFERRALS_MAX;
use super::client::Dns;
use super::records::Referral;
use super::server::Server;
use super::stragglers::ask_at_once;
use crate::name::DnsName;

/// The parent's side of a zone cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delegation {
    /// Whether any server of the zone above delegates the zone; none if it is not known.
    pub(crate) exists: Option<bool>,
    /// The servers that it is delegated to. They are not known if those of the zone above serve the zone
    /// themselves, and answer from it.
    pub(crate) servers: Vec<Server>,
    /// The servers of the zone above that report that there is no such zone.
    pub(crate) denied_by: Vec<String>,
}

/// How many servers of the zone above are asked: all, except of a registry. A registry keeps its servers alike,
/// and must not get a dozen queries for each of a thousand domains.
fn how_many(above: &DnsName) -> usize {
    const OF_A_REGISTRY: usize = 2;
    if above.labels().count() == 1 {
        OF_A_REGISTRY
    } else {
        usize::MAX
    }
}

/// What one server of the zone above reports.
enum ParentAnswer {
    /// It refers to the zone, or to one between.
    Refers(Referral),
    /// It serves both zones, and has the delegation.
    Delegates,
    /// There is no such zone; with the server.
    Denies(String),
}

impl Dns {
    /// What the servers of the zone above report of `zone`.
    pub(crate) async fn delegation(&self, zone: &DnsName) -> Delegation {
        let Some(parent) = zone.parent() else {
            return Delegation::default();
        };
        let Ok(mut above) = self.enclosing_zone(&parent).await else {
            return Delegation::default();
        };
        for _ in 0..REFERRALS_MAX {
            let asked = above.servers.iter().take(how_many(&above.apex));
            let asked = asked.map(|server| self.ask_parent(server, &above.apex, zone));
            let mut delegation = Delegation::default();
            let mut named: BTreeMap<DnsName, Vec<IpAddr>> = BTreeMap::new();
            let mut between = None;
            let answers = ask_at_once(asked, Option::is_some).await;
            for answer in answers.into_iter().flatten().flatten() {
                match answer {
                    ParentAnswer::Refers(referral) if referral.zone == *zone => {
                        named.extend(referral.servers);
                        delegation.exists = Some(true);
                    }
                    ParentAnswer::Refers(referral) => between = Some(referral),
                    ParentAnswer::Delegates => delegation.exists = Some(true),
                    ParentAnswer::Denies(server) => {
                        delegation.exists.get_or_insert(false);
                        delegation.denied_by.push(server);
                    }
                }
            }
            match between {
                Some(referral) => above = self.descend(referral).await,
                // Nobody asks the servers that are named if others are configured.
                None if self.is_configured(zone) => return delegation,
                None => {
                    delegation.servers = self.with_addresses(named.into_iter()).await.value;
                    return delegation;
                }
            }
        }
        Delegation::default()
    }

    /// What a server of the zone `above` reports of `zone`; none if it did not answer.
    async fn ask_parent(
        &self,
        server: &Server,
        above: &DnsName,
        zone: &DnsName,
    ) -> Option<ParentAnswer> {
        // A server that serves both zones answers from the lower one, except for DS (RFC 4035 §3.1.4.1).
        // One answer may be large, and the other one late: only what matters in it is kept.
        let servers = async {
            let answer = self.ask_server(server, zone, RecordType::NS).await.ok()?;
            Some(if answer.is_authoritative() {
                Ok(!answer.name_servers().is_empty())
            } else {
                Err(answer.referral(above))
            })
        };
        let exists = async {
            let answer = self.ask_server(server, zone, RecordType::DS).await.ok()?;
            Some(answer.name_exists())
        };
        let (servers, exists) = join(Box::pin(servers), Box::pin(exists)).await;
        match servers? {
            Err(referral) => referral.map(ParentAnswer::Refers),
            Ok(has_servers) if !has_servers || !exists? => {
                Some(ParentAnswer::Denies(server.to_string()))
            }
            Ok(_) => Some(ParentAnswer::Delegates),
        }
    }
}
