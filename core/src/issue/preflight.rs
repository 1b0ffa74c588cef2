//! The pre-flight: before the CA is asked for anything, it finds out where every challenge name leads, and
//! whether the alias zones can be changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::{Either, ready, select};
use tokio::sync::mpsc;

use super::aliases::Aliases;
use super::error::IssueError;
use super::request::CertificateRequest;
use crate::delegation::{
    CaaIdentity, CnameChain, DelegationCheck, DelegationChecker, DelegationReport, End,
    Expectation, Finding, ForeignValues,
};
use crate::name::{DnsName, Identifier};
use crate::txt::TxtRecord;
use crate::zone::{Existing, ZoneFailure, Zones};

/// What a certificate's delegations amount to.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where each challenge name leads.
    pub aliases: Aliases,
    /// How it leads there; empty if the pre-flight was skipped.
    pub chains: Vec<CnameChain>,
    /// Findings that do not prevent the certificate.
    pub warnings: Vec<Finding>,
    /// What is at the alias names.
    pub existing: Arc<Existing>,
}

impl Plan {
    /// The same for a request without some of the names.
    pub(crate) fn only_for(&self, request: &CertificateRequest) -> Self {
        let names = request.names.iter();
        let names: BTreeSet<_> = names.map(|one| one.identifier.challenge_name()).collect();
        let is_wanted = |domain: &Identifier| names.contains(domain.challenge_name());
        let mut plan = self.clone();
        plan.aliases.retain(|name| names.contains(name));
        plan.chains
            .retain(|chain| names.contains(&chain.challenge_name));
        plan.warnings
            .retain(|Finding { domains, .. }| domains.is_empty() || domains.iter().any(is_wanted));
        plan
    }
}

/// The delegations that are in order. They are not followed once more when other names are left out: a server may
/// answer something else each time.
#[derive(Debug, Default)]
pub struct CheckedDelegations(BTreeMap<DnsName, DelegationReport>);

/// The identifiers that share a challenge name, and the alias name wanted for them.
struct Challenge {
    name: DnsName,
    first: Identifier,
    identifiers: Vec<Identifier>,
    wanted: Option<DnsName>,
}

impl Challenge {
    /// What has to be true of its delegation.
    fn check<'a>(
        &'a self,
        zones: &'a Zones,
        identity: Option<&'a CaaIdentity>,
    ) -> DelegationCheck<'a> {
        DelegationCheck {
            challenge_name: &self.name,
            expectation: Expectation {
                identifiers: &self.identifiers,
                alias_name: self.wanted.as_ref(),
                alias_zones: zones.alias_zones.apexes(),
                any_zone: zones.fallback.is_some(),
            },
            certificate: None,
            caa: identity,
            own_values: None,
        }
    }
}

impl CheckedDelegations {
    fn keep(&mut self, reports: Vec<DelegationReport>) {
        let by_name = |report: DelegationReport| (report.chain.challenge_name.clone(), report);
        self.0.extend(reports.into_iter().map(by_name));
    }

    /// The reports of all challenge names, with these new ones, unless one of them has an error.
    fn all(
        &mut self,
        challenges: &[Challenge],
        new: Vec<DelegationReport>,
    ) -> Result<Vec<DelegationReport>, IssueError> {
        self.keep(new);
        let mut all = std::mem::take(&mut self.0);
        if all.values().any(DelegationReport::has_errors) {
            let reports = challenges.iter().filter_map(|one| all.get(&one.name));
            let findings = reports.flat_map(|report| report.findings.clone());
            let error = IssueError::Delegation(Finding::merged(findings));
            all.retain(|_, report| !report.has_errors());
            self.0 = all;
            return Err(error);
        }
        let in_order = challenges.iter().filter_map(|one| all.remove(&one.name));
        Ok(in_order.collect())
    }
}

/// Checks every delegation of the request that was not seen before, as `check` does, and reports all findings together.
/// Then looks whether the alias zones can be changed.
pub(super) async fn plan(
    checker: &DelegationChecker,
    identity: Option<&CaaIdentity>,
    zones: &Zones,
    request: &CertificateRequest,
    seen: &mut CheckedDelegations,
) -> Result<Plan, IssueError> {
    let challenges = by_challenge_name(request)?;
    if request.skip_preflight {
        return as_configured(zones, challenges).await;
    }
    let (known, new): (Vec<_>, Vec<_>) = challenges
        .iter()
        .partition(|challenge| seen.0.contains_key(&challenge.name));
    let checks = new.iter().map(|challenge| challenge.check(zones, identity));
    let checks: Vec<_> = checks.collect();
    let (found, mut ends) = mpsc::unbounded_channel();
    let told = move |alias: Option<&DnsName>| {
        // Nobody listens if the checks have ended.
        let _ = found.send(alias.cloned());
    };
    // Read as soon as it is known where all CNAMEs lead, while the zones are checked.
    let known = known.iter().filter_map(|one| seen.0.get(&one.name));
    let known = known.map(|report| report.chain.last().clone());
    let mut names: BTreeSet<_> = known.collect();
    let read = async {
        for _ in &checks {
            names.extend(ends.recv().await.flatten());
        }
        let names: Vec<_> = names.into_iter().collect();
        let existing = zones.existing_at_one_name_of_each_zone(&names).await;
        (names, existing)
    };
    let (reports, read) = match select(
        Box::pin(checker.check_all_and_tell(&checks, &told)),
        Box::pin(read),
    )
    .await
    {
        Either::Left((reports, read)) => (reports, Either::Left(read)),
        Either::Right((read, reports)) => (reports.await, Either::Right(ready(read))),
    };
    let reports = seen.all(&challenges, reports)?;
    let ends = reports.iter().map(|DelegationReport { chain, .. }| chain);
    let ends = ends.map(|chain| (chain.challenge_name.clone(), chain.last().clone()));
    let aliases: Aliases = ends.collect();
    let existing = match existing(zones, &aliases, &reports, read.await).await {
        Ok(existing) => existing,
        Err(failure) => {
            seen.keep(reports);
            return Err(IssueError::in_zone(&aliases, failure));
        }
    };
    let (chains, findings): (Vec<_>, Vec<_>) = reports
        .into_iter()
        .map(|report| (report.chain, report.findings))
        .unzip();
    let mut findings = Finding::merged(findings.into_iter().flatten());
    findings.extend(foreign_values(&existing, &aliases, &challenges));
    Ok(Plan {
        aliases,
        chains,
        warnings: findings,
        existing: Arc::new(existing),
    })
}

