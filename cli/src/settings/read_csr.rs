//! Certification requests of others, which certificates in the settings name.
//!
//! Such a file is no part of the settings. What is wrong with it is a failure of its certificate, and of no other.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use acme_alias_core::certificate::{CertificationRequest, CsrError};
use acme_alias_core::name::{DnsName, Identifier};
use acme_alias_core::store::CertificateId;
use acme_alias_core::trusted::{self, Access, Links, Untrusted};

use super::mistake::Mistake;
use super::model::{CertificateSettings, DomainSettings, NAMES_MAX, NamesFrom};
use super::read_deploy::files_with_key;
use super::reader::Reader;

/// No request is larger, not even one with a hundred long names that begins with the same in words.
const SIZE_MAX: u64 = 256 << 10;
/// Octets of one in DER. It is kept for each certificate, and somebody may have put anything into it; a hundred long names
/// and a large key have less.
const DER_MAX: usize = 32 << 10;
/// What the settings of a certificate say of a key of ours.
const OF_OWN_KEYS: [&str; 4] = ["key-type", "key", "key-mode", "key-group"];

/// Reads the request that the certificate in `table` names, if it names one.
pub(super) fn csr(reader: &mut Reader<'_>, table: &str) -> Option<Arc<CertificationRequest>> {
    let path = format!("{table}.csr");
    reader.tree.at(&path)?;
    for key in OF_OWN_KEYS.map(|key| format!("{table}.{key}")) {
        if reader.tree.at(&key).is_some() {
            let help = "remove it: the key stays where the request was made".to_owned();
            reader.wrong(&key, "has no effect beside `csr`", Some(help));
        }
    }
    let partial = format!("{table}.partial");
    if reader.truth(&partial) == Some(true) {
        let help = "remove it: a certification request has the names that it has".to_owned();
        reader.wrong(&partial, "is impossible beside `csr`", Some(help));
    }
    targets_with_key(reader, table);
    let text = reader.text(&path)?;
    let file = Path::new(&text);
    if !file.is_absolute() {
        let help = "such as /etc/acme-alias/web.csr".to_owned();
        reader.wrong(&path, "takes an absolute path", Some(help));
        return None;
    }
    match read_csr(file) {
        Ok(request) => Some(Arc::new(request)),
        Err(mistake) => {
            let mistake = reader.located(mistake.about(&path), &path);
            reader.mistakes.push(mistake);
            None
        }
    }
}

/// Notes the targets that need the private key.
fn targets_with_key(reader: &mut Reader<'_>, table: &str) {
    let own = format!("{table}.deploy");
    for key in files_with_key(reader.tree, &own) {
        let help = "write `fullchain` instead, which needs no private key".to_owned();
        let problem = "needs the private key, which `csr` leaves where the request was made";
        reader.wrong(&key, problem, Some(help));
    }
    let has_own = |key: &str| reader.tree.at(&format!("{table}.{key}")).is_some();
    if has_own("deploy") || has_own("deploy-hook") {
        return;
    }
    if let Some(key) = files_with_key(reader.tree, "deploy").first() {
        let problem =
            format!("leaves the private key where the request was made, and `{key}` needs it");
        let help = "give the certificate `deploy` of its own".to_owned();
        reader.wrong(&format!("{table}.csr"), problem, Some(help));
    }
}

/// The names of a certificate. Without names of its own it has those of the request; otherwise both must be the same.
pub(super) fn with_names(
    reader: &mut Reader<'_>,
    table: &str,
    request: &CertificationRequest,
    given: Vec<DomainSettings>,
    usual: Option<&DnsName>,
) -> Vec<DomainSettings> {
    if given.is_empty() {
        let names = request.names().iter().map(|name| DomainSettings {
            identifier: name.clone(),
            alias: usual.cloned(),
        });
        return names.collect();
    }
    let names = given.iter().map(|domain| &domain.identifier);
    if let Some(differences) = differences(names, request.names()) {
        let problem = format!("differs from the certification request: {differences}");
        let help = "list the names of the request, or omit `domains`".to_owned();
        reader.wrong(&format!("{table}.domains"), problem, Some(help));
    }
    given
}

/// Refuses the requests in the settings that are for names of others.
pub(super) fn refuse_names_of_others(
    reader: &Reader<'_>,
    certificates: &mut BTreeMap<CertificateId, CertificateSettings>,
) {
    ListedNames::of(certificates)
        .refuse(certificates, |mistake, path| reader.located(mistake, path));
}

/// The names that are listed for certificates, each with one of these.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListedNames {
    challenge_names: HashMap<DnsName, CertificateId>,
    /// Wildcards, by the name that they are below.
    wildcards: HashMap<DnsName, CertificateId>,
    /// Other names, by the name that they are directly below: a wildcard there stands for them.
    hosts: HashMap<DnsName, CertificateId>,
}

impl ListedNames {
    pub(crate) fn of(certificates: &BTreeMap<CertificateId, CertificateSettings>) -> Self {
        let mut names = ListedNames::default();
        names.add(certificates);
        names
    }

