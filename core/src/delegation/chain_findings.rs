//! What the CNAMEs of a chain mean for the certificate.

use super::chain::{CnameChain, End, HOPS_MAX, Hop};
use super::expectation::Expectation;
use super::finding::{Finding, FindingKind};
use super::limit_findings::TOO_MANY_QUERIES;
use super::zone_file_mistakes::MissingDot;
use crate::dns::DnsError;
use crate::name::DnsName;
use crate::printable::few;

/// From this number of hops on, widespread validators give up (ACM follows four).
const HOPS_MANY: usize = 5;
/// The longest chain that is shown with all its names, in octets. A run keeps what it found about all names.
const PATH_MAX: usize = 1_000;
/// Between the names of a chain.
const ARROW: &str = " -> ";
/// Alias zones that a message lists.
const ZONES_LISTED: usize = 5;

/// Compares the CNAMEs with what is expected. If no finding is an error, the alias name is
/// [`CnameChain::last`].
pub(super) fn chain_findings(chain: &CnameChain, expectation: &Expectation<'_>) -> Vec<Finding> {
    let comparison = Comparison { chain, expectation };
    if let Some(mistake) = MissingDot::find(chain, expectation) {
        return vec![mistake.finding(expectation)];
    }
    if let Some(finding) = comparison.only_wildcard() {
        return vec![finding];
    }
    let hops = chain.hops.iter().flat_map(|hop| comparison.hop(hop));
    let mut findings: Vec<_> = hops.collect();
    findings.extend(comparison.end());
    findings.extend(comparison.unanswered_outside());
    findings.extend(comparison.length());
    findings
}

struct Comparison<'a> {
    chain: &'a CnameChain,
    expectation: &'a Expectation<'a>,
}

