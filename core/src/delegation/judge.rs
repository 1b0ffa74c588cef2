//! What a walk means for the certificate that was asked for.

use super::{CnameChain, End, Finding, FindingKind, HOPS_MAX, Hop, Severity};
use crate::name::{DnsName, Identifier};

/// From this many hops on, widespread validators give up (ACM follows four).
const HOPS_MANY: usize = 5;

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The identifiers that share the challenge name.
    pub identifiers: &'a [Identifier],
    /// The alias name that the settings name; without one, the CNAME that is there is followed.
    pub wanted: Option<&'a DnsName>,
    /// The configured alias zones.
    pub alias_zones: &'a [DnsName],
    /// Whether an alias name outside these zones is acceptable, because a provider was named for
    /// it and its zone will be found by its SOA.
    pub any_zone: bool,
}

impl Question<'_> {
    /// Whether a name lies in a configured alias zone.
    pub(super) fn is_in_alias_zone(&self, name: &DnsName) -> bool {
        self.alias_zones.iter().any(|zone| name.is_within(zone))
    }

    /// Something found that a challenge would fail by.
    pub(super) fn error(
        &self,
        kind: FindingKind,
        name: &DnsName,
        answer: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding {
            severity: Severity::Error,
            kind,
            domains: self.identifiers.to_vec(),
            name: name.clone(),
            server: None,
            answer: answer.into(),
            remedy: remedy.into(),
            record: None,
        }
    }

    /// Something found that somebody should know.
    pub(super) fn warning(
        &self,
        kind: FindingKind,
        name: &DnsName,
        answer: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding {
            severity: Severity::Warning,
            ..self.error(kind, name, answer, remedy)
        }
    }
}

/// Compares what is there with what was asked for. Where no finding is an error, the alias name
/// is [`CnameChain::last`].
pub fn judge(walk: &CnameChain, question: &Question<'_>) -> Vec<Finding> {
    let judge = Judge { walk, question };
    let mut findings: Vec<_> = walk.hops.iter().flat_map(|hop| judge.hop(hop)).collect();
    findings.extend(judge.end());
    findings.extend(judge.astray());
    findings.extend(judge.length());
    findings
}

struct Judge<'a> {
    walk: &'a CnameChain,
    question: &'a Question<'a>,
}

