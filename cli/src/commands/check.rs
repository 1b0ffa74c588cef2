//! `acme-alias check`: every delegation looked at from all sides.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use acme_alias_core::delegation::{Asked, Examination, Examiner, Question, Walk};
use acme_alias_core::ledger::{self, Open, Origin};
use acme_alias_core::name::{DnsName, Identifier};
use acme_alias_core::store::{FileStore, Store};
use acme_alias_core::zone::{Published, TxtRecord};

use crate::cli::CheckArgs;
use crate::failure::{Failure, Part, in_words};
use crate::issuance;
use crate::output::{Checked, CheckedName, Offboarding, Report};
use crate::run::{Run, open_store};
use crate::settings::{Alias, Settings};
use crate::workshop::{self, Workshop};

/// How often `--watch` looks. Nobody tells when a zone changes.
const LOOK_EVERY: Duration = Duration::from_secs(5);

pub(crate) async fn run(run: &Run, args: &CheckArgs) -> Result<Report, Failure> {
    let settings = run.settings()?;
    if let Some(domain) = &args.offboard {
        return Ok(Report::Offboarding(offboard(&settings, domain).await?));
    }
    let wanted = wanted(args, &settings)?;
    let mut last = None;
    loop {
        let mut checked = check(args, &settings, &wanted).await?;
        if args.write && !checked.has_errors() {
            checked.written = Some(write(run, &settings, &checked).await?);
        }
        if !args.watch || !checked.has_errors() {
            return Ok(Report::Checked(checked));
        }
        let findings: Vec<_> = checked.findings().cloned().collect();
        if last.as_ref() != Some(&findings) {
            run.output.report(&Report::Checked(checked));
            last = Some(findings);
        }
        let cancelled = run.cancel.cancelled();
        if tokio::time::timeout(LOOK_EVERY, cancelled).await.is_ok() {
            return Err(Failure::new(Part::Interrupted, &"interrupted", None));
        }
    }
}

/// Identifiers that share a challenge name, and where it shall lead.
struct Wanted {
    challenge_name: DnsName,
    identifiers: Vec<Identifier>,
    alias_name: Option<DnsName>,
    /// Whether a provider was named for a zone that is to be found.
    any_zone: bool,
}

fn wanted(args: &CheckArgs, settings: &Settings) -> Result<Vec<Wanted>, Failure> {
    let mut by_challenge: BTreeMap<DnsName, Wanted> = BTreeMap::new();
    let mut add = |identifier: &Identifier, alias: Option<&Alias>, any_zone: bool| {
        let alias_name = alias
            .map(Alias::name)
            .transpose()
            .map_err(|error| Failure::new(Part::Settings, &error, None))?;
        let challenge_name = identifier.challenge_name();
        let wanted = by_challenge
            .entry(challenge_name.clone())
            .or_insert_with(|| Wanted {
                challenge_name: challenge_name.clone(),
                identifiers: Vec::new(),
                alias_name,
                any_zone,
            });
        if !wanted.identifiers.contains(identifier) {
            wanted.identifiers.push(identifier.clone());
        }
        Ok::<_, Failure>(())
    };
    let given: BTreeSet<_> = args.domains.iter().collect();
    for certificate in settings.certificates.values() {
        for domain in &certificate.domains {
            if given.is_empty() || given.contains(&domain.identifier) {
                let any_zone = certificate.provider.is_some();
                add(&domain.identifier, domain.alias.as_ref(), any_zone)?;
            }
        }
    }
    for identifier in given {
        add(identifier, None, false)?;
    }
    if by_challenge.is_empty() {
        return Err(Failure::new(
            Part::Settings,
            &"there is no domain to check",
            "give the domains, or define certificates in the settings".to_owned(),
        ));
    }
    Ok(by_challenge.into_values().collect())
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
    let examiner = Examiner::new(workshop::dns(settings)?, issuance).with_values(ours);
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
            any_zone: wanted.any_zone,
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
        written: None,
    })
}

