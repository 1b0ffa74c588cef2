//! What the readers of all clients have in common: the folder, and what was found so far.

use std::collections::HashSet;
use std::path::{Component, Path};

use acme_alias_core::name::{DnsName, Identifier};
use acme_alias_core::printable::{is_unprintable, shortened};
use acme_alias_core::store::CertificateId;
use jiff::Timestamp;

use super::folder::{Folder, Refusal, read_named};
use super::model::{Found, FoundName, Problem};
use super::shell::Assignments;
use super::words::words;
use crate::failure::Failure;

/// No URL of a CA or an account is longer.
const URL_MAX: usize = 1000;

/// Reads the state folder of a client.
pub(super) struct Reader {
    pub(super) folder: Folder,
    /// The directory URLs of known CAs.
    pub(super) known: Vec<String>,
    pub(super) now: Timestamp,
    pub(super) found: Found,
    /// The problems in `found`.
    reported: HashSet<Problem>,
}

impl Reader {
    pub(super) fn open(folder: &Path, known: &[String], now: Timestamp) -> Result<Self, Failure> {
        Ok(Reader {
            folder: Folder::open(folder)?,
            known: known.to_vec(),
            now,
            found: Found::default(),
            reported: HashSet::new(),
        })
    }

    /// Reports something that cannot be taken over.
    pub(super) fn problem(&mut self, file: &Path, reason: impl AsRef<str>) {
        let problem = Problem::new(file, reason);
        if self.reported.insert(problem.clone()) {
            self.found.problems.push(problem);
        }
    }

    /// The text of a file in the folder; a refusal is reported.
    pub(super) fn text(&mut self, relative: impl AsRef<Path>) -> Option<String> {
        let read = self.folder.read(&relative);
        self.reported(&self.folder.path(relative), read).flatten()
    }

    /// The text of a file that the settings of the user name; a refusal, and a missing file, are reported.
    pub(super) fn named_text(&mut self, path: &Path) -> Option<String> {
        let read = read_named(path);
        let text = self.reported(path, read)?;
        if text.is_none() {
            self.problem(path, "the file does not exist");
        }
        text
    }

    /// The names in a folder in the folder; a refusal is reported.
    pub(super) fn names(&mut self, relative: impl AsRef<Path>) -> Vec<String> {
        let names = self.folder.names(&relative);
        self.reported(&self.folder.path(relative), names)
            .unwrap_or_default()
    }

    fn reported<T>(&mut self, path: &Path, read: Result<T, Refusal>) -> Option<T> {
        read.map_err(|refusal| self.problem(path, refusal)).ok()
    }

    /// The assignments of a shell file. Those to `wanted` variables that cannot be read are reported.
    pub(super) fn assignments(&mut self, path: &Path, text: &str, wanted: &[&str]) -> Assignments {
        let assignments = Assignments::parse(text);
        for (line, name) in &assignments.refused {
            let is_wanted = |name: &String| wanted.contains(&name.as_str());
            if let Some(name) = name.as_ref().filter(|name| is_wanted(name)) {
                let reason =
                    format!("line {line}: `{name}` is set by shell code, which is not run");
                self.problem(path, reason);
            }
        }
        assignments
    }

    /// The id that a certificate gets from the name that it has with the other client.
    pub(super) fn id(&mut self, file: &Path, name: &str) -> Option<CertificateId> {
        let lower = name.to_ascii_lowercase();
        let text = lower.replace('*', "wildcard").replace('.', "-");
        let id = text.parse();
        id.map_err(|error| self.problem(file, format!("the certificate is left out: {error}")))
            .ok()
    }

    /// The names of a certificate; `None` if one of them cannot be used, which is reported.
    pub(super) fn identifiers<'a>(
        &mut self,
        file: &Path,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Option<Vec<Identifier>> {
        let mut identifiers: Vec<Identifier> = Vec::new();
        for name in names {
            match name.parse::<Identifier>() {
                Ok(identifier) if identifiers.contains(&identifier) => {}
                Ok(identifier) => identifiers.push(identifier),
                Err(error) => {
                    self.problem(file, format!("the certificate is left out: {error}"));
                    return None;
                }
            }
        }
        if identifiers.is_empty() {
            self.problem(file, "the certificate is left out: it has no names");
            return None;
        }
        Some(identifiers)
    }

