//! The certificates in the settings.

use std::collections::BTreeMap;

use acme_alias_core::deploy::CommandTarget;
use acme_alias_core::name::{DnsName, Identifier};
use acme_alias_core::store::CertificateId;
use config::ValueKind;

use super::mistake::SettingsError;
use super::model::{
    CertificateSettings, DomainSettings, FallbackCa, NAMES_MAX, NamesFrom, TargetSettings,
};
use super::nearest::nearest;
use super::read_acme::USUAL;
use super::read_csr::{csr, refuse_names_of_others, with_names};
use super::read_deploy::{key_access, targets};
use super::reader::Reader;
use super::unknown_keys::unknown_keys_of;

/// What `challenge-alias` adds.
const CHALLENGE_PREFIX: &str = "_acme-challenge.";
/// What an alias is.
const ALIAS_FORM: &str = "an alias is a full name, such as auth.example.net";
/// How to have no alias.
pub(crate) const NO_ALIAS: &str = "omit it to follow the CNAME, or to have none for a name in an alias zone; for one domain \
    among others, set `domain-alias` to its own challenge name, `_acme-challenge.DOMAIN`";
/// Failures in a row after which the other CA is asked, unless configured otherwise.
const FALLBACK_AFTER: u32 = 3;

pub(super) fn certificates(
    reader: &mut Reader<'_>,
) -> BTreeMap<CertificateId, CertificateSettings> {
    let mut certificates = BTreeMap::new();
    for id in reader.tree.keys("certificates") {
        let path = format!("certificates.{id}");
        let earlier = std::mem::replace(&mut reader.mistakes, unknown_keys_of(reader.tree, &path));
        let parsed = id.parse::<CertificateId>();
        let alias = alias(reader, &path);
        let provider_path = format!("{path}.provider");
        let provider = reader.text(&provider_path);
        if let Some(provider) = &provider {
            reader.known_provider(&provider_path, provider);
        }
        let ca = known_ca(reader, &format!("{path}.ca"));
        let csr = csr(reader, &path);
        let mut domains = domains(reader, &path, alias.as_ref());
        if let Some(request) = &csr {
            domains = with_names(reader, &path, request, domains, alias.as_ref());
        }
        let mut certificate = CertificateSettings {
            mistakes: None,
            ca,
            fallback_ca: fallback_ca(reader, &path),
            names_from: match reader.tree.at(&format!("{path}.domains")) {
                Some(_) => NamesFrom::Settings,
                None => NamesFrom::Request,
            },
            domains,
            csr,
            key_type: reader
                .parsed(&format!("{path}.key-type"))
                .unwrap_or_default(),
            provider,
            reuse_key: reuse_key(reader, &format!("{path}.key")),
            profile: reader.text(&format!("{path}.profile")),
            preferred_chain: reader.text(&format!("{path}.preferred-chain")),
            key: key_access(reader, &format!("{path}.")),
            deploy: deploy(reader, &path),
            renew_before: reader.parsed(&format!("{path}.renew-before")),
            partial: reader.truth(&format!("{path}.partial")).unwrap_or_default(),
            skip_preflight: reader
                .truth(&format!("{path}.skip-preflight"))
                .unwrap_or_default(),
        };
        let id = parsed.unwrap_or_else(|problem| {
            // A name with a dot is a path to something else.
            reader.mistakes.clear();
            reader.wrong(&path, format!("has a bad name: {problem}"), None);
            problem.stand_in()
        });
        // They concern no other certificate.
        let own = std::mem::replace(&mut reader.mistakes, earlier);
        certificate.mistakes = (!own.is_empty()).then_some(SettingsError(own));
        certificates.insert(id, certificate);
    }
    refuse_names_of_others(reader, &mut certificates);
    certificates
}

fn reuse_key(reader: &mut Reader<'_>, path: &str) -> bool {
    match reader.text(path).as_deref() {
        None | Some("new") => false,
        Some("reuse") => true,
        Some(other) => {
            let help = nearest(other, ["new", "reuse"].into_iter());
            let problem = format!("is no such word: `{}`", other.escape_debug());
            reader.wrong(path, problem, Some(help));
            false
        }
    }
}

/// Its own targets, the hook last; `None` if it has none.
fn deploy(reader: &mut Reader<'_>, table: &str) -> Option<Vec<TargetSettings>> {
    let targets = targets(reader, &format!("{table}.deploy"), false);
    let hook = reader.texts(&format!("{table}.deploy-hook"));
    if hook.is_empty() {
        return targets;
    }
    let mut targets = targets.unwrap_or_default();
    targets.push(TargetSettings::Command(CommandTarget::new(hook)));
    Some(targets)
}

/// The id of a CA; that of the usual one is left out.
fn known_ca(reader: &mut Reader<'_>, path: &str) -> Option<String> {
    let id = reader.text(path)?;
    let ids = reader.tree.keys("cas");
    if id == USUAL {
        return None;
    }
    if !ids.contains(&id) {
        let known = ids.iter().map(String::as_str).chain([USUAL]);
        let help = nearest(&id, known);
        let problem = format!("names no CA: `{}`", id.escape_debug());
        reader.wrong(path, problem, Some(help));
    }
    Some(id)
}

