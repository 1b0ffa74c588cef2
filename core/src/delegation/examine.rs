//! A delegation looked at from all sides: the walk and its verdicts, and beyond them every zone on the way with
//! its servers, the signatures, who may issue (CAA), and what stands at the alias name. Nothing is written, and
//! no CA is asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{join, join_all};
use futures_util::{StreamExt, stream};
use hickory_proto::rr::RecordType;
use tokio::sync::OnceCell;

use super::caa::{self, CaaIdentity};
use super::zone_state::{ZoneReport, ZoneState};
use super::{CnameChain, End, Finding, FindingKind, Question, Severity, alias, judge};
use crate::dns::{Cut, Dns, DnsError};
use crate::dnssec::{Security, Validator};
use crate::name::DnsName;
use crate::txt::TxtValue;

/// Challenge names that are looked at at a time.
const AT_ONCE: usize = 64;

/// Looks at delegations. What concerns a zone is asked once, however many names lead there.
#[derive(Debug)]
pub struct DelegationChecker {
    dns: Arc<Dns>,
    validator: Validator,
    /// As whom CAA records must let the authority issue; nothing is said of them where it is not known.
    issuance: Option<CaaIdentity>,
    /// The values of runs that are under way, or were killed. Where they are not known, nothing is said of
    /// whose the values at the alias name are.
    ours: Option<Vec<(DnsName, TxtValue)>>,
    zones: Mutex<BTreeMap<DnsName, Arc<OnceCell<Arc<ZoneReport>>>>>,
}

/// One challenge name of many that are looked at together.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// The challenge name.
    pub challenge_name: &'a DnsName,
    /// What was asked for there.
    pub question: Question<'a>,
    /// The certificate that it is for: the values of one certificate are in the zone at the same time. Names
    /// without one are taken to be for one and the same.
    pub certificate: Option<&'a str>,
}

/// Everything that was found about one challenge name.
#[derive(Clone, Debug)]
pub struct DelegationReport {
    /// The way to the alias name.
    pub walk: CnameChain,
    /// The zone that holds the challenge name.
    pub source: Option<ZoneState>,
    /// Other zones that the CNAMEs lead through.
    pub between: Vec<ZoneState>,
    /// The zone that holds the alias name.
    pub alias: Option<ZoneState>,
    /// What is to be said of it all, worst first.
    pub findings: Vec<Finding>,
}

impl DelegationReport {
    /// Whether a challenge would fail.
    pub fn has_errors(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.severity == Severity::Error)
    }

    /// The name at which TXT records would be found; none where there is no way to one.
    pub fn alias_name(&self) -> Option<&DnsName> {
        has_alias(&self.walk, &self.findings).then(|| self.walk.last())
    }

    pub(super) fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
        self.findings
            .sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    }
}

fn has_alias(walk: &CnameChain, findings: &[Finding]) -> bool {
    let is_missing = |finding: &Finding| finding.kind == FindingKind::MissingCname;
    matches!(walk.end, End::At { .. }) && !findings.iter().any(is_missing)
}

impl DelegationChecker {
    /// An examiner that has asked nothing yet.
    pub fn new(dns: Arc<Dns>, issuance: Option<CaaIdentity>) -> Self {
        DelegationChecker {
            validator: Validator::new(Arc::clone(&dns)),
            dns,
            issuance,
            ours: None,
            zones: Mutex::default(),
        }
    }

    /// Tells whose the values are that stand at alias names, too. `ours` may be there by our doing.
    #[must_use]
    pub fn with_values(self, ours: Vec<(DnsName, TxtValue)>) -> Self {
        DelegationChecker {
            ours: Some(ours),
            ..self
        }
    }

