//! A delegation looked at from all sides: the walk and its verdicts, and beyond them the servers of both
//! zones, what they remember, who may issue (CAA), and what stands at the alias name. Nothing is written,
//! and no CA is asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{join, join_all, join3};
use hickory_proto::rr::RecordType;
use serde::Serialize;
use tokio::sync::OnceCell;

use super::caa::{self, Issuance};
use super::{End, Finding, FindingKind, Question, Severity, Walk, judge};
use crate::dns::{Cut, Dns, DnsError, Server};
use crate::dnssec::{Security, Validator};
use crate::name::DnsName;
use crate::provider::TxtValue;

/// How long one look may take, in answers that are waited for in vain.
const ANSWERS_MAX: u32 = 20;
/// Seconds for which a name that is not there may be remembered without harm.
const NEGATIVE_TTL_GOOD: u32 = 300;
/// The payload that crosses every path in one UDP datagram (DNS flag day 2020), and what the rest of an
/// answer takes of it.
const UDP_PAYLOAD: usize = 1232 - 100;
/// A TXT record beside its value: a pointer to the name, the fixed fields, a length.
const RECORD_OVERHEAD: usize = 13;

/// Looks at delegations. What concerns a zone is asked once, however many names lead there.
#[derive(Debug)]
pub struct Examiner {
    dns: Arc<Dns>,
    validator: Validator,
    /// As whom CAA records must let the authority issue; nothing is said of them where it is not known.
    issuance: Option<Issuance>,
    /// The values of runs that are under way, or were killed. Where they are not known, nothing is said of
    /// what stands at the alias name.
    ours: Option<Vec<(DnsName, TxtValue)>>,
    zones: Mutex<BTreeMap<DnsName, Arc<OnceCell<ZoneState>>>>,
}

/// Everything that was found about one challenge name.
#[derive(Clone, Debug)]
pub struct Examination {
    /// The way to the alias name.
    pub walk: Walk,
    /// The zone that holds the challenge name.
    pub source: Option<ZoneState>,
    /// The zone that holds the alias name.
    pub alias: Option<ZoneState>,
    /// What is to be said of it all, worst first.
    pub findings: Vec<Finding>,
}

/// A zone and its servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ZoneState {
    /// The apex.
    pub zone: DnsName,
    /// Each server that is named for it.
    pub servers: Vec<ServerState>,
    /// For how many seconds others remember that a name is not there (RFC 2308 §5).
    pub negative_ttl: Option<u32>,
    /// Whether the zone above delegates it; null where that is not known.
    pub delegated: Option<bool>,
    /// Whether what the zone says can be trusted, by its SOA record.
    pub dnssec: Security,
}

/// One server of a zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServerState {
    /// Its name and address.
    pub server: String,
    /// The serial of the zone that it has; none where it has none.
    pub serial: Option<u32>,
    /// What it said in place of that.
    pub problem: Option<String>,
}

impl Examination {
    /// Whether a challenge would fail.
    pub fn has_errors(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.severity == Severity::Error)
    }
}

impl Examiner {
    /// An examiner that has asked nothing yet.
    pub fn new(dns: Arc<Dns>, issuance: Option<Issuance>) -> Self {
        Examiner {
            validator: Validator::new(Arc::clone(&dns)),
            dns,
            issuance,
            ours: None,
            zones: Mutex::default(),
        }
    }

    /// Looks at the values that stand at alias names, too. `ours` may be there by our doing.
    #[must_use]
    pub fn with_values(self, ours: Vec<(DnsName, TxtValue)>) -> Self {
        Examiner {
            ours: Some(ours),
            ..self
        }
    }

    /// Looks at one challenge name. It always ends, with something to say.
    pub async fn examine(&self, challenge_name: &DnsName, question: &Question<'_>) -> Examination {
        let limit = self.dns.timeout() * ANSWERS_MAX;
        let look = self.look(challenge_name, question);
        if let Ok(examination) = tokio::time::timeout(limit, look).await {
            return examination;
        }
        let walk = Walk {
            challenge_name: challenge_name.clone(),
            hops: Vec::new(),
            end: End::Unanswered(DnsError::TooSlow {
                name: challenge_name.clone(),
                limit,
            }),
        };
        Examination {
            findings: judge(&walk, question),
            walk,
            source: None,
            alias: None,
        }
    }

