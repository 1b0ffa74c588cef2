//! The folder of acme.sh (`~/.acme.sh`). Its files are shell code: they are read, and never run.

use std::path::{Path, PathBuf};

use acme_alias_core::certificate::KeyType;
use acme_alias_core::name::Identifier;

use super::acme_sh_accounts::accounts;
use super::acme_sh_alias::aliases;
use super::acme_sh_providers::{self, Variables, provider};
use super::model::{FoundCertificate, FoundName};
use super::reader::{Reader, other_challenge};
use super::shell::Assignments;

const ACCOUNT_CONF: &str = "account.conf";
/// At the end of the folder of a certificate with an ECDSA key.
const ECC: &str = "_ecc";
/// How acme.sh writes nothing.
const NONE: &str = "no";

/// The variables of a certificate that are used here.
const WANTED: [&str; 14] = [
    "Le_Domain",
    "Le_Alt",
    "Le_Webroot",
    "Le_ChallengeAlias",
    "Le_API",
    "Le_Keylength",
    "Le_PreHook",
    "Le_PostHook",
    "Le_RenewHook",
    "Le_ReloadCmd",
    "Le_DeployHook",
    "Le_Preferred_Chain",
    "Le_RealKeyPath",
    "Le_RealFullChainPath",
];

/// Where acme.sh copies files to, and the keys of our target.
const PATHS: [(&str, &str); 4] = [
    ("Le_RealKeyPath", "key"),
    ("Le_RealCertPath", "certificate"),
    ("Le_RealCACertPath", "chain"),
    ("Le_RealFullChainPath", "fullchain"),
];

pub(super) fn read(reader: &mut Reader) {
    let path = reader.folder.path(ACCOUNT_CONF);
    let text = reader.text(ACCOUNT_CONF).unwrap_or_default();
    let common = reader.assignments(&path, &text, &acme_sh_providers::WANTED);
    let mut folders = reader.names("");
    // A certificate with an ECDSA key gets the shorter id, if there are two of a name.
    folders.sort_by_key(|name| !name.ends_with(ECC));
    let mut files = Vec::new();
    for folder in folders {
        let name = folder.strip_suffix(ECC).unwrap_or(&folder);
        let relative = Path::new(&folder).join(format!("{name}.conf"));
        if !reader.folder.has(&relative) {
            continue;
        }
        let path = reader.folder.path(&relative);
        if let Some(text) = reader.text(&relative) {
            let wanted = [&WANTED[..], &acme_sh_providers::WANTED].concat();
            let conf = reader.assignments(&path, &text, &wanted);
            files.push((PathBuf::from(&folder), name.to_owned(), conf));
        }
    }
    // acme.sh keeps the whole URL of a CA with its certificates only.
    let urls = files.iter().filter_map(|(.., conf)| conf.get("Le_API"));
    let urls = urls.filter(|url| url.starts_with("https://"));
    reader
        .known
        .splice(0..0, urls.map(str::to_owned).collect::<Vec<_>>());
    accounts(reader, &common);
    for (folder, name, conf) in files {
        certificate(reader, &folder, &name, &conf, &common);
    }
}

fn certificate(
    reader: &mut Reader,
    folder: &Path,
    name: &str,
    conf: &Assignments,
    common: &Assignments,
) {
    let in_folder = |file: &str| folder.join(file);
    let file = reader.folder.path(in_folder(&format!("{name}.conf")));
    let Some(first) = conf.get("Le_Domain") else {
        return reader.problem(&file, "the certificate is left out: `Le_Domain` is missing");
    };
    let others = conf
        .get("Le_Alt")
        .filter(|alt| *alt != NONE)
        .unwrap_or_default();
    let names = std::iter::once(first).chain(others.split(','));
    let names = names.map(str::trim).filter(|name| !name.is_empty());
    let Some(identifiers) = reader.identifiers(&file, names) else {
        return;
    };
    let Some(id) = reader.id(&file, name) else {
        return;
    };
    let Some(names) = names_with_aliases(reader, &file, identifiers, conf) else {
        return;
    };
    let (key, full) = (
        in_folder(&format!("{name}.key")),
        in_folder("fullchain.cer"),
    );
    let has_any = reader.folder.has(&full);
    let version = has_any.then(|| reader.version(&key, &[&full])).flatten();
    let directory = match (conf.get("Le_API"), reader.found.accounts.as_slice()) {
        (Some(url), _) => reader.url(&file, "`Le_API`", url),
        (None, [account]) => Some(account.directory.clone()),
        (None, _) => None,
    };
    let mut accounts = reader.found.accounts.iter();
    let account = accounts.find(|account| Some(&account.directory) == directory.as_ref());
    let old_files = [
        ("key", format!("{name}.key")),
        ("certificate", format!("{name}.cer")),
        ("chain", "ca.cer".to_owned()),
        ("fullchain", "fullchain.cer".to_owned()),
    ];
    let old_file = |file: &str| reader.folder.path(in_folder(file)).display().to_string();
    let mut found = FoundCertificate {
        account: account.map(|account| account.url.clone()),
        directory,
        version,
        old_files: old_files.map(|(key, file)| (key, old_file(&file))).into(),
        ..FoundCertificate::new(file.clone(), id, names)
    };
    found.key_type = key_type(reader, &file, conf, &found);
    found.preferred_chain = conf
        .get("Le_Preferred_Chain")
        .and_then(|chain| reader.plain(&file, "`Le_Preferred_Chain`", chain));
    deployment(reader, &file, conf, &mut found);
    let common_path = reader.folder.path(ACCOUNT_CONF);
    let variables = Variables {
        own: (&file, conf),
        common: (&common_path, common),
    };
    validation(reader, &file, conf, &variables, &mut found);
    reader.found.add_certificate(found);
}

