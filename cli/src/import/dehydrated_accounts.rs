//! The accounts of dehydrated.

use std::path::Path;

use acme_alias_core::certificate::ForeignKey;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::model::FoundAccount;
use super::reader::{Reader, addresses, is_address};
use super::shell::Assignments;

/// The CAs that dehydrated knows by a word.
const CAS: [(&str, &str); 4] = [
    (
        "letsencrypt",
        "https://acme-v02.api.letsencrypt.org/directory",
    ),
    (
        "letsencrypt-test",
        "https://acme-staging-v02.api.letsencrypt.org/directory",
    ),
    ("zerossl", "https://acme.zerossl.com/v2/DV90"),
    ("buypass", "https://api.buypass.com/acme/directory"),
];

/// `account_id.json`; older versions have the URL under another name.
#[derive(Deserialize)]
struct AccountId {
    url: Option<String>,
    #[serde(rename = "URL")]
    old_url: Option<String>,
}

#[derive(Deserialize)]
struct Registration {
    #[serde(default)]
    contact: Vec<String>,
}

/// The URL of the CA's directory. Without the configuration, that of the only account.
pub(super) fn directory(config: &Assignments, accounts: &[FoundAccount]) -> String {
    let given = match (config.get("CA"), accounts) {
        (None, [account]) => &account.directory,
        (given, _) => given.unwrap_or("letsencrypt"),
    };
    let known = CAS.iter().find(|(word, _)| *word == given);
    known.map_or(given, |(_, url)| url).to_owned()
}

/// Reads the account at the configured CA, or all of them if none is configured.
pub(super) fn accounts(reader: &mut Reader, config: &Assignments) {
    let wanted = config.get("CA").map(|_| directory(config, &[]));
    for name in reader.names("accounts") {
        let folder = Path::new("accounts").join(&name);
        // The URL with a line break at its end.
        let url = BASE64_URL_SAFE_NO_PAD.decode(name.trim_end_matches('='));
        let url = url.ok().and_then(|url| String::from_utf8(url).ok());
        let path = reader.folder.path(&folder);
        let Some(url) = url else {
            reader.problem(&path, "the name of the folder is not that of a CA");
            continue;
        };
        let Some(url) = reader.url(&path, "the name of the folder in base64", url.trim()) else {
            continue;
        };
        if wanted.as_ref().is_none_or(|wanted| *wanted == url) {
            account(reader, &folder, url, config);
        } else {
            reader.problem(
                &path,
                "the configured CA is another one: the account is left out",
            );
        }
    }
}

fn account(reader: &mut Reader, folder: &Path, directory: String, config: &Assignments) {
    let id = folder.join("account_id.json");
    let path = reader.folder.path(&id);
    let Some(text) = reader.text(&id) else {
        return reader.problem(&path, "the account is left out: its URL is not known");
    };
    let id = serde_json::from_str::<AccountId>(&text).ok();
    let Some(url) = id.and_then(|id| id.url.or(id.old_url)) else {
        return reader.problem(
            &path,
            "the account is left out: its URL is not in this file",
        );
    };
    let Some(url) = reader.url(&path, "the URL of the account", &url) else {
        return;
    };
    let registration = reader.text(folder.join("registration_info.json"));
    let registration = registration.and_then(|text| serde_json::from_str(&text).ok());
    let registration = registration.unwrap_or(Registration {
        contact: Vec::new(),
    });
    let mut contact = addresses(registration.contact.iter().map(String::as_str));
    if let Some(address) = config.get("CONTACT_EMAIL").filter(|text| is_address(text)) {
        contact = vec![address.to_owned()];
    }
    let key = folder.join("account_key.pem");
    let file = reader.folder.path(&key);
    let Some(text) = reader.text(&key) else {
        return reader.problem(&file, "the account is left out: its key does not exist");
    };
    match ForeignKey::from_pem(&text) {
        Ok(key) => reader.found.accounts.push(FoundAccount {
            file,
            directory,
            url,
            contact,
            key,
        }),
        Err(error) => reader.problem(&file, format!("the account is left out: {error}")),
    }
}