    async fn look(&self, challenge_name: &DnsName, question: &Question<'_>) -> Examination {
        let follow = Walk::follow(&self.dns, challenge_name);
        let above = challenge_name.parent();
        let above = above.as_ref().unwrap_or(challenge_name);
        let (walk, source_cut) = join(follow, self.dns.cut(above)).await;
        let mut findings = judge(&walk, question);
        let alias_cut = match &walk.end {
            End::At { .. } if !walk.hops.is_empty() => Some(self.dns.cut(walk.last()).await),
            _ => None,
        };
        let source = self.state_of(source_cut.as_ref().ok()).await;
        let alias = alias_cut.as_ref().and_then(|cut| cut.as_ref().ok());
        let alias = self.state_of(alias).await;
        let look = Look {
            examiner: self,
            question,
            walk: &walk,
        };
        findings.extend(look.soa(above, &source_cut, &findings));
        if let Some(cut) = &alias_cut {
            findings.extend(look.soa(walk.last(), cut, &findings));
        }
        if let Some(source) = &source {
            findings.extend(look.servers(source));
            findings.extend(look.agreement(source).await);
        }
        if let Some(alias) = &alias {
            if source.as_ref().map(|source| &source.zone) != Some(&alias.zone) {
                findings.extend(look.servers(alias));
            }
            findings.extend(look.cut(alias));
            findings.extend(look.delegated(alias));
            findings.extend(look.values().await);
        }
        findings.extend(look.memory(source.as_ref(), alias.as_ref(), &findings));
        findings.extend(look.signatures(source.as_ref(), alias.as_ref()).await);
        findings.extend(look.dname().await);
        findings.extend(look.dangling(alias.as_ref(), &findings));
        findings.extend(look.caa().await);
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        Examination {
            walk,
            source,
            alias,
            findings,
        }
    }

    /// The zone that begins there; it is asked once.
    async fn state_of(&self, cut: Option<&Cut>) -> Option<ZoneState> {
        let apex = cut?.apex.clone();
        let cell = {
            let mut zones = self.zones.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(zones.entry(apex.clone()).or_default())
        };
        Some(cell.get_or_init(|| self.state(apex)).await.clone())
    }

    async fn state(&self, zone: DnsName) -> ZoneState {
        let (servers, delegated, dnssec) = join3(
            self.servers(&zone),
            self.dns.is_delegated(&zone),
            self.validator.verdict(&zone, RecordType::SOA),
        )
        .await;
        let (servers, negative): (Vec<_>, Vec<_>) = servers.into_iter().unzip();
        ZoneState {
            zone,
            servers,
            negative_ttl: negative.into_iter().flatten().max(),
            delegated,
            dnssec,
        }
    }

    /// Each server of a zone, and for how many seconds absence is remembered according to it.
    async fn servers(&self, zone: &DnsName) -> Vec<(ServerState, Option<u32>)> {
        let servers = self.dns.servers(zone).await.unwrap_or_default();
        let asked = servers.iter().map(async |server| {
            let answer = self.dns.ask_server(server, zone, RecordType::SOA).await;
            let (soa, problem) = match answer {
                Ok(answer) if answer.is_authoritative() => (answer.soa(), None),
                Ok(answer) => (None, Some(answer.to_string())),
                Err(error) => (None, Some(error)),
            };
            let no_soa = || "an authoritative answer without an SOA record".to_owned();
            let state = ServerState {
                server: server.to_string(),
                serial: soa.map(|soa| soa.serial),
                problem: problem.or_else(|| soa.is_none().then(no_soa)),
            };
            (state, soa.map(|soa| soa.negative_ttl))
        });
        join_all(asked).await
    }
}

/// One look, with what it is about.
struct Look<'a> {
    examiner: &'a Examiner,
    question: &'a Question<'a>,
    walk: &'a Walk,
}