fn fallback_ca(reader: &mut Reader<'_>, table: &str) -> Option<FallbackCa> {
    let path = format!("{table}.fallback-ca");
    let after_path = format!("{table}.fallback-after");
    let after: Option<u32> = reader.parsed(&after_path);
    if after == Some(0) {
        reader.wrong(&after_path, "must be at least 1", None);
    }
    let is_given = reader.tree.at(&path).is_some();
    if after.is_some() && !is_given {
        reader.wrong(&after_path, "needs `fallback-ca` beside it", None);
    }
    is_given.then(|| FallbackCa {
        id: known_ca(reader, &path).unwrap_or_else(|| USUAL.to_owned()),
        after: after.unwrap_or(FALLBACK_AFTER),
    })
}

/// Whether an alias has a dot, as every name in a zone has. acme.sh takes the word `no` for none.
fn has_dot(reader: &mut Reader<'_>, path: &str, alias: &DnsName) -> bool {
    let has_dot = alias.labels().count() > 1;
    if !has_dot {
        let problem = format!("is `{alias}`, which has no dot: {ALIAS_FORM}");
        reader.wrong(path, problem, Some(NO_ALIAS.to_owned()));
    }
    has_dot
}

/// The alias name.
fn alias(reader: &mut Reader<'_>, table: &str) -> Option<DnsName> {
    let challenge_path = format!("{table}.challenge-alias");
    let challenge: Option<DnsName> = reader.parsed(&challenge_path);
    let challenge = challenge.filter(|alias| has_dot(reader, &challenge_path, alias));
    let challenge = challenge.and_then(|alias| match alias.challenge_name() {
        Ok(_) if alias.to_string().starts_with(CHALLENGE_PREFIX) => {
            let help = format!("did you mean `domain-alias = \"{alias}\"`? It is the name itself");
            let problem = format!("adds `{CHALLENGE_PREFIX}`, which `{alias}` has already");
            reader.wrong(&challenge_path, problem, Some(help));
            None
        }
        Ok(name) => Some(name),
        Err(error) => {
            reader.wrong(&challenge_path, format!("cannot be used: {error}"), None);
            None
        }
    });
    let domain_path = format!("{table}.domain-alias");
    let domain: Option<DnsName> = reader.parsed(&domain_path);
    let domain = domain.filter(|alias| has_dot(reader, &domain_path, alias));
    if challenge.is_some() && domain.is_some() {
        reader.wrong(
            &format!("{table}.domain-alias"),
            "and `challenge-alias` are both set; set only one of them",
            Some(
                "challenge-alias adds `_acme-challenge.`, domain-alias is the TXT name itself"
                    .into(),
            ),
        );
    }
    challenge.or(domain)
}

fn domains(reader: &mut Reader<'_>, table: &str, usual: Option<&DnsName>) -> Vec<DomainSettings> {
    let list = format!("{table}.domains");
    // A single name is a list of one.
    let is_list = |kind: &ValueKind| matches!(kind, ValueKind::Array(_) | ValueKind::Table(_));
    let single = reader
        .tree
        .at(&list)
        .is_some_and(|value| !is_list(&value.kind));
    let count = reader.tree.len(&list) + usize::from(single);
    let has_csr = reader.tree.at(&format!("{table}.csr")).is_some();
    if has_csr && reader.tree.at(&list).is_none() {
        return Vec::new();
    }
    if count == 0 {
        let at = if reader.tree.at(&list).is_some() {
            &list
        } else {
            table
        };
        reader.wrong(
            at,
            "needs at least one domain",
            Some("domains = [\"example.com\"]".into()),
        );
    }
    if count > NAMES_MAX {
        reader.wrong(
            &list,
            format!("has {count} names, and a certificate takes {NAMES_MAX} at most"),
            Some("make several certificates of them".into()),
        );
        return Vec::new();
    }
    let mut domains: Vec<DomainSettings> = Vec::new();
    for index in 0..count {
        let path = if single {
            list.clone()
        } else {
            format!("{list}[{index}]")
        };
        let Some((name_path, domain)) = domain(reader, &path, usual) else {
            continue;
        };
        let identifier = &domain.identifier;
        if domains.iter().any(|known| known.identifier == *identifier) {
            let problem = format!("names {identifier} a second time");
            reader.wrong(&name_path, problem, None);
        }
        domains.push(domain);
    }
    domains
}

/// One of the names, and the path of its text.
fn domain(
    reader: &mut Reader<'_>,
    path: &str,
    usual: Option<&DnsName>,
) -> Option<(String, DomainSettings)> {
    let is_table = matches!(
        reader.tree.at(path).map(|value| &value.kind),
        Some(ValueKind::Table(_))
    );
    let (name_path, own) = if is_table {
        (format!("{path}.name"), alias(reader, path))
    } else {
        (path.to_owned(), None)
    };
    if is_table && reader.tree.at(&name_path).is_none() {
        reader.wrong(path, "needs `name`", None);
    }
    let identifier = reader.parsed::<Identifier>(&name_path)?;
    let alias = own.or_else(|| usual.cloned());
    Some((name_path, DomainSettings { identifier, alias }))
}
