//! Following the CNAMEs from a challenge name. Each query goes to an authoritative server now.

use futures_util::future::{join, join_all};
use hickory_proto::rr::RecordType;

use super::chain::{CnameChain, End, FoundTxt, HOPS_MAX, Hop};
use super::own_values::OwnValues;
use crate::dns::{Dns, DnsError, NameLimits};
use crate::name::DnsName;

impl CnameChain {
    /// Follows the CNAMEs from `challenge_name`, asking authoritative servers only. It always ends; if that is
    /// because the servers are slow, it keeps the CNAMEs that were found.
    pub async fn follow(dns: &Dns, challenge_name: &DnsName) -> CnameChain {
        let limits = dns.name_limits();
        let follow = async {
            let walk = Walk::begin(dns, &limits, challenge_name, None).await;
            let probe = walk.first_probe();
            let (mut walked, probe) = join(walk.finish(), probe.run(dns)).await;
            walked.set_first(probe);
            walked.chain
        };
        Box::pin(limits.scope(follow)).await
    }
}

/// A walk along the CNAMEs.
pub(super) struct Walk<'a> {
    dns: &'a Dns,
    limits: &'a NameLimits,
    own_values: Option<&'a OwnValues>,
    chain: CnameChain,
    has_ended: bool,
    /// The answer for the wildcard below the challenge name.
    literal: Option<Literal>,
}

/// A walk that has ended, with the zones that the answers named on the way.
pub(super) struct Walked {
    pub(super) chain: CnameChain,
    /// The zone of each hop, if it was named.
    pub(super) hop_zones: Vec<Option<DnsName>>,
}

impl Walked {
    /// Adds what the probe at the first hop found.
    pub(super) fn set_first(&mut self, found: Found) {
        if let (Some(hop), Some(zone)) = (self.chain.hops.first_mut(), self.hop_zones.first_mut()) {
            hop.wildcard = found.wildcard;
            *zone = found.zone;
        }
    }
}

impl<'a> Walk<'a> {
    /// Begins a walk: asks about the challenge name, and about a wildcard below it. Of the TXT values where it ends,
    /// `own_values` are ours.
    pub(super) async fn begin(
        dns: &'a Dns,
        limits: &'a NameLimits,
        challenge_name: &DnsName,
        own_values: Option<&'a OwnValues>,
    ) -> Self {
        let mut walk = Walk {
            dns,
            limits,
            own_values,
            chain: CnameChain {
                challenge_name: challenge_name.clone(),
                hops: Vec::new(),
                end: End::TooLong,
            },
            has_ended: false,
            literal: None,
        };
        let literal = limits.run(literal(dns, challenge_name));
        let ((), literal) = join(walk.step(), literal).await;
        walk.literal = literal.ok().flatten();
        walk
    }

    /// The name where the walk is.
    pub(super) fn last(&self) -> &DnsName {
        self.chain.last()
    }

    /// A probe at the first hop. It can run while the walk goes on, as can whatever depends on it.
    pub(super) fn first_probe(&self) -> Probe<'a> {
        Probe {
            hop: self.chain.hops.first().cloned(),
            literal: self.literal.clone(),
            limits: self.limits,
        }
    }

    /// The zone of the challenge name, if it has no CNAME and the answer named the zone.
    pub(super) fn end_zone(&self) -> Option<&DnsName> {
        self.chain.end.zone()
    }

    /// Follows the CNAMEs to the end and probes for wildcards at all hops but the first.
    pub(super) async fn finish(mut self) -> Walked {
        while !self.has_ended && self.chain.hops.len() < HOPS_MAX {
            self.step().await;
        }
        let later = self.chain.hops.iter().skip(1).cloned().map(|hop| Probe {
            hop: Some(hop),
            literal: None,
            limits: self.limits,
        });
        let dns = self.dns;
        let found = join_all(later.map(|probe| probe.run(dns))).await;
        let mut hop_zones = vec![None; self.chain.hops.len()];
        let later = self.chain.hops.iter_mut().zip(&mut hop_zones).skip(1);
        for ((hop, zone), found) in later.zip(found) {
            hop.wildcard = found.wildcard;
            *zone = found.zone;
        }
        Walked {
            chain: self.chain,
            hop_zones,
        }
    }

    /// Asks about the last name of the chain.
    async fn step(&mut self) {
        let name = self.chain.last().clone();
        let look_up = look_up(self.dns, &name, self.own_values);
        let step = self.limits.run(look_up).await;
        let step = step.unwrap_or_else(|spent| Err(spent.error(&name)));
        let end = match step {
            Ok(Step::Hop(hop)) => {
                let target = hop.target.clone();
                let is_loop = self.chain.has_passed(&target);
                self.chain.hops.push(hop);
                if !is_loop {
                    return;
                }
                End::Loop(target)
            }
            Ok(Step::End(end)) => end,
            Err(error) => End::Unanswered(error),
        };
        self.chain.end = end;
        self.has_ended = true;
    }
}

