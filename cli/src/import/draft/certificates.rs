//! The certificates, as tables of the settings.

use std::collections::{BTreeMap, BTreeSet};

use acme_alias_core::certificate::KeyType;
use acme_alias_core::name::DnsName;

use super::cas::Cas;
use crate::import::model::{FoundCertificate, FoundName, Problem};
use crate::import::toml_text::{comment, list, quoted, setting, texts};

/// What `challenge-alias` adds.
const CHALLENGE_PREFIX: &str = "_acme-challenge.";

/// What the tables of certificates refer to.
pub(super) struct Context<'a> {
    /// The other client.
    pub(super) client: &'a str,
    pub(super) cas: &'a Cas,
    /// The ids of providers in the settings, by those that were found.
    pub(super) providers: &'a BTreeMap<String, String>,
    /// The alias zones.
    pub(super) zones: Vec<&'a DnsName>,
}

impl Context<'_> {
    /// The tables of these certificates.
    pub(super) fn text(
        &self,
        certificates: &[&FoundCertificate],
        problems: &mut Vec<Problem>,
    ) -> String {
        let mut paths = BTreeSet::new();
        let tables = certificates.iter().map(|certificate| {
            let mut files = certificate.files.clone();
            files.retain(|(_, path)| {
                let is_new = paths.insert(path.clone());
                if !is_new {
                    let reason =
                        format!("another certificate is written to {path}, too: this one is not");
                    problems.push(Problem::new(&certificate.file, reason));
                }
                is_new
            });
            problems.extend(other_names(certificate));
            problems.extend(self.own_zones(certificate));
            self.table(certificate, &files)
        });
        tables.collect::<Vec<_>>().join("\n")
    }

    fn table(&self, certificate: &FoundCertificate, files: &[(&'static str, String)]) -> String {
        let mut text = head(certificate);
        text.push_str(&names(&certificate.names));
        if let Some(provider) = self.provider(certificate) {
            text.push_str(&setting("provider", &quoted(provider)));
        }
        let ca = certificate.directory.as_ref();
        if let Some(ca) = ca.and_then(|directory| self.cas.id(directory)) {
            text.push_str(&setting("ca", &quoted(ca)));
        }
        text.push_str(&order(certificate));
        text.push_str(&deployment(certificate, files));
        text
    }

    fn provider(&self, certificate: &FoundCertificate) -> Option<&String> {
        let id = certificate.provider.as_ref()?;
        self.providers.get(id)
    }

    /// That the other client writes TXT records in zones that are no alias zones: without CNAMEs.
    fn own_zones(&self, certificate: &FoundCertificate) -> Option<Problem> {
        let provider = self.provider(certificate)?;
        let client = self.client;
        let is_known = |name: &FoundName| {
            let written = name.identifier.challenge_name();
            name.alias.is_some() || self.zones.iter().any(|zone| written.is_within(zone))
        };
        let mut names = certificate.names.iter();
        let first = &names.find(|name| !is_known(name))?.identifier;
        let reason = format!(
            "{client} writes the TXT records for {first} into its own zone, without a CNAME: before the next renewal, add \
             CNAMEs into an alias zone, or name the zone in `[[alias-zones]]` with the provider `{provider}`"
        );
        Some(Problem::new(&certificate.file, reason))
    }
}

fn head(certificate: &FoundCertificate) -> String {
    let mut text = comment(&format!("From {}", certificate.file.display()));
    for line in &certificate.comments {
        text.push_str(&comment(line));
    }
    text.push_str(&format!("[certificates.{}]\n", certificate.id));
    text
}

/// That the names are others than those of the stored certificate.
fn other_names(certificate: &FoundCertificate) -> Option<Problem> {
    let held = &certificate.version.as_ref()?.chain.info.names;
    let held: BTreeSet<_> = held.iter().cloned().collect();
    let wanted = certificate.names.iter();
    let wanted: BTreeSet<_> = wanted.map(|name| name.identifier.to_string()).collect();
    (held != wanted).then(|| {
        let reason = "its settings have other names than its certificate: the first `acme-alias renew` obtains a new one";
        Problem::new(&certificate.file, reason)
    })
}

/// The domains, with one alias for all or one for each.
fn names(names: &[FoundName]) -> String {
    let first = names.first().and_then(|name| name.alias.as_ref());
    let is_common = names.iter().all(|name| name.alias.as_ref() == first);
    if is_common {
        let domains: Vec<_> = names
            .iter()
            .map(|name| name.identifier.to_string())
            .collect();
        let mut text = setting("domains", &texts(&domains));
        if let Some((key, value)) = first.map(alias) {
            text.push_str(&setting(key, &quoted(&value)));
        }
        return text;
    }
    let domains = names.iter().map(|name| {
        let identifier = quoted(&name.identifier.to_string());
        let Some(to) = &name.alias else {
            return identifier;
        };
        let (key, value) = if to == name.identifier.challenge_name() {
            ("domain-alias", to.to_string())
        } else {
            alias(to)
        };
        format!("{{ name = {identifier}, {key} = {} }}", quoted(&value))
    });
    setting("domains", &list(&domains.collect::<Vec<_>>()))
}

/// The key and the value for an alias name.
fn alias(name: &DnsName) -> (&'static str, String) {
    let name = name.to_string();
    match name.strip_prefix(CHALLENGE_PREFIX) {
        Some(rest) if !rest.starts_with(CHALLENGE_PREFIX) && rest.contains('.') => {
            ("challenge-alias", rest.to_owned())
        }
        _ => ("domain-alias", name),
    }
}

/// What the order asks for.
fn order(certificate: &FoundCertificate) -> String {
    let mut text = String::new();
    let held = certificate.version.as_ref();
    let held = held.and_then(|version| version.chain.info.key_type);
    // Another type than that of the certificate would make it due at once.
    let key_type = held.or(certificate.key_type).unwrap_or_default();
    if key_type != KeyType::default() {
        text.push_str(&setting("key-type", &quoted(&key_type.to_string())));
    }
    if certificate.reuse_key {
        text.push_str(&setting("key", &quoted("reuse")));
    }
    for (key, value) in [
        ("profile", &certificate.profile),
        ("preferred-chain", &certificate.preferred_chain),
    ] {
        if let Some(value) = value {
            text.push_str(&setting(key, &quoted(value)));
        }
    }
    text
}

/// The targets, the files first.
fn deployment(certificate: &FoundCertificate, files: &[(&'static str, String)]) -> String {
    let table = format!("[[certificates.{}.deploy]]\n", certificate.id);
    let paths = |files: &[(&'static str, String)]| -> String {
        let lines = files.iter().map(|(key, path)| setting(key, &quoted(path)));
        lines.collect()
    };
    let mut text = String::new();
    let hooks = certificate.hooks.as_slice();
    if let [hook] = hooks {
        text.push_str(&setting("deploy-hook", &texts(hook)));
    }
    if files.is_empty() && !certificate.old_files.is_empty() {
        let old = setting("kind", &quoted("files")) + &paths(&certificate.old_files);
        text.push_str("# If servers go on to read the old files, let acme-alias write them:\n");
        text.extend(
            format!("{table}{old}")
                .lines()
                .map(|line| format!("#{line}\n")),
        );
    }
    if !files.is_empty() {
        let kind = setting("kind", &quoted("files"));
        text.push_str(&format!("\n{table}{kind}{}", paths(files)));
    }
    if hooks.len() > 1 {
        for hook in hooks {
            let kind = setting("kind", &quoted("command"));
            let command = setting("command", &texts(hook));
            text.push_str(&format!("\n{table}{kind}{command}"));
        }
    }
    text
}
