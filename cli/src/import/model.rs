//! What was found in the state folder of another client, in our terms.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use acme_alias_core::certificate::{Chain, ForeignKey, KeyType};
use acme_alias_core::name::{DnsName, Identifier};
use acme_alias_core::printable::printable;
use acme_alias_core::store::CertificateId;
use secrecy::{ExposeSecret, SecretString};

/// Everything that was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) accounts: Vec<FoundAccount>,
    pub(crate) certificates: Vec<FoundCertificate>,
    pub(crate) providers: Vec<FoundProvider>,
    /// What cannot be taken over.
    pub(crate) problems: Vec<Problem>,
    /// The ids of the certificates, each with the last number that others got to be told apart from it. The owners of
    /// domains can let thousands have the same one.
    pub(super) ids: HashMap<String, u32>,
}

/// What cannot be taken over, and why.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Problem {
    /// Where it is, fit to be printed.
    pub(crate) file: String,
    /// The reason, and what to do.
    pub(crate) reason: String,
}

impl Problem {
    pub(crate) fn new(file: &Path, reason: impl AsRef<str>) -> Self {
        Problem {
            file: printable(&file.display().to_string()),
            reason: printable(reason.as_ref()),
        }
    }
}

/// An account at a CA.
#[derive(Debug)]
pub(crate) struct FoundAccount {
    /// The file with its key.
    pub(crate) file: PathBuf,
    /// The URL of the CA's directory.
    pub(crate) directory: String,
    /// Its own URL.
    pub(crate) url: String,
    /// Mail addresses.
    pub(crate) contact: Vec<String>,
    pub(crate) key: ForeignKey,
}

/// A certificate that the other client renews.
#[derive(Debug)]
pub(crate) struct FoundCertificate {
    /// The file that describes it.
    pub(crate) file: PathBuf,
    pub(crate) id: CertificateId,
    pub(crate) names: Vec<FoundName>,
    /// The URL of the CA's directory, if it is known.
    pub(crate) directory: Option<String>,
    /// The URL of the account that ordered it, if it is known.
    pub(crate) account: Option<String>,
    /// The certificate itself, if it can be used.
    pub(crate) version: Option<Version>,
    /// The type of key that the settings of the other client ask for.
    pub(crate) key_type: Option<KeyType>,
    pub(crate) reuse_key: bool,
    /// The id of its provider.
    pub(crate) provider: Option<String>,
    pub(crate) profile: Option<String>,
    pub(crate) preferred_chain: Option<String>,
    /// Commands to run when it has changed, as lists of arguments.
    pub(crate) hooks: Vec<Vec<String>>,
    /// Files to write, by the keys of a `files` target.
    pub(crate) files: Vec<(&'static str, String)>,
    /// The same for the files of the other client itself, which servers may read.
    pub(crate) old_files: Vec<(&'static str, String)>,
    /// What somebody who reads the settings should know.
    pub(crate) comments: Vec<String>,
}

/// A name in a certificate, with the name at which its TXT record is written if that is another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundName {
    pub(crate) identifier: Identifier,
    pub(crate) alias: Option<DnsName>,
}

/// A certificate with its key.
#[derive(Debug)]
pub(crate) struct Version {
    /// PKCS #8 (PEM).
    pub(crate) key: SecretString,
    pub(crate) chain: Chain,
}

/// A backend with its credentials.
#[derive(Debug)]
pub(crate) struct FoundProvider {
    /// The file with its credentials.
    pub(crate) file: PathBuf,
    pub(crate) id: String,
    pub(crate) kind: &'static str,
    pub(crate) options: Vec<(&'static str, OptionValue)>,
    /// The zone that it writes in, if it is known.
    pub(crate) zone: Option<DnsName>,
    /// What somebody who reads the settings should know.
    pub(crate) comments: Vec<String>,
}

/// The value of an option of a provider.
#[derive(Clone, Debug)]
pub(crate) enum OptionValue {
    Text(String),
    List(Vec<String>),
    /// A secret that stays in this file.
    SecretFile(PathBuf),
    /// A secret that gets a file of its own.
    Secret(SecretString),
}

impl OptionValue {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (OptionValue::Text(one), OptionValue::Text(other)) => one == other,
            (OptionValue::List(one), OptionValue::List(other)) => one == other,
            (OptionValue::SecretFile(one), OptionValue::SecretFile(other)) => one == other,
            (OptionValue::Secret(one), OptionValue::Secret(other)) => {
                one.expose_secret() == other.expose_secret()
            }
            _ => false,
        }
    }
}

impl FoundProvider {
    /// Whether it is another provider in nothing but its id.
    fn is_same(&self, other: &Self) -> bool {
        let pairs = self.options.iter().zip(&other.options);
        self.kind == other.kind
            && self.zone == other.zone
            && self.options.len() == other.options.len()
            && pairs
                .into_iter()
                .all(|((name, one), (other_name, other))| name == other_name && one.is_same(other))
    }
}

impl FoundCertificate {
    /// One of which nothing is known but this.
    pub(super) fn new(file: PathBuf, id: CertificateId, names: Vec<FoundName>) -> Self {
        FoundCertificate {
            file,
            id,
            names,
            directory: None,
            account: None,
            version: None,
            key_type: None,
            reuse_key: false,
            provider: None,
            profile: None,
            preferred_chain: None,
            hooks: Vec::new(),
            files: Vec::new(),
            old_files: Vec::new(),
            comments: Vec::new(),
        }
    }
}

impl Found {
    /// Adds a provider, unless there is one that does the same. Returns its id, which gets a number if another one
    /// has it.
    pub(super) fn add_provider(&mut self, mut provider: FoundProvider) -> String {
        let mut known = self.providers.iter();
        if let Some(known) = known.find(|known| known.is_same(&provider)) {
            return known.id.clone();
        }
        let ids: Vec<_> = self.providers.iter().map(|known| &known.id).collect();
        provider.id = unused(&provider.id, |id| ids.iter().any(|known| *known == id));
        let id = provider.id.clone();
        self.providers.push(provider);
        id
    }

    /// Adds a certificate. If another one has its id, it gets the type of its key, or a number, at its end.
    pub(super) fn add_certificate(&mut self, mut certificate: FoundCertificate) {
        if self.ids.contains_key(certificate.id.as_str()) {
            let held = certificate.version.as_ref();
            let held = held.and_then(|version| version.chain.info.key_type);
            let with_type = match held.or(certificate.key_type) {
                Some(key_type) => format!("{}-{key_type}", certificate.id),
                None => certificate.id.to_string(),
            };
            // One that is too long keeps its id, and its settings are refused.
            if let Ok(id) = self.unused_id(&with_type).parse() {
                certificate.id = id;
            }
        }
        self.ids.entry(certificate.id.to_string()).or_insert(1);
        self.certificates.push(certificate);
    }

    /// The id, with a number if it is used.
    fn unused_id(&mut self, id: &str) -> String {
        let Some(mut number) = self.ids.get(id).copied() else {
            return id.to_owned();
        };
        loop {
            number += 1;
            let numbered = format!("{id}-{number}");
            if !self.ids.contains_key(&numbered) {
                self.ids.insert(id.to_owned(), number);
                return numbered;
            }
        }
    }
}

/// The word, with a number if it is used.
fn unused(word: &str, is_used: impl Fn(&str) -> bool) -> String {
    if !is_used(word) {
        return word.to_owned();
    }
    let mut numbered = (2_u32..).map(|number| format!("{word}-{number}"));
    numbered
        .find(|word| !is_used(word))
        .unwrap_or_else(|| word.to_owned())
}