    /// Looks at challenge names, many at once, and at what they add up to where they share an alias name.
    pub async fn examine_all(&self, asked: &[Asked<'_>]) -> Vec<DelegationReport> {
        let examinations = stream::iter(asked)
            .map(async |asked| self.examine(asked.challenge_name, &asked.question).await);
        let mut examinations: Vec<_> = examinations.buffered(AT_ONCE).collect().await;
        alias::crowds(asked, &mut examinations);
        examinations
    }

    /// Looks at one challenge name by itself. It always ends, with something to say.
    pub async fn examine(
        &self,
        challenge_name: &DnsName,
        question: &Question<'_>,
    ) -> DelegationReport {
        let follow = CnameChain::follow(&self.dns, challenge_name);
        let above = above(challenge_name);
        let (walk, source_cut) = join(follow, self.dns.cut(&above)).await;
        let look = Look {
            examiner: self,
            question,
            walk: &walk,
        };
        let judged = judge(&walk, question);
        let limit = self.dns.patience();
        let beyond = look.beyond(source_cut, &judged);
        let beyond = tokio::time::timeout(limit, beyond).await;
        let beyond = beyond.unwrap_or_else(|_| look.incomplete(limit));
        let mut findings = judged;
        findings.extend(beyond.findings);
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        DelegationReport {
            walk,
            source: beyond.source,
            between: beyond.between,
            alias: beyond.alias,
            findings,
        }
    }

    /// The zone that begins there; it is looked at once.
    async fn survey(&self, cut: &Result<Cut, DnsError>) -> Option<Arc<ZoneReport>> {
        let apex = cut.as_ref().ok()?.apex.clone();
        let cell = {
            let mut zones = self.zones.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(zones.entry(apex.clone()).or_default())
        };
        let survey = cell.get_or_init(async || {
            let survey = ZoneReport::of(&self.dns, &self.validator, apex).await;
            Arc::new(survey)
        });
        Some(Arc::clone(survey.await))
    }
}

/// Where to look for the zone that holds a CNAME: no apex has one (RFC 1912 §2.4).
fn above(name: &DnsName) -> DnsName {
    name.parent().unwrap_or_else(|| name.clone())
}

/// A name on the way that was answered about, and the zone that holds it.
struct Stop {
    name: DnsName,
    /// Where the zone was looked for.
    from: DnsName,
    cut: Result<Cut, DnsError>,
    zone: Option<Arc<ZoneReport>>,
}

impl Stop {
    fn apex(&self) -> Option<&DnsName> {
        self.zone.as_ref().map(|zone| &zone.state.zone)
    }

    fn state(&self) -> Option<ZoneState> {
        self.zone.as_ref().map(|zone| zone.state.clone())
    }
}

/// What lies beyond the walk.
#[derive(Default)]
struct Beyond {
    source: Option<ZoneState>,
    between: Vec<ZoneState>,
    alias: Option<ZoneState>,
    findings: Vec<Finding>,
}

/// One look, with what it is about.
struct Look<'a> {
    examiner: &'a DelegationChecker,
    question: &'a Question<'a>,
    walk: &'a CnameChain,
}