impl Judge<'_> {
    fn hop(&self, hop: &Hop) -> Vec<Finding> {
        let wildcard = hop.wildcard.as_ref().map(|wildcard| {
            self.question
                .warning(
                    FindingKind::Wildcard,
                    &hop.name,
                    format!("its CNAME is made from the one at {}", wildcard.fqdn()),
                    "add the CNAME itself: a wildcard ceases to hold as soon as anything else is \
                 written at or below the name, and it delegates names nobody thinks of",
                )
                .asked(Some(&hop.server))
                .with_record(&hop.name, &hop.target)
        });
        let txt_beside = hop.txt_beside.then(|| {
            self.question
                .error(
                    FindingKind::TxtBesideCname,
                    &hop.name,
                    "TXT records stand beside the CNAME, and some servers answer with them instead",
                    format!("remove the TXT records at {}", hop.name.fqdn()),
                )
                .asked(Some(&hop.server))
        });
        let dname = hop.dname.as_ref().map(|owner| {
            self.question.warning(
                FindingKind::Dname,
                &hop.name,
                format!("its CNAME is made from a DNAME at {owner}, which renames all names below"),
                "see that whoever keeps that DNAME knows of this use; a CNAME of its own cannot stand \
                 below it",
            )
            .asked(Some(&hop.server))
        });
        [wildcard, txt_beside, dname]
            .into_iter()
            .flatten()
            .collect()
    }

    fn end(&self) -> Option<Finding> {
        let last = self.walk.last();
        match &self.walk.end {
            End::At {
                server,
                answer,
                txt,
                ..
            } => self.destination(server, answer, !txt.is_empty()),
            End::Loop(name) => Some(
                self.question
                    .error(
                        FindingKind::Loop,
                        name,
                        format!("the CNAMEs lead in a circle: {}", self.way()),
                        "make one of these CNAMEs lead to the alias name",
                    )
                    .asked(self.last_server()),
            ),
            End::TooLong => Some(
                self.question
                    .error(
                        FindingKind::TooManyHops,
                        last,
                        format!("{HOPS_MAX} CNAMEs were followed and there are more"),
                        "make the challenge name's CNAME lead to the alias name directly",
                    )
                    .asked(self.last_server()),
            ),
            End::BadTarget(target) => Some(self.question.error(
                FindingKind::BadTarget,
                last,
                format!(
                    "its CNAME leads to `{}`, which is no name for a TXT record",
                    target.escape_debug()
                ),
                "correct the target of the CNAME",
            )),
            End::Unanswered(error) => Some(self.question.error(
                FindingKind::Unanswered,
                last,
                error.to_string(),
                "see that these servers can be reached from here and serve the zone; \
                 `dns.zones` names servers to ask in place of the NS set, and \
                 `--skip-preflight` leaves this check out",
            )),
        }
    }

    /// A name that nobody answered for is outside the alias zones all the more.
    fn astray(&self) -> Option<Finding> {
        match (&self.walk.end, self.walk.hops.last()) {
            (End::Unanswered(_), Some(hop)) => self.outside(&hop.target, &hop.server),
            _ => None,
        }
    }

    /// The name at which the CNAMEs end, against the one wanted.
    fn destination(&self, server: &str, answer: &str, has_txt: bool) -> Option<Finding> {
        let last = self.walk.last();
        match self.question.wanted {
            Some(wanted) if wanted == last => self.outside(last, server),
            _ if self.walk.hops.is_empty() && !self.is_direct() => {
                Some(self.missing(server, answer, has_txt))
            }
            Some(wanted) => Some(self.elsewhere(wanted)),
            None => self.outside(last, server),
        }
    }

    /// Whether the challenge name lies in an alias zone itself, and needs no CNAME.
    fn is_direct(&self) -> bool {
        self.question.wanted.is_none() && self.question.is_in_alias_zone(&self.walk.challenge_name)
    }

    fn missing(&self, server: &str, answer: &str, has_txt: bool) -> Finding {
        let name = &self.walk.challenge_name;
        // RFC 1034 §3.6.2: a CNAME stands alone, and servers refuse it beside what is there.
        let (there, first) = if has_txt {
            (
                "; TXT records stand there",
                "remove the TXT records there first; ",
            )
        } else {
            ("", "")
        };
        let finding = |remedy: &str| {
            self.question
                .error(
                    FindingKind::MissingCname,
                    name,
                    format!("there is no CNAME: {answer}{there}"),
                    format!("{first}{remedy}"),
                )
                .asked(Some(server))
        };
        let only_zone = match self.question.alias_zones {
            [only] => only.challenge_name().ok(),
            _ => None,
        };
        match (self.question.wanted, only_zone) {
            (Some(wanted), _) => {
                finding("add this line to the zone that holds the name").with_record(name, wanted)
            }
            (None, Some(suggested)) => {
                finding("add this line to the zone that holds the name, or name the alias")
                    .with_record(name, &suggested)
            }
            (None, None) => finding(
                "add a CNAME at the name that leads into an alias zone, and configure that zone",
            ),
        }
    }

    fn elsewhere(&self, wanted: &DnsName) -> Finding {
        let last = self.walk.last();
        if let Some(hop) = self.walk.hops.iter().find(|hop| hop.name == *wanted) {
            return self
                .question
                .error(
                    FindingKind::AliasIsCname,
                    wanted,
                    format!(
                        "the configured alias name has a CNAME itself, to {}, so that no TXT \
                         record can stand there",
                        hop.target.fqdn()
                    ),
                    format!("remove that CNAME, or configure `domain-alias = \"{last}\"`"),
                )
                .asked(Some(&hop.server));
        }
        self.question.error(
            FindingKind::CnameElsewhere,
            &self.walk.challenge_name,
            format!(
                "the CNAME leads to {}, and the settings say {}",
                last.fqdn(),
                wanted.fqdn()
            ),
            if self.question.any_zone || self.question.is_in_alias_zone(last) {
                "replace the CNAME in the zone by this line, or correct the alias in the settings"
            } else {
                "replace the CNAME in the zone by this line"
            },
        )
        .asked(self.walk.hops.first().map(|hop| hop.server.as_str()))
        .with_record(&self.walk.challenge_name, wanted)
    }

    fn outside(&self, alias_name: &DnsName, server: &str) -> Option<Finding> {
        if self.question.any_zone || self.question.is_in_alias_zone(alias_name) {
            return None;
        }
        let zones: Vec<_> = self
            .question
            .alias_zones
            .iter()
            .map(DnsName::as_str)
            .collect();
        let configured = if zones.is_empty() {
            "none is configured".to_owned()
        } else {
            format!("configured: {}", zones.join(", "))
        };
        Some(
            self.question
                .error(
                    FindingKind::OutsideAliasZones,
                    alias_name,
                    format!("the alias name lies outside every alias zone ({configured})"),
                    "add an `[[alias-zones]]` entry for its zone, or name a provider with \
                 `--provider`",
                )
                .asked(Some(server)),
        )
    }

    fn length(&self) -> Option<Finding> {
        let hops = self.walk.hops.len();
        if hops < 2 || !matches!(self.walk.end, End::At { .. }) {
            return None;
        }
        let risk = if hops < HOPS_MANY {
            String::new()
        } else {
            format!(
                "; some certification authorities follow {} at most",
                HOPS_MANY - 1
            )
        };
        Some(
            self.question
                .warning(
                    FindingKind::SeveralHops,
                    &self.walk.challenge_name,
                    format!("{hops} CNAMEs lead to the alias name: {}{risk}", self.way()),
                    "one CNAME that leads there directly has less that can break",
                )
                .asked(self.last_server())
                .with_record(&self.walk.challenge_name, self.walk.last()),
        )
    }

    fn way(&self) -> String {
        let names = std::iter::once(&self.walk.challenge_name)
            .chain(self.walk.hops.iter().map(|hop| &hop.target));
        names.map(DnsName::as_str).collect::<Vec<_>>().join(" -> ")
    }

    fn last_server(&self) -> Option<&str> {
        self.walk.hops.last().map(|hop| hop.server.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DnsName {
        text.parse().unwrap()
    }

    /// A walk from `_acme-challenge.example.com` along `targets`.
    fn walk(targets: &[&str]) -> CnameChain {
        let challenge_name = name("_acme-challenge.example.com");
        let mut at = challenge_name.clone();
        let mut hops = Vec::new();
        for target in targets {
            hops.push(Hop {
                name: at,
                target: name(target),
                ttl: 600,
                server: "192.0.2.1:53".into(),
                wildcard: None,
                dname: None,
                txt_beside: false,
            });
            at = name(target);
        }
        let end = End::At {
            server: "192.0.2.2:53".into(),
            answer: "NXDOMAIN".into(),
            exists: false,
            txt: Vec::new(),
        };
        CnameChain {
            challenge_name,
            hops,
            end,
        }
    }

    fn findings(walk: &CnameChain, wanted: Option<&str>, zones: &[&str]) -> Vec<Finding> {
        let wanted = wanted.map(name);
        let alias_zones: Vec<_> = zones.iter().map(|zone| name(zone)).collect();
        judge(
            walk,
            &Question {
                identifiers: &["example.com".parse().unwrap()],
                wanted: wanted.as_ref(),
                alias_zones: &alias_zones,
                any_zone: false,
            },
        )
    }

    fn kinds(findings: &[Finding]) -> Vec<FindingKind> {
        findings.iter().map(|finding| finding.kind).collect()
    }

    const ZONE: &str = "auth.example.net";
    const ALIAS: &str = "_acme-challenge.auth.example.net";

    #[test]
    fn a_cname_to_the_wanted_alias_in_a_configured_zone_is_good() {
        assert_eq!(findings(&walk(&[ALIAS]), Some(ALIAS), &[ZONE]), []);
        assert_eq!(findings(&walk(&[ALIAS]), None, &[ZONE]), []);
    }

    #[test]
    fn a_missing_cname_comes_with_the_line_to_add() {
        for wanted in [Some(ALIAS), None] {
            let found = findings(&walk(&[]), wanted, &[ZONE]);
            assert_eq!(kinds(&found), [FindingKind::MissingCname]);
            assert_eq!(
                found[0].record.as_deref(),
                Some("_acme-challenge.example.com. 600 IN CNAME _acme-challenge.auth.example.net.")
            );
        }
    }

    #[test]
    fn txt_records_in_the_place_of_the_cname_have_to_go_first() {
        let mut walk = walk(&[]);
        walk.end = End::At {
            server: "192.0.2.2:53".into(),
            answer: "the name exists, without CNAME records (NODATA)".into(),
            exists: true,
            txt: vec!["left-over".into()],
        };
        let found = findings(&walk, Some(ALIAS), &[ZONE]);
        assert_eq!(kinds(&found), [FindingKind::MissingCname]);
        assert!(found[0].answer.contains("TXT records stand there"));
        assert!(
            found[0]
                .remedy
                .starts_with("remove the TXT records there first")
        );
        assert!(walk.has_txt_in_its_way());
    }

    #[test]
    fn without_a_wanted_alias_and_with_several_zones_no_line_is_invented() {
        let found = findings(&walk(&[]), None, &[ZONE, "other.example.net"]);
        assert_eq!(kinds(&found), [FindingKind::MissingCname]);
        assert_eq!(found[0].record, None);
    }

    #[test]
    fn a_challenge_name_inside_an_alias_zone_needs_no_cname() {
        assert_eq!(findings(&walk(&[]), None, &["example.com"]), []);
    }

    #[test]
    fn a_cname_elsewhere_is_an_error_even_within_the_same_zone() {
        let found = findings(&walk(&["x.auth.example.net"]), Some(ALIAS), &[ZONE]);
        assert_eq!(kinds(&found), [FindingKind::CnameElsewhere]);
        assert!(found[0].answer.contains("x.auth.example.net."));
        assert!(found[0].answer.contains(ALIAS));
    }

    #[test]
    fn an_alias_name_that_is_a_cname_itself_is_told_so() {
        let found = findings(&walk(&[ALIAS, "x.auth.example.net"]), Some(ALIAS), &[ZONE]);
        assert_eq!(
            kinds(&found),
            [FindingKind::AliasIsCname, FindingKind::SeveralHops]
        );
        assert!(
            found[0]
                .remedy
                .contains("domain-alias = \"x.auth.example.net\"")
        );
    }

    #[test]
    fn an_alias_outside_every_zone_is_an_error_unless_a_provider_was_named() {
        let walk = walk(&[ALIAS]);
        let found = findings(&walk, None, &["other.example.net"]);
        assert_eq!(kinds(&found), [FindingKind::OutsideAliasZones]);
        let question = Question {
            identifiers: &[],
            wanted: None,
            alias_zones: &[],
            any_zone: true,
        };
        assert_eq!(judge(&walk, &question), []);
    }

    #[test]
    fn several_hops_are_a_warning_and_many_a_sharper_one() {
        let found = findings(&walk(&["a.example.org", ALIAS]), Some(ALIAS), &[ZONE]);
        assert_eq!(kinds(&found), [FindingKind::SeveralHops]);
        assert_eq!(found[0].severity, Severity::Warning);
        assert!(!found[0].answer.contains("authorities"));
        let five = ["a.example", "b.example", "c.example", "d.example", ALIAS];
        let found = findings(&walk(&five), Some(ALIAS), &[ZONE]);
        assert!(found[0].answer.contains("authorities follow 4 at most"));
    }

    #[test]
    fn a_wildcard_warns_and_txt_beside_the_cname_fails() {
        let mut walk = walk(&[ALIAS]);
        walk.hops[0].wildcard = Some(name("example.com").child("*").unwrap());
        walk.hops[0].txt_beside = true;
        let found = findings(&walk, Some(ALIAS), &[ZONE]);
        assert_eq!(
            kinds(&found),
            [FindingKind::Wildcard, FindingKind::TxtBesideCname]
        );
        assert_eq!(found[0].severity, Severity::Warning);
        assert_eq!(found[1].severity, Severity::Error);
    }

    #[test]
    fn a_loop_shows_the_whole_circle() {
        let mut walk = walk(&["a.example.org", "_acme-challenge.example.com"]);
        walk.end = End::Loop(name("_acme-challenge.example.com"));
        let found = findings(&walk, Some(ALIAS), &[ZONE]);
        assert_eq!(kinds(&found), [FindingKind::Loop]);
        assert!(
            found[0]
                .answer
                .contains("a.example.org -> _acme-challenge.example.com")
        );
    }
}
