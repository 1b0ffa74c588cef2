//! `acme-alias delegate`: the records that the main zones need, beside those that are there.

use std::collections::{BTreeMap, BTreeSet};

use acme_alias_core::delegation::{Compared, ZoneRecord};
use acme_alias_core::dns::{Dns, DnsError};
use acme_alias_core::name::{DnsName, Identifier};
use acme_alias_core::store::{FileStore, Store};
use futures_util::{StreamExt, stream};

use crate::cli::DelegateArgs;
use crate::failure::{Failure, Part};
use crate::issuance;
use crate::output::Report;
use crate::run::{Run, open_store};
use crate::settings::Settings;
use crate::workshop;

/// Records that are compared at a time.
const AT_ONCE: usize = 32;
/// Bits of a label that nobody can guess, five to a letter.
const LABEL_LETTERS: usize = 26;
/// Base32 without what looks alike, in lower case (RFC 4648 §6 has others).
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

pub(crate) async fn run(run: &Run, args: &DelegateArgs) -> Result<Report, Failure> {
    let settings = run.settings()?;
    let dns = workshop::dns(&settings)?;
    let identifiers = wanted(args, &settings)?;
    let mut by_challenge: BTreeMap<&DnsName, Vec<&Identifier>> = BTreeMap::new();
    for identifier in &identifiers {
        by_challenge
            .entry(identifier.challenge_name())
            .or_default()
            .push(identifier);
    }
    let mut wanted = Vec::new();
    for (challenge_name, identifiers) in by_challenge {
        let alias_name = alias_name(args, &settings, challenge_name, &identifiers).await?;
        wanted.push(Wanted::Cname(challenge_name.clone(), alias_name));
    }
    if args.caa {
        wanted.extend(caa(run, args, &settings, &identifiers).await?);
    }
    let compared = stream::iter(&wanted).map(|wanted| wanted.compare(&dns, args.ttl));
    let compared: Vec<_> = compared.buffered(AT_ONCE).collect().await;
    let mut records = Vec::new();
    let mut there = 0;
    for (wanted, compared) in wanted.iter().zip(compared) {
        let Compared {
            record,
            is_there,
            unknown,
        } = compared.map_err(|error| nowhere(wanted, &error))?;
        if let Some(error) = unknown {
            let name = &record.name;
            run.output
                .warning(&format!("what is at {name} is not known: {error}"));
        }
        if is_there && !args.all {
            there += 1;
        } else {
            records.push(record);
        }
    }
    records
        .sort_by(|one: &ZoneRecord, other| (&one.zone, &one.name).cmp(&(&other.zone, &other.name)));
    Ok(Report::Records {
        records,
        there,
        format: args.format,
    })
}

/// A record that there should be.
enum Wanted {
    /// From a challenge name to an alias name.
    Cname(DnsName, DnsName),
    /// At a name: tag and value.
    Caa(DnsName, &'static str, String),
}

impl Wanted {
    async fn compare(&self, dns: &Dns, ttl: u32) -> Result<Compared, DnsError> {
        match self {
            Wanted::Cname(challenge_name, alias_name) => {
                Compared::cname(dns, challenge_name, alias_name, ttl).await
            }
            Wanted::Caa(name, tag, value) => {
                Compared::caa(dns, name, tag, value.clone(), ttl).await
            }
        }
    }

