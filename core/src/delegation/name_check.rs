//! The check of one challenge name: its CNAMEs, and then every zone on the way, the signatures, who may issue
//! (CAA), and what exists at the alias name. Nothing is written, and no CA is asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{OptionFuture, join, join_all, join3};
use tokio::sync::oneshot;

use super::agreement::{KnownAnswer, agreement};
use super::chain::{CnameChain, End};
use super::chain_findings::chain_findings;
use super::expectation::DelegationCheck;
use super::finding::{Finding, FindingKind};
use super::limit_findings::unfinished;
use super::report::{DelegationReport, has_alias, sort};
use super::walk::{Walk, Walked};
use super::zone_file_mistakes::near_miss;
use super::zone_report::ZoneReport;
use super::zone_reports::ZoneReports;
use super::{alias_findings, caa, dnssec_findings};
use crate::dns::{DnsError, NameLimits, Spent, ZoneCut, uncharged, while_running};
use crate::name::DnsName;

/// Receives the alias name once, as soon as it is known; `None` if the CNAME leads to none.
pub(super) type Told<'a> = &'a (dyn Fn(Option<&DnsName>) + Sync);

/// Checks one challenge name within its limits. It always ends, and keeps what was found until then.
///
/// What is asked about zones is the same for all names and takes longest. So it is asked at once for the zones
/// that are probably on the way, while the CNAMEs are followed.
pub(super) async fn check(
    zones: &ZoneReports,
    check: &DelegationCheck<'_>,
    limits: &NameLimits,
    told: Told<'_>,
) -> DelegationReport {
    let (ahead, target) = oneshot::channel();
    let probable = join3(
        async {
            let above = parent_or_self(check.challenge_name);
            if let Some(zone) = zones.dns.probable_zone(&above).await {
                prefetch(zones, &zone).await;
            }
        },
        async {
            if let Some(zone) = check.expectation.probable_alias_zone() {
                uncharged(prefetch(zones, &zone)).await;
            }
        },
        async {
            if let Ok(zone) = target.await {
                uncharged(prefetch(zones, &zone)).await;
            }
        },
    );
    let (mut report, caa) = while_running(
        join(
            // In boxes, so that the future is not as large as all of its parts.
            Box::pin(follow_and_check(zones, check, limits, ahead, told)),
            Box::pin(caa(zones, check, limits)),
        ),
        probable.map(|_| ()),
    )
    .await;
    report.findings.extend(caa);
    sort(&mut report.findings);
    report
}

/// Asks what every check of a name in the zone at `apex` asks about the zone, so that it is known by then.
async fn prefetch(zones: &ZoneReports, apex: &DnsName) {
    join(
        zones.get(apex),
        zones.dns.confirmed_apex(Some(apex.clone())),
    )
    .await;
}

/// Whether the CA may issue.
async fn caa(
    zones: &ZoneReports,
    check: &DelegationCheck<'_>,
    limits: &NameLimits,
) -> Vec<Finding> {
    match limits.run(caa::findings(&zones.dns, check)).await {
        Ok(findings) => findings,
        Err(spent) => vec![unfinished(check, spent, "look up the CAA records")],
    }
}

async fn follow_and_check(
    zones: &ZoneReports,
    check: &DelegationCheck<'_>,
    limits: &NameLimits,
    ahead: oneshot::Sender<DnsName>,
    told: Told<'_>,
) -> DelegationReport {
    let dns = &*zones.dns;
    let name = check.challenge_name;
    let walk = Walk::begin(dns, limits, name, check.own_values).await;
    let (probe, end_zone) = (walk.first_probe(), walk.end_zone().cloned());
    let alias_zone = check.expectation.alias_zone_of(walk.last());
    let is_told = alias_zone.is_some();
    if let Some(zone) = alias_zone {
        told(Some(walk.last()));
        // Nobody listens if the checks have ended.
        let _ = ahead.send(zone);
    }
    // The source zone is looked up while the walk goes on.
    let source = async {
        let found = probe.run(dns).await;
        let zone = found.zone.clone().or(end_zone);
        let zone = zone.filter(|zone| zone != name);
        let source = LocatedName::find(zones, name, parent_or_self(name), zone);
        (found, limits.run(source).await)
    };
    let (mut walked, (found, source)) = join(walk.finish(), source).await;
    walked.set_first(found);
    let mut findings = chain_findings(&walked.chain, &check.expectation);
    let has_alias = has_alias(&walked.chain, &findings);
    if !is_told {
        told(Some(walked.chain.last()).filter(|_| has_alias));
    }
    let rest = NameCheck {
        zones,
        check,
        walked: &walked,
        has_alias,
        is_missing: findings
            .iter()
            .any(|finding| finding.kind == FindingKind::MissingCname),
    };
    let rest = match source {
        Ok(source) => limits.run(rest.zones(source)).await,
        Err(spent) => Err(spent),
    };
    let rest = rest.unwrap_or_else(|spent| incomplete(check, &walked.chain, spent));
    if let Some(near_miss) = rest.near_miss {
        let missing = findings.iter_mut();
        for finding in missing.filter(|finding| finding.kind == FindingKind::MissingCname) {
            let there = near_miss.fqdn();
            finding.answer += &format!("; there is one at {there}, which may be misspelt");
        }
    }
    findings.extend(rest.findings);
    DelegationReport {
        chain: walked.chain,
        source: rest.source,
        between: rest.between,
        alias: rest.alias,
        findings,
    }
}

