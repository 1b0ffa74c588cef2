//! Findings about a delegation, each with a remedy.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::Serialize;

use crate::name::{DnsName, Identifier};

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Issuance works, and somebody should know.
    Warning,
    /// The challenge would fail, or the TXT record would be written to the wrong place.
    Error,
}

/// What was found. In JSON, these names are in kebab case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// The challenge name has no CNAME.
    MissingCname,
    /// The CNAME points to another name than the configured one.
    CnameElsewhere,
    /// The target of a CNAME has no final dot in the zone file, so that the name of the zone was appended.
    MissingDot,
    /// The configured alias name has a CNAME itself, so that it cannot have TXT records.
    AliasIsCname,
    /// The CNAMEs form a loop.
    Loop,
    /// There are more CNAMEs than are followed.
    TooManyHops,
    /// There is more than one CNAME.
    SeveralHops,
    /// The CNAME's target is not a usable name.
    BadTarget,
    /// The alias name is outside all configured alias zones.
    OutsideAliasZones,
    /// The CNAME exists through a wildcard only.
    Wildcard,
    /// TXT records exist beside the CNAME.
    TxtBesideCname,
    /// No authoritative server answered.
    Unanswered,
    /// A resolver answered in place of the authoritative servers.
    Intercepted,
    /// A TXT value at the alias name is not ours.
    ForeignValue,
    /// Another client uses the alias name for its challenges, too.
    SharedAlias,
    /// A TXT value of ours exists at the alias name.
    StaleValue,
    /// The TXT values at the alias name do not fit into one UDP answer.
    LargeAnswer,
    /// The servers of the zone return different CNAMEs.
    ServersDisagree,
    /// A server is named for a zone and does not serve it.
    LameServer,
    /// A server is named for a zone, at an address to which no query is sent.
    SpecialAddress,
    /// The servers of a zone have different versions of it.
    SerialsDiffer,
    /// The alias name is in another zone than the configured one.
    ZoneCut,
    /// DNSSEC validation fails.
    Bogus,
    /// The zone above does not delegate a zone, or not all of its servers do.
    NotDelegated,
    /// A zone does not return its SOA record.
    NoSoa,
    /// Updates go to a secondary, which forwards them to the primary.
    ForwardsUpdates,
    /// Negative answers are cached for long.
    NegativeTtl,
    /// The CNAME comes from a DNAME.
    Dname,
    /// The CNAME points to a name that is not under our control.
    Dangling,
    /// CAA records do not let the CA issue.
    Caa,
    /// The servers were too slow to check everything.
    Incomplete,
}

/// One thing found about one challenge name, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How serious it is.
    pub severity: Severity,
    /// What it is.
    pub kind: FindingKind,
    /// The identifiers that it concerns.
    pub domains: Vec<Identifier>,
    /// The name at which it was found.
    pub name: DnsName,
    /// The server that answered, if one did.
    pub server: Option<String>,
    /// What was found there, in words.
    pub answer: String,
    /// What to do, in words.
    pub remedy: String,
    /// The record to add to the zone of `name`, if one helps.
    pub record: Option<String>,
}

/// What distinguishes a finding from others. The same may be found for several identifiers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cause {
    kind: FindingKind,
    name: DnsName,
    answer: String,
    /// Certificates may want different records at one name.
    record: Option<String>,
}

impl Cause {
    /// That of a finding.
    pub fn of(finding: &Finding) -> Self {
        Cause {
            kind: finding.kind,
            name: finding.name.clone(),
            answer: finding.answer.clone(),
            record: finding.record.clone(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.answer)?;
        if let Some(server) = &self.server {
            write!(f, " (asked {server})")?;
        }
        Ok(())
    }
}

impl Finding {
    /// The findings without repetition, each with all the identifiers that it concerns, and each of these once.
    pub fn merged(findings: impl IntoIterator<Item = Finding>) -> Vec<Finding> {
        let mut merged: Vec<(Finding, HashSet<Identifier>)> = Vec::new();
        let mut places = HashMap::new();
        for mut finding in findings {
            let domains = std::mem::take(&mut finding.domains);
            let place = *places.entry(Cause::of(&finding)).or_insert(merged.len());
            if place == merged.len() {
                merged.push((finding, HashSet::new()));
            }
            let (known, seen) = &mut merged[place];
            let new = domains.into_iter();
            known
                .domains
                .extend(new.filter(|domain| seen.insert(domain.clone())));
        }
        merged.into_iter().map(|(finding, _)| finding).collect()
    }

    pub(super) fn asked(mut self, server: Option<&str>) -> Self {
        self.server = server.map(str::to_owned);
        self
    }

    pub(super) fn with_record(mut self, owner: &DnsName, target: &DnsName) -> Self {
        self.record = Some(cname_line(owner, target));
        self
    }
}

/// The line for a zone file (RFC 1035 §5.1) that delegates `name` to `target`.
fn cname_line(name: &DnsName, target: &DnsName) -> String {
    format!("{} 600 IN CNAME {}", name.fqdn(), target.fqdn())
}
