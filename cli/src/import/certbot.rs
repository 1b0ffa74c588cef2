//! The folder of certbot (`/etc/letsencrypt`).

use std::path::{Path, PathBuf};

use acme_alias_core::certificate::{ForeignKey, KeyType};
use serde::Deserialize;

use super::certbot_providers::provider;
use super::ini::Ini;
use super::model::{FoundAccount, FoundCertificate};
use super::reader::{Reader, addresses, is_file_name, other_challenge, without_aliases};

const ACCOUNTS: &str = "accounts";
const RENEWAL: &str = "renewal";
/// The section of `renewal/NAME.conf` with the options.
const PARAMS: &str = "renewalparams";
/// Levels of folders in `accounts`: the host and the path of the directory URL, and the account.
const DEPTH_MAX: usize = 8;

/// `regr.json`.
#[derive(Deserialize)]
struct Registration {
    uri: String,
    #[serde(default)]
    body: Body,
}

#[derive(Default, Deserialize)]
struct Body {
    #[serde(default)]
    contact: Vec<String>,
}

pub(super) fn read(reader: &mut Reader) {
    let names = reader.names(RENEWAL);
    let names = names.iter().filter_map(|name| name.strip_suffix(".conf"));
    let mut used = Vec::new();
    for name in names {
        used.extend(certificate(reader, name));
    }
    accounts(reader, &used);
    for folder in ["pre", "deploy", "post"] {
        let hooks = Path::new("renewal-hooks").join(folder);
        for script in reader.names(&hooks) {
            let file = reader.folder.path(hooks.join(script));
            let reason = match folder {
                "deploy" => {
                    "certbot runs this script for every certificate that was renewed, with RENEWED_LINEAGE: see \
                     docs/migrating.md"
                }
                _ => "there are no hooks before or after a run: nothing is stopped for dns-01",
            };
            reader.problem(&file, reason);
        }
    }
}

/// Reads a certificate; returns the id of its account, and the directory URL of the CA.
fn certificate(reader: &mut Reader, name: &str) -> Option<(String, String)> {
    let relative = Path::new(RENEWAL).join(format!("{name}.conf"));
    let file = reader.folder.path(&relative);
    let conf = Ini::parse(&reader.text(&relative)?);
    let param = |key: &str| conf.get(PARAMS, key);
    let account = param("account").map(str::to_owned);
    let directory = param("server").and_then(|url| reader.url(&file, "`server`", url));
    let used = account.zip(directory.clone());
    let Some(id) = reader.id(&file, name) else {
        return used;
    };
    let live = |name_of_file: &str| Path::new("live").join(name).join(name_of_file);
    let version = reader.version(&live("privkey.pem"), &[&live("fullchain.pem")]);
    // certbot keeps the names in the certificate only.
    let Some(held) = &version else {
        reader.problem(
            &file,
            "the certificate is left out: its names are in its certificate only",
        );
        return used;
    };
    let names = held.chain.info.names.clone();
    let Some(names) = reader.identifiers(&file, names.iter().map(String::as_str)) else {
        return used;
    };
    let mut found = FoundCertificate {
        directory,
        version,
        key_type: key_type(&conf),
        reuse_key: param("reuse_key") == Some("True"),
        profile: param("required_profile")
            .or(param("preferred_profile"))
            .and_then(|profile| reader.plain(&file, "the profile", profile)),
        preferred_chain: param("preferred_chain")
            .and_then(|chain| reader.plain(&file, "`preferred_chain`", chain)),
        old_files: [
            ("key", "privkey.pem"),
            ("certificate", "cert.pem"),
            ("chain", "chain.pem"),
            ("fullchain", "fullchain.pem"),
        ]
        .map(|(key, file)| (key, reader.folder.path(live(file)).display().to_string()))
        .into(),
        ..FoundCertificate::new(file.clone(), id, without_aliases(names))
    };
    hooks(reader, &file, &conf, &mut found);
    match param("authenticator") {
        Some(authenticator) if authenticator.starts_with("dns-") => {
            found.provider = provider(reader, &file, authenticator, &conf);
        }
        Some(authenticator) => {
            let how = format!("the authenticator `{authenticator}`");
            found.comments.push(other_challenge(&how));
        }
        None => {}
    }
    reader.found.add_certificate(found);
    used
}

