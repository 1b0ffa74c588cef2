//! From the merged layers to checked settings. Every mistake is noted.

use std::collections::BTreeMap;
use std::path::PathBuf;

use acme_alias_core::dns::{self, Propagation, WaitFor, ZoneServers};
use acme_alias_core::name::DnsName;
use acme_alias_core::provider::OptionKind;
use acme_alias_core::registry::{self, ProviderKind};
use acme_alias_core::store::CertificateId;

use super::layer::Tree;
use super::mistake::SettingsError;
use super::model::{
    AliasZoneSettings, Audit, DnsSettings, ProviderOption, ProviderSettings, Settings,
};
use super::nearest::nearest;
use super::read_acme::{acme, cas};
use super::read_certificates::certificates;
use super::read_deploy::{key_access, notify, targets};
use super::read_run::run;
use super::reader::Reader;
use super::same_files::{confusable_files, same_files};
use super::secret::SecretRef;
use super::unknown_keys::unknown_keys;

/// Versions of a certificate that are kept, unless the settings say otherwise.
const KEEP_VERSIONS: usize = 3;

impl Settings {
    /// Checks the merged layers; the error holds every mistake that was found.
    pub(crate) fn read(tree: &Tree) -> Result<Self, SettingsError> {
        let mistakes = unknown_keys(tree);
        let mut reader = Reader {
            tree,
            mistakes,
            warnings: Vec::new(),
        };
        let state = reader.text("state").unwrap_or_default().into();
        let state_group = reader.text("state-group");
        let origin = tree.at("state").and_then(|value| value.origin());
        let keep_versions = keep_versions(&mut reader);
        let renew_before = reader.parsed("renew-before");
        let key = key_access(&mut reader, "");
        let deploy = targets(&mut reader, "deploy", true).unwrap_or_default();
        let notify = notify(&mut reader);
        let renew_every = reader.duration("renew-every");
        let audit_git = reader.text("audit-git").map(PathBuf::from);
        let audit = audit(&mut reader, audit_git.is_some());
        let other_ledgers = reader.texts("other-ledgers").into_iter();
        let other_ledgers = other_ledgers.map(PathBuf::from).collect();
        let acme = acme(&mut reader);
        let cas = cas(&mut reader, &acme);
        let run = run(&mut reader);
        let dns = dns(&mut reader);
        let providers = providers(&mut reader);
        let alias_zones = alias_zones(&mut reader);
        let mut certificates = certificates(&mut reader);
        confusable_files(&mut reader, &deploy);
        for (id, mistake) in same_files(&reader, &certificates, &deploy) {
            if let Some(certificate) = certificates.get_mut(&id) {
                certificate.add_mistake(mistake);
            }
        }
        if !reader.mistakes.is_empty() {
            return Err(SettingsError(reader.mistakes));
        }
        Ok(Settings {
            state,
            state_group,
            is_default_state: origin == Some("default"),
            keep_versions,
            renew_before,
            key,
            deploy,
            notify,
            renew_every,
            audit_git,
            audit,
            other_ledgers,
            acme,
            cas,
            run,
            dns,
            providers,
            alias_zones,
            certificates,
            warnings: reader.warnings,
        })
    }
}

/// At least the current version is kept.
fn keep_versions(reader: &mut Reader<'_>) -> usize {
    let path = "keep-versions";
    match reader.parsed::<usize>(path) {
        Some(0) => {
            reader.wrong(path, "must be at least 1", None);
            1
        }
        Some(versions) => versions,
        None => KEEP_VERSIONS,
    }
}

fn audit(reader: &mut Reader<'_>, has_repository: bool) -> Audit {
    match reader.text("audit").as_deref() {
        None | Some("optional") => Audit::Optional,
        Some("required") if has_repository => Audit::Required,
        Some("required") => {
            reader.wrong("audit", "needs `audit-git` beside it", None);
            Audit::Required
        }
        Some(other) => {
            let help = nearest(other, ["optional", "required"].into_iter());
            let problem = format!("is no such word: `{}`", other.escape_debug());
            reader.wrong("audit", problem, Some(help));
            Audit::Optional
        }
    }
}

fn dns(reader: &mut Reader<'_>) -> DnsSettings {
    let defaults = dns::Config::default();
    DnsSettings {
        resolver: reader.servers("dns.resolver"),
        trust_anchor: reader.text("dns.trust-anchor").map(PathBuf::from),
        timeout: reader.duration("dns.timeout").unwrap_or_default(),
        queries_per_name: reader
            .parsed("dns.queries-per-name")
            .unwrap_or(defaults.queries_per_name),
        allow_special_addresses: reader
            .truth("dns.allow-special-addresses")
            .unwrap_or(defaults.allow_special_addresses),
        allow_private_addresses: reader
            .truth("dns.allow-private-addresses")
            .unwrap_or(defaults.allow_private_addresses),
        propagation_timeout: reader
            .duration("dns.propagation-timeout")
            .unwrap_or_default(),
        propagation: propagation(reader),
        zones: zones(reader),
    }
}

