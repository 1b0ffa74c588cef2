//! The CAs of the accounts and certificates, as tables of the settings.

use std::collections::{BTreeMap, BTreeSet};

use crate::import::existing::Existing;
use crate::import::model::Found;
use crate::import::toml_text::{comment, quoted, setting, texts};
use crate::settings::known_ca;

/// The id of the usual CA.
const USUAL: &str = "acme";

/// Which CA of the settings each directory URL is.
pub(super) struct Cas {
    /// By directory URL; `None` for the usual one.
    ids: BTreeMap<String, Option<String>>,
    /// The new tables.
    pub(super) text: String,
}

impl Cas {
    pub(super) fn new(found: &Found, existing: &Existing, client: &str) -> Self {
        let mut cas = Cas {
            ids: BTreeMap::new(),
            text: String::new(),
        };
        let mut used: BTreeSet<String> = existing.settings.cas.keys().cloned().collect();
        let mut has_usual = existing.has_acme;
        for directory in by_use(found) {
            if let Some((id, _)) = existing.ca(&directory) {
                cas.ids.insert(directory, id.map(str::to_owned));
                continue;
            }
            // Certificates that are there already have the CA that is the usual one now.
            let may_be_usual =
                !has_usual && (existing.is_fresh || existing.settings.acme.directory == directory);
            let id = (!may_be_usual).then(|| new_id(&directory, &mut used));
            has_usual |= may_be_usual;
            let table = match &id {
                Some(id) => format!("cas.{id}"),
                None => USUAL.to_owned(),
            };
            if !cas.text.is_empty() {
                cas.text.push('\n');
            }
            cas.text
                .push_str(&text(&table, &directory, found, existing, client));
            cas.ids.insert(directory, id);
        }
        cas
    }

    /// The id of a CA for the settings of a certificate; `None` for the usual one.
    pub(super) fn id(&self, directory: &str) -> Option<&str> {
        self.ids.get(directory)?.as_deref()
    }
}

/// The directory URLs, those of most certificates first.
fn by_use(found: &Found) -> Vec<String> {
    let accounts = found.accounts.iter().map(|account| &account.directory);
    let certificates = found.certificates.iter();
    let certificates = certificates.filter_map(|certificate| certificate.directory.as_ref());
    let mut counts: Vec<(&String, usize)> = Vec::new();
    for directory in certificates.clone().chain(accounts) {
        match counts.iter_mut().find(|(known, _)| *known == directory) {
            Some((_, count)) => *count += 1,
            None => counts.push((directory, 1)),
        }
    }
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
        .into_iter()
        .map(|(directory, _)| directory.clone())
        .collect()
}

/// A new id for `[cas]`: the word by which the CA is known, or its host.
fn new_id(directory: &str, used: &mut BTreeSet<String>) -> String {
    let known = known_ca(directory).map(str::to_owned);
    let host = || {
        let (_, rest) = directory.split_once("://").unwrap_or(("", directory));
        let host = rest.split('/').next().unwrap_or_default();
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        host.chars().map(plain).collect::<String>().to_lowercase()
    };
    let word = known.unwrap_or_else(host);
    let mut ids = (1_u32..).map(|number| match number {
        1 => word.clone(),
        number => format!("{word}-{number}"),
    });
    let is_free = |id: &String| !id.is_empty() && id != USUAL && !used.contains(id);
    let id = ids.find(is_free).unwrap_or_default();
    used.insert(id.clone());
    id
}

fn text(table: &str, directory: &str, found: &Found, existing: &Existing, client: &str) -> String {
    let mut accounts = found.accounts.iter();
    let account = accounts.find(|account| account.directory == directory);
    let mut text = match account {
        Some(account) => comment(&format!(
            "The account {}, from {}",
            account.url,
            account.file.display()
        )),
        None => String::new(),
    };
    text.push_str(&format!("[{table}]\n"));
    let name = known_ca(directory).unwrap_or(directory);
    text.push_str(&setting("directory", &quoted(name)));
    if let Some(account) = account {
        if !account.contact.is_empty() {
            text.push_str(&setting("contact", &texts(&account.contact)));
        }
        text.push_str(&format!("agree-tos = true    # agreed to with {client}\n"));
    }
    if let Some(path) = &existing.ca_file {
        text.push_str(&setting("ca-file", &quoted(&path.display().to_string())));
    }
    text
}
