//! `acme-alias check`: every delegation looked at from all sides.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use acme_alias_core::delegation::{CaaIdentity, DelegationCheck, Expectation, OwnValues};
use acme_alias_core::engine::Environment;
use acme_alias_core::ledger::Ledger;
use acme_alias_core::name::{DnsName, Identifier};
use acme_alias_core::store::CertificateId;
use tokio_util::sync::CancellationToken;

use super::stop::stoppable;
use super::{forwarding, offboard, probe, sharing};
use crate::cli::{CheckArgs, Subject};
use crate::failure::{Failure, Part};
use crate::output::{Checked, CheckedName, Output, Probed, Report};
use crate::settings::{CertificateSettings, Settings};
use crate::setup::Setup;
use crate::setup::authorities::Authorities;

/// How often `--watch` checks again. Nothing tells when a zone changes.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// Challenge names in a part of a check of all delegations.
const PART: usize = 1_000;

pub(crate) async fn run(
    args: &CheckArgs,
    setup: &Setup,
    output: Output,
    cancel: &CancellationToken,
) -> Result<Report, Failure> {
    if let Some(domain) = &args.offboard {
        let left = stoppable(cancel, offboard::offboard(domain, setup, output));
        return Ok(Report::Offboarding(left.await?));
    }
    let environment = setup.environment()?;
    let caa_issuer = args.caa_issuer.as_deref();
    let wanted = stoppable(cancel, wanted(&args.subjects, caa_issuer, setup)).await?;
    let mut last = None;
    loop {
        let mut checked = stoppable(cancel, check(setup, &environment, &wanted)).await?;
        checked.full = !args.subjects.is_empty() || output.logging;
        if !args.watch || !checked.has_errors() {
            if args.write {
                checked.probed = Some(probe(setup, &wanted, &checked.names, output, cancel).await?);
            }
            let noted = forwarding::note(setup, &environment, &mut checked.names);
            stoppable(cancel, noted).await?;
            // A name of several certificates is one name.
            let chains = checked.names.iter().map(|name| &name.report.chain);
            let alias_names = chains.map(|chain| (&chain.challenge_name, chain.last()));
            let alias_names: BTreeMap<_, _> = alias_names.collect();
            for note in sharing::notes(alias_names.into_values()) {
                output.note(&note);
            }
            return Ok(Report::Checked(checked));
        }
        let findings: Vec<_> = checked.findings().cloned().collect();
        if last.as_ref() != Some(&findings) {
            output.report(&Report::Checked(checked));
            last = Some(findings);
        }
        stoppable(cancel, async {
            tokio::time::sleep(CHECK_EVERY).await;
            Ok(())
        })
        .await?;
        environment.dns().clear_cache();
        environment.checker().clear_cache();
    }
}

/// Identifiers that share a challenge name, and what has to be true of its delegation for some certificates.
struct Wanted<'a> {
    challenge_name: DnsName,
    identifiers: Vec<Identifier>,
    expected: Expected<'a>,
    /// The certificates that have the challenge name and expect this of it.
    certificates: Vec<&'a CertificateId>,
}

/// A CA and an account there.
type CaaKey<'a> = (&'a str, &'a [String], Option<&'a str>);

/// What a certificate expects of the delegation of a challenge name.
#[derive(PartialEq, Eq)]
struct Expected<'a> {
    /// Where it should lead.
    alias_name: Option<&'a DnsName>,
    /// The provider for an alias name in a zone that is found by its SOA record.
    provider: Option<&'a str>,
    /// Who must be allowed to issue by CAA records.
    caa: Option<Arc<CaaIdentity>>,
}

impl Expected<'_> {
    fn key(&self) -> (Option<&DnsName>, Option<&str>, Option<CaaKey<'_>>) {
        let caa = self.caa.as_deref();
        let caa = caa.map(|caa| (&*caa.issuer, &*caa.others, caa.account.as_deref()));
        (self.alias_name, self.provider, caa)
    }
}

impl Ord for Expected<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Expected<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Wanted<'_> {
    /// What has to be true of its delegation.
    fn check<'a>(
        &'a self,
        alias_zones: &'a BTreeSet<DnsName>,
        own_values: &'a OwnValues,
    ) -> DelegationCheck<'a> {
        DelegationCheck {
            challenge_name: &self.challenge_name,
            expectation: Expectation {
                identifiers: &self.identifiers,
                alias_name: self.expected.alias_name,
                alias_zones,
                any_zone: self.expected.provider.is_some(),
            },
            certificate: self.certificates.first().map(|id| id.as_str()),
            caa: self.expected.caa.as_deref(),
            own_values: Some(own_values),
        }
    }
}

async fn wanted<'a>(
    subjects: &'a [Subject],
    caa_issuer: Option<&str>,
    setup: &'a Setup,
) -> Result<Vec<Wanted<'a>>, Failure> {
    let settings = &setup.settings;
    let identifiers: BTreeSet<_> = if subjects.is_empty() {
        settings.identifiers().collect()
    } else {
        setup.identifiers_of(subjects)?
    };
    if identifiers.is_empty() {
        return Err(Failure::new(
            Part::Settings,
            &"there is no domain to check",
            "give the domains, or define certificates in the settings".to_owned(),
        ));
    }
    let mut by_challenge: BTreeMap<&DnsName, Vec<Identifier>> = BTreeMap::new();
    for identifier in identifiers {
        let shared = by_challenge.entry(identifier.challenge_name()).or_default();
        shared.push(identifier.clone());
    }
    let certificates = certificates(settings);
    let mut authorities = Authorities::new(setup, caa_issuer);
    let mut wanted = Vec::with_capacity(by_challenge.len());
    for (challenge_name, identifiers) in by_challenge {
        let all = certificates.get(challenge_name);
        let all = all.map(Vec::as_slice).unwrap_or_default();
        let by_expected = by_expected(setup, challenge_name, all, &mut authorities).await?;
        for (expected, certificates) in by_expected {
            wanted.push(Wanted {
                challenge_name: challenge_name.clone(),
                identifiers: identifiers.clone(),
                expected,
                certificates: certificates.into_iter().collect(),
            });
        }
    }
    Ok(wanted)
}