fn names_with_aliases(
    reader: &mut Reader,
    file: &Path,
    identifiers: Vec<Identifier>,
    conf: &Assignments,
) -> Option<Vec<FoundName>> {
    let list = conf.get("Le_ChallengeAlias").unwrap_or_default();
    match aliases(list, &identifiers) {
        Ok(aliases) => {
            let names = identifiers.into_iter().zip(aliases);
            let name = |(identifier, alias)| FoundName { identifier, alias };
            Some(names.map(name).collect())
        }
        Err(reason) => {
            let reason = format!("the certificate is left out: `Le_ChallengeAlias`: {reason}");
            reader.problem(file, reason);
            None
        }
    }
}

/// The provider: that of the first script. Other ways of validation are reported.
fn validation(
    reader: &mut Reader,
    file: &Path,
    conf: &Assignments,
    variables: &Variables<'_>,
    found: &mut FoundCertificate,
) {
    let ways = conf.get("Le_Webroot").unwrap_or_default().split(',');
    let mut ways: Vec<_> = ways.map(str::trim).filter(|way| !way.is_empty()).collect();
    ways.dedup();
    let script = ways.iter().find(|way| way.starts_with("dns_"));
    found.provider = script.and_then(|script| provider(reader, script, variables));
    if ways.len() > 1 {
        let reason = format!(
            "the names are validated in different ways (`{}`), and only one provider is taken over",
            ways.join(",")
        );
        reader.problem(file, reason);
    }
    if script.is_none() {
        let how = match ways.first() {
            Some(&"dns") => "dns-01 by hand",
            Some(&"alpn") => "tls-alpn-01",
            Some(&NONE) => "http-01 (standalone)",
            _ => "http-01",
        };
        found.comments.push(other_challenge(how));
    }
}

/// The paths and the commands after a renewal.
fn deployment(reader: &mut Reader, file: &Path, conf: &Assignments, found: &mut FoundCertificate) {
    for (variable, key) in PATHS {
        let path = conf.get(variable).filter(|path| *path != NONE);
        let path = path.and_then(|path| reader.target(file, &format!("`{variable}`"), path));
        found.files.extend(path.map(|path| (key, path)));
    }
    for variable in ["Le_ReloadCmd", "Le_RenewHook"] {
        let command = conf.get(variable).filter(|command| *command != NONE);
        let words = command.and_then(|text| reader.hook(file, &format!("`{variable}`"), text));
        found.hooks.extend(words);
    }
    for variable in ["Le_PreHook", "Le_PostHook", "Le_DeployHook"] {
        if let Some(hook) = conf.get(variable).filter(|hook| *hook != NONE) {
            let reason = match variable {
                "Le_DeployHook" => "use targets in its place (docs/deploy.md)",
                _ => {
                    "there are no hooks before or after a run, only `deploy-hook` after a certificate has changed"
                }
            };
            reader.problem(
                file,
                format!("`{variable}` is left out: `{hook}`; {reason}"),
            );
        }
    }
}

fn key_type(
    reader: &mut Reader,
    file: &Path,
    conf: &Assignments,
    found: &FoundCertificate,
) -> Option<KeyType> {
    match conf.get("Le_Keylength").unwrap_or("2048") {
        "ec-256" => Some(KeyType::EcdsaP256),
        "ec-384" => Some(KeyType::EcdsaP384),
        "2048" => Some(KeyType::Rsa2048),
        "4096" => Some(KeyType::Rsa4096),
        other => {
            let reason = format!(
                "there are no keys of the type `{other}` here: the next one of {} is on P-256",
                found.id
            );
            reader.problem(file, reason);
            None
        }
    }
}