fn propagation(reader: &mut Reader<'_>) -> Propagation {
    let path = "dns.propagation";
    let wait_for = match reader.text(path).as_deref() {
        None | Some("answering") => WaitFor::Answering,
        Some("all") => WaitFor::All,
        Some(other) => {
            let help = nearest(other, ["answering", "all"].into_iter());
            let problem = format!("is no such word: `{}`", other.escape_debug());
            reader.wrong(path, problem, Some(help));
            WaitFor::All
        }
    };
    Propagation {
        wait_for,
        extra_wait: reader
            .duration("dns.propagation-extra-wait")
            .unwrap_or_default(),
        resolvers: reader.servers("dns.propagation-resolvers"),
    }
}

fn zones(reader: &mut Reader<'_>) -> Vec<ZoneServers> {
    let mut zones: Vec<ZoneServers> = Vec::new();
    for index in 0..reader.tree.len("dns.zones") {
        let path = format!("dns.zones[{index}]");
        let Some(zone) = zone_name(reader, &path) else {
            continue;
        };
        let servers = reader.servers(&format!("{path}.servers"));
        if servers.is_empty() {
            reader.wrong(&path, "needs `servers`", None);
        }
        if zones.iter().any(|known| known.zone == zone) {
            reader.wrong(
                &format!("{path}.zone"),
                format!("names {zone} a second time"),
                None,
            );
        }
        zones.push(ZoneServers { zone, servers });
    }
    zones
}

fn zone_name(reader: &mut Reader<'_>, table: &str) -> Option<DnsName> {
    let path = format!("{table}.zone");
    if reader.tree.at(&path).is_none() {
        reader.wrong(table, "needs `zone`", None);
    }
    reader.parsed(&path)
}

fn providers(reader: &mut Reader<'_>) -> BTreeMap<String, ProviderSettings> {
    let mut providers = BTreeMap::new();
    for id in reader.tree.keys("providers") {
        let path = format!("providers.{id}");
        if let Err(problem) = id.parse::<CertificateId>() {
            let problem = problem.to_string().replace("certificate id", "provider id");
            reader.wrong(&path, format!("has a bad name: {problem}"), None);
            continue;
        }
        let kind_path = format!("{path}.kind");
        let Some(kind) = reader.text(&kind_path) else {
            reader.wrong(&path, "needs `kind`", Some(kinds_in_words()));
            continue;
        };
        match registry::find(&kind) {
            Ok(kind) => {
                let options = provider_options(reader, &path, kind);
                let kind = kind.kind.to_owned();
                providers.insert(id, ProviderSettings { kind, options });
            }
            Err(error) => reader.wrong(&kind_path, format!("cannot be used: {error}"), None),
        }
    }
    providers
}

fn kinds_in_words() -> String {
    let kinds = registry::kinds().unwrap_or_default();
    let kinds: Vec<_> = kinds
        .iter()
        .map(|kind| format!("kind = \"{}\"", kind.kind))
        .collect();
    kinds.join(" or ")
}

fn provider_options(
    reader: &mut Reader<'_>,
    path: &str,
    kind: &ProviderKind,
) -> BTreeMap<String, ProviderOption> {
    let mut options = BTreeMap::new();
    for spec in kind.options {
        let path = format!("{path}.{}", spec.name);
        let option = match spec.kind {
            OptionKind::Secret => reader.secret(&path).map(ProviderOption::Secret),
            OptionKind::Secrets => secrets(reader, &path).map(ProviderOption::Secrets),
            OptionKind::List => Some(reader.texts(&path))
                .filter(|list| !list.is_empty())
                .map(ProviderOption::List),
            _ => reader.text(&path).map(ProviderOption::Text),
        };
        match option {
            Some(option) => {
                options.insert(spec.name.to_owned(), option);
            }
            None if spec.required && reader.tree.at(&path).is_none() => {
                reader.wrong(&path, "is missing", Some(spec.help.to_owned()));
            }
            None => {}
        }
    }
    options
}

/// The secrets of a table, by their names.
fn secrets(reader: &mut Reader<'_>, path: &str) -> Option<BTreeMap<String, SecretRef>> {
    reader.tree.at(path)?;
    let names = reader.tree.keys(path);
    if names.is_empty() {
        let forms = "takes a table of secrets: { NAME = { file = \"…\" } }";
        reader.wrong(path, forms, None);
    }
    let secrets = names.into_iter().filter_map(|name| {
        let secret = reader.secret_elsewhere(&format!("{path}.{name}"))?;
        Some((name, secret))
    });
    Some(secrets.collect())
}

fn alias_zones(reader: &mut Reader<'_>) -> Vec<AliasZoneSettings> {
    let mut zones: Vec<AliasZoneSettings> = Vec::new();
    for index in 0..reader.tree.len("alias-zones") {
        let path = format!("alias-zones[{index}]");
        let provider_path = format!("{path}.provider");
        let provider = reader.text(&provider_path);
        match &provider {
            None => reader.wrong(&path, "needs `provider`", None),
            Some(provider) => reader.known_provider(&provider_path, provider),
        }
        let servers = reader.servers(&format!("{path}.servers"));
        let (Some(zone), Some(provider)) = (zone_name(reader, &path), provider) else {
            continue;
        };
        if zones.iter().any(|known| known.zone == zone) {
            reader.wrong(
                &format!("{path}.zone"),
                format!("names {zone} a second time"),
                None,
            );
        }
        zones.push(AliasZoneSettings {
            zone,
            provider,
            servers,
        });
    }
    zones
}
