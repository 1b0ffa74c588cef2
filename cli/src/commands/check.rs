//! `acme-alias check`: every delegation looked at from all sides.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use acme_alias_core::delegation::{Asked, DelegationChecker, Question};
use acme_alias_core::ledger::{self, Open};
use acme_alias_core::name::{DnsName, Identifier};

use super::{offboard, probe};
use crate::aliases::AliasNames;
use crate::cli::CheckArgs;
use crate::failure::{Failure, Part};
use crate::issuance;
use crate::output::{Checked, CheckedName, Probed, Report};
use crate::run::{Run, open_store};
use crate::settings::Settings;
use crate::workshop;

/// How often `--watch` looks. Nobody tells when a zone changes.
const LOOK_EVERY: Duration = Duration::from_secs(5);

pub(crate) async fn run(run: &Run, args: &CheckArgs) -> Result<Report, Failure> {
    let settings = run.settings()?;
    if let Some(domain) = &args.offboard {
        let left = run.looking(offboard::offboard(run, &settings, domain));
        return Ok(Report::Offboarding(left.await?));
    }
    let wanted = wanted(args, &settings).await?;
    let mut last = None;
    loop {
        let mut checked = run.looking(check(args, &settings, &wanted)).await?;
        if !args.watch || !checked.has_errors() {
            if args.write {
                checked.probed = Some(probe(run, &settings, &wanted, &checked.names).await?);
            }
            return Ok(Report::Checked(checked));
        }
        let findings: Vec<_> = checked.findings().cloned().collect();
        if last.as_ref() != Some(&findings) {
            run.output.report(&Report::Checked(checked));
            last = Some(findings);
        }
        run.looking(async {
            tokio::time::sleep(LOOK_EVERY).await;
            Ok(())
        })
        .await?;
    }
}

/// Identifiers that share a challenge name, and where it shall lead.
struct Wanted {
    challenge_name: DnsName,
    identifiers: Vec<Identifier>,
    alias_name: Option<DnsName>,
    /// The provider for an alias name in a zone that is to be found.
    provider: Option<String>,
}

async fn wanted(args: &CheckArgs, settings: &Settings) -> Result<Vec<Wanted>, Failure> {
    let identifiers: BTreeSet<_> = if args.domains.is_empty() {
        settings.identifiers().collect()
    } else {
        args.domains.iter().collect()
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
    let aliases = AliasNames::of(settings).await?;
    let wanted = by_challenge
        .into_iter()
        .map(|(challenge_name, identifiers)| {
            Ok(Wanted {
                challenge_name: challenge_name.clone(),
                identifiers,
                alias_name: aliases.wanted(challenge_name)?.cloned(),
                provider: settings.provider_beyond_zones(challenge_name).cloned(),
            })
        });
    wanted.collect()
}

async fn check(
    args: &CheckArgs,
    settings: &Settings,
    wanted: &[Wanted],
) -> Result<Checked, Failure> {
    let begun = Instant::now();
    let issuance = issuance::of(settings, args.caa_issuer.as_deref()).await?;
    let ours = open_values(settings)?.into_iter();
    let ours = ours.map(|open| (open.name, open.value)).collect();
    let examiner = DelegationChecker::new(workshop::dns(settings)?, issuance).with_values(ours);
    let zones: Vec<_> = settings
        .alias_zones
        .iter()
        .map(|zone| zone.zone.clone())
        .collect();
    let asked = wanted.iter().map(|wanted| {
        let question = Question {
            identifiers: &wanted.identifiers,
            wanted: wanted.alias_name.as_ref(),
            alias_zones: &zones,
            any_zone: wanted.provider.is_some(),
        };
        let mut certificates = settings.certificates.iter();
        let certificate = certificates.find(|(_, certificate)| {
            let mut domains = certificate.domains.iter();
            domains.any(|known| *known.identifier.challenge_name() == wanted.challenge_name)
        });
        Asked {
            challenge_name: &wanted.challenge_name,
            question,
            certificate: certificate.map(|(id, _)| id.as_str()),
        }
    });
    let asked: Vec<_> = asked.collect();
    let examinations = examiner.examine_all(&asked).await.into_iter();
    let names = wanted.iter().zip(examinations);
    let names = names.map(|(wanted, examination)| CheckedName {
        identifiers: wanted.identifiers.clone(),
        examination,
    });
    Ok(Checked {
        names: names.collect(),
        took: begun.elapsed(),
        probed: None,
    })
}

/// The values that may be in a zone by our doing.
pub(super) fn open_values(settings: &Settings) -> Result<Vec<Open>, Failure> {
    Ok(match open_store(&settings.state)? {
        Some(store) => ledger::read(&store.ledger())?.open(),
        None => Vec::new(),
    })
}

/// Writes a probe at every alias name that is reached as it should be.
async fn probe(
    run: &Run,
    settings: &Settings,
    wanted: &[Wanted],
    checked: &[CheckedName],
) -> Result<Probed, Failure> {
    let mut alias_names: BTreeMap<Option<&str>, BTreeSet<DnsName>> = BTreeMap::new();
    let mut left_out = Vec::new();
    for (wanted, CheckedName { examination, .. }) in wanted.iter().zip(checked) {
        if examination.has_errors() {
            left_out.push(wanted.challenge_name.clone());
            continue;
        }
        let alias_name = examination.walk.last();
        let mut zones = settings.alias_zones.iter();
        let provider = if zones.any(|zone| alias_name.is_within(&zone.zone)) {
            None
        } else {
            wanted.provider.as_deref()
        };
        let shared = alias_names.entry(provider).or_default();
        shared.insert(alias_name.clone());
    }
    Ok(Probed {
        published: probe::write(run, settings, alias_names).await?,
        left_out,
    })
}