/// What was found at one name.
enum Step {
    Hop(Hop),
    End(End),
}

/// Asks for TXT records at `name`, as a resolver of the CA does. If the name has a CNAME, that is the answer
/// (RFC 1034 §3.6.2). Only servers that have both, against the standard, may answer with the TXT records, so
/// the CNAME is asked for only if there are any, or if the query fails.
async fn look_up(
    dns: &Dns,
    name: &DnsName,
    own_values: Option<&OwnValues>,
) -> Result<Step, DnsError> {
    let answer = dns.ask(name, RecordType::TXT).await;
    let is_ours = |text: &str| own_values.is_some_and(|own| own.contains(name, text));
    // Few of them are kept: there may be thousands, and the next answer late.
    let txt = answer
        .as_ref()
        .map(|answer| FoundTxt::of(&answer.txt(), is_ours));
    let txt = txt.unwrap_or_default();
    let answer = match answer {
        Ok(answer) if txt.is_empty() => answer,
        answer => {
            // It may be large.
            drop(answer);
            dns.ask(name, RecordType::CNAME).await?
        }
    };
    let server = answer.server.to_string();
    let Some(cname) = answer.cname() else {
        let end = End::At {
            server,
            answer: answer.to_string(),
            exists: answer.name_exists(),
            txt,
            zone: answer.zone_of_denial(),
        };
        return Ok(Step::End(end));
    };
    Ok(match cname.target {
        Ok(target) => Step::Hop(Hop {
            name: name.clone(),
            target,
            ttl: cname.ttl,
            server,
            wildcard: None,
            dname: answer.dname(),
            txt_beside: !txt.is_empty(),
        }),
        Err(text) => Step::End(End::BadTarget(text)),
    })
}

/// A search for the wildcard from which the CNAME of a hop is made.
pub(super) struct Probe<'a> {
    hop: Option<Hop>,
    /// The answer for the first literal name, if it is known already.
    literal: Option<Literal>,
    limits: &'a NameLimits,
}

/// What matters in the answer for a literal name. It is kept as long as the walk takes, and answers may be large.
#[derive(Clone, Debug)]
struct Literal {
    /// The target of its CNAME.
    target: Option<DnsName>,
    /// The zone that the answer named.
    zone: Option<DnsName>,
}

/// What a probe found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The wildcard, if there is one.
    wildcard: Option<DnsName>,
    /// The zone of the hop, if an answer named it.
    pub(super) zone: Option<DnsName>,
}

impl Probe<'_> {
    /// Asks for the wildcard. If no server answers in time, nothing is found.
    pub(super) async fn run(self, dns: &Dns) -> Found {
        let Some(Hop {
            name,
            target,
            dname: None,
            ..
        }) = &self.hop
        else {
            return Found::default();
        };
        let known = self.literal.clone();
        let found = self.limits.run(probe(dns, name, target, known)).await;
        found.unwrap_or_default()
    }
}

/// The answer for `name` itself does not show a wildcard, but those for literal names do (RFC 4592 §2.2.1,
/// §3.3.1): `*.name` is made from the same wildcard, and does not exist if `name` itself exists; `*.parent` is
/// the wildcard, or made from the same one further up. The answer that there is none also names the zone.
async fn probe(dns: &Dns, name: &DnsName, target: &DnsName, known: Option<Literal>) -> Found {
    let mut found = Found::default();
    let mut known = known;
    for ancestor in name.ancestors() {
        let answer = match known.take() {
            Some(answer) => Some(answer),
            None => literal(dns, &ancestor).await,
        };
        let Some(answer) = answer else {
            break;
        };
        if answer.target.as_ref() != Some(target) {
            found.zone = answer.zone.filter(|zone| name.is_within(zone));
            break;
        }
        let wildcard = ancestor.child("*").ok();
        found.wildcard = wildcard.filter(|_| ancestor != *name);
    }
    found
}

/// The answer for the literal name `*` below `name`; none if there is no such name, or no server answers.
async fn literal(dns: &Dns, name: &DnsName) -> Option<Literal> {
    let literal = name.child("*").ok()?;
    let answer = dns.ask(&literal, RecordType::CNAME).await.ok()?;
    Some(Literal {
        target: answer.cname().and_then(|cname| cname.target.ok()),
        zone: answer.zone_of_denial(),
    })
}