    pub(crate) fn add(&mut self, certificates: &BTreeMap<CertificateId, CertificateSettings>) {
        let listed = certificates
            .iter()
            .filter(|(_, one)| one.names_from == NamesFrom::Settings);
        for (id, certificate) in listed {
            for DomainSettings { identifier, .. } in &certificate.domains {
                let challenge_name = identifier.challenge_name().clone();
                self.challenge_names.insert(challenge_name, id.clone());
                if identifier.is_wildcard() {
                    self.wildcards.insert(identifier.base().clone(), id.clone());
                } else if let Some(parent) = identifier.base().parent() {
                    self.hosts.insert(parent, id.clone());
                }
            }
        }
    }

    /// The certificate with a name that may be that of the same server.
    fn owner(&self, name: &Identifier) -> Option<&CertificateId> {
        let same = self.challenge_names.get(name.challenge_name());
        same.or_else(|| {
            if name.is_wildcard() {
                self.hosts.get(name.base())
            } else {
                self.wildcards.get(&name.base().parent()?)
            }
        })
    }

    /// Refuses a request without `domains` beside it if it is for a name that is listed for another certificate, or
    /// for a wildcard above such a name or a name below such a wildcard: the owner of its key could impersonate that
    /// server.
    pub(crate) fn refuse(
        &self,
        certificates: &mut BTreeMap<CertificateId, CertificateSettings>,
        located: impl Fn(Mistake, &str) -> Mistake,
    ) {
        let of_requests = certificates
            .iter_mut()
            .filter(|(_, one)| one.names_from == NamesFrom::Request);
        for (id, certificate) in of_requests {
            let of_others = certificate.domains.iter().find_map(|domain| {
                let owner = self.owner(&domain.identifier)?;
                Some((&domain.identifier, owner))
            });
            if let Some((name, owner)) = of_others {
                let problem =
                    format!("it is for {name}, which belongs to the certificate `{owner}`");
                let help = "list its names in `domains`, if that is meant";
                let path = format!("certificates.{id}.csr");
                let mistake = Mistake::new(problem).help(help).about(&path);
                certificate.add_mistake(located(mistake, &path));
                certificate.domains.clear();
            }
        }
    }
}

/// How the given names differ from those of a request.
pub(crate) fn differences<'a>(
    given: impl Iterator<Item = &'a Identifier>,
    requested: &'a [Identifier],
) -> Option<String> {
    let (given, requested): (BTreeSet<_>, BTreeSet<_>) =
        (given.collect(), requested.iter().collect());
    let listed = |names: Vec<&&Identifier>| {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        names.join(", ")
    };
    let foreign: Vec<_> = given.difference(&requested).collect();
    let missing: Vec<_> = requested.difference(&given).collect();
    let parts = [
        (foreign, "not in the request"),
        (missing, "only in the request"),
    ];
    let parts = parts.into_iter().filter(|(names, _)| !names.is_empty());
    let parts: Vec<_> = parts
        .map(|(names, place)| format!("{} ({place})", listed(names)))
        .collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// Reads a certification request from a file that only this user and root can change: who changes it gets a
/// certificate for another key.
pub(crate) fn read_csr(file: &Path) -> Result<CertificationRequest, Mistake> {
    let shown = file.display();
    let read = trusted::read(file, Access::Unchangeable, Links::Followed, SIZE_MAX);
    let read = read.map_err(|error| {
        let mistake = Mistake::unreadable(file, &error, "go-w");
        match Untrusted::in_error(&error) {
            Some(_) => mistake,
            None => mistake.help("put the certification request there, or name another file"),
        }
    })?;
    let request = CertificationRequest::parse(&read.content).map_err(|error| {
        let help = remedy(&error);
        Mistake::new(format!("{shown} cannot be used: {error}")).help(help)
    })?;
    let count = request.names().len();
    if count > NAMES_MAX {
        let problem =
            format!("{shown} has {count} names, and a certificate takes {NAMES_MAX} at most");
        return Err(Mistake::new(problem).help("make several requests of it"));
    }
    if request.der().len() > DER_MAX {
        let problem = format!("{shown} cannot be used: in DER, it has more than {DER_MAX} octets");
        return Err(Mistake::new(problem).help("create a request with names only"));
    }
    Ok(request)
}

fn remedy(error: &CsrError) -> &'static str {
    match error {
        CsrError::PrivateKey => "leave only the certification request in the file",
        CsrError::Several => "leave one certification request in the file",
        CsrError::UnsupportedKey { .. } => "create a request for a supported key",
        CsrError::UnsupportedSignature => "create the request again with `openssl req -sha256`",
        CsrError::Signature => "create the request again",
        CsrError::NoNames => {
            "create it with `openssl req -new … -addext subjectAltName=DNS:example.com`"
        }
        CsrError::OtherName { .. } => "create a request with DNS names only",
        CsrError::Name(_) => "create a request without this name",
        CsrError::CommonName(_) => {
            "create a request without a common name, or with one of its DNS names"
        }
        CsrError::Form { .. } => "create a request with the name in that form",
        _ => {
            "create one with `openssl req -new -key KEY -subj / -addext subjectAltName=DNS:example.com -out FILE`"
        }
    }
}
