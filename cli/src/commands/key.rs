//! `acme-alias key`: the narrowest grant for what the settings need, and what the keys can really do.

use std::collections::{BTreeMap, BTreeSet};

use acme_alias_core::delegation::Walk;
use acme_alias_core::dns::Dns;
use acme_alias_core::name::{DnsName, Identifier};
use acme_alias_core::provider::{Grade, Grant, NewKey, Subject, Verdict, Weight};
use acme_alias_core::store::{FileStore, Store};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::SignedDuration;

use crate::cli::{AuditArgs, PolicyArgs};
use crate::failure::{Failure, Part};
use crate::output::{Audited, Report};
use crate::run::Run;
use crate::settings::{Alias, Settings};
use crate::workshop;

/// How often somebody is warned of a key.
const WARN_EVERY: SignedDuration = SignedDuration::from_hours(24);
/// Octets of a secret: as many as the hash has (RFC 8945 §10.2).
const SECRET_OCTETS: usize = 32;

/// What the settings need, in the words of each server.
pub(crate) async fn policy(run: &Run, args: &PolicyArgs) -> Result<Report, Failure> {
    let settings = run.settings()?;
    let dns = workshop::dns(&settings)?;
    let names = alias_names(run, &settings, &dns).await?;
    let mut policies = Vec::new();
    for zone in &settings.alias_zones {
        let provider = settings.build_provider(&zone.provider).await?;
        let grant = Grant {
            zone: zone.zone.clone(),
            names: in_zone(&names, &zone.zone)?,
            scope: args.scope.into(),
            key: args.new_key.clone().map(|name| NewKey {
                name,
                secret: fresh_secret(),
            }),
        };
        let printed = provider.policies(&grant);
        if printed.is_empty() {
            let kind = provider.identity().kind;
            run.output.warning(&format!(
                "what a `{kind}` key may do is not decided by a policy that could be printed; \
                 docs/providers/{kind}.md has how little it can be allowed"
            ));
        }
        policies.push((zone.zone.clone(), printed));
    }
    Ok(Report::Policies(policies))
}

/// What the keys can really do. Nothing is changed.
pub(crate) async fn audit(run: &Run, args: &AuditArgs) -> Result<Report, Failure> {
    let settings = run.settings()?;
    let dns = workshop::dns(&settings)?;
    let names = alias_names(run, &settings, &dns).await?;
    let main_zones = main_zones(&settings, &dns).await;
    let mut audited = Vec::new();
    for zone in &settings.alias_zones {
        if args
            .provider
            .as_ref()
            .is_some_and(|only| *only != zone.provider)
        {
            continue;
        }
        let provider = settings.build_provider(&zone.provider).await?;
        let subject = Subject {
            zone: zone.zone.clone(),
            alias_names: in_zone(&names, &zone.zone)?,
            main_zones: main_zones.clone(),
        };
        let failed = |error: acme_alias_core::provider::ProviderError| {
            Failure::new(Part::Dns, &error.what, error.remedy)
        };
        let before = provider.serial(&zone.zone).await.map_err(failed)?;
        let rights = provider.rights(&subject).await.map_err(failed)?;
        let after = provider.serial(&zone.zone).await.map_err(failed)?;
        if before != after {
            run.output.warning(&format!(
                "the zone {} changed meanwhile: its serial went from {before:?} to {after:?}; the audit \
                 itself changes nothing",
                zone.zone
            ));
        }
        let advice = provider.policies(&Grant {
            zone: zone.zone.clone(),
            names: subject.alias_names.clone(),
            scope: acme_alias_core::provider::Scope::Name,
            key: None,
        });
        audited.push(Audited {
            zone: zone.zone.clone(),
            key: provider.identity().key,
            grade: Grade::of(&rights),
            rights,
            advice,
        });
    }
    if audited.is_empty() {
        return Err(Failure::new(
            Part::Settings,
            &"there is no alias zone to audit",
            "add `[[alias-zones]]` with the provider that writes there".to_owned(),
        ));
    }
    Ok(Report::Audited(audited))
}

