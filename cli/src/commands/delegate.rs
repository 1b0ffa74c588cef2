//! `acme-alias delegate`: the records that the main zones need, beside those that are there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use acme_alias_core::delegation::{CaaIdentity, CnameChain, Compared, Presence, ZoneRecord};
use acme_alias_core::dns::{Caa, Dns, DnsError};
use acme_alias_core::name::{DnsName, Identifier};
use acme_alias_core::printable::few;
use acme_alias_core::store::Store;
use futures_util::{StreamExt, stream};

use super::{check, sharing};
use crate::cli::DelegateArgs;
use crate::failure::{Failure, Part};
use crate::output::{Output, Report};
use crate::settings::Settings;
use crate::setup::authorities::Authorities;
use crate::setup::leads::{self, Leads};
use crate::setup::{Setup, state};

/// Names whose records are compared at a time.
const AT_ONCE: usize = 32;
/// Letters of a label that nobody can guess, five bits each.
const LABEL_LETTERS: usize = 26;
/// Base32 without what looks alike, in lower case (RFC 4648 §6 has others).
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

pub(crate) async fn run(
    args: &DelegateArgs,
    setup: &Setup,
    output: Output,
) -> Result<Report, Failure> {
    let settings = &setup.settings;
    let environment = setup.environment()?;
    let dns = environment.dns();
    let identifiers = identifiers(args, settings)?;
    let challenge_names: BTreeSet<_> = identifiers.iter().map(Identifier::challenge_name).collect();
    let (aliases, mut left_out) = aliases(args, setup, dns, &challenge_names, output).await?;
    for note in sharing::notes(aliases.values()) {
        output.note(&note);
    }
    let mut wanted: Vec<_> = aliases
        .into_iter()
        .map(|(challenge_name, alias_name)| Wanted::Cname(challenge_name, alias_name))
        .collect();
    if args.caa {
        let (records, without) = caa(args, setup, &identifiers, output).await?;
        wanted.extend(records);
        left_out += without;
    }
    let compared = stream::iter(&wanted).map(|wanted| wanted.compare(dns, args.ttl));
    let compared: Vec<_> = compared.buffered(AT_ONCE).collect().await;
    let compared = wanted.iter().zip(compared).map(|(wanted, compared)| {
        let name = wanted.name().clone();
        (name, compared.map_err(|error| nowhere(wanted, &error)))
    });
    let (compared, not_compared) = those_found(compared, output)?;
    left_out += not_compared;
    let mut records = Vec::new();
    let mut there = 0;
    for Compared { record, presence } in compared.into_iter().flat_map(|(_, compared)| compared) {
        match presence {
            Presence::Present if !args.all => there += 1,
            Presence::Present | Presence::Missing => records.push(record),
            Presence::Unknown(error) => {
                let name = &record.name;
                output.warning(&format!("what is at {name} is not known: {error}"));
                records.push(record);
            }
            Presence::Impossible(why) => {
                output.warning(&format!("`{record}` is left out: {why}"));
            }
        }
    }
    records
        .sort_by(|one: &ZoneRecord, other| (&one.zone, &one.name).cmp(&(&other.zone, &other.name)));
    Ok(Report::Records {
        records,
        there,
        left_out,
        format: args.format,
    })
}

