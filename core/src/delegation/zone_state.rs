//! A zone on the way, with every server that is named for it: what they say of it, and whether they say the same.

use std::collections::BTreeMap;

use futures_util::future::{join_all, join3};
use hickory_proto::rr::RecordType;
use serde::Serialize;

use super::{Finding, FindingKind, Question};
use crate::dns::{Delegation, Dns, Server};
use crate::dnssec::{Security, Validator};
use crate::name::DnsName;
use crate::printable::printable;

/// Seconds for which a name that is not there may be remembered without harm.
const NEGATIVE_TTL_GOOD: u32 = 300;

/// A zone and its servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ZoneState {
    /// The apex.
    pub zone: DnsName,
    /// Each server that is named for it, by the zone itself or by the one above.
    pub servers: Vec<ServerState>,
    /// For how many seconds others remember that a name is not there (RFC 2308 §5).
    pub negative_ttl: Option<u32>,
    /// Whether the zone above delegates it; null where that is not known.
    pub delegated: Option<bool>,
    /// The servers of the zone above that deny that there is such a zone.
    pub denied_by: Vec<String>,
    /// Whether what the zone says can be trusted, by its SOA record.
    pub dnssec: Security,
    /// The octets that signatures take in an answer of one set of records; 0 where there are none.
    pub signature_octets: usize,
}

/// One server of a zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServerState {
    /// Its name and address.
    pub server: String,
    /// Whether the zone above names it, and the zone itself does not.
    pub above_only: bool,
    /// The serial of the zone that it has; none where it has none.
    pub serial: Option<u32>,
    /// What it said in place of that.
    pub problem: Option<String>,
}

/// A zone that was looked at, and whom to ask about names in it.
#[derive(Debug)]
pub(super) struct ZoneReport {
    pub(super) state: ZoneState,
    servers: Vec<Server>,
}

impl ZoneReport {
    /// Looks at the zone and each of its servers.
    pub(super) async fn of(dns: &Dns, validator: &Validator, zone: DnsName) -> Self {
        let (own, above, dnssec) = join3(
            dns.servers(&zone),
            dns.delegation(&zone),
            validator.verdict(&zone, RecordType::SOA),
        )
        .await;
        let own = own.unwrap_or_default();
        let Delegation {
            exists,
            servers: above,
            denied_by,
        } = above;
        let is_named = |server: &Server| own.iter().any(|known| known.name == server.name);
        let mut above_only: Vec<_> = above.into_iter().filter(|s| !is_named(s)).collect();
        if dns.is_configured(&zone) {
            // The settings say whom to ask in place of those that are named.
            above_only.clear();
        }
        let asked = own.iter().map(|server| (server, false));
        let asked = asked.chain(above_only.iter().map(|server| (server, true)));
        let said = asked.map(|(server, above_only)| ask(dns, &zone, server, above_only));
        let (states, negative): (Vec<_>, Vec<_>) = join_all(said).await.into_iter().unzip();
        ZoneReport {
            state: ZoneState {
                servers: states,
                negative_ttl: negative.into_iter().flatten().max(),
                delegated: exists,
                denied_by,
                dnssec,
                signature_octets: validator.signature_octets(&zone).await,
                zone,
            },
            servers: own.into_iter().chain(above_only).collect(),
        }
    }

    /// What is wrong with the zone, whichever name in it is looked at.
    pub(super) fn findings(&self, question: &Question<'_>) -> Vec<Finding> {
        let mut findings = self.lame(question);
        findings.extend(self.serials(question));
        findings.extend(self.delegated(question));
        findings
    }

    /// Servers that are named for the zone and do not have it.
    fn lame(&self, question: &Question<'_>) -> Vec<Finding> {
        let apex = &self.state.zone;
        let lame = self.state.servers.iter().filter_map(|state| {
            let problem = state.problem.as_ref()?;
            let (by, set) = if state.above_only {
                (" by the zone above", "the delegation in the zone above")
            } else {
                ("", "its NS set")
            };
            let server = &state.server;
            Some(question.warning(
                FindingKind::LameServer,
                apex,
                format!("{server} is named as a server of {apex}{by}: {problem}"),
                format!("take it out of {set}, or let it serve the zone: a CA may ask it"),
            ))
        });
        lame.collect()
    }

