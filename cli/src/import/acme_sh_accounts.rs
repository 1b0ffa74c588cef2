//! The accounts of acme.sh.

use std::path::{Path, PathBuf};

use acme_alias_core::certificate::ForeignKey;

use super::model::FoundAccount;
use super::reader::{Reader, authority, is_address};
use super::shell::Assignments;

/// The folder of the accounts.
const CAS: &str = "ca";
/// Levels of folders in `ca`: the host and the path of the directory URL.
const DEPTH_MAX: usize = 6;

/// Reads all accounts. `common` has the variables in `account.conf`.
pub(super) fn accounts(reader: &mut Reader, common: &Assignments) {
    let mut folders = vec![PathBuf::from(CAS)];
    for _ in 0..DEPTH_MAX {
        let mut below = Vec::new();
        for folder in folders {
            let names = reader.names(&folder);
            if names.iter().any(|name| name == "account.key") {
                account(reader, &folder, common);
            }
            below.extend(names.iter().map(|name| folder.join(name)));
        }
        folders = below;
    }
}

fn account(reader: &mut Reader, folder: &Path, common: &Assignments) {
    let (relative, key) = (folder.join("ca.conf"), folder.join("account.key"));
    let (conf_path, file) = (reader.folder.path(&relative), reader.folder.path(&key));
    let text = reader.text(&relative).unwrap_or_default();
    let conf = reader.assignments(&conf_path, &text, &["ACCOUNT_URL"]);
    let Some(url) = conf.get("ACCOUNT_URL") else {
        return reader.problem(
            &conf_path,
            "the account is left out: `ACCOUNT_URL` is missing",
        );
    };
    let Some(url) = reader.url(&conf_path, "`ACCOUNT_URL`", url) else {
        return;
    };
    let Some(text) = reader.text(&key) else {
        return;
    };
    let Some(directory) = directory(reader, folder) else {
        return reader.problem(
            &file,
            "the account is left out: the URL of the CA is not known",
        );
    };
    let contact = [conf.get("CA_EMAIL"), common.get("ACCOUNT_EMAIL")];
    let contact = contact.into_iter().flatten().find(|text| is_address(text));
    match ForeignKey::from_pem(&text) {
        Ok(key) => reader.found.accounts.push(FoundAccount {
            file,
            directory,
            url,
            contact: contact.map(str::to_owned).into_iter().collect(),
            key,
        }),
        Err(error) => reader.problem(&file, format!("the account is left out: {error}")),
    }
}

/// The directory URL of the CA whose folder this is. The folder has neither the scheme nor the port.
fn directory(reader: &Reader, folder: &Path) -> Option<String> {
    let place = folder.strip_prefix(CAS).ok()?.to_str()?;
    let without_port = |url: &str| {
        let host = authority(url)?;
        let path = url.split_once(host)?.1.trim_end_matches('/');
        let host = host.split(':').next()?;
        Some(format!("{host}{path}"))
    };
    let mut known = reader.known.iter();
    let known = known.find(|url| {
        let url = without_port(url).unwrap_or_default();
        // Earlier versions had no folders for the path.
        url == place || (!place.contains('/') && url.split('/').next() == Some(place))
    });
    let has_path = place.contains('/');
    known
        .cloned()
        .or_else(|| has_path.then(|| format!("https://{place}")))
}
