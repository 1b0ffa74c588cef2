//! The folder of dehydrated: that of its `config`, or that of its certificates and accounts.

use std::path::{Path, PathBuf};

use super::dehydrated_accounts::{accounts, directory};
use super::domains_txt::{self, Line};
use super::folder::Folder;
use super::model::FoundCertificate;
use super::reader::{Reader, is_file_name, other_challenge, without_aliases};
use super::shell::Assignments;
use acme_alias_core::certificate::KeyType;
use acme_alias_core::name::Identifier;

/// The variables that are used here.
const WANTED: [&str; 13] = [
    "BASEDIR",
    "CERTDIR",
    "ACCOUNTDIR",
    "DOMAINS_TXT",
    "CONFIG_D",
    "CA",
    "CONTACT_EMAIL",
    "KEY_ALGO",
    "KEYSIZE",
    "PREFERRED_CHAIN",
    "PRIVATE_KEY_RENEW",
    "CHALLENGETYPE",
    "HOOK",
];

pub(super) fn read(reader: &mut Reader) {
    let config = config(reader);
    let path = reader.folder.path("config");
    let base = config.get("BASEDIR").map(PathBuf::from);
    let domains = match config.get("DOMAINS_TXT") {
        Some(path) => reader.named_text(Path::new(path)),
        None => reader.text("domains.txt"),
    };
    if let Some(base) = base {
        match Folder::open(&base) {
            Ok(folder) => reader.folder = folder,
            Err(failure) => return reader.problem(&base, &*failure.message),
        }
    }
    let domains = domains.or_else(|| reader.text("domains.txt"));
    for (key, usual) in [("CERTDIR", "certs"), ("ACCOUNTDIR", "accounts")] {
        let usual = reader.folder.path(usual);
        if config
            .get(key)
            .is_some_and(|given| Path::new(given) != usual)
        {
            let reason = format!(
                "`{key}` is not {}: what is there is not read",
                usual.display()
            );
            reader.problem(&path, reason);
        }
    }
    accounts(reader, &config);
    if let Some(hook) = config.get("HOOK") {
        let reason = format!(
            "the hook {hook} is left out, because acme-alias calls programs in another way: see docs/migrating.md"
        );
        reader.problem(&path, reason);
    }
    certificates(reader, &config, domains.as_deref());
}

/// The assignments of `config` and of the files that it includes.
fn config(reader: &mut Reader) -> Assignments {
    let path = reader.folder.path("config");
    let Some(text) = reader.text("config") else {
        return Assignments::default();
    };
    let mut config = reader.assignments(&path, &text, &WANTED);
    let Some(folder) = config.get("CONFIG_D").map(PathBuf::from) else {
        return config;
    };
    let names = match Folder::open(&folder) {
        Ok(folder) => folder.names(""),
        Err(failure) => Err(failure.message.to_string()),
    };
    match names {
        Ok(names) => {
            for name in names
                .iter()
                .filter(|name| name.strip_suffix(".sh").is_some())
            {
                let path = folder.join(name);
                if let Some(text) = reader.named_text(&path) {
                    config.extend(reader.assignments(&path, &text, &WANTED));
                }
            }
        }
        Err(reason) => reader.problem(&folder, reason),
    }
    config
}

fn certificates(reader: &mut Reader, config: &Assignments, domains: Option<&str>) {
    let folders = reader.names("certs");
    let lines = match domains {
        Some(text) => domains_txt::parse(text),
        // Without the list, the certificates have the names that they have now.
        None => folders.iter().map(|name| Line::new(name)).collect(),
    };
    for line in &lines {
        certificate(reader, config, line);
    }
    for folder in folders {
        if !lines.iter().any(|line| line.alias == folder) {
            let path = reader.folder.path(Path::new("certs").join(folder));
            reader.problem(
                &path,
                "`domains.txt` has no line for it: the certificate is left out",
            );
        }
    }
}

fn certificate(reader: &mut Reader, config: &Assignments, line: &Line) {
    let folder = Path::new("certs").join(&line.alias);
    let path = reader.folder.path(&folder);
    if !is_file_name(&line.alias) {
        let alias = &line.alias;
        let reason = format!("`{alias}` is not the name of a folder: the certificate is left out");
        return reader.problem(&reader.folder.path("domains.txt"), reason);
    }
    let Some(id) = reader.id(&path, &line.alias) else {
        return;
    };
    let mut config = config.clone();
    if let Some(text) = reader.text(folder.join("config")) {
        config.extend(reader.assignments(&path.join("config"), &text, &WANTED));
    }
    let file = |name: &str| folder.join(name);
    let has_any = reader.folder.has(file("fullchain.pem"));
    let version = has_any
        .then(|| reader.version(&file("privkey.pem"), &[&file("fullchain.pem")]))
        .flatten();
    let held = version.as_ref().map(|version| &version.chain.info.names);
    let names = match held {
        Some(names) if line.names.is_empty() => names.clone(),
        _ => line.names.clone(),
    };
    let names: Option<Vec<Identifier>> =
        reader.identifiers(&path, names.iter().map(String::as_str));
    let Some(names) = names else {
        return;
    };
    let directory = directory(&config, &reader.found.accounts);
    let Some(directory) = reader.url(&path, "`CA`", &directory) else {
        return;
    };
    let mut accounts = reader.found.accounts.iter();
    let account = accounts.find(|account| account.directory == directory);
    let challenge = config.get("CHALLENGETYPE").unwrap_or("http-01");
    let found = FoundCertificate {
        account: account.map(|account| account.url.clone()),
        directory: Some(directory),
        version,
        key_type: key_type(&config),
        reuse_key: config.get("PRIVATE_KEY_RENEW") == Some("no"),
        preferred_chain: config
            .get("PREFERRED_CHAIN")
            .and_then(|chain| reader.plain(&path, "`PREFERRED_CHAIN`", chain)),
        old_files: [
            ("key", "privkey.pem"),
            ("certificate", "cert.pem"),
            ("chain", "chain.pem"),
            ("fullchain", "fullchain.pem"),
        ]
        .map(|(key, name)| (key, path.join(name).display().to_string()))
        .into(),
        comments: vec![comment(challenge)],
        ..FoundCertificate::new(path, id, without_aliases(names))
    };
    reader.found.add_certificate(found);
}

fn key_type(config: &Assignments) -> Option<KeyType> {
    match config.get("KEY_ALGO").unwrap_or("secp384r1") {
        "prime256v1" => Some(KeyType::EcdsaP256),
        "secp384r1" => Some(KeyType::EcdsaP384),
        "rsa" if config.get("KEYSIZE") == Some("2048") => Some(KeyType::Rsa2048),
        "rsa" => Some(KeyType::Rsa4096),
        _ => None,
    }
}

fn comment(challenge: &str) -> String {
    match challenge {
        "dns-01" => {
            "The hook of dehydrated wrote the TXT records: set `provider`, or an alias zone, in its place."
                .to_owned()
        }
        other => other_challenge(other),
    }
}