    /// Servers that have different versions of the zone.
    fn serials(&self, question: &Question<'_>) -> Option<Finding> {
        let mut serials: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
        for state in &self.state.servers {
            if let Some(serial) = state.serial {
                serials.entry(serial).or_default().push(&state.server);
            }
        }
        if serials.len() < 2 {
            return None;
        }
        let serials: Vec<_> = serials
            .iter()
            .map(|(serial, servers)| format!("{serial} at {}", servers.join(", ")))
            .collect();
        Some(question.warning(
            FindingKind::SerialsDiffer,
            &self.state.zone,
            format!("its servers have different serials: {}", serials.join("; ")),
            format!(
                "see whether the transfers work (NOTIFY, `allow-transfer`); all servers must have a value \
                 before the CA looks{}",
                self.if_named_above_only()
            ),
        ))
    }

    /// Whether the zone can be found by those who have no settings that name its servers.
    fn delegated(&self, question: &Question<'_>) -> Option<Finding> {
        let ZoneState {
            zone,
            delegated,
            denied_by,
            ..
        } = &self.state;
        if denied_by.is_empty() {
            return None;
        }
        let answer = if *delegated == Some(true) {
            format!(
                "some servers of the zone above deny that it is delegated: {}",
                denied_by.join(", ")
            )
        } else {
            "the zone above does not delegate it: a CA that begins at the root does not find it"
                .to_owned()
        };
        Some(question.warning(
            FindingKind::NotDelegated,
            zone,
            answer,
            format!(
                "add NS records for {zone} to the zone above, unless the CA has another way there"
            ),
        ))
    }

    /// Whether all servers of the zone tell the same of `name`.
    pub(super) async fn agreement(
        &self,
        dns: &Dns,
        question: &Question<'_>,
        name: &DnsName,
    ) -> Option<Finding> {
        let asked = self.servers.iter().map(async |server: &Server| {
            let answer = dns.ask_server(server, name, RecordType::CNAME).await.ok()?;
            let target = answer.cname().map(|cname| match cname.target {
                Ok(target) => target.fqdn(),
                Err(odd) => printable(&odd),
            });
            answer
                .is_authoritative()
                .then(|| (server.to_string(), target))
        });
        let mut said: BTreeMap<Option<String>, Vec<String>> = BTreeMap::new();
        for (server, target) in join_all(asked).await.into_iter().flatten() {
            said.entry(target).or_default().push(server);
        }
        if said.len() < 2 {
            return None;
        }
        let said: Vec<_> = said
            .iter()
            .map(|(target, servers)| {
                let target = target.as_deref().unwrap_or("no CNAME");
                format!("{target} at {}", servers.join(", "))
            })
            .collect();
        let apex = &self.state.zone;
        Some(question.error(
            FindingKind::ServersDisagree,
            name,
            format!("the servers of {apex} do not agree: {}", said.join("; ")),
            format!(
                "wait for the zone's transfers, or see why they fail: the CA may ask any of them{}",
                self.if_named_above_only()
            ),
        ))
    }

    /// How long others remember that a name in the zone is not there.
    pub(super) fn memory(&self, question: &Question<'_>) -> Option<Finding> {
        let ttl = self.state.negative_ttl;
        let ttl = ttl.filter(|ttl| *ttl > NEGATIVE_TTL_GOOD)?;
        let apex = &self.state.zone;
        Some(question.warning(
            FindingKind::NegativeTtl,
            apex,
            format!(
                "resolvers remember for {ttl} s that a name is not there (SOA), and a first certificate \
                 may have to wait for that"
            ),
            format!("lower the last number of the SOA record of {apex} to 60"),
        ))
    }

    /// Where the registry still has the servers of before a move, no transfer helps.
    fn if_named_above_only(&self) -> String {
        let mut above_only = self.state.servers.iter().filter(|state| state.above_only);
        match above_only.next() {
            Some(state) => format!(
                "; {} is named by the zone above only: correct the delegation there",
                state.server
            ),
            None => String::new(),
        }
    }
}

/// What a server says of the zone, and for how many seconds absence is remembered according to it.
async fn ask(
    dns: &Dns,
    zone: &DnsName,
    server: &Server,
    above_only: bool,
) -> (ServerState, Option<u32>) {
    let answer = dns.ask_server(server, zone, RecordType::SOA).await;
    let (soa, problem) = match answer {
        Ok(answer) if answer.is_authoritative() => (answer.soa(), None),
        Ok(answer) => (None, Some(answer.to_string())),
        Err(error) => (None, Some(error)),
    };
    let no_soa = || "an authoritative answer without an SOA record".to_owned();
    let state = ServerState {
        server: server.to_string(),
        above_only,
        serial: soa.map(|soa| soa.serial),
        problem: problem.or_else(|| soa.is_none().then(no_soa)),
    };
    (state, soa.map(|soa| soa.negative_ttl))
}