impl Comparison<'_> {
    fn hop(&self, hop: &Hop) -> Vec<Finding> {
        let expectation = self.expectation;
        let wildcard = hop.wildcard.as_ref().map(|wildcard| {
            let finding = expectation.warning(
                FindingKind::Wildcard,
                &hop.name,
                format!("its CNAME comes from the wildcard {}", wildcard.fqdn()),
                "add this record: a wildcard no longer applies once any record exists at or below the name, \
                 and it delegates all other names too",
            );
            finding.with_record(&hop.name, &hop.target)
        });
        let txt_beside = hop.txt_beside.then(|| {
            expectation.error(
                FindingKind::TxtBesideCname,
                &hop.name,
                "TXT records exist beside the CNAME, and some servers answer with them instead",
                format!(
                    "remove the TXT records at {}; if they are not in the zone, the DNS host answers for certificates \
                     of its own, as Cloudflare does (Universal SSL): switch that off for this name",
                    hop.name.fqdn()
                ),
            )
        });
        let dname = hop.dname.as_ref().map(|owner| {
            expectation.warning(
                FindingKind::Dname,
                &hop.name,
                format!("its CNAME comes from the DNAME record at {owner}, which redirects all names below"),
                "make sure that the DNAME record stays: no CNAME can be added below it",
            )
        });
        let findings = [wildcard, txt_beside, dname].into_iter().flatten();
        findings
            .map(|finding| finding.asked(Some(&hop.server)))
            .collect()
    }

    fn end(&self) -> Option<Finding> {
        let last = self.chain.last();
        let expectation = self.expectation;
        match &self.chain.end {
            End::At {
                server,
                answer,
                txt,
                ..
            } => self.destination(server, answer, !txt.is_empty()),
            End::Loop(name) => {
                let finding = expectation.error(
                    FindingKind::Loop,
                    name,
                    format!("the CNAMEs form a loop: {}", self.path()),
                    "",
                );
                Some(self.with_direct_cname(finding.asked(self.last_server())))
            }
            End::TooLong => {
                let finding = expectation.error(
                    FindingKind::TooManyHops,
                    last,
                    format!("{HOPS_MAX} CNAMEs were followed and there are more"),
                    "",
                );
                Some(self.with_direct_cname(finding.asked(self.last_server())))
            }
            End::BadTarget(target) => Some(self.with_direct_cname(expectation.error(
                FindingKind::BadTarget,
                last,
                format!(
                    "its CNAME points to `{}`, which cannot have TXT records",
                    target.escape_debug()
                ),
                "",
            ))),
            End::Unanswered(error) => Some(self.unanswered(error)),
        }
    }

    /// No server answered about the last name.
    fn unanswered(&self, error: &DnsError) -> Finding {
        let (kind, remedy) = match error {
            _ if error.is_intercepted() => (
                FindingKind::Intercepted,
                "this network probably intercepts port 53: let queries to these servers pass, or skip the \
                 pre-flight and ask resolvers whether the values are visible",
            ),
            DnsError::TooManyQueries { .. } => (FindingKind::Unanswered, TOO_MANY_QUERIES),
            DnsError::Resolver { .. } if error.has_servfail() => (
                FindingKind::Unanswered,
                "check that the servers of the zone have loaded it (their logs have the reason if not), and that its \
                 DNSSEC signatures are valid: a resolver answers SERVFAIL if it got no usable answer from them",
            ),
            _ if error.has_servfail() => (
                FindingKind::Unanswered,
                "the zone is probably not loaded at a server that answers SERVFAIL: look for the reason in its \
                 log, such as a zone file that was edited while a journal exists (BIND: `rndc freeze` before, \
                 `rndc thaw` after)",
            ),
            _ => (
                FindingKind::Unanswered,
                "check that these servers serve the zone and can be reached from here, or configure other \
                 servers for the zone",
            ),
        };
        let last = self.chain.last();
        self.expectation
            .error(kind, last, error.to_string(), remedy)
    }

    /// The remedy for CNAMEs that lead nowhere: one that leads to the alias name.
    fn with_direct_cname(&self, mut finding: Finding) -> Finding {
        let name = &self.chain.challenge_name;
        match self.expectation.probable_alias_name() {
            Some(alias_name) => {
                "replace the CNAME with this record".clone_into(&mut finding.remedy);
                finding.with_record(name, &alias_name)
            }
            None => {
                finding.remedy = format!(
                    "change the CNAME at {} so that it points into an alias zone",
                    name.fqdn()
                );
                finding
            }
        }
    }

    /// A name outside the alias zones is reported even if no server answers about it.
    fn unanswered_outside(&self) -> Option<Finding> {
        match (&self.chain.end, self.chain.hops.last()) {
            (End::Unanswered(_), Some(hop)) => self.outside(&hop.target, &hop.server),
            _ => None,
        }
    }

    /// Compares the name at which the CNAMEs end with the configured alias name.
    fn destination(&self, server: &str, answer: &str, has_txt: bool) -> Option<Finding> {
        let last = self.chain.last();
        match self.expectation.alias_name {
            Some(alias_name) if alias_name == last => self.outside(last, server),
            _ if self.chain.hops.is_empty() && !self.is_direct() => {
                Some(self.missing(server, answer, has_txt))
            }
            Some(alias_name) => Some(self.elsewhere(alias_name)),
            None => self.outside(last, server),
        }
    }

    /// Whether the challenge name lies in an alias zone itself, and needs no CNAME.
    fn is_direct(&self) -> bool {
        let expectation = self.expectation;
        expectation.alias_name.is_none() && expectation.is_in_alias_zone(&self.chain.challenge_name)
    }

    /// The challenge name has no CNAME of its own: that of a wildcard, which leads elsewhere, applies to it.
    fn only_wildcard(&self) -> Option<Finding> {
        let hop = self.chain.hops.first()?;
        let wildcard = hop.wildcard.as_ref()?;
        let last = self.chain.last();
        let is_wanted = match self.expectation.alias_name {
            Some(alias_name) => alias_name == last,
            None => self.expectation.can_write_at(last),
        };
        let answer = format!(
            "the name matches the wildcard {}, whose CNAME leads to {}",
            wildcard.fqdn(),
            hop.target.fqdn()
        );
        (!is_wanted).then(|| self.missing(&hop.server, &answer, false))
    }

    fn missing(&self, server: &str, answer: &str, has_txt: bool) -> Finding {
        if self.chain.begins_at_an_apex() {
            return self.apex(server, answer);
        }
        let name = &self.chain.challenge_name;
        // RFC 1034 §3.6.2: a server refuses a CNAME beside other records.
        let (existing, first) = if has_txt {
            (
                "; TXT records exist there (some DNS hosts add them for certificates of their own)",
                "remove the TXT records there first; ",
            )
        } else {
            ("", "")
        };
        let finding = |remedy: &str| {
            let finding = self.expectation.error(
                FindingKind::MissingCname,
                name,
                format!("there is no CNAME: {answer}{existing}"),
                format!("{first}{remedy}"),
            );
            finding.asked(Some(server))
        };
        let is_configured = self.expectation.alias_name.is_some();
        match self.expectation.probable_alias_name() {
            Some(alias_name) if is_configured => {
                finding("add this record to the zone that holds the name")
                    .with_record(name, &alias_name)
            }
            Some(suggested) => finding(
                "add this record to the zone that holds the name, or configure another alias name",
            )
            .with_record(name, &suggested),
            None => finding("add a CNAME that points into an alias zone, and configure that zone"),
        }
    }

    /// The challenge name has no CNAME and cannot have one.
    fn apex(&self, server: &str, answer: &str) -> Finding {
        let name = &self.chain.challenge_name;
        let alias_name = self.expectation.probable_alias_name();
        let record = if alias_name.is_some() {
            "this record"
        } else {
            "a CNAME that points into an alias zone"
        };
        let finding = self.expectation.error(
            FindingKind::MissingCname,
            name,
            format!(
                "there is no CNAME: {answer}; {name} is the apex of a zone of its own, where there can be none"
            ),
            format!(
                "either configure {name} as an alias zone and as the alias name, or remove its NS records from \
                 the zone above and add {record} there"
            ),
        );
        let finding = finding.asked(Some(server));
        match alias_name {
            Some(alias_name) => finding.with_record(name, &alias_name),
            None => finding,
        }
    }

    fn elsewhere(&self, alias_name: &DnsName) -> Finding {
        let (chain, expectation) = (self.chain, self.expectation);
        let last = chain.last();
        if let Some(hop) = chain.hops.iter().find(|hop| hop.name == *alias_name) {
            let finding = expectation.error(
                FindingKind::AliasIsCname,
                alias_name,
                format!(
                    "the configured alias name has a CNAME itself, to {}, so it cannot have TXT records",
                    hop.target.fqdn()
                ),
                if expectation.can_write_at(last) {
                    format!("remove that CNAME, or configure {last} as the alias name")
                } else {
                    "remove that CNAME".to_owned()
                },
            );
            return finding.asked(Some(&hop.server));
        }
        let finding = expectation.error(
            FindingKind::CnameElsewhere,
            &chain.challenge_name,
            format!(
                "the CNAME points to {}, but {} is configured",
                last.fqdn(),
                alias_name.fqdn()
            ),
            if expectation.can_write_at(last) {
                "replace the CNAME with this record, or correct the configured alias name"
            } else {
                "replace the CNAME with this record"
            },
        );
        finding
            .asked(chain.hops.first().map(|hop| hop.server.as_str()))
            .with_record(&chain.challenge_name, alias_name)
    }

    fn outside(&self, alias_name: &DnsName, server: &str) -> Option<Finding> {
        let expectation = self.expectation;
        if expectation.can_write_at(alias_name) {
            return None;
        }
        // If that name is the configured one, a CNAME to it is no mistake.
        let other = expectation.probable_alias_name();
        let other = other.filter(|other| other != alias_name && !self.chain.hops.is_empty());
        let remedy = "configure its zone as an alias zone, or a provider that writes there";
        let finding = expectation.error(
            FindingKind::OutsideAliasZones,
            alias_name,
            format!(
                "the alias name is outside all alias zones ({})",
                self.configured()
            ),
            match &other {
                Some(_) => format!("{remedy}, or replace the CNAME with this record"),
                None => remedy.to_owned(),
            },
        );
        let finding = finding.asked(Some(server));
        Some(match &other {
            Some(other) => finding.with_record(&self.chain.challenge_name, other),
            None => finding,
        })
    }

    /// The configured alias zones as text.
    fn configured(&self) -> String {
        let zones = self.expectation.alias_zones;
        if zones.is_empty() {
            return "none is configured".to_owned();
        }
        let listed: Vec<_> = zones
            .iter()
            .take(ZONES_LISTED)
            .map(DnsName::as_str)
            .collect();
        let more = match zones.len().saturating_sub(ZONES_LISTED) {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        format!("configured: {}{more}", listed.join(", "))
    }

    fn length(&self) -> Option<Finding> {
        let hops = self.chain.hops.len();
        if hops < 2 || !matches!(self.chain.end, End::At { .. }) {
            return None;
        }
        let risk = if hops < HOPS_MANY {
            String::new()
        } else {
            format!("; some CAs follow at most {}", HOPS_MANY - 1)
        };
        let finding = self.expectation.warning(
            FindingKind::SeveralHops,
            &self.chain.challenge_name,
            format!(
                "{hops} CNAMEs lead to the alias name: {}{risk}",
                self.path()
            ),
            "replace the first CNAME with this record, so that fewer zones can fail",
        );
        Some(
            finding
                .asked(self.last_server())
                .with_record(&self.chain.challenge_name, self.chain.last()),
        )
    }

    /// All names of the chain, or the first ones if they are long.
    fn path(&self) -> String {
        let names = std::iter::once(&self.chain.challenge_name)
            .chain(self.chain.hops.iter().map(|hop| &hop.target));
        let names: Vec<_> = names.map(DnsName::as_str).collect();
        let all = names.join(ARROW);
        if all.len() > PATH_MAX {
            few(&names, ARROW)
        } else {
            all
        }
    }

    fn last_server(&self) -> Option<&str> {
        self.chain.hops.last().map(|hop| hop.server.as_str())
    }
}

#[cfg(test)]
mod tests;
