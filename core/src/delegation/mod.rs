//! From a challenge name to its alias name: the walk along the CNAMEs, hop by hop.
//!
//! The walk ([`CnameChain::follow`]) only looks; what it found is compared with what was asked for in
//! [`judge`]. Both work on names and answers alone, before the CA or any zone is touched.

mod alias;
mod caa;
mod examine;
mod finding;
mod judge;
mod property;
mod records;
mod zone_state;

use hickory_proto::rr::RecordType;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

pub use self::caa::CaaIdentity;
pub use self::examine::{Asked, DelegationChecker, DelegationReport};
pub use self::finding::{Finding, FindingKind, Severity};
pub use self::judge::{Question, judge};
pub use self::records::{Compared, Presence, RecordData, Replaced, ZoneRecord};
pub use self::zone_state::{ServerState, ZoneState};
use crate::dns::{Dns, DnsError};
use crate::name::DnsName;

/// CNAMEs that are followed. Unbound gives up after 11 (its default), and a loop has no end.
pub const HOPS_MAX: usize = 16;

/// One CNAME on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hop {
    /// The owner of the CNAME record.
    pub name: DnsName,
    /// Where it leads.
    pub target: DnsName,
    /// Its time to live, in seconds.
    pub ttl: u32,
    /// The authoritative server that said so.
    pub server: String,
    /// The wildcard from which the record is made (RFC 4592 §2.2.1).
    pub wildcard: Option<DnsName>,
    /// The owner of the DNAME from which the record is made (RFC 6672).
    pub dname: Option<DnsName>,
    /// Whether TXT records stand beside the CNAME, which RFC 1034 §3.6.2 forbids; some
    /// providers answer with them in place of the CNAME.
    pub txt_beside: bool,
}

/// How the walk ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// At a name without a CNAME: there a TXT record would be found.
    At {
        /// The server that said so.
        server: String,
        /// What it said.
        answer: String,
        /// Whether the name is there at all.
        exists: bool,
        /// The TXT values there; none where they are not known.
        txt: Vec<String>,
    },
    /// At a name that the walk had met before.
    Loop(DnsName),
    /// After [`HOPS_MAX`] CNAMEs.
    TooLong,
    /// At a CNAME whose target is not a name that a TXT record can be written at.
    BadTarget(String),
    /// At a name about which no server answered.
    Unanswered(DnsError),
}

/// The CNAMEs from one challenge name, as the authoritative servers have them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CnameChain {
    /// Where the walk began.
    pub challenge_name: DnsName,
    /// The CNAMEs in order.
    pub hops: Vec<Hop>,
    /// Why there were no more.
    pub end: End,
}

impl CnameChain {
    /// Follows the CNAMEs from `challenge_name`, asking authoritative servers only. It always ends; where
    /// that is because the servers are slow, it keeps the CNAMEs that were found.
    pub async fn follow(dns: &Dns, challenge_name: &DnsName) -> CnameChain {
        let mut walk = CnameChain {
            challenge_name: challenge_name.clone(),
            hops: Vec::new(),
            end: End::TooLong,
        };
        let limit = dns.patience();
        let deadline = Instant::now() + limit;
        while walk.hops.len() < HOPS_MAX {
            let step = timeout_at(deadline, step(dns, walk.last())).await;
            match step.unwrap_or_else(|_| Err(DnsError::too_slow(walk.last(), limit))) {
                Ok(Step::Hop(hop)) => {
                    let seen = walk.has_met(&hop.target);
                    let target = hop.target.clone();
                    walk.hops.push(hop);
                    if seen {
                        walk.end = End::Loop(target);
                        break;
                    }
                }
                Ok(Step::End(end)) => {
                    walk.end = end;
                    break;
                }
                Err(error) => {
                    walk.end = End::Unanswered(error);
                    break;
                }
            }
        }
        walk
    }

    /// The last name met; the alias name, where the walk ended [`End::At`] it.
    pub fn last(&self) -> &DnsName {
        self.hops
            .last()
            .map_or(&self.challenge_name, |hop| &hop.target)
    }

    /// Whether TXT records stand where the first CNAME belongs: a zone with both is not loaded
    /// (RFC 1034 §3.6.2), so that they have to go first.
    pub fn has_txt_in_its_way(&self) -> bool {
        self.hops.is_empty() && matches!(&self.end, End::At { txt, .. } if !txt.is_empty())
    }

    fn has_met(&self, name: &DnsName) -> bool {
        *name == self.challenge_name || self.hops.iter().any(|hop| hop.target == *name)
    }
}

enum Step {
    Hop(Hop),
    End(End),
}

async fn step(dns: &Dns, name: &DnsName) -> Result<Step, DnsError> {
    let (cname, txt) = futures_util::future::join(
        dns.ask(name, RecordType::CNAME),
        dns.ask(name, RecordType::TXT),
    )
    .await;
    let answer = cname?;
    let txt = txt.map(|answer| answer.txt()).unwrap_or_default();
    let server = answer.server.to_string();
    let Some(cname) = answer.cname() else {
        return Ok(Step::End(End::At {
            server,
            answer: answer.to_string(),
            exists: answer.name_exists(),
            txt,
        }));
    };
    let target = match cname.target {
        Ok(target) => target,
        Err(text) => return Ok(Step::End(End::BadTarget(text))),
    };
    let dname = answer.dname();
    let wildcard = match &dname {
        Some(_) => None,
        None => wildcard_above(dns, name, &target).await,
    };
    Ok(Step::Hop(Hop {
        name: name.clone(),
        ttl: cname.ttl,
        server,
        wildcard,
        dname,
        txt_beside: !txt.is_empty(),
        target,
    }))
}

/// The wildcard from which the CNAME at `name` is made. The answer for `name` itself does not show it, but
/// those for literal names do (RFC 4592 §2.2.1, §3.3.1): `*.name` is made from the same wildcard, and not where
/// `name` itself is there; `*.parent` is the wildcard, or made from the same one further up.
async fn wildcard_above(dns: &Dns, name: &DnsName, target: &DnsName) -> Option<DnsName> {
    let mut found = None;
    for ancestor in name.ancestors() {
        let wildcard = ancestor.child("*").ok()?;
        let leads_there = match dns.ask(&wildcard, RecordType::CNAME).await {
            Ok(answer) => answer
                .cname()
                .is_some_and(|cname| cname.target.as_ref() == Ok(target)),
            Err(_) => false,
        };
        if !leads_there {
            break;
        }
        found = Some(wildcard).filter(|_| ancestor != *name);
    }
    found
}