/// The values that may be in a zone by our doing.
fn open_values(settings: &Settings) -> Result<Vec<Open>, Failure> {
    Ok(match open_store(&settings.state)? {
        Some(store) => ledger::read(&store.ledger())?.open(),
        None => Vec::new(),
    })
}

/// Writes a probe at every alias name and withdraws it; tells when each server had it.
async fn write(
    run: &Run,
    settings: &Settings,
    checked: &Checked,
) -> Result<Vec<Published>, Failure> {
    let store = FileStore::open(&settings.state)?;
    let workshop = Workshop::new(store, run, 0)?;
    let dns = workshop::dns(settings)?;
    let zones = workshop.zones(settings, &dns, None).await?;
    run.reconcile(&workshop, &zones).await;
    let in_dns = |error| Failure::new(Part::Dns, &in_words(&error), None);
    let examinations = checked.names.iter().map(|name| &name.examination);
    let alias_names: BTreeSet<_> = examinations
        .map(|found: &Examination| found.walk.last())
        .collect();
    let mut probes = Vec::new();
    for name in alias_names {
        let value = format!("acme-alias-probe-{:016x}", rand::random::<u64>());
        let value = value
            .parse()
            .map_err(|error| Failure::new(Part::Unexpected, &error, None))?;
        let name = name.clone();
        probes.push(TxtRecord { name, value });
    }
    let publication = zones
        .publication(probes, Origin::default())
        .map_err(in_dns)?;
    let published = run.cancel.run_until_cancelled(publication.publish()).await;
    let withdrawn = publication.withdraw().await;
    let Some(published) = published else {
        return Err(Failure::new(Part::Interrupted, &"interrupted", None));
    };
    let mut outcome = published.map_err(in_dns);
    if let Err(error) = withdrawn {
        match &mut outcome {
            Ok(_) => outcome = Err(in_dns(error)),
            Err(failure) => failure.left_behind = Some(in_words(&error)),
        }
    }
    outcome
}

/// What still leads from a domain into the alias zones, in the order in which it is to be removed.
async fn offboard(settings: &Settings, domain: &Identifier) -> Result<Offboarding, Failure> {
    let dns = workshop::dns(settings)?;
    let challenge_name = domain.challenge_name();
    let walk = Walk::follow(&dns, challenge_name).await;
    let in_alias_zone = |name: &DnsName| {
        settings
            .alias_zones
            .iter()
            .any(|zone| name.is_within(&zone.zone))
    };
    let certificates = settings.certificates.iter().filter(|(_, certificate)| {
        let mut domains = certificate.domains.iter();
        domains.any(|known| known.identifier.challenge_name() == challenge_name)
    });
    let mut steps: Vec<_> = certificates
        .map(|(id, _)| format!("take {domain} out of `[certificates.{id}]` in the settings"))
        .collect();
    let pointing = walk.hops.iter().find(|hop| in_alias_zone(&hop.target));
    if let Some(hop) = pointing {
        steps.push(format!(
            "remove this line from its zone, and wait {} s until nobody remembers it:\n\n      \
             {} {} IN CNAME {}\n",
            hop.ttl,
            hop.name.fqdn(),
            hop.ttl,
            hop.target.fqdn()
        ));
    }
    let labels = match open_store(&settings.state)? {
        Some(store) => store.alias_labels().await?,
        None => BTreeMap::new(),
    };
    if let Some(label) = labels.get(challenge_name) {
        steps.push(format!(
            "take the grant for `{label}` out of the key\'s policy; the label stays kept for {domain}"
        ));
    }
    let left = open_values(settings)?;
    let alias_name = pointing.map(|hop| &hop.target);
    if left.iter().any(|open| Some(&open.name) == alias_name) {
        steps.push("run `acme-alias ledger reconcile`: a value of ours may be there".to_owned());
    }
    Ok(Offboarding {
        domain: domain.clone(),
        steps,
    })
}