/// What was found for each name, with a warning for the others, and how many these are: the zone of one domain holds
/// back the records of no other. Fails if nothing was found at all.
fn those_found<K: Display, T>(
    results: impl IntoIterator<Item = (K, Result<T, Failure>)>,
    output: Output,
) -> Result<(Vec<(K, T)>, usize), Failure> {
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    for (name, result) in results {
        match result {
            Ok(one) => found.push((name, one)),
            Err(failure) => failed.push((name, failure)),
        }
    }
    if found.is_empty() && !failed.is_empty() {
        return Err(failed.swap_remove(0).1);
    }
    let left_out = failed.len();
    for (name, failure) in failed {
        let remedy = failure.remedy.as_deref();
        let remedy = remedy.map_or_else(String::new, |remedy| format!("; {remedy}"));
        output.warning(&format!("{name} is left out: {failure}{remedy}"));
    }
    Ok((found, left_out))
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

/// Where each challenge name should lead: by the flags, the settings, a label of its own, the records that are there
/// and work, or the only alias zone.
/// The second value counts the names for which that is not known.
async fn aliases(
    args: &DelegateArgs,
    setup: &Setup,
    dns: &Dns,
    challenge_names: &BTreeSet<&DnsName>,
    output: Output,
) -> Result<(BTreeMap<DnsName, DnsName>, usize), Failure> {
    let settings = &setup.settings;
    if args.unique || args.by_domain {
        return one_each(args, setup, dns, challenge_names, output).await;
    }
    let in_words = |error| Failure::new(Part::Settings, &error, None);
    let with_provider = leads::with_provider(settings);
    let alias_name = async |challenge_name: &DnsName| {
        if let Some(alias) = &args.domain_alias {
            return Ok(alias.clone());
        }
        if let Some(alias) = &args.challenge_alias {
            return alias.challenge_name().map_err(in_words);
        }
        match setup.aliases.wanted(challenge_name) {
            Ok(Some(alias_name)) => return Ok(alias_name.clone()),
            Ok(None) => {}
            Err(contested) => {
                return one_of_several(setup, dns, challenge_name, contested, output).await;
            }
        }
        let is_usable = |name: &DnsName| {
            leads::alias_zone(settings, name).is_some() || with_provider.contains(challenge_name)
        };
        match Leads::of(dns, settings, challenge_name).await {
            Leads::To(name) if is_usable(&name) => Ok(name),
            _ => {
                let zone = only_zone(settings, challenge_name)?;
                zone.challenge_name().map_err(in_words)
            }
        }
    };
    let found =
        stream::iter(challenge_names).map(async |name| ((*name).clone(), alias_name(name).await));
    let found: Vec<_> = found.buffered(AT_ONCE).collect().await;
    let (found, left_out) = those_found(found, output)?;
    Ok((found.into_iter().collect(), left_out))
}

/// Of several alias names for a challenge name, the one to which it leads, with a warning. Fails if it leads to none of
/// them, or if all certificates are in the settings files, where their aliases can be made the same.
async fn one_of_several(
    setup: &Setup,
    dns: &Dns,
    challenge_name: &DnsName,
    contested: Failure,
    output: Output,
) -> Result<DnsName, Failure> {
    let configured = setup.aliases.all_configured(challenge_name);
    if !configured.iter().any(|(id, _)| setup.by_flags.contains(id)) {
        return Err(contested);
    }
    let mut aliases: BTreeMap<&DnsName, BTreeSet<String>> = BTreeMap::new();
    for (id, alias) in configured {
        aliases.entry(alias).or_default().insert(format!("`{id}`"));
    }
    let each = aliases.iter().map(|(alias, ids)| {
        let ids: Vec<_> = ids.iter().map(String::as_str).collect();
        format!("{alias} for {}", few(&ids, ", "))
    });
    let each: Vec<_> = each.collect();
    let problem = format!(
        "{challenge_name} has different aliases: {}",
        few(&each, ", and ")
    );
    let remedy = "a name has one CNAME: issue the certificates with other aliases again with the same one, or \
                  `acme-alias forget` them";
    match Leads::of(dns, &setup.settings, challenge_name).await {
        Leads::To(name) if aliases.contains_key(&name) => {
            output.warning(&format!(
                "{problem}; it leads to {name}, which stays; {remedy}"
            ));
            Ok(name)
        }
        _ => Err(Failure::new(Part::Settings, &problem, remedy.to_owned())),
    }
}

/// A name of its own for each challenge name, kept in the state: one that nobody can guess, or that of the
/// domain below the alias zone. The second value counts those that are too long for one.
async fn one_each(
    args: &DelegateArgs,
    setup: &Setup,
    dns: &Dns,
    challenge_names: &BTreeSet<&DnsName>,
    output: Output,
) -> Result<(BTreeMap<DnsName, DnsName>, usize), Failure> {
    let chains = stream::iter(challenge_names).map(|name| CnameChain::follow(dns, name));
    let chains: Vec<_> = chains.buffered(AT_ONCE).collect().await;
    let mut fresh = Vec::new();
    for (challenge_name, chain) in challenge_names.iter().zip(chains) {
        // A name that is kept would be expected from then on.
        if chain.begins_at_an_apex() {
            output.warning(&format!(
                "{challenge_name} is left out: it is the apex of a zone of its own, where there can be no CNAME"
            ));
            continue;
        }
        let zone = match &args.challenge_alias {
            Some(zone) => zone,
            None => only_zone(&setup.settings, challenge_name)?,
        };
        let name = match challenge_name.parent().filter(|_| args.by_domain) {
            Some(domain) => format!("{domain}.{zone}").parse(),
            None => zone.child(&fresh_label()),
        };
        let name = name.map_err(|error| Failure::new(Part::Settings, &error, None));
        fresh.push(((*challenge_name).clone(), name));
    }
    let (fresh, left_out) = those_found(fresh, output)?;
    let fresh = fresh.into_iter().collect();
    let (store, _) = state::open(&setup.settings, &setup.clock).await?;
    let kept = store.add_alias_names(&fresh).await?;
    for (challenge_name, alias_name) in &kept {
        warn_of_others(setup, challenge_name, alias_name, output);
    }
    Ok((kept, left_out))
}

/// A warning for each certificate that has another alias, and would not be renewed once the CNAME leads to
/// `alias_name`.
fn warn_of_others(setup: &Setup, challenge_name: &DnsName, alias_name: &DnsName, output: Output) {
    let configured = setup.aliases.all_configured(challenge_name).iter();
    for (id, configured) in configured.filter(|(_, name)| name != alias_name) {
        if !setup.by_flags.contains(id) {
            output.warning(&format!(
                "the settings still have {configured} as the alias of {challenge_name} in `[certificates.{id}]`; \
                 remove it there, or set `domain-alias = \"{alias_name}\"`"
            ));
            continue;
        }
        let certificate = setup.settings.certificates.get(id);
        let domains = certificate.into_iter().flat_map(|one| &one.domains);
        let domains = domains.filter(|domain| domain.identifier.challenge_name() == challenge_name);
        let flags =
            domains.map(|domain| format!("--domain-alias {}={alias_name}", domain.identifier));
        let flags: Vec<_> = flags.collect();
        output.warning(&format!(
            "`{id}`, which was issued by flags, still has {configured} as the alias of {challenge_name}; once the \
             record is there, issue it again with `{}` in place of its alias, and the other flags as before",
            flags.join(" ")
        ));
    }
}

fn only_zone<'a>(settings: &'a Settings, challenge_name: &DnsName) -> Result<&'a DnsName, Failure> {
    match settings.alias_zones.as_slice() {
        [only] => Ok(&only.zone),
        zones => {
            let zones: Vec<_> = zones.iter().map(|zone| zone.zone.as_str()).collect();
            Err(Failure::new(
                Part::Settings,
                &format!("no alias is configured for {challenge_name}"),
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

/// The CAA records (RFC 8659, RFC 8657) that allow one CA for these names, and none for the alias zones.
async fn caa(
    args: &DelegateArgs,
    setup: &Setup,
    identifiers: &BTreeSet<Identifier>,
    output: Output,
) -> Result<(Vec<Wanted>, usize), Failure> {
    let settings = &setup.settings;
    let certificates = check::certificates(settings);
    let mut authorities = Authorities::new(setup, args.caa_issuer.as_deref());
    let mut wanted: BTreeMap<&DnsName, Vec<Caa>> = BTreeMap::new();
    let mut has_no_account = false;
    let mut authorities_of = Vec::new();
    for identifier in identifiers {
        let of_name = certificates.get(identifier.challenge_name());
        let ids = of_name.into_iter().flatten().map(|(id, _)| *id);
        let identities = authorities.of_all(ids).await?;
        let found = identities.ok_or_else(|| unknown_authority(identifier));
        let found = found.map(|identities| (identifier, identities));
        authorities_of.push((format!("the CAA record of {identifier}"), found));
    }
    let (authorities_of, left_out) = those_found(authorities_of, output)?;
    for (_, (identifier, identities)) in authorities_of {
        let tag = if identifier.is_wildcard() {
            "issuewild"
        } else {
            "issue"
        };
        for identity in identities {
            has_no_account |= identity.account.is_none();
            let record = caa_record(tag, &caa_value(&identity));
            let records = wanted.entry(identifier.base()).or_default();
            if !records.contains(&record) {
                records.push(record);
            }
        }
    }
    if has_no_account {
        output.warning(
            "there is no account at this authority yet, so that the CAA records name none; ask \
             again after the first certificate",
        );
    }
    // An alias zone that has names of certificates in it is not closed.
    for zone in settings.alias_zones.iter().map(|zone| &zone.zone) {
        let mut named = settings.identifiers().chain(identifiers);
        if !named.any(|identifier| identifier.base().is_within(zone)) {
            wanted
                .entry(zone)
                .or_default()
                .push(caa_record("issue", ";"));
        }
    }
    let wanted = wanted.into_iter();
    let wanted = wanted.map(|(name, records)| Wanted::Caa(name.clone(), records));
    Ok((wanted.collect(), left_out))
}

fn caa_record(tag: &str, value: &str) -> Caa {
    Caa {
        flags: 0,
        tag: tag.to_owned(),
        value: value.into(),
    }
}

/// The value that allows this CA to issue for our account by DNS-01 (RFC 8657).
fn caa_value(identity: &CaaIdentity) -> String {
    let account = identity.account.as_ref();
    let account = account.map_or_else(String::new, |url| format!("; accounturi={url}"));
    format!("{}; validationmethods=dns-01{account}", identity.issuer)
}

fn unknown_authority(identifier: &Identifier) -> Failure {
    Failure::new(
        Part::Settings,
        &format!("the domain that names a CA of {identifier} in CAA records is unknown"),
        "give it with `--caa-issuer`, or as `caa-issuer` of the CA in the settings; the CA's documentation has it".to_owned(),
    )
}
