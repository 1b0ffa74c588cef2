//! The folder of lego 4 (`--path`): accounts, and certificates without settings.

use std::path::{Path, PathBuf};

use acme_alias_core::certificate::ForeignKey;
use serde::Deserialize;

use super::model::{FoundAccount, FoundCertificate};
use super::reader::{Reader, authority, is_address, without_aliases};

const ACCOUNTS: &str = "accounts";
const CERTIFICATES: &str = "certificates";

/// What lego does not keep.
const NO_SETTINGS: &str = "lego keeps no settings: set `challenge-alias` (or `domain-alias`) if there is no CNAME yet, and \
     `provider`, or an alias zone; add `deploy-hook` for what `--renew-hook` did.";

/// `account.json`.
#[derive(Deserialize)]
struct AccountJson {
    #[serde(default)]
    email: String,
    registration: Option<Registration>,
}

#[derive(Deserialize)]
struct Registration {
    uri: String,
}

/// `NAME.json` of a certificate.
#[derive(Deserialize)]
struct ResourceJson {
    domain: String,
    #[serde(default, rename = "certUrl")]
    url: String,
}

pub(super) fn read(reader: &mut Reader) {
    for host in reader.names(ACCOUNTS) {
        for user in reader.names(Path::new(ACCOUNTS).join(&host)) {
            account(reader, &host, &user);
        }
    }
    for name in reader.names(CERTIFICATES) {
        if let Some(name) = name.strip_suffix(".json") {
            certificate(reader, name);
        }
    }
}

/// The host and port in a URL that lego writes as `HOST_PORT`.
fn host_of(folder: &str) -> String {
    match folder.rsplit_once('_') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => format!("{host}:{port}"),
        _ => folder.to_owned(),
    }
}

fn account(reader: &mut Reader, host: &str, user: &str) {
    let folder: PathBuf = [ACCOUNTS, host, user].iter().collect();
    let relative = folder.join("account.json");
    let file = reader.folder.path(&relative);
    let Some(text) = reader.text(&relative) else {
        return;
    };
    let account: AccountJson = match serde_json::from_str(&text) {
        Ok(account) => account,
        Err(error) => return reader.problem(&file, format!("it is not the JSON of lego: {error}")),
    };
    let Some(registration) = account.registration else {
        return reader.problem(&file, "the account has no URL");
    };
    let Some(url) = reader.url(&file, "the URL of the account", &registration.uri) else {
        return;
    };
    let host = host_of(host);
    let Some(directory) = reader.directory_at(&host) else {
        let reason = format!(
            "lego does not keep the directory URL of the CA at {host}: repeat the command with `--directory URL`"
        );
        return reader.problem(&file, reason);
    };
    let keys = folder.join("keys");
    let names = reader.names(&keys);
    let Some(key) = names
        .iter()
        .find(|name| name.strip_suffix(".key").is_some())
    else {
        return reader.problem(&file, "there is no key of the account in `keys`");
    };
    let key = keys.join(key);
    let Some(text) = reader.text(&key) else {
        return;
    };
    let file = reader.folder.path(&key);
    match ForeignKey::from_pem(&text) {
        Ok(key) => reader.found.accounts.push(FoundAccount {
            file,
            directory,
            url,
            contact: Some(account.email)
                .filter(|address| is_address(address))
                .into_iter()
                .collect(),
            key,
        }),
        Err(error) => reader.problem(&file, format!("the account is left out: {error}")),
    }
}

fn certificate(reader: &mut Reader, name: &str) {
    let path = |end: &str| Path::new(CERTIFICATES).join(format!("{name}{end}"));
    let file = reader.folder.path(path(".json"));
    let Some(text) = reader.text(path(".json")) else {
        return;
    };
    let resource: ResourceJson = match serde_json::from_str(&text) {
        Ok(resource) => resource,
        Err(error) => return reader.problem(&file, format!("it is not the JSON of lego: {error}")),
    };
    let (certificate, key, issuer) = (path(".crt"), path(".key"), path(".issuer.crt"));
    let Some(id) = reader.id(&file, &resource.domain) else {
        return;
    };
    // lego renews the names that are in the certificate.
    let version = reader.version(&key, &[&certificate, &issuer]);
    let names: Vec<_> = match &version {
        Some(version) => version.chain.info.names.clone(),
        None => vec![resource.domain.clone()],
    };
    let Some(names) = reader.identifiers(&file, names.iter().map(String::as_str)) else {
        return;
    };
    let directory = match (authority(&resource.url), reader.found.accounts.as_slice()) {
        (Some(host), _) => reader.directory_at(host),
        // Earlier versions have no URL here.
        (None, [account]) => Some(account.directory.clone()),
        (None, _) => None,
    };
    if directory.is_none() {
        let reason = "the certificate is left out: the directory URL of its CA is not known";
        return reader.problem(&file, reason);
    }
    let mut accounts = reader.found.accounts.iter();
    let account = accounts.find(|account| Some(&account.directory) == directory.as_ref());
    let old_file = |path: &Path| reader.folder.path(path).display().to_string();
    let found = FoundCertificate {
        account: account.map(|account| account.url.clone()),
        old_files: vec![
            ("key", old_file(&key)),
            ("fullchain", old_file(&certificate)),
            ("chain", old_file(&issuer)),
        ],
        comments: vec![NO_SETTINGS.to_owned()],
        directory,
        version,
        ..FoundCertificate::new(file, id, without_aliases(names))
    };
    reader.found.add_certificate(found);
}
