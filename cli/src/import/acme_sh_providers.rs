//! The DNS scripts of acme.sh, as providers.

use std::path::{Path, PathBuf};

use super::certbot_providers::with_port;
use super::model::{FoundProvider, OptionValue};
use super::reader::Reader;
use super::shell::Assignments;

/// The variables that are used here.
pub(super) const WANTED: [&str; 12] = [
    "NSUPDATE_SERVER",
    "NSUPDATE_SERVER_PORT",
    "NSUPDATE_KEY",
    "NSUPDATE_ZONE",
    "SAVED_NSUPDATE_SERVER",
    "SAVED_NSUPDATE_SERVER_PORT",
    "SAVED_NSUPDATE_KEY",
    "SAVED_NSUPDATE_ZONE",
    "CF_Token",
    "SAVED_CF_Token",
    "CF_Zone_ID",
    "SAVED_CF_Zone_ID",
];

/// The variables of acme.sh: those of a certificate, and those of all.
pub(super) struct Variables<'a> {
    /// The file with those of the certificate, and what is in it.
    pub(super) own: (&'a Path, &'a Assignments),
    /// `account.conf`, and what is in it.
    pub(super) common: (&'a Path, &'a Assignments),
}

impl Variables<'_> {
    /// A variable, and the file in which it is. Scripts save it with a prefix, or without.
    fn get(&self, name: &str) -> Option<(&str, &Path)> {
        let saved = format!("SAVED_{name}");
        let places = [
            (self.own, &*saved),
            (self.own, name),
            (self.common, &*saved),
            (self.common, name),
        ];
        let mut found = places
            .into_iter()
            .filter_map(|((path, values), name)| Some((values.get(name)?, path)));
        found.next()
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.get(name).map(|(text, _)| text)
    }
}

/// Adds the provider of a script (`dns_…`). Returns its id; `None` if it cannot be used here, which is reported.
pub(super) fn provider(
    reader: &mut Reader,
    script: &str,
    variables: &Variables<'_>,
) -> Option<String> {
    let provider = match script {
        "dns_nsupdate" => nsupdate(reader, variables),
        "dns_cf" => cloudflare(reader, variables),
        "dns_aws" => Some(aws(reader, variables)),
        _ => other(reader, script, variables),
    };
    provider.map(|provider| reader.found.add_provider(provider))
}

fn nsupdate(reader: &mut Reader, variables: &Variables<'_>) -> Option<FoundProvider> {
    let Some((key, file)) = variables.get("NSUPDATE_KEY") else {
        let reason = "`NSUPDATE_KEY` is missing, so updates were not signed, which is not supported: make a key, and set \
                      up a provider (docs/first-certificate.md)";
        reader.problem(variables.common.0, reason);
        return None;
    };
    let key = PathBuf::from(reader.plain(file, "`NSUPDATE_KEY`", key)?);
    if !key.is_absolute() {
        reader.problem(
            file,
            "`NSUPDATE_KEY` is not an absolute path: set up a provider",
        );
        return None;
    }
    let server = variables.text("NSUPDATE_SERVER").unwrap_or("localhost");
    let server = reader.plain(file, "`NSUPDATE_SERVER`", server)?;
    let port = variables.text("NSUPDATE_SERVER_PORT");
    let mut servers: Vec<_> = server
        .split([',', ' '])
        .filter(|server| !server.is_empty())
        .map(|server| with_port(server, port))
        .collect();
    let zone = variables.text("NSUPDATE_ZONE");
    let zone = zone.and_then(|zone| match zone.parse() {
        Ok(zone) => Some(zone),
        Err(error) => {
            reader.problem(file, format!("`NSUPDATE_ZONE`: {error}"));
            None
        }
    });
    Some(FoundProvider {
        file: file.to_owned(),
        id: "nsupdate".to_owned(),
        kind: "rfc2136",
        options: vec![
            (
                "server",
                match servers.len() {
                    1 => OptionValue::Text(servers.remove(0)),
                    _ => OptionValue::List(servers),
                },
            ),
            ("tsig-secret", OptionValue::SecretFile(key)),
        ],
        zone,
        comments: vec!["The key file must have the mode 600.".to_owned()],
    })
}

fn cloudflare(reader: &mut Reader, variables: &Variables<'_>) -> Option<FoundProvider> {
    let Some((token, file)) = variables.get("CF_Token") else {
        let reason = "`CF_Token` is missing: create an API token for the zone, because the global API key (`CF_Key`) is \
                      not supported";
        reader.problem(variables.common.0, reason);
        return None;
    };
    let zone = variables.text("CF_Zone_ID");
    let zone = zone.and_then(|zone| reader.plain(file, "`CF_Zone_ID`", zone));
    let mut options = vec![("api-token", OptionValue::Secret(token.into()))];
    options.extend(zone.map(|zone| ("zone-id", OptionValue::Text(zone))));
    Some(FoundProvider {
        file: file.to_owned(),
        id: "cloudflare".to_owned(),
        kind: "cloudflare",
        options,
        zone: None,
        comments: Vec::new(),
    })
}

fn aws(reader: &mut Reader, variables: &Variables<'_>) -> FoundProvider {
    let mut file = variables.common.0;
    if let Some((_, keys)) = variables.get("AWS_SECRET_ACCESS_KEY") {
        file = keys;
        let reason = "`AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` are left out: write them into ~/.aws/credentials as \
                      a profile (`[acme]`), and set `profile = \"acme\"` for the provider route53";
        reader.problem(file, reason);
    }
    FoundProvider {
        file: file.to_owned(),
        id: "route53".to_owned(),
        kind: "route53",
        options: Vec::new(),
        zone: None,
        comments: vec!["The AWS credentials are not here: see docs/route53.md.".to_owned()],
    }
}

/// Any other script is run by the provider exec.
fn other(reader: &mut Reader, script: &str, variables: &Variables<'_>) -> Option<FoundProvider> {
    let file = variables.own.0;
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if !script.bytes().all(is_word) {
        reader.problem(file, format!("`{script}` is not the name of a DNS script"));
        return None;
    }
    let path = format!("dnsapi/{script}.sh");
    if !reader.folder.has("acme.sh") || !reader.folder.has(&path) {
        let reason = format!(
            "acme.sh and {path} are not in this folder: to use the script {script}, set up a provider (docs/exec.md)"
        );
        reader.problem(file, reason);
        return None;
    }
    let home = reader.folder.path("").display().to_string();
    let home = home.trim_end_matches('/').to_owned();
    Some(FoundProvider {
        file: reader.folder.path(path),
        id: format!("acme-sh-{}", script.trim_start_matches("dns_")),
        kind: "exec",
        options: vec![
            ("protocol", OptionValue::Text("acme.sh".to_owned())),
            ("home", OptionValue::Text(home)),
            ("script", OptionValue::Text(script.to_owned())),
        ],
        zone: None,
        comments: vec![
            "acme-alias runs the script of acme.sh, with the variables that are saved in account.conf: keep both. \
             docs/exec.md says what the script cannot guarantee."
                .to_owned(),
        ],
    })
}