/// What is at the alias names. `read` is what was found at other names, or the same, while the zones were checked.
async fn existing(
    zones: &Zones,
    aliases: &Aliases,
    reports: &[DelegationReport],
    read: (Vec<DnsName>, Result<Existing, ZoneFailure>),
) -> Result<Existing, ZoneFailure> {
    let names = aliases.names();
    let mut existing = match read {
        (read, existing) if read == names => existing?,
        // A CNAME of an alias name led to another one.
        _ => zones.existing_at_one_name_of_each_zone(&names).await?,
    };
    let chains = reports.iter().map(|report| &report.chain);
    let rest = names_with_values(chains, &existing);
    if !rest.is_empty() {
        existing.extend(zones.existing(&rest).await?);
    }
    Ok(existing)
}

/// The alias names at which servers have TXT records, without those that the backends were asked about.
fn names_with_values<'a>(
    chains: impl Iterator<Item = &'a CnameChain>,
    asked: &Existing,
) -> Vec<DnsName> {
    let has_values =
        |chain: &&CnameChain| matches!(&chain.end, End::At { txt, .. } if !txt.is_empty());
    let names = chains.filter(has_values).map(CnameChain::last);
    let names = names.filter(|name| !asked.sets.contains_key(*name));
    let names: BTreeSet<_> = names.cloned().collect();
    names.into_iter().collect()
}

async fn as_configured(zones: &Zones, challenges: Vec<Challenge>) -> Result<Plan, IssueError> {
    let mut aliases = BTreeMap::new();
    for challenge in &challenges {
        let Some(alias) = &challenge.wanted else {
            let domain = challenge.first.clone();
            return Err(IssueError::AliasNeeded { domain });
        };
        aliases.insert(challenge.name.clone(), alias.clone());
    }
    let aliases: Aliases = aliases.into_iter().collect();
    let existing = zones.existing(&aliases.names()).await;
    let existing = existing.map_err(|failure| IssueError::in_zone(&aliases, failure))?;
    Ok(Plan {
        warnings: foreign_values(&existing, &aliases, &challenges),
        aliases,
        chains: Vec::new(),
        existing: Arc::new(existing),
    })
}

/// The values at the alias names that are not ours.
fn foreign_values(
    existing: &Existing,
    aliases: &Aliases,
    challenges: &[Challenge],
) -> Vec<Finding> {
    let mut by_name: BTreeMap<&DnsName, ForeignValues> = BTreeMap::new();
    for TxtRecord { name, value } in &existing.foreign {
        by_name.entry(name).or_default().add(value.as_str());
    }
    let findings = by_name.into_iter().flat_map(|(name, values)| {
        let leads_there = |challenge: &&Challenge| aliases.of(&challenge.name) == Some(name);
        let concerned = challenges.iter().filter(leads_there);
        let identifiers = concerned.flat_map(|challenge| challenge.identifiers.clone());
        values.findings(&identifiers.collect::<Vec<_>>(), name)
    });
    findings.collect()
}

/// `x` and `*.x` share a challenge name, hence a CNAME, hence an alias name.
fn by_challenge_name(request: &CertificateRequest) -> Result<Vec<Challenge>, IssueError> {
    let mut all: Vec<Challenge> = Vec::new();
    for name in &request.names {
        let challenge_name = name.identifier.challenge_name();
        match all
            .iter_mut()
            .find(|challenge| challenge.name == *challenge_name)
        {
            Some(challenge) if challenge.wanted == name.alias => {
                challenge.identifiers.push(name.identifier.clone());
            }
            Some(challenge) => {
                return Err(IssueError::Conflict {
                    first: challenge.first.clone(),
                    second: name.identifier.clone(),
                });
            }
            None => all.push(Challenge {
                name: challenge_name.clone(),
                first: name.identifier.clone(),
                identifiers: vec![name.identifier.clone()],
                wanted: name.alias.clone(),
            }),
        }
    }
    Ok(all)
}
