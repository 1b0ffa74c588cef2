//! What is said of a delegation: one thing found, with what to do about it.

use std::fmt;

use serde::Serialize;

use crate::name::{DnsName, Identifier};
use crate::printable::printable;
use crate::txt::TxtValue;

/// Characters of a TXT value that are shown.
const SHOWN_MAX: usize = 255;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It works, and somebody should know.
    Warning,
    /// The challenge would fail, or the TXT record would go astray.
    Error,
}

/// What was found. The names in JSON are these in kebab case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// The challenge name has no CNAME.
    MissingCname,
    /// The CNAME leads elsewhere than the settings say.
    CnameElsewhere,
    /// The configured alias name has a CNAME itself, so that no TXT can stand there.
    AliasIsCname,
    /// The CNAMEs lead in a circle.
    Loop,
    /// There are more CNAMEs than are followed.
    TooManyHops,
    /// There is more than one CNAME.
    SeveralHops,
    /// The CNAME's target is not a usable name.
    BadTarget,
    /// The alias name lies outside every configured alias zone.
    OutsideAliasZones,
    /// The CNAME exists through a wildcard only.
    Wildcard,
    /// TXT records stand beside the CNAME.
    TxtBesideCname,
    /// No authoritative server answered.
    Unanswered,
    /// A TXT value at the alias name is not ours.
    ForeignValue,
    /// Another client answers its challenges at the alias name, too.
    SharedAlias,
    /// A TXT value of ours is at the alias name.
    StaleValue,
    /// The TXT values at the alias name do not fit into one UDP answer.
    LargeAnswer,
    /// The servers of the zone say different things of the name.
    ServersDisagree,
    /// A server is named for a zone and does not serve it.
    LameServer,
    /// The servers of a zone have different versions of it.
    SerialsDiffer,
    /// The alias name lies in another zone than the settings say.
    ZoneCut,
    /// A signature does not hold (DNSSEC).
    Bogus,
    /// The zone above does not delegate a zone, or not all of its servers do.
    NotDelegated,
    /// A zone does not say of itself that it is one.
    NoSoa,
    /// A name that is not there is remembered for long.
    NegativeTtl,
    /// The CNAME is made from a DNAME.
    Dname,
    /// The CNAME leads to a name that is not under our control.
    Dangling,
    /// CAA records do not let the authority issue.
    Caa,
    /// The servers were too slow for all to be looked at.
    Incomplete,
}

/// One thing found about one challenge name, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it weighs.
    pub severity: Severity,
    /// What it is.
    pub kind: FindingKind,
    /// The identifiers it concerns.
    pub domains: Vec<Identifier>,
    /// The name at which it was found.
    pub name: DnsName,
    /// The server that was asked; absent where none answered.
    pub server: Option<String>,
    /// What was found there, in words.
    pub answer: String,
    /// What to do, in words.
    pub remedy: String,
    /// The line to put into the zone of `name`, where one helps.
    pub record: Option<String>,
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
    /// `value` stands at `alias_name`, in whatever form, and is not ours.
    pub(crate) fn foreign_value(
        identifiers: Vec<Identifier>,
        alias_name: &DnsName,
        value: &str,
    ) -> Self {
        let is_challenge = value
            .parse::<TxtValue>()
            .is_ok_and(|value| value.is_challenge());
        let (kind, what, remedy) = if is_challenge {
            (
                FindingKind::SharedAlias,
                "the answer to a challenge that is not ours: another client shares this CNAME, or left it",
                "it is left alone; give each client an alias name of its own (`acme-alias delegate --unique`)",
            )
        } else {
            (
                FindingKind::ForeignValue,
                "a TXT value that is not ours",
                "it is left alone; where nobody else uses this alias name, remove it by hand: a CA reads \
                 every value there",
            )
        };
        let shown: String = value.chars().take(SHOWN_MAX).collect();
        let rest = if shown.len() < value.len() { "…" } else { "" };
        Finding {
            severity: Severity::Warning,
            kind,
            domains: identifiers,
            name: alias_name.clone(),
            server: None,
            answer: format!("there is {what}: \"{}{rest}\"", printable(&shown)),
            remedy: remedy.to_owned(),
            record: None,
        }
    }

    /// The same findings with each said once, of all the domains that it concerns.
    pub(crate) fn merged(findings: impl IntoIterator<Item = Finding>) -> Vec<Finding> {
        let mut merged: Vec<Finding> = Vec::new();
        for finding in findings {
            let same = |known: &&mut Finding| {
                known.kind == finding.kind
                    && known.name == finding.name
                    && known.answer == finding.answer
            };
            match merged.iter_mut().find(same) {
                Some(known) => known.domains.extend(finding.domains),
                None => merged.push(finding),
            }
        }
        merged
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