/// The certificates with a challenge name, by what each expects of it: what is true for one need not be true for another,
/// which may be of somebody else.
async fn by_expected<'a>(
    setup: &'a Setup,
    challenge_name: &DnsName,
    certificates: &[(&'a CertificateId, &'a CertificateSettings)],
    authorities: &mut Authorities<'_>,
) -> Result<BTreeMap<Expected<'a>, BTreeSet<&'a CertificateId>>, Failure> {
    let mut by_expected: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    let alias_name = |own| setup.aliases.of_certificate(challenge_name, own);
    for (id, certificate) in certificates {
        let expected = Expected {
            alias_name: alias_name(certificate.alias_of(challenge_name)),
            provider: certificate.provider.as_deref(),
            caa: authorities.of_one(Some(id)).await?,
        };
        by_expected.entry(expected).or_default().insert(*id);
    }
    if by_expected.is_empty() {
        let expected = Expected {
            alias_name: alias_name(None),
            provider: None,
            caa: authorities.of_one(None).await?,
        };
        by_expected.insert(expected, BTreeSet::new());
    }
    Ok(by_expected)
}

/// The certificates in the settings, by challenge name.
pub(super) fn certificates(
    settings: &Settings,
) -> BTreeMap<&DnsName, Vec<(&CertificateId, &CertificateSettings)>> {
    let mut by_challenge: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (id, certificate) in &settings.certificates {
        for domain in &certificate.domains {
            let challenge_name = domain.identifier.challenge_name();
            by_challenge
                .entry(challenge_name)
                .or_default()
                .push((id, certificate));
        }
    }
    by_challenge
}

/// Checks the delegations of all certificates in the settings, of which there may be none.
/// Certificates that skip the pre-flight are left out: their zones may not be reachable from here. They are checked in
/// parts, so that the reports of all names are never in memory at once; `add` gets each part.
pub(super) async fn all(
    setup: &Setup,
    environment: &Environment,
    mut add: impl FnMut(Checked),
) -> Result<(), Failure> {
    if setup.settings.certificates.is_empty() {
        return Ok(());
    }
    let mut wanted = wanted(&[], None, setup).await?;
    wanted.retain(|one| {
        let mut certificates = one.certificates.iter();
        let settings = &setup.settings.certificates;
        certificates.any(|id| settings.get(*id).is_some_and(|one| !one.skip_preflight))
    });
    for part in wanted.chunks(PART) {
        add(check(setup, environment, part).await?);
    }
    Ok(())
}

async fn check(
    setup: &Setup,
    environment: &Environment,
    wanted: &[Wanted<'_>],
) -> Result<Checked, Failure> {
    let begun = Instant::now();
    let ours = match setup.existing_state().await? {
        Some((_, ledger)) => ledger.open_values().await?,
        None => Vec::new(),
    };
    let ours: OwnValues = ours
        .into_iter()
        .map(|open| (open.name.clone(), open.value.clone()))
        .collect();
    let alias_zones = environment.alias_zones().apexes();
    let checks = wanted.iter().map(|wanted| wanted.check(alias_zones, &ours));
    let checks: Vec<_> = checks.collect();
    let reports = environment.checker().check_all(&checks).await;
    let names = wanted
        .iter()
        .zip(reports)
        .map(|(wanted, report)| CheckedName {
            identifiers: wanted.identifiers.clone(),
            certificates: wanted.certificates.iter().copied().cloned().collect(),
            report,
        });
    Ok(Checked {
        names: names.collect(),
        full: true,
        took: begun.elapsed(),
        probed: None,
    })
}

/// Writes a probe at every alias name that is reached as it should be.
async fn probe(
    setup: &Setup,
    wanted: &[Wanted<'_>],
    checked: &[CheckedName],
    output: Output,
    cancel: &CancellationToken,
) -> Result<Probed, Failure> {
    let environment = setup.environment()?;
    let mut alias_names: BTreeMap<Option<&str>, BTreeSet<DnsName>> = BTreeMap::new();
    let (mut written, mut left_out) = (BTreeSet::new(), BTreeSet::new());
    for (wanted, CheckedName { report, .. }) in wanted.iter().zip(checked) {
        if report.has_errors() {
            left_out.insert(wanted.challenge_name.clone());
            continue;
        }
        written.insert(wanted.challenge_name.clone());
        let alias_name = report.chain.last();
        let provider = match environment.alias_zones().closest(alias_name) {
            Some(_) => None,
            None => wanted.expected.provider,
        };
        let shared = alias_names.entry(provider).or_default();
        shared.insert(alias_name.clone());
    }
    Ok(Probed {
        published: probe::write(setup, alias_names, output, cancel).await?,
        // Certificates may expect different things of a name.
        left_out: left_out.difference(&written).cloned().collect(),
    })
}
