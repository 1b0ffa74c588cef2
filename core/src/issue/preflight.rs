//! Before the CA is asked for anything: where does every challenge name lead, and is whoever writes
//! there within reach?

use std::collections::{BTreeMap, BTreeSet};

use rand::Rng;

use super::{CertificateRequest, IssueError};
use crate::acme::{AcmeError, Challenge};
use crate::delegation::{
    Asked, CnameChain, DelegationChecker, DelegationReport, Finding, Question,
};
use crate::name::{DnsName, Identifier};
use crate::txt::TxtRecord;
use crate::zone::AliasZones;

/// What a certificate's delegations amount to.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where each challenge name leads.
    pub aliases: Aliases,
    /// How it leads there; empty where the pre-flight was skipped.
    pub walks: Vec<CnameChain>,
    /// Findings that do not stand in the way.
    pub warnings: Vec<Finding>,
}

/// The alias name of each challenge name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aliases(BTreeMap<DnsName, DnsName>);

impl Aliases {
    /// The challenge names with their alias names.
    pub fn iter(&self) -> impl Iterator<Item = (&DnsName, &DnsName)> {
        self.0.iter()
    }

    /// The alias names, each once.
    fn names(&self) -> Vec<DnsName> {
        let names: BTreeSet<_> = self.0.values().cloned().collect();
        names.into_iter().collect()
    }

    /// The TXT records that answer `challenges`.
    pub(super) fn records(&self, challenges: Vec<Challenge>) -> Result<Vec<TxtRecord>, AcmeError> {
        let record = |challenge: Challenge| match self.0.get(&challenge.challenge_name) {
            Some(alias) => Ok(TxtRecord {
                name: alias.clone(),
                value: challenge.value,
            }),
            None => Err(AcmeError::ForeignAuthorization(
                challenge.challenge_name.to_string(),
            )),
        };
        challenges.into_iter().map(record).collect()
    }

    /// One record at each alias name that shows that it can be written, and no CA would take.
    pub(super) fn probes(&self) -> Result<Vec<TxtRecord>, AcmeError> {
        let probe = |name: DnsName| {
            let value = format!("acme-alias-probe-{:016x}", rand::rng().next_u64());
            let value = value.parse().map_err(|error| AcmeError::NotAcme {
                what: "the probe",
                cause: format!("{error}"),
            })?;
            Ok(TxtRecord { name, value })
        };
        self.names().into_iter().map(probe).collect()
    }
}

/// The identifiers that share a challenge name, and the alias name wanted for them.
struct Shared {
    challenge_name: DnsName,
    first: Identifier,
    identifiers: Vec<Identifier>,
    wanted: Option<DnsName>,
}

/// Examines every delegation of the request, as `check` does, all findings being reported together; then
/// looks whether the alias zones can be worked on.
pub(super) async fn plan(
    examiner: &DelegationChecker,
    zones: &AliasZones,
    request: &CertificateRequest,
) -> Result<Plan, IssueError> {
    let shared = by_challenge_name(request)?;
    if request.skip_preflight {
        return as_configured(zones, shared).await;
    }
    let alias_zones = zones.names();
    let asked = shared.iter().map(|shared| {
        let question = Question {
            identifiers: &shared.identifiers,
            wanted: shared.wanted.as_ref(),
            alias_zones: &alias_zones,
            any_zone: zones.has_fallback(),
        };
        Asked {
            challenge_name: &shared.challenge_name,
            question,
            certificate: None,
        }
    });
    let asked: Vec<_> = asked.collect();
    let examinations = examiner.examine_all(&asked).await;
    let has_errors = examinations.iter().any(DelegationReport::has_errors);
    let (walks, findings): (Vec<_>, Vec<_>) = examinations
        .into_iter()
        .map(|examination| (examination.walk, examination.findings))
        .unzip();
    let mut findings = Finding::merged(findings.into_iter().flatten());
    if has_errors {
        return Err(IssueError::Delegation(findings));
    }
    let ends = walks
        .iter()
        .map(|walk| (walk.challenge_name.clone(), walk.last().clone()));
    let aliases = Aliases(ends.collect());
    findings.extend(foreign_values(zones, &aliases, &shared).await?);
    Ok(Plan {
        aliases,
        walks,
        warnings: findings,
    })
}

async fn as_configured(zones: &AliasZones, shared: Vec<Shared>) -> Result<Plan, IssueError> {
    let mut aliases = BTreeMap::new();
    for Shared {
        challenge_name,
        first,
        wanted,
        ..
    } in &shared
    {
        let Some(alias) = wanted else {
            let domain = first.clone();
            return Err(IssueError::AliasNeeded { domain });
        };
        aliases.insert(challenge_name.clone(), alias.clone());
    }
    let aliases = Aliases(aliases);
    Ok(Plan {
        warnings: foreign_values(zones, &aliases, &shared).await?,
        aliases,
        walks: Vec::new(),
    })
}

/// Looks whether the alias zones can be worked on, and what is there that is not ours.
async fn foreign_values(
    zones: &AliasZones,
    aliases: &Aliases,
    shared: &[Shared],
) -> Result<Vec<Finding>, IssueError> {
    let foreign = zones.check(&aliases.names()).await?;
    let finding = |TxtRecord { name, value }: TxtRecord| {
        let leads_there = |shared: &&Shared| aliases.0.get(&shared.challenge_name) == Some(&name);
        let concerned = shared.iter().filter(leads_there);
        let identifiers = concerned.flat_map(|shared| shared.identifiers.clone());
        Finding::foreign_value(identifiers.collect(), &name, value.as_str())
    };
    Ok(foreign.into_iter().map(finding).collect())
}

/// `x` and `*.x` share a challenge name, hence a CNAME, hence an alias name.
fn by_challenge_name(request: &CertificateRequest) -> Result<Vec<Shared>, IssueError> {
    let mut all: Vec<Shared> = Vec::new();
    for name in &request.names {
        let challenge_name = name.identifier.challenge_name();
        match all
            .iter_mut()
            .find(|shared| shared.challenge_name == *challenge_name)
        {
            Some(shared) if shared.wanted == name.alias => {
                shared.identifiers.push(name.identifier.clone());
            }
            Some(shared) => {
                return Err(IssueError::Conflict {
                    first: shared.first.clone(),
                    second: name.identifier.clone(),
                });
            }
            None => all.push(Shared {
                challenge_name: challenge_name.clone(),
                first: name.identifier.clone(),
                identifiers: vec![name.identifier.clone()],
                wanted: name.alias.clone(),
            }),
        }
    }
    Ok(all)
}