    /// A command as a list of arguments; one that needs a shell is reported.
    pub(super) fn hook(&mut self, file: &Path, what: &str, text: &str) -> Option<Vec<String>> {
        if text.trim().is_empty() {
            return None;
        }
        let words = words(text);
        if words.is_none() {
            let reason = format!(
                "{what} needs a shell, so it is left out: `{text}`; put it into a script, and set `deploy-hook` to the \
                 script's path"
            );
            self.problem(file, reason);
        }
        words
    }

    /// A text for the settings; one that cannot be printed is reported.
    pub(super) fn plain(&mut self, file: &Path, what: &str, text: &str) -> Option<String> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        if text.contains(is_unprintable) {
            self.problem(file, format!("{what} has control characters: `{text}`"));
            return None;
        }
        Some(text.to_owned())
    }

    /// The URL of a CA or an account; what is no HTTPS URL is reported.
    pub(super) fn url(&mut self, file: &Path, what: &str, text: &str) -> Option<String> {
        let is_url = text.len() <= URL_MAX
            && text
                .strip_prefix("https://")
                .is_some_and(|rest| !rest.is_empty())
            && !text.contains(|c: char| c.is_whitespace() || is_unprintable(c));
        if !is_url {
            let shown = shortened(text, 100);
            self.problem(file, format!("{what} is not an https:// URL: `{shown}`"));
        }
        is_url.then(|| text.to_owned())
    }

    /// An absolute path for a target; another one is reported.
    pub(super) fn target(&mut self, file: &Path, what: &str, text: &str) -> Option<String> {
        let path = self.plain(file, what, text)?;
        let is_plain = path.starts_with('/')
            && !path.ends_with('/')
            && !path.contains("{id}")
            && Path::new(&path)
                .components()
                .all(|part| !matches!(part, Component::ParentDir));
        if !is_plain {
            let reason = format!("{what} is not an absolute path without `..`: `{path}`");
            self.problem(file, reason);
        }
        is_plain.then_some(path)
    }

    /// The directory URL of a CA that is known by its host, and port if there is one.
    pub(super) fn directory_at(&self, host: &str) -> Option<String> {
        let mut known = self.known.iter();
        known.find(|url| authority(url) == Some(host)).cloned()
    }
}

/// The names without aliases.
pub(super) fn without_aliases(identifiers: Vec<Identifier>) -> Vec<FoundName> {
    let name = |identifier| FoundName {
        identifier,
        alias: None,
    };
    identifiers.into_iter().map(name).collect()
}

/// Host and port of a URL.
pub(super) fn authority(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.split('/').next()
}

/// Whether a text is one name of a file, so that it leads nowhere else.
pub(super) fn is_file_name(text: &str) -> bool {
    !text.is_empty() && text != "." && text != ".." && !text.contains(['/', '\0'])
}

/// What is written about a certificate that was not validated by dns-01.
pub(super) fn other_challenge(how: &str) -> String {
    format!(
        "It was validated by {how}. For dns-01 it needs a provider, and a CNAME for each name: see docs/migrating.md."
    )
}

/// The mail addresses of an account, from URLs.
pub(super) fn addresses<'a>(urls: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let urls = urls.into_iter();
    let addresses = urls.filter_map(|url| url.trim().strip_prefix("mailto:"));
    let addresses = addresses.filter(|address| is_address(address));
    addresses.map(str::to_owned).collect()
}

/// Whether a text may be a mail address.
pub(super) fn is_address(text: &str) -> bool {
    let is_odd = |c: char| c.is_whitespace() || is_unprintable(c) || matches!(c, ',' | ';');
    let parts = text.split_once('@').filter(|_| !text.contains(is_odd));
    parts.is_some_and(|(user, host)| !user.is_empty() && host.parse::<DnsName>().is_ok())
}