/// Where to look for the zone that holds a CNAME: no apex has one (RFC 1912 §2.4).
fn parent_or_self(name: &DnsName) -> DnsName {
    name.parent().unwrap_or_else(|| name.clone())
}

/// The zones on the way, and what was found beside the chain itself.
#[derive(Default)]
struct ZoneChecks {
    source: Option<Arc<ZoneReport>>,
    between: Vec<Arc<ZoneReport>>,
    alias: Option<Arc<ZoneReport>>,
    findings: Vec<Finding>,
    /// Where a CNAME is that was probably meant for this name.
    near_miss: Option<DnsName>,
}

/// The result if a limit was reached before the zones were checked.
fn incomplete(check: &DelegationCheck<'_>, chain: &CnameChain, spent: Spent) -> ZoneChecks {
    if matches!(chain.end, End::Unanswered(_)) {
        return ZoneChecks::default();
    }
    ZoneChecks {
        findings: vec![unfinished(check, spent, "check the zones of the CNAMEs")],
        ..ZoneChecks::default()
    }
}

/// A name on the way that a server answered about, and the zone that holds it.
struct LocatedName {
    name: DnsName,
    /// The name from which the zone was looked up.
    from: DnsName,
    cut: Result<ZoneCut, DnsError>,
    zone: Option<Arc<ZoneReport>>,
}

impl LocatedName {
    /// `zone` is the one that an answer about the name has named already.
    async fn find(
        zones: &ZoneReports,
        name: &DnsName,
        from: DnsName,
        zone: Option<DnsName>,
    ) -> Self {
        let cut = match zones.dns.confirmed_apex(zone).await {
            Some(apex) => Ok(ZoneCut {
                apex,
                without_soa: None,
            }),
            None => zones.dns.cut(&from).await,
        };
        let zone = match &cut {
            Ok(cut) => Some(zones.get(&cut.apex).await),
            Err(_) => None,
        };
        LocatedName {
            name: name.clone(),
            from,
            cut,
            zone,
        }
    }

    fn apex(&self) -> Option<&DnsName> {
        self.zone.as_ref().map(|zone| &zone.zone)
    }
}

/// The check of everything but the chain itself.
struct NameCheck<'a> {
    zones: &'a ZoneReports,
    check: &'a DelegationCheck<'a>,
    walked: &'a Walked,
    /// Whether the chain ends at an alias name.
    has_alias: bool,
    /// Whether the CNAME is missing.
    is_missing: bool,
}

