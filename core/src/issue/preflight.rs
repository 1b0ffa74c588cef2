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
    Expectation, Finding,
};
use crate::name::{DnsName, Identifier};
use crate::txt::TxtRecord;
use crate::zone::{Existing, Zones};

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

/// Checks every delegation of the request, as `check` does, and reports all findings together. Then
/// looks whether the alias zones can be changed.
pub(super) async fn plan(
    checker: &DelegationChecker,
    identity: Option<&CaaIdentity>,
    zones: &Zones,
    request: &CertificateRequest,
) -> Result<Plan, IssueError> {
    let challenges = by_challenge_name(request)?;
    if request.skip_preflight {
        return as_configured(zones, challenges).await;
    }
    let checks = challenges
        .iter()
        .map(|challenge| challenge.check(zones, identity));
    let checks: Vec<_> = checks.collect();
    let (found, mut ends) = mpsc::unbounded_channel();
    let told = move |alias: Option<&DnsName>| {
        // Nobody listens if the checks have ended.
        let _ = found.send(alias.cloned());
    };
    // Read as soon as it is known where all CNAMEs lead, while the zones are checked.
    let read = async {
        let mut names = BTreeSet::new();
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
    let has_errors = reports.iter().any(DelegationReport::has_errors);
    let (chains, findings): (Vec<_>, Vec<_>) = reports
        .into_iter()
        .map(|report| (report.chain, report.findings))
        .unzip();
    let mut findings = Finding::merged(findings.into_iter().flatten());
    if has_errors {
        return Err(IssueError::Delegation(findings));
    }
    let ends = chains.iter();
    let ends = ends.map(|chain| (chain.challenge_name.clone(), chain.last().clone()));
    let aliases: Aliases = ends.collect();
    let names = aliases.names();
    let mut existing = match read.await {
        (read, existing) if read == names => existing?,
        // A CNAME of an alias name led to another one.
        _ => zones.existing_at_one_name_of_each_zone(&names).await?,
    };
    let rest = names_with_values(&chains, &existing);
    if !rest.is_empty() {
        existing.extend(zones.existing(&rest).await?);
    }
    findings.extend(foreign_values(&existing, &aliases, &challenges));
    Ok(Plan {
        aliases,
        chains,
        warnings: findings,
        existing: Arc::new(existing),
    })
}

/// The alias names at which servers have TXT records, without those that the backends were asked about.
fn names_with_values(chains: &[CnameChain], asked: &Existing) -> Vec<DnsName> {
    let has_values =
        |chain: &&CnameChain| matches!(&chain.end, End::At { txt, .. } if !txt.is_empty());
    let names = chains.iter().filter(has_values).map(CnameChain::last);
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
    let existing = zones.existing(&aliases.names()).await?;
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
    let mut by_name: BTreeMap<&DnsName, Vec<&str>> = BTreeMap::new();
    for TxtRecord { name, value } in &existing.foreign {
        by_name.entry(name).or_default().push(value.as_str());
    }
    let findings = by_name.into_iter().flat_map(|(name, values)| {
        let leads_there = |challenge: &&Challenge| aliases.of(&challenge.name) == Some(name);
        let concerned = challenges.iter().filter(leads_there);
        let identifiers = concerned.flat_map(|challenge| challenge.identifiers.clone());
        Finding::foreign_values(&identifiers.collect::<Vec<_>>(), name, &values)
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