impl Look<'_> {
    /// Whether the zone of `name` says of itself that it is one.
    fn soa(
        &self,
        name: &DnsName,
        cut: &Result<Cut, DnsError>,
        findings: &[Finding],
    ) -> Option<Finding> {
        let unanswered = |finding: &Finding| finding.kind == FindingKind::Unanswered;
        if findings.iter().any(unanswered) {
            return None;
        }
        let answer = match cut {
            Ok(Cut { silent: None, .. }) => return None,
            Ok(Cut {
                silent: Some(server),
                ..
            }) => format!("{server} denies a record there without an SOA record"),
            Err(error) => format!("no zone is to be found that holds it: {error}"),
        };
        Some(self.warning(
            FindingKind::NoSoa,
            name,
            answer,
            "see that the zone has its SOA record, and that its servers answer with it: resolvers may \
             refuse such an answer",
        ))
    }

    /// Servers that are named for a zone and do not have it, or have another version.
    fn servers(&self, zone: &ZoneState) -> Vec<Finding> {
        let apex = &zone.zone;
        let mut findings = Vec::new();
        for state in &zone.servers {
            if let Some(problem) = &state.problem {
                findings.push(self.warning(
                    FindingKind::LameServer,
                    apex,
                    format!("{} is named as a server of {apex}: {problem}", state.server),
                    format!(
                        "take it out of the NS set of {apex}, or let it serve the zone: a CA may ask it"
                    ),
                ));
            }
        }
        let mut serials: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
        for state in &zone.servers {
            if let Some(serial) = state.serial {
                serials.entry(serial).or_default().push(&state.server);
            }
        }
        if serials.len() > 1 {
            let serials: Vec<_> = serials
                .iter()
                .map(|(serial, servers)| format!("{serial} at {}", servers.join(", ")))
                .collect();
            findings.push(self.warning(
                FindingKind::SerialsDiffer,
                apex,
                format!("its servers have different serials: {}", serials.join("; ")),
                "see whether the transfers work (NOTIFY, `allow-transfer`); all servers must have a \
                 value before the CA looks",
            ));
        }
        findings
    }

    /// Whether all servers of the zone tell the same of the challenge name.
    async fn agreement(&self, zone: &ZoneState) -> Option<Finding> {
        let dns = &self.examiner.dns;
        let name = &self.walk.challenge_name;
        let servers = dns.servers(&zone.zone).await.ok()?;
        let asked = servers.iter().map(async |server: &Server| {
            let answer = dns.ask_server(server, name, RecordType::CNAME).await.ok()?;
            let target = answer.cname().map(|cname| match cname.target {
                Ok(target) => target.fqdn(),
                Err(odd) => odd,
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
        Some(self.error(
            FindingKind::ServersDisagree,
            name,
            format!(
                "the servers of {} do not agree: {}",
                zone.zone,
                said.join("; ")
            ),
            "wait for the zone's transfers, or see why they fail: the CA may ask any of them",
        ))
    }

    /// Whether the zone of the alias name is the one that the settings have.
    fn cut(&self, alias: &ZoneState) -> Option<Finding> {
        let last = self.walk.last();
        let zones = self.question.alias_zones.iter();
        let configured = zones
            .filter(|zone| last.is_within(zone))
            .max_by_key(|zone| zone.labels().count())?;
        (alias.zone != *configured).then(|| {
            self.error(
                FindingKind::ZoneCut,
                last,
                format!(
                    "the name lies in the zone {}, and the settings have {configured} as its alias \
                     zone",
                    alias.zone
                ),
                format!(
                    "delegate {configured} as a zone of its own, or correct `zone` under \
                     `[[alias-zones]]`"
                ),
            )
        })
    }

    /// Whether the alias zone can be found by those who have no settings that name its servers.
    fn delegated(&self, alias: &ZoneState) -> Option<Finding> {
        (alias.delegated == Some(false)).then(|| {
            self.warning(
                FindingKind::NotDelegated,
                &alias.zone,
                "the zone above does not delegate it: a CA that begins at the root does not find it",
                format!(
                    "add NS records for {} to the zone above, unless the CA has another way there",
                    alias.zone
                ),
            )
        })
    }

    /// What stands at the alias name already.
    async fn values(&self) -> Vec<Finding> {
        let Some(ours) = &self.examiner.ours else {
            return Vec::new();
        };
        let last = self.walk.last();
        let Ok(answer) = self.examiner.dns.ask(last, RecordType::TXT).await else {
            return Vec::new();
        };
        let texts = answer.txt();
        let mut findings = Vec::new();
        let octets: usize = texts.iter().map(|text| text.len() + RECORD_OVERHEAD).sum();
        if octets > UDP_PAYLOAD {
            findings.push(self.warning(
                FindingKind::LargeAnswer,
                last,
                format!(
                    "{} TXT values of {octets} octets do not fit into one UDP answer",
                    texts.len()
                ),
                "see that its servers answer over TCP; remove what nobody needs, or give domains \
                 alias names of their own (`acme-alias delegate --unique`)",
            ));
        }
        for text in texts {
            let Ok(value) = text.parse::<TxtValue>() else {
                continue;
            };
            let is_ours = ours
                .iter()
                .any(|(name, known)| name == last && *known == value);
            findings.push(if is_ours {
                self.warning(
                    FindingKind::StaleValue,
                    last,
                    format!("a TXT value of ours is there: \"{value}\""),
                    "a run is under way, or one was killed: `acme-alias ledger reconcile` removes \
                     what dead runs left",
                )
            } else {
                Finding::foreign_value(self.question.identifiers.to_vec(), last, &value)
            });
        }
        findings
    }

    /// How long others remember that a name was not there.
    fn memory(
        &self,
        source: Option<&ZoneState>,
        alias: Option<&ZoneState>,
        findings: &[Finding],
    ) -> Vec<Finding> {
        let is_missing = |finding: &Finding| finding.kind == FindingKind::MissingCname;
        let source = source.filter(|_| findings.iter().any(is_missing));
        let long =
            source.into_iter().chain(alias).filter_map(|state| {
                let ttl = state.negative_ttl.filter(|ttl| *ttl > NEGATIVE_TTL_GOOD)?;
                Some(self.warning(
                FindingKind::NegativeTtl,
                &state.zone,
                format!(
                    "resolvers remember for {ttl} s that a name is not there (SOA), and a first \
                     certificate may have to wait for that"
                ),
                format!("lower the last number of the SOA record of {} to 60", state.zone),
            ))
            });
        long.collect()
    }

    /// Records that a validating resolver, as every CA has one, would refuse.
    async fn signatures(
        &self,
        source: Option<&ZoneState>,
        alias: Option<&ZoneState>,
    ) -> Vec<Finding> {
        let zones = source.into_iter().chain(alias);
        let zones = zones.map(|state| (state.zone.clone(), state.dnssec.clone()));
        // What is wrong with a zone is wrong with every name in it.
        let known = source.is_some_and(|source| matches!(source.dnssec, Security::Bogus(_)));
        let hops = self.walk.hops.iter().skip(usize::from(known));
        let hops = hops.map(async |hop| {
            let validator = &self.examiner.validator;
            let verdict = validator.verdict(&hop.name, RecordType::CNAME).await;
            (hop.name.clone(), verdict)
        });
        let mut findings: Vec<Finding> = Vec::new();
        for (name, verdict) in zones.chain(join_all(hops).await) {
            let Security::Bogus(reason) = verdict else {
                continue;
            };
            let answer = format!("DNSSEC is broken: {reason}");
            if findings.iter().all(|finding| finding.answer != answer) {
                findings.push(self.error(
                    FindingKind::Bogus,
                    &name,
                    answer,
                    "mend it (sign the zone anew, or put the right DS record into the zone above): no CA \
                     accepts such an answer",
                ));
            }
        }
        findings
    }

    /// Whether a DNAME above the challenge name makes its CNAME (RFC 6672).
    async fn dname(&self) -> Option<Finding> {
        let hop = self.walk.hops.first()?;
        let answer = self
            .examiner
            .dns
            .ask(&hop.name, RecordType::CNAME)
            .await
            .ok()?;
        let owner = answer.dname()?;
        Some(self.warning(
            FindingKind::Dname,
            &hop.name,
            format!("its CNAME is made from a DNAME at {owner}, which renames all names below"),
            "see that whoever keeps that DNAME knows of this use; a CNAME of its own cannot stand \
             below it",
        ))
    }

    /// Whether the CNAME leads into nobody's zone, or somebody else's.
    fn dangling(&self, alias: Option<&ZoneState>, findings: &[Finding]) -> Option<Finding> {
        let outside = |finding: &Finding| finding.kind == FindingKind::OutsideAliasZones;
        if self.walk.hops.is_empty() || !findings.iter().any(outside) {
            return None;
        }
        let last = self.walk.last();
        // A zone of one label is a registry's: the domain below it is nobody's.
        let owned = alias.filter(|alias| alias.zone.labels().count() > 1);
        let (answer, remedy) = match owned {
            None => (
                "nobody has this domain: whoever registers it can obtain certificates".to_owned(),
                "remove the CNAME at once, or register the domain",
            ),
            Some(alias) => (
                format!(
                    "whoever writes in the zone {} can obtain certificates for these names",
                    alias.zone
                ),
                "remove the CNAME if that is not you",
            ),
        };
        Some(self.error(FindingKind::Dangling, last, answer, remedy))
    }

    /// Whether CAA records let the authority issue for these names.
    async fn caa(&self) -> Vec<Finding> {
        let Some(issuance) = &self.examiner.issuance else {
            return Vec::new();
        };
        let mut findings = Vec::new();
        for identifier in self.question.identifiers {
            let verdict = caa::verdict(&self.examiner.dns, identifier, issuance).await;
            if let Err(refusal) = verdict {
                findings.push(Finding {
                    domains: vec![identifier.clone()],
                    ..self.error(
                        FindingKind::Caa,
                        &refusal.name,
                        refusal.answer,
                        refusal.remedy,
                    )
                });
            }
        }
        findings
    }

    fn error(
        &self,
        kind: FindingKind,
        name: &DnsName,
        answer: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding {
            severity: Severity::Error,
            kind,
            domains: self.question.identifiers.to_vec(),
            name: name.clone(),
            server: None,
            answer: answer.into(),
            remedy: remedy.into(),
            record: None,
        }
    }

    fn warning(
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
