//! The providers, as tables of the settings, and the files of their secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use acme_alias_core::trusted::{self, Access, Links};
use secrecy::{ExposeSecret, SecretString};

use crate::import::existing::Existing;
use crate::import::model::{Found, FoundCertificate, FoundProvider, OptionValue, Problem};
use crate::import::toml_text::{comment, quoted, setting, texts};

/// No secret is larger.
const SECRET_MAX: u64 = 1 << 16;

/// The providers of the certificates that are added.
pub(super) struct Providers {
    /// The ids in the settings, by those that were found.
    pub(super) ids: BTreeMap<String, String>,
    pub(super) text: String,
    /// The files that do not exist yet.
    pub(super) secrets: Vec<(PathBuf, SecretString)>,
    pub(super) problems: Vec<Problem>,
}

impl Providers {
    pub(super) fn new(
        found: &Found,
        existing: &Existing,
        added: &[&FoundCertificate],
        client: &str,
    ) -> Self {
        let mut providers = Providers {
            ids: BTreeMap::new(),
            text: String::new(),
            secrets: Vec::new(),
            problems: Vec::new(),
        };
        let used: BTreeSet<_> = added
            .iter()
            .filter_map(|certificate| certificate.provider.as_ref())
            .collect();
        let wanted = found.providers.iter();
        let wanted = wanted.filter(|provider| used.contains(&provider.id));
        let wanted: Vec<_> = wanted.collect();
        for provider in &wanted {
            let id = Providers::id(provider, existing);
            if Providers::is_new(provider, existing) {
                providers.add(provider, &id, existing, client);
            } else {
                let reason = format!(
                    "`[providers.{id}]` is in the settings already: the certificates use it as it is"
                );
                let problem = Problem::new(&provider.file, reason);
                providers.problems.push(problem);
            }
            providers.ids.insert(provider.id.clone(), id);
        }
        for provider in wanted {
            providers.add_zone(provider, existing);
        }
        providers
    }

    /// Whether the settings have no provider of this id and kind.
    fn is_new(provider: &FoundProvider, existing: &Existing) -> bool {
        let known = existing.settings.providers.get(&provider.id);
        known.is_none_or(|known| known.kind != provider.kind)
    }

    /// Its id in the settings: if those have another kind of provider under its own, with the kind at the end.
    fn id(provider: &FoundProvider, existing: &Existing) -> String {
        match existing.settings.providers.get(&provider.id) {
            Some(known) if known.kind != provider.kind => {
                format!("{}-{}", provider.id, provider.kind)
            }
            _ => provider.id.clone(),
        }
    }

    fn add(&mut self, provider: &FoundProvider, id: &str, existing: &Existing, client: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        let from = format!("From {}", provider.file.display());
        self.text.push_str(&comment(&from));
        for text in &provider.comments {
            self.text.push_str(&comment(text));
        }
        self.text.push_str(&format!("[providers.{id}]\n"));
        self.text.push_str(&setting("kind", &quoted(provider.kind)));
        for (name, value) in &provider.options {
            let value = match value {
                OptionValue::Text(text) => quoted(text),
                OptionValue::List(items) => texts(items),
                OptionValue::SecretFile(path) => secret_file(path),
                OptionValue::Secret(secret) => {
                    let client = client.replace('.', "-");
                    let stem = format!("{client}-{id}-{name}");
                    secret_file(&self.secret(existing, &stem, secret))
                }
            };
            self.text.push_str(&setting(name, &value));
        }
    }

    /// The file of a secret: a new one, or one that has it already.
    fn secret(&mut self, existing: &Existing, stem: &str, secret: &SecretString) -> PathBuf {
        let folder = existing.file.parent().unwrap_or(Path::new("/"));
        let mut paths = (1_u32..).map(|number| match number {
            1 => folder.join(stem),
            number => folder.join(format!("{stem}-{number}")),
        });
        let path = paths.find(|path| match fs::symlink_metadata(path) {
            Err(_) => true,
            Ok(_) => has(path, secret),
        });
        let path = path.unwrap_or_else(|| folder.join(stem));
        if fs::symlink_metadata(&path).is_err() {
            self.secrets.push((path.clone(), secret.clone()));
        }
        path
    }

    fn add_zone(&mut self, provider: &FoundProvider, existing: &Existing) {
        let Some(zone) = &provider.zone else {
            return;
        };
        let mut known = existing.settings.alias_zones.iter();
        if known.any(|known| known.zone == *zone) {
            return;
        }
        if existing.would_hide_zones {
            let file = existing.file.display();
            let reason = format!(
                "the zone {zone} is left out, because `[[alias-zones]]` in {file} would hide those of another file: add \
                 it there"
            );
            self.problems.push(Problem::new(&provider.file, reason));
            return;
        }
        let id = &self.ids[&provider.id];
        self.text.push_str(&format!(
            "\n[[alias-zones]]\nzone = {}\nprovider = {}\n",
            quoted(&zone.to_string()),
            quoted(id)
        ));
    }
}

fn secret_file(path: &Path) -> String {
    format!("{{ file = {} }}", quoted(&path.display().to_string()))
}

/// Whether a file has this secret.
fn has(path: &Path, secret: &SecretString) -> bool {
    let read = trusted::read(path, Access::Private, Links::Refused, SECRET_MAX);
    read.is_ok_and(|read| read.content == secret.expose_secret().as_bytes())
}
