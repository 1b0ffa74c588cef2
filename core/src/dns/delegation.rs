//! What the zone above says of a zone: whether it is one, and which servers it has (RFC 1034 §4.2.2).

use std::collections::BTreeMap;
use std::net::IpAddr;

use futures_util::future::join_all;
use hickory_proto::rr::RecordType;

use super::message::Referral;
use super::zones::REFERRAL_MAX;
use super::{Dns, Server};
use crate::name::DnsName;

/// The parent's side of a zone cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delegation {
    /// Whether any server of the zone above delegates the zone; none where they do not say.
    pub(crate) exists: Option<bool>,
    /// The servers that it is delegated to. They are not known where those of the zone above have the zone
    /// themselves, and answer from it.
    pub(crate) servers: Vec<Server>,
    /// The servers of the zone above that deny that there is such a zone.
    pub(crate) denied_by: Vec<String>,
}

/// How many servers of the zone above are asked: all, but of a registry, which keeps its servers alike, and
/// shall not hear of a thousand domains a dozen times each.
fn how_many(above: &DnsName) -> usize {
    const OF_A_REGISTRY: usize = 2;
    if above.labels().count() == 1 {
        OF_A_REGISTRY
    } else {
        usize::MAX
    }
}

/// What one server of the zone above says.
enum Word {
    /// It refers to the zone, or to one between.
    Refers(Referral),
    /// It has both zones, and the delegation.
    Delegates,
    /// There is no such zone.
    Denies(String),
}

impl Dns {
    /// What the servers of the zone above say of `zone`.
    pub(crate) async fn delegation(&self, zone: &DnsName) -> Delegation {
        let Some(parent) = zone.parent() else {
            return Delegation::default();
        };
        let Ok(mut above) = self.enclosing_zone(&parent).await else {
            return Delegation::default();
        };
        for _ in 0..REFERRAL_MAX {
            let asked = above.servers.iter().take(how_many(&above.apex));
            let asked = asked.map(|server| self.word(server, &above.apex, zone));
            let mut delegation = Delegation::default();
            let mut named: BTreeMap<DnsName, Vec<IpAddr>> = BTreeMap::new();
            let mut between = None;
            for word in join_all(asked).await.into_iter().flatten() {
                match word {
                    Word::Refers(referral) if referral.zone == *zone => {
                        named.extend(referral.servers);
                        delegation.exists = Some(true);
                    }
                    Word::Refers(referral) => between = Some(referral),
                    Word::Delegates => delegation.exists = Some(true),
                    Word::Denies(server) => {
                        delegation.exists.get_or_insert(false);
                        delegation.denied_by.push(server);
                    }
                }
            }
            match between {
                Some(referral) => above = self.descend(referral).await,
                None => {
                    delegation.servers = self.with_addresses(named.into_iter()).await;
                    return delegation;
                }
            }
        }
        Delegation::default()
    }

    /// What a server of the zone `above` says of `zone`; none where it is not to be understood.
    async fn word(&self, server: &Server, above: &DnsName, zone: &DnsName) -> Option<Word> {
        let answer = self.ask_server(server, zone, RecordType::NS).await.ok()?;
        if !answer.is_authoritative() {
            return answer.referral(above).map(Word::Refers);
        }
        if answer.name_servers().is_empty() {
            return Some(Word::Denies(server.to_string()));
        }
        // A server that has both zones answers from the lower one, but for DS (RFC 4035 §3.1.4.1).
        let ds = self.ask_server(server, zone, RecordType::DS).await.ok()?;
        Some(if ds.name_exists() {
            Word::Delegates
        } else {
            Word::Denies(server.to_string())
        })
    }
}