impl NameCheck<'_> {
    /// Checks the zones on the way.
    async fn zones(&self, source: LocatedName) -> ZoneChecks {
        let (between, alias, near_miss) = join3(
            join_all(self.between()),
            self.alias(),
            self.near_miss(source.apex()),
        )
        .await;
        let mut names: Vec<_> = std::iter::once(&source).chain(&between).collect();
        // A challenge name that is its own alias name counts once, in the zone that holds it.
        match &alias {
            Some(alias) if self.walked.chain.hops.is_empty() => names = vec![alias],
            alias => names.extend(alias),
        }
        let mut reports: BTreeMap<&DnsName, &Arc<ZoneReport>> = BTreeMap::new();
        let on_the_way = std::iter::once(&source).chain(names.iter().copied());
        for report in on_the_way.filter_map(|name| name.zone.as_ref()) {
            reports.insert(&report.zone, report);
        }
        let expectation = &self.check.expectation;
        let mut findings = self.without_soa(std::iter::once(&source).chain(&between).chain(&alias));
        let zone_findings = reports.values().map(|report| report.findings(expectation));
        findings.extend(zone_findings.flatten());
        findings.extend(self.records(&names, &reports).await);
        findings.extend(self.alias_findings(alias.as_ref()));
        findings.extend(self.negative_ttl(&source, alias.as_ref()));

        let ends = [source.apex(), alias.as_ref().and_then(LocatedName::apex)];
        let between = reports.iter();
        let between = between.filter(|(apex, _)| !ends.contains(&Some(**apex)));
        ZoneChecks {
            between: between.map(|(_, report)| Arc::clone(report)).collect(),
            source: source.zone.clone(),
            alias: alias.as_ref().and_then(|alias| alias.zone.clone()),
            findings,
            near_miss,
        }
    }

    async fn near_miss(&self, zone: Option<&DnsName>) -> Option<DnsName> {
        let name = self.check.challenge_name;
        let is_bare = self.is_missing && self.walked.chain.hops.is_empty();
        let near_miss = near_miss(&self.zones.dns, name, zone);
        OptionFuture::from(is_bare.then_some(near_miss)).await?
    }

    /// The names of the second and later CNAMEs.
    fn between(&self) -> Vec<impl Future<Output = LocatedName>> {
        let hops = self.walked.chain.hops.iter().zip(&self.walked.hop_zones);
        let located = hops.skip(1).map(|(hop, zone)| {
            let from = parent_or_self(&hop.name);
            LocatedName::find(self.zones, &hop.name, from, zone.clone())
        });
        located.collect()
    }

    async fn alias(&self) -> Option<LocatedName> {
        let last = self.walked.chain.last();
        let zone = self.walked.chain.end.zone().cloned();
        let located = LocatedName::find(self.zones, last, last.clone(), zone);
        OptionFuture::from(self.has_alias.then_some(located)).await
    }

    /// Zones that do not have the SOA record that every zone has.
    fn without_soa<'a>(&self, names: impl Iterator<Item = &'a LocatedName>) -> Vec<Finding> {
        if matches!(self.walked.chain.end, End::Unanswered(_)) {
            return Vec::new();
        }
        let findings = names.filter_map(|name| {
            let answer = match &name.cut {
                Ok(cut) => {
                    let server = cut.without_soa?;
                    format!("{server} reports that there are no such records, without an SOA record")
                }
                Err(error) => format!("its zone was not found: {error}"),
            };
            Some(self.check.expectation.warning(
                FindingKind::NoSoa,
                &name.from,
                answer,
                "check that the zone has an SOA record, and that its servers return it: resolvers may \
                 refuse answers without it",
            ))
        });
        findings.collect()
    }

    /// Whether all servers agree on the CNAMEs, and whether their signatures are valid.
    async fn records(
        &self,
        names: &[&LocatedName],
        reports: &BTreeMap<&DnsName, &Arc<ZoneReport>>,
    ) -> Vec<Finding> {
        let (dns, expectation) = (&*self.zones.dns, &self.check.expectation);
        let known = self.known_answers();
        let agreements = names.iter().enumerate().map(|(position, located)| {
            let known = known.get(position);
            let is_alias = self.has_alias && located.name == *self.walked.chain.last();
            async move {
                let zone = located.zone.as_deref()?;
                // Every server is asked about the alias name again before the CA is.
                if is_alias && zone.has_one_version() {
                    return None;
                }
                agreement(dns, expectation, zone, &located.name, known).await
            }
        });
        let hops = self.walked.chain.hops.iter().zip(names);
        let hops = hops.map(|(hop, located)| (hop, located.zone.as_deref()));
        let zones = reports.values().map(|report| &***report);
        let signatures = dnssec_findings::findings(&self.zones.validator, expectation, zones, hops);
        let (agreements, signatures) = join(join_all(agreements), signatures).await;
        agreements.into_iter().flatten().chain(signatures).collect()
    }

    /// What the servers that the walk asked returned, in the order of the names.
    fn known_answers(&self) -> Vec<KnownAnswer> {
        let hops = self.walked.chain.hops.iter().map(|hop| KnownAnswer {
            server: hop.server.clone(),
            target: Some(hop.target.clone()),
        });
        let end = match &self.walked.chain.end {
            End::At { server, .. } => Some(KnownAnswer {
                server: server.clone(),
                target: None,
            }),
            _ => None,
        };
        hops.chain(end).collect()
    }

    /// What is wrong with the alias name.
    fn alias_findings(&self, alias: Option<&LocatedName>) -> Vec<Finding> {
        let (expectation, chain) = (&self.check.expectation, &self.walked.chain);
        let apex = alias.and_then(LocatedName::apex);
        let cut = apex.and_then(|apex| alias_findings::cut(expectation, chain.last(), apex));
        let dangling = alias_findings::dangling(expectation, chain, apex);
        let mut findings: Vec<_> = cut.into_iter().chain(dangling).collect();
        if alias.is_some() && self.check.own_values.is_some() {
            findings.extend(alias_findings::values(expectation, chain));
        }
        findings
    }

    /// Whether a record that is to be added may be cached as missing.
    fn negative_ttl(&self, source: &LocatedName, alias: Option<&LocatedName>) -> Option<Finding> {
        if alias.is_none() && !self.is_missing {
            return None;
        }
        let zone = alias.unwrap_or(source).zone.as_ref()?;
        zone.negative_ttl_finding(&self.check.expectation)
    }
}
