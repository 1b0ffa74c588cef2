//! From a challenge name to its alias name: the walk along the CNAMEs, hop by hop.
//!
//! The walk ([`Walk::follow`]) only looks; what it found is compared with what was asked for in
//! [`judge`]. Both work on names and answers alone, before the CA or any zone is touched.

mod caa;
mod examine;
mod judge;
mod property;
mod records;

use hickory_proto::rr::RecordType;
use serde::Serialize;

pub use self::caa::Issuance;
pub use self::examine::{Examination, Examiner, ServerState, ZoneState};
pub use self::judge::{Finding, FindingKind, Question, Severity, judge};
pub use self::records::{Compared, Presence, RecordData, Replaced, ZoneRecord, dname_above};
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
    /// Whether a wildcard CNAME above the name has the same target, so that the record may
    /// exist through that wildcard only (RFC 4592 §2.2.1).
    pub wildcard: Option<DnsName>,
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
pub struct Walk {
    /// Where the walk began.
    pub challenge_name: DnsName,
    /// The CNAMEs in order.
    pub hops: Vec<Hop>,
    /// Why there were no more.
    pub end: End,
}

impl Walk {
    /// Follows the CNAMEs from `challenge_name`, asking authoritative servers only.
    pub async fn follow(dns: &Dns, challenge_name: &DnsName) -> Walk {
        let mut walk = Walk {
            challenge_name: challenge_name.clone(),
            hops: Vec::new(),
            end: End::TooLong,
        };
        while walk.hops.len() < HOPS_MAX {
            match step(dns, walk.last()).await {
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
    let server = answer.server.to_string();
    let Some(cname) = answer.cname() else {
        return Ok(Step::End(End::At {
            server,
            answer: answer.to_string(),
        }));
    };
    let target = match cname.target {
        Ok(target) => target,
        Err(text) => return Ok(Step::End(End::BadTarget(text))),
    };
    Ok(Step::Hop(Hop {
        name: name.clone(),
        ttl: cname.ttl,
        server,
        wildcard: wildcard_above(dns, name, &target).await,
        txt_beside: txt.is_ok_and(|answer| !answer.txt().is_empty()),
        target,
    }))
}

/// The wildcard from which a CNAME at `name` may have been made. The answer for `name` itself
/// does not show it, but the literal name `*.parent` does: it is the wildcard, or is made from
/// the same wildcard further up as `name` is (RFC 4592 §2.2.1, §3.3.1).
async fn wildcard_above(dns: &Dns, name: &DnsName, target: &DnsName) -> Option<DnsName> {
    let mut found = None;
    for ancestor in name.ancestors().skip(1) {
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
        found = Some(wildcard);
    }
    found
}