fn hooks(reader: &mut Reader, file: &Path, conf: &Ini, found: &mut FoundCertificate) {
    let param = |key: &str| conf.get(PARAMS, key);
    if let Some(text) = param("renew_hook") {
        found.hooks.extend(reader.hook(file, "`renew_hook`", text));
    }
    for key in ["pre_hook", "post_hook"] {
        if let Some(hook) = param(key) {
            let reason = format!(
                "`{key}` is left out: `{hook}`; there are no hooks before or after a run, only `deploy-hook` after a \
                 certificate has changed"
            );
            reader.problem(file, reason);
        }
    }
    if let Some(installer) = param("installer") {
        found.comments.push(format!(
            "certbot has set up {installer} to read the files of certbot: let it read those of acme-alias, or \
             keep them as below."
        ));
    }
}

/// What the next certificate was to have.
fn key_type(conf: &Ini) -> Option<KeyType> {
    let param = |key: &str| conf.get(PARAMS, key);
    match param("key_type") {
        Some("rsa") if param("rsa_key_size") == Some("4096") => Some(KeyType::Rsa4096),
        Some("rsa") => Some(KeyType::Rsa2048),
        _ if param("elliptic_curve") == Some("secp384r1") => Some(KeyType::EcdsaP384),
        _ => None,
    }
}

/// Reads the accounts that certificates use, or all if none is used.
fn accounts(reader: &mut Reader, used: &[(String, String)]) {
    let mut folders = vec![PathBuf::from(ACCOUNTS)];
    for _ in 0..DEPTH_MAX {
        let mut below = Vec::new();
        for folder in folders {
            if folder != Path::new(ACCOUNTS) && reader.folder.has(folder.join("regr.json")) {
                account(reader, &folder, used);
            } else {
                let names = reader.names(&folder);
                below.extend(names.iter().map(|name| folder.join(name)));
            }
        }
        folders = below;
    }
}

fn account(reader: &mut Reader, folder: &Path, used: &[(String, String)]) {
    let id = folder.file_name().and_then(|name| name.to_str());
    let id = id.filter(|id| is_file_name(id)).unwrap_or_default();
    let file = reader.folder.path(folder);
    // The URL of the directory without its scheme.
    let place = folder.parent().and_then(|parent| {
        let parent = parent.strip_prefix(ACCOUNTS).ok()?;
        parent.to_str().map(|place| format!("https://{place}"))
    });
    let user = used.iter().find(|(account, _)| account == id);
    let directory = match (user, place) {
        (Some((_, directory)), _) => directory.clone(),
        (None, Some(directory)) if used.is_empty() => directory,
        _ => return reader.problem(&file, "no certificate uses this account: it is left out"),
    };
    let Some(registration) = reader.text(folder.join("regr.json")) else {
        return;
    };
    let registration: Registration = match serde_json::from_str(&registration) {
        Ok(registration) => registration,
        Err(error) => {
            let file = file.join("regr.json");
            return reader.problem(&file, format!("it is not the JSON of certbot: {error}"));
        }
    };
    let Some(url) = reader.url(&file, "the URL of the account", &registration.uri) else {
        return;
    };
    let file = file.join("private_key.json");
    let Some(key) = reader.text(folder.join("private_key.json")) else {
        return reader.problem(&file, "the account is left out: its key does not exist");
    };
    match ForeignKey::from_jwk(&key) {
        Ok(key) => {
            for certificate in &mut reader.found.certificates {
                if certificate.directory.as_ref() == Some(&directory) {
                    certificate.account = Some(url.clone());
                }
            }
            reader.found.accounts.push(FoundAccount {
                file,
                directory,
                url,
                contact: addresses(registration.body.contact.iter().map(String::as_str)),
                key,
            });
        }
        Err(error) => reader.problem(&file, format!("the account is left out: {error}")),
    }
}
