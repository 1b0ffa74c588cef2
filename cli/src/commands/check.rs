//! `acme-alias check`: every delegation looked at from all sides.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use acme_alias_core::delegation::{CaaIdentity, DelegationCheck, Expectation, OwnValues};
use acme_alias_core::engine::Environment;
use acme_alias_core::ledger::{Ledger, OpenValue};
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
    let wanted = wanted(&args.subjects, setup)?;
    let mut last = None;
    loop {
        let mut checked = stoppable(
            cancel,
            check(args.caa_issuer.as_deref(), setup, &environment, &wanted),
        )
        .await?;
        checked.full = !args.subjects.is_empty() || output.logging;
        if !args.watch || !checked.has_errors() {
            if args.write {
                checked.probed = Some(probe(setup, &wanted, &checked.names, output, cancel).await?);
            }
            let noted = forwarding::note(setup, &environment, &mut checked.names);
            stoppable(cancel, noted).await?;
            let names = checked.names.iter();
            for note in sharing::notes(names.map(|name| name.report.chain.last())) {
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

/// Identifiers that share a challenge name, and where it should lead.
struct Wanted<'a> {
    challenge_name: DnsName,
    identifiers: Vec<Identifier>,
    alias_name: Option<DnsName>,
    /// The certificates that have the challenge name.
    certificates: Vec<&'a CertificateId>,
    /// The provider for an alias name in a zone that is found by its SOA record.
    provider: Option<&'a str>,
}

impl Wanted<'_> {
    /// What has to be true of its delegation.
    fn check<'a>(
        &'a self,
        alias_zones: &'a BTreeSet<DnsName>,
        caa: Option<&'a CaaIdentity>,
        own_values: Option<&'a OwnValues>,
    ) -> DelegationCheck<'a> {
        DelegationCheck {
            challenge_name: &self.challenge_name,
            expectation: Expectation {
                identifiers: &self.identifiers,
                alias_name: self.alias_name.as_ref(),
                alias_zones,
                any_zone: self.provider.is_some(),
            },
            certificate: self.certificates.first().map(|id| id.as_str()),
            caa,
            own_values,
        }
    }
}

fn wanted<'a>(subjects: &'a [Subject], setup: &'a Setup) -> Result<Vec<Wanted<'a>>, Failure> {
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
    let mut wanted = Vec::with_capacity(by_challenge.len());
    for (challenge_name, identifiers) in by_challenge {
        let all = certificates.get(challenge_name);
        let all = all.map(Vec::as_slice).unwrap_or_default();
        for (alias_name, certificates) in by_alias(setup, challenge_name, all) {
            let mut settings = certificates.iter().map(|(_, settings)| settings);
            wanted.push(Wanted {
                challenge_name: challenge_name.clone(),
                identifiers: identifiers.clone(),
                alias_name: alias_name.cloned(),
                provider: settings.find_map(|one| one.provider.as_deref()),
                certificates: certificates.into_iter().map(|(id, _)| id).collect(),
            });
        }
    }
    Ok(wanted)
}

/// Certificates with a challenge name, by the alias name that it has for each.
fn by_alias<'a>(
    setup: &'a Setup,
    challenge_name: &DnsName,
    certificates: &[(&'a CertificateId, &'a CertificateSettings)],
) -> BTreeMap<Option<&'a DnsName>, Vec<(&'a CertificateId, &'a CertificateSettings)>> {
    let mut by_alias: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let of_certificate = |own| setup.aliases.of_certificate(challenge_name, own);
    for (id, certificate) in certificates {
        let alias_name = of_certificate(certificate.alias_of(challenge_name));
        let alike = by_alias.entry(alias_name).or_default();
        alike.push((*id, *certificate));
    }
    if by_alias.is_empty() {
        by_alias.insert(of_certificate(None), Vec::new());
    }
    by_alias
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
    let mut wanted = wanted(&[], setup)?;
    wanted.retain(|one| {
        let mut certificates = one.certificates.iter();
        let settings = &setup.settings.certificates;
        certificates.any(|id| settings.get(*id).is_some_and(|one| !one.skip_preflight))
    });
    for part in wanted.chunks(PART) {
        add(check(None, setup, environment, part).await?);
    }
    Ok(())
}

async fn check(
    caa_issuer: Option<&str>,
    setup: &Setup,
    environment: &Environment,
    wanted: &[Wanted<'_>],
) -> Result<Checked, Failure> {
    let begun = Instant::now();
    let mut authorities = Authorities::new(setup, caa_issuer);
    let mut identities = Vec::with_capacity(wanted.len());
    for Wanted { certificates, .. } in wanted {
        identities.push(authorities.of(certificates.iter().copied()).await?);
    }
    let ours: Vec<OpenValue> = match setup.existing_state().await? {
        Some((_, ledger)) => ledger.open_values().await?,
        None => Vec::new(),
    };
    let ours: OwnValues = ours
        .into_iter()
        .map(|open| (open.name, open.value))
        .collect();
    let alias_zones = environment.alias_zones().apexes();
    let with_identities = wanted.iter().zip(&identities);
    let checks = with_identities.clone().map(|(wanted, identities)| {
        let first = identities.first().map(AsRef::as_ref);
        wanted.check(alias_zones, first, Some(&ours))
    });
    let checks: Vec<_> = checks.collect();
    let mut reports = environment.checker().check_all(&checks).await;
    // Few names have certificates of several CAs. They are checked at the same time, as their servers may be slow.
    let most = identities.iter().map(Vec::len).max().unwrap_or_default();
    for number in 1..most {
        let others = with_identities.clone().enumerate();
        let others = others.filter_map(|(at, (wanted, identities))| {
            let identity = identities.get(number)?;
            Some((at, wanted.check(alias_zones, Some(identity), None)))
        });
        let (places, checks): (Vec<_>, Vec<_>) = others.unzip();
        let others = environment.checker().check_all(&checks).await;
        for (at, other) in places.into_iter().zip(others) {
            reports[at].add_caa_findings(other);
        }
    }
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
    let mut left_out = Vec::new();
    for (wanted, CheckedName { report, .. }) in wanted.iter().zip(checked) {
        if report.has_errors() {
            left_out.push(wanted.challenge_name.clone());
            continue;
        }
        let alias_name = report.chain.last();
        let provider = match environment.alias_zones().closest(alias_name) {
            Some(_) => None,
            None => wanted.provider,
        };
        let shared = alias_names.entry(provider).or_default();
        shared.insert(alias_name.clone());
    }
    Ok(Probed {
        published: probe::write(setup, alias_names, output, cancel).await?,
        left_out,
    })
}