impl Look<'_> {
    /// Looks at all that is not the walk itself.
    async fn beyond(&self, source_cut: Result<Cut, DnsError>, judged: &[Finding]) -> Beyond {
        let Look {
            examiner,
            question,
            walk,
        } = self;
        let source = &walk.challenge_name;
        let source = self.stop(source, above(source), source_cut).await;
        let between = walk.hops.iter().skip(1).map(async |hop| {
            let from = above(&hop.name);
            let cut = examiner.dns.cut(&from).await;
            self.stop(&hop.name, from, cut).await
        });
        let between = join_all(between).await;
        let alias = if has_alias(walk, judged) {
            let last = walk.last();
            let cut = examiner.dns.cut(last).await;
            Some(self.stop(last, last.clone(), cut).await)
        } else {
            None
        };

        let mut findings = Vec::new();
        if !judged.iter().any(|f| f.kind == FindingKind::Unanswered) {
            let all = std::iter::once(&source).chain(&between).chain(&alias);
            findings.extend(all.filter_map(|stop| self.soa(stop)));
        }
        let mut stops: Vec<_> = std::iter::once(&source).chain(&between).collect();
        // A challenge name that is its own alias name is one stop, in the zone that says so.
        match &alias {
            Some(alias) if walk.hops.is_empty() => stops = vec![alias],
            alias => stops.extend(alias),
        }
        let mut zones: BTreeMap<&DnsName, &Arc<ZoneReport>> = BTreeMap::new();
        let on_the_way = std::iter::once(&source).chain(stops.iter().copied());
        for zone in on_the_way.filter_map(|stop| stop.zone.as_ref()) {
            if zones.insert(&zone.state.zone, zone).is_none() {
                findings.extend(zone.findings(question));
            }
        }
        let agreements = stops.iter().map(async |stop| {
            let zone = stop.zone.as_ref()?;
            zone.agreement(&examiner.dns, question, &stop.name).await
        });
        findings.extend(join_all(agreements).await.into_iter().flatten());
        findings.extend(self.signatures(&stops, zones.values().copied()).await);
        let apex = alias.as_ref().and_then(Stop::apex);
        findings.extend(apex.and_then(|apex| alias::cut(question, walk.last(), apex)));
        findings.extend(alias::dangling(question, walk, apex));
        if let (Some(_), Some(ours)) = (&alias, &examiner.ours) {
            findings.extend(alias::values(question, walk, ours));
        }
        // What is there is not remembered to be missing.
        let forgetful = match &alias {
            Some(alias) => alias.zone.as_ref(),
            None => source.zone.as_ref(),
        };
        let is_missing = |finding: &Finding| finding.kind == FindingKind::MissingCname;
        if alias.is_some() || judged.iter().any(is_missing) {
            findings.extend(forgetful.and_then(|zone| zone.memory(question)));
        }
        findings.extend(self.caa().await);

        let ends = [source.apex(), apex];
        let between = zones
            .iter()
            .filter(|(apex, _)| !ends.contains(&Some(**apex)));
        Beyond {
            between: between.map(|(_, zone)| zone.state.clone()).collect(),
            source: source.state(),
            alias: alias.as_ref().and_then(Stop::state),
            findings,
        }
    }

    async fn stop(&self, name: &DnsName, from: DnsName, cut: Result<Cut, DnsError>) -> Stop {
        Stop {
            name: name.clone(),
            from,
            zone: self.examiner.survey(&cut).await,
            cut,
        }
    }

    /// What is said where there is no time for the rest.
    fn incomplete(&self, limit: std::time::Duration) -> Beyond {
        let finding = self.question.warning(
            FindingKind::Incomplete,
            &self.walk.challenge_name,
            format!(
                "the CNAMEs were followed, and the rest was not to be found out within {limit:?}: servers on \
                 the way are slow or silent"
            ),
            "see that all servers of the zones on the way can be reached from here: a CA may ask any of them",
        );
        Beyond {
            findings: vec![finding],
            ..Beyond::default()
        }
    }

    /// Whether the zone there says of itself that it is one.
    fn soa(&self, stop: &Stop) -> Option<Finding> {
        let answer = match &stop.cut {
            Ok(Cut { silent: None, .. }) => return None,
            Ok(Cut {
                silent: Some(server),
                ..
            }) => format!("{server} denies a record there without an SOA record"),
            Err(error) => format!("no zone is to be found that holds it: {error}"),
        };
        Some(self.question.warning(
            FindingKind::NoSoa,
            &stop.from,
            answer,
            "see that the zone has its SOA record, and that its servers answer with it: resolvers may \
             refuse such an answer",
        ))
    }

    /// Records that a validating resolver, as every CA has one, would refuse.
    async fn signatures(
        &self,
        stops: &[&Stop],
        zones: impl Iterator<Item = &Arc<ZoneReport>>,
    ) -> Vec<Finding> {
        let zones = zones.map(|zone| (zone.state.zone.clone(), zone.state.dnssec.clone()));
        let zones: Vec<_> = zones.collect();
        // What is wrong with a zone is wrong with every name in it.
        let known = |apex: &DnsName| {
            let is_bogus = |verdict: &Security| matches!(verdict, Security::Bogus(_));
            let mut zones = zones.iter();
            zones.any(|(zone, verdict)| zone == apex && is_bogus(verdict))
        };
        let hops = self.walk.hops.iter().zip(stops);
        let hops = hops.filter(|(_, stop)| !stop.apex().is_some_and(known));
        let hops = hops.map(async |(hop, _)| {
            // A CNAME that a DNAME makes has no signature of its own (RFC 6672 §5.3.1).
            let (name, kind) = match &hop.dname {
                Some(owner) => (owner, RecordType::DNAME),
                None => (&hop.name, RecordType::CNAME),
            };
            let verdict = self.examiner.validator.verdict(name, kind).await;
            (name.clone(), verdict)
        });
        let hops = join_all(hops).await;
        let mut findings: Vec<Finding> = Vec::new();
        for (name, verdict) in zones.iter().cloned().chain(hops) {
            let Security::Bogus(reason) = verdict else {
                continue;
            };
            let answer = format!("DNSSEC is broken: {reason}");
            if findings.iter().all(|finding| finding.answer != answer) {
                findings.push(self.question.error(
                    FindingKind::Bogus,
                    &name,
                    answer,
                    "mend it (sign the zone anew, put the right DS record into the zone above, or let its \
                     servers answer for DNSKEY, over TCP as well): no CA accepts such an answer",
                ));
            }
        }
        findings
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
                    ..self.question.error(
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
}
