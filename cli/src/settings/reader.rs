//! Taking values out of the merged layers, and noting every mistake on the way instead of
//! stopping at the first.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use acme_alias_core::dns::{AddressError, parse_server};
use config::ValueKind;
use secrecy::SecretString;

use super::layer::Tree;
use super::mistake::Mistake;
use super::nearest::nearest;
use super::secret::SecretRef;

/// The port of DNS (RFC 1035 §4.2).
const DNS_PORT: u16 = 53;

pub(super) struct Reader<'a> {
    pub(super) tree: &'a Tree,
    pub(super) mistakes: Vec<Mistake>,
    pub(super) warnings: Vec<String>,
}

impl Reader<'_> {
    /// Notes that the value at `path` is wrong.
    pub(super) fn wrong(&mut self, path: &str, problem: impl Display, help: Option<String>) {
        let mistake = Mistake::new(format!("`{path}` {problem}"));
        let mistake = match help {
            Some(help) => mistake.help(help),
            None => mistake,
        };
        self.mistakes.push(self.located(mistake, path));
    }

    /// A mistake at its place.
    pub(super) fn located(&self, mistake: Mistake, path: &str) -> Mistake {
        self.tree.locate(mistake, path, false)
    }

    /// A text; numbers and truths are texts as well.
    pub(super) fn text(&mut self, path: &str) -> Option<String> {
        let value = self.tree.at(path)?;
        match value.kind {
            ValueKind::Array(_) | ValueKind::Table(_) | ValueKind::Nil => {
                self.wrong(path, "takes a text", None);
                None
            }
            _ => value.clone().into_string().ok(),
        }
    }

    /// A text that means something else.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&mut self, path: &str) -> Option<T> {
        match self.text(path)?.parse() {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.wrong(path, format!("cannot be used: {error}"), None);
                None
            }
        }
    }

    pub(super) fn truth(&mut self, path: &str) -> Option<bool> {
        let value = self.tree.at(path)?.clone();
        let truth = value.into_bool().ok();
        if truth.is_none() {
            self.wrong(path, "takes true or false", None);
        }
        truth
    }

    pub(super) fn duration(&mut self, path: &str) -> Option<Duration> {
        let text = self.text(path)?;
        let duration = text.parse::<jiff::SignedDuration>().ok();
        let duration = duration.and_then(|duration| Duration::try_from(duration).ok());
        match duration.filter(|duration| !duration.is_zero()) {
            Some(duration) => Some(duration),
            None => {
                self.wrong(
                    path,
                    "takes a time above zero, such as \"5s\" or \"2m\"",
                    None,
                );
                None
            }
        }
    }

    /// A list of texts, each with its path; a single text is a list of one.
    pub(super) fn list(&mut self, path: &str) -> Vec<(String, String)> {
        match self.tree.at(path).map(|value| &value.kind) {
            None => Vec::new(),
            Some(ValueKind::Array(array)) => {
                let paths = (0..array.len()).map(|index| format!("{path}[{index}]"));
                paths
                    .filter_map(|path| Some((path.clone(), self.text(&path)?)))
                    .collect()
            }
            Some(_) => self
                .text(path)
                .map(|text| (path.to_owned(), text))
                .into_iter()
                .collect(),
        }
    }

    pub(super) fn texts(&mut self, path: &str) -> Vec<String> {
        self.list(path).into_iter().map(|(_, text)| text).collect()
    }

    /// Addresses of DNS servers; the port is 53 where none is given.
    pub(super) fn servers(&mut self, path: &str) -> Vec<SocketAddr> {
        let mut servers = Vec::new();
        for (path, text) in self.list(path) {
            match parse_server(&text, DNS_PORT) {
                Ok(server) => servers.push(server),
                Err(error @ AddressError::NoInterface(_)) => {
                    let help = "`ip link` lists the interfaces";
                    self.wrong(&path, format!("cannot be used: {error}"), Some(help.into()));
                }
                Err(_) => self.wrong(
                    &path,
                    "takes an IP address, with or without a port",
                    Some(
                        "such as 192.0.2.1, 192.0.2.1:5353, 2001:db8::1, [2001:db8::1]:5353 or fe80::1%eth0"
                            .into(),
                    ),
                ),
            }
        }
        servers
    }

    /// A secret: a reference to where it is kept, or the secret itself, which is warned of, and refused in a
    /// file that others can read.
    pub(super) fn secret(&mut self, path: &str) -> Option<SecretRef> {
        match &self.tree.at(path)?.kind {
            ValueKind::Table(_) => self.secret_reference(path),
            ValueKind::String(secret) => {
                if let Some((file, mode)) = self.tree.file(path)
                    && mode & OTHERS != 0
                {
                    let problem = format!(
                        "is a secret, and {file} has the mode {mode:03o}, which lets others read it"
                    );
                    self.wrong(path, problem, Some(format!("run `chmod 600 {file}`")));
                    return None;
                }
                self.warnings.push(format!(
                    "`{path}` stands in the settings themselves; `{{ file = \"…\" }}` with a file \
                     of the mode 600 is safer"
                ));
                Some(SecretRef::Inline(SecretString::from(secret.clone())))
            }
            _ => {
                self.wrong(path, SECRET_FORMS, None);
                None
            }
        }
    }

    /// A reference to a secret that must not stand in the settings themselves.
    pub(super) fn secret_elsewhere(&mut self, path: &str) -> Option<SecretRef> {
        if let ValueKind::Table(_) = &self.tree.at(path)?.kind {
            return self.secret_reference(path);
        }
        self.wrong(path, SECRET_FORMS, None);
        None
    }

    /// Notes a provider that the settings do not define.
    pub(super) fn known_provider(&mut self, path: &str, provider: &str) {
        let ids = self.tree.keys("providers");
        if !ids.iter().any(|id| id == provider) {
            let help = nearest(provider, ids.iter().map(String::as_str));
            let problem = format!("names no provider: `{}`", provider.escape_debug());
            self.wrong(path, problem, Some(help));
        }
    }

    fn secret_reference(&mut self, path: &str) -> Option<SecretRef> {
        let keys = self.tree.keys(path);
        let [key] = keys.as_slice() else {
            self.wrong(path, SECRET_FORMS, None);
            return None;
        };
        let inner = format!("{path}.{key}");
        match key.as_str() {
            "file" => self
                .text(&inner)
                .map(|path| SecretRef::File(PathBuf::from(path))),
            "env" => self.text(&inner).map(SecretRef::Env),
            "credential" => self.text(&inner).map(SecretRef::Credential),
            "command" => Some(SecretRef::Command(self.texts(&inner))),
            // Told as an unknown key.
            _ => None,
        }
    }
}

/// The permission bits of anyone but the owner.
const OTHERS: u32 = 0o077;

const SECRET_FORMS: &str =
    "takes one of { file = \"…\" }, { env = \"…\" }, { credential = \"…\" }, { command = [\"…\"] }";