    fn name(&self) -> &DnsName {
        match self {
            Wanted::Cname(name, _) | Wanted::Caa(name, ..) => name,
        }
    }
}

fn nowhere(wanted: &Wanted, error: &DnsError) -> Failure {
    Failure::new(
        Part::Delegation,
        &format!(
            "the zone that holds {} was not found: {error}",
            wanted.name()
        ),
        "see that the domain is registered and its servers can be reached; `dns.zones` names \
         servers to ask"
            .to_owned(),
    )
}

/// The names given, or all of the settings.
fn wanted(args: &DelegateArgs, settings: &Settings) -> Result<BTreeSet<Identifier>, Failure> {
    let identifiers: BTreeSet<_> = if args.domains.is_empty() {
        let certificates = settings.certificates.values();
        let domains = certificates.flat_map(|certificate| &certificate.domains);
        domains.map(|domain| domain.identifier.clone()).collect()
    } else {
        args.domains.iter().cloned().collect()
    };
    if identifiers.is_empty() {
        return Err(Failure::new(
            Part::Settings,
            &"there is no domain to delegate",
            "give the domains, or define certificates in the settings".to_owned(),
        ));
    }
    Ok(identifiers)
}

/// Where the challenge name shall lead: by the flags, the settings, a label of its own, or the only
/// alias zone.
async fn alias_name(
    args: &DelegateArgs,
    settings: &Settings,
    challenge_name: &DnsName,
    identifiers: &[&Identifier],
) -> Result<DnsName, Failure> {
    if let Some(alias) = &args.domain_alias {
        return Ok(alias.clone());
    }
    let in_words = |error| Failure::new(Part::Settings, &error, None);
    if let (Some(alias), false) = (&args.challenge_alias, args.unique) {
        return alias.challenge_name().map_err(in_words);
    }
    let certificates = settings.certificates.values();
    let mut configured = certificates
        .flat_map(|certificate| &certificate.domains)
        .filter(|domain| identifiers.contains(&&domain.identifier))
        .filter_map(|domain| domain.alias.as_ref());
    if let (Some(alias), false) = (configured.next(), args.unique) {
        return alias.name().map_err(in_words);
    }
    let zone = match (&args.challenge_alias, settings.alias_zones.as_slice()) {
        (Some(zone), _) => zone,
        (None, [only]) => &only.zone,
        (None, zones) => {
            let zones: Vec<_> = zones.iter().map(|zone| zone.zone.as_str()).collect();
            return Err(Failure::new(
                Part::Settings,
                &format!("where {challenge_name} shall lead is not said"),
                format!(
                    "name it with `--challenge-alias`, or give its certificate a `challenge-alias`; \
                     alias zones: {}",
                    if zones.is_empty() {
                        "none".to_owned()
                    } else {
                        zones.join(", ")
                    }
                ),
            ));
        }
    };
    let label = if args.unique {
        let store = FileStore::open(&settings.state)?;
        Some(store.alias_label(challenge_name, &fresh_label()).await?)
    } else {
        match open_store(&settings.state)? {
            Some(store) => store.alias_labels().await?.remove(challenge_name),
            None => None,
        }
    };
    match label {
        Some(label) => zone.child(&label).map_err(in_words),
        None => zone.challenge_name().map_err(in_words),
    }
}

/// A label that nobody can guess: 130 bits.
fn fresh_label() -> String {
    (0..LABEL_LETTERS)
        .map(|_| char::from(LETTERS[usize::from(rand::random::<u8>()) % LETTERS.len()]))
        .collect()
}

/// Who may issue for these names, and nobody for the alias zones (RFC 8659, RFC 8657).
async fn caa(
    run: &Run,
    args: &DelegateArgs,
    settings: &Settings,
    identifiers: &BTreeSet<Identifier>,
) -> Result<Vec<Wanted>, Failure> {
    let Some(issuance) = issuance::of(settings, args.caa_issuer.as_deref()).await? else {
        let directory = &settings.acme.directory;
        return Err(Failure::new(
            Part::Settings,
            &format!("by which domain CAA records name the authority at {directory} is not known"),
            "give it with `--caa-issuer`; the authority's documents have it".to_owned(),
        ));
    };
    let account = match issuance.account {
        Some(url) => format!("; accounturi={url}"),
        None => {
            run.output.warning(
                "there is no account at this authority yet, so that the CAA records name none; ask \
                 again after the first certificate",
            );
            String::new()
        }
    };
    let value = format!("{}; validationmethods=dns-01{account}", issuance.issuer);
    let mut wanted: Vec<_> = identifiers
        .iter()
        .map(|identifier| {
            let tag = if identifier.is_wildcard() {
                "issuewild"
            } else {
                "issue"
            };
            Wanted::Caa(identifier.base().clone(), tag, value.clone())
        })
        .collect();
    let zones = settings.alias_zones.iter();
    wanted.extend(zones.map(|zone| Wanted::Caa(zone.zone.clone(), "issue", ";".to_owned())));
    Ok(wanted)
}
