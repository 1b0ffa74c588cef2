//! `acme-alias delegate`: the records that the main zones need, beside those that are there.

use std::collections::{BTreeMap, BTreeSet};

use acme_alias_core::delegation::{Compared, Presence, ZoneRecord};
use acme_alias_core::dns::{Caa, Dns, DnsError};
use acme_alias_core::name::{DnsName, Identifier};
use acme_alias_core::store::{FileStore, Store};
use futures_util::{StreamExt, stream};

use crate::aliases::AliasNames;
use crate::cli::DelegateArgs;
use crate::failure::{Failure, Part};
use crate::issuance;
use crate::output::Report;
use crate::run::Run;
use crate::settings::Settings;
use crate::workshop;

/// Names whose records are compared at a time.
const AT_ONCE: usize = 32;
/// Letters of a label that nobody can guess, five bits each.
const LABEL_LETTERS: usize = 26;
/// Base32 without what looks alike, in lower case (RFC 4648 §6 has others).
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

pub(crate) async fn run(run: &Run, args: &DelegateArgs) -> Result<Report, Failure> {
    let settings = run.settings()?;
    let dns = workshop::dns(&settings)?;
    let identifiers = identifiers(args, &settings)?;
    let names = AliasNames::of(&settings).await?;
    let challenge_names: BTreeSet<_> = identifiers.iter().map(Identifier::challenge_name).collect();
    let mut wanted = Vec::new();
    for challenge_name in challenge_names {
        let alias_name = alias_name(run, args, &settings, &names, challenge_name).await?;
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
        for Compared { record, presence } in compared.map_err(|error| nowhere(wanted, &error))? {
            match presence {
                Presence::There if !args.all => there += 1,
                Presence::There | Presence::Missing => records.push(record),
                Presence::Unknown(error) => {
                    let name = &record.name;
                    run.output
                        .warning(&format!("what is at {name} is not known: {error}"));
                    records.push(record);
                }
                Presence::Barred(why) => run
                    .output
                    .warning(&format!("`{record}` is left out: {why}")),
            }
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

/// What there should be.
enum Wanted {
    /// A CNAME from a challenge name to an alias name.
    Cname(DnsName, DnsName),
    /// CAA records at a name.
    Caa(DnsName, Vec<Caa>),
}

impl Wanted {
    async fn compare(&self, dns: &Dns, ttl: u32) -> Result<Vec<Compared>, DnsError> {
        match self {
            Wanted::Cname(challenge_name, alias_name) => {
                let compared = Compared::cname(dns, challenge_name, alias_name, ttl).await?;
                Ok(vec![compared])
            }
            Wanted::Caa(name, records) => Compared::caa(dns, name, records.clone(), ttl).await,
        }
    }

    fn name(&self) -> &DnsName {
        match self {
            Wanted::Cname(name, _) | Wanted::Caa(name, _) => name,
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
fn identifiers(args: &DelegateArgs, settings: &Settings) -> Result<BTreeSet<Identifier>, Failure> {
    let identifiers: BTreeSet<_> = if args.domains.is_empty() {
        settings.identifiers().cloned().collect()
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
    run: &Run,
    args: &DelegateArgs,
    settings: &Settings,
    names: &AliasNames,
    challenge_name: &DnsName,
) -> Result<DnsName, Failure> {
    let in_words = |error| Failure::new(Part::Settings, &error, None);
    if let Some(alias) = &args.domain_alias {
        return Ok(alias.clone());
    }
    let zone = args.challenge_alias.as_ref();
    if args.unique {
        let zone = zone.map_or_else(|| only_zone(settings, challenge_name), Ok)?;
        let store = FileStore::open(&settings.state)?;
        let fresh = zone.child(&fresh_label()).map_err(in_words)?;
        let unique = store.alias_name(challenge_name, &fresh).await?;
        if let Some(configured) = names
            .configured(challenge_name)?
            .filter(|name| **name != unique)
        {
            run.output.warning(&format!(
                "the settings have {configured} as the alias of {challenge_name}, and go on to expect it; \
                 take it out, or let it be `domain-alias = \"{unique}\"`"
            ));
        }
        return Ok(unique);
    }
    if let Some(alias) = zone {
        return alias.challenge_name().map_err(in_words);
    }
    match names.wanted(challenge_name)? {
        Some(alias_name) => Ok(alias_name.clone()),
        None => only_zone(settings, challenge_name)?
            .challenge_name()
            .map_err(in_words),
    }
}

fn only_zone<'a>(settings: &'a Settings, challenge_name: &DnsName) -> Result<&'a DnsName, Failure> {
    match settings.alias_zones.as_slice() {
        [only] => Ok(&only.zone),
        zones => {
            let zones: Vec<_> = zones.iter().map(|zone| zone.zone.as_str()).collect();
            Err(Failure::new(
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
            ))
        }
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
    let record = |tag: &str, value: &str| Caa {
        flags: 0,
        tag: tag.to_owned(),
        value: value.into(),
    };
    let mut wanted: BTreeMap<&DnsName, Vec<Caa>> = BTreeMap::new();
    for identifier in identifiers {
        let tag = if identifier.is_wildcard() {
            "issuewild"
        } else {
            "issue"
        };
        let records = wanted.entry(identifier.base()).or_default();
        records.push(record(tag, &value));
    }
    // An alias zone that has names of certificates in it is not closed.
    for zone in settings.alias_zones.iter().map(|zone| &zone.zone) {
        let mut named = settings.identifiers().chain(identifiers);
        if !named.any(|identifier| identifier.base().is_within(zone)) {
            wanted.entry(zone).or_default().push(record("issue", ";"));
        }
    }
    let wanted = wanted.into_iter();
    Ok(wanted
        .map(|(name, records)| Wanted::Caa(name.clone(), records))
        .collect())
}