/// Warns of keys that can do more than write TXT in their alias zones, once a day at most. Nothing is
/// said where that cannot be found out: a certificate was obtained, and that is what was wanted.
pub(crate) async fn warn(run: &Run, settings: &Settings) {
    let Ok(store) = FileStore::open(&settings.state) else {
        return;
    };
    for zone in &settings.alias_zones {
        let note = format!("audit of {}", zone.zone);
        let Ok(true) = store.is_due(&note, WARN_EVERY).await else {
            continue;
        };
        let (Ok(provider), Ok(usual)) = (
            settings.build_provider(&zone.provider).await,
            zone.zone.challenge_name(),
        ) else {
            continue;
        };
        let subject = Subject {
            zone: zone.zone.clone(),
            alias_names: vec![usual],
            main_zones: Vec::new(),
        };
        let Ok(rights) = provider.rights(&subject).await else {
            continue;
        };
        if matches!(Grade::of(&rights), Grade::Dangerous | Grade::Fatal) {
            let too_much = rights.iter().filter(|right| {
                right.verdict == Verdict::Allowed && right.weight >= Weight::Dangerous
            });
            let too_much: Vec<_> = too_much.map(|right| right.right.as_str()).collect();
            run.output.warning(&format!(
                "the key for {} can do more than it must: {}; `acme-alias key audit` says what would \
                 narrow it",
                zone.zone,
                too_much.join(", ")
            ));
        }
    }
}

/// Every alias name that the settings lead to.
async fn alias_names(
    run: &Run,
    settings: &Settings,
    dns: &Dns,
) -> Result<BTreeSet<DnsName>, Failure> {
    let mut wanted: BTreeMap<&DnsName, Option<&Alias>> = BTreeMap::new();
    for domain in domains(settings) {
        wanted.insert(domain.0.challenge_name(), domain.1);
    }
    let mut names = BTreeSet::new();
    for (challenge_name, alias) in wanted {
        let name = match alias {
            Some(alias) => alias
                .name()
                .map_err(|error| Failure::new(Part::Settings, &error, None))?,
            None => {
                let walk = Walk::follow(dns, challenge_name).await;
                if walk.hops.is_empty() {
                    run.output.warning(&format!(
                        "{challenge_name} leads nowhere yet, and is left out; see `acme-alias check`"
                    ));
                    continue;
                }
                walk.last().clone()
            }
        };
        names.insert(name);
    }
    Ok(names)
}

fn domains(settings: &Settings) -> impl Iterator<Item = (&Identifier, Option<&Alias>)> {
    let certificates = settings.certificates.values();
    let domains = certificates.flat_map(|certificate| &certificate.domains);
    domains.map(|domain| (&domain.identifier, domain.alias.as_ref()))
}

/// Those in this zone; the usual one where there is none yet.
fn in_zone(names: &BTreeSet<DnsName>, zone: &DnsName) -> Result<Vec<DnsName>, Failure> {
    let within: Vec<_> = names
        .iter()
        .filter(|name| name.is_within(zone))
        .cloned()
        .collect();
    if within.is_empty() {
        let usual = zone
            .challenge_name()
            .map_err(|error| Failure::new(Part::Settings, &error, None))?;
        return Ok(vec![usual]);
    }
    Ok(within)
}

/// The zones that certificates are for, with the addresses of their servers. One that is not found
/// is told by `check`.
async fn main_zones(settings: &Settings, dns: &Dns) -> Vec<(DnsName, Vec<std::net::SocketAddr>)> {
    let mut apexes = BTreeSet::new();
    for (identifier, _) in domains(settings) {
        apexes.extend(dns.apex(identifier.base()).await.ok());
    }
    let mut zones = Vec::new();
    for apex in apexes {
        let servers = dns.servers(&apex).await.unwrap_or_default();
        let addresses = servers
            .iter()
            .filter_map(|server| server.addresses.first().copied());
        let addresses = addresses.collect();
        zones.push((apex, addresses));
    }
    zones
}

fn fresh_secret() -> String {
    BASE64_STANDARD.encode(rand::random::<[u8; SECRET_OCTETS]>())
}
