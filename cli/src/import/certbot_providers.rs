//! The DNS plugins of certbot, as providers.

use std::path::{Path, PathBuf};

use super::ini::Ini;
use super::model::{FoundProvider, OptionValue};
use super::reader::Reader;

/// Algorithms that the provider rfc2136 has, as certbot writes them.
const ALGORITHMS: [(&str, &str); 3] = [
    ("HMAC-SHA256", "hmac-sha256"),
    ("HMAC-SHA384", "hmac-sha384"),
    ("HMAC-SHA512", "hmac-sha512"),
];
/// What the plugin uses by default.
const USUAL_ALGORITHM: &str = "HMAC-MD5";

/// Adds the provider of a plugin (`dns-…`). Returns its id; `None` if there is no such provider here, which is reported.
pub(super) fn provider(
    reader: &mut Reader,
    file: &Path,
    authenticator: &str,
    conf: &Ini,
) -> Option<String> {
    if authenticator == "dns-route53" {
        return Some(reader.found.add_provider(FoundProvider {
            file: file.to_owned(),
            id: "route53".to_owned(),
            kind: "route53",
            options: Vec::new(),
            zone: None,
            comments: vec![
                "The AWS credentials are found where certbot found them: in the environment or in ~/.aws."
                    .to_owned(),
            ],
        }));
    }
    let key = format!("{}_credentials", authenticator.replace('-', "_"));
    let path = conf.get("renewalparams", &key).map(PathBuf::from);
    let provider = match (authenticator, path) {
        ("dns-rfc2136", Some(path)) => rfc2136(reader, &path),
        ("dns-cloudflare", Some(path)) => cloudflare(reader, &path),
        ("dns-rfc2136" | "dns-cloudflare", None) => {
            reader.problem(file, format!("`{key}` is missing: set up a provider"));
            None
        }
        _ => {
            let reason = format!(
                "there is no provider for the plugin {authenticator}: use a program of your own (docs/exec.md), or let \
                 the CNAMEs lead to an alias zone at a DNS service that `acme-alias providers` lists"
            );
            reader.problem(file, reason);
            None
        }
    };
    provider.map(|provider| reader.found.add_provider(provider))
}

fn rfc2136(reader: &mut Reader, path: &Path) -> Option<FoundProvider> {
    let ini = Ini::parse(&reader.named_text(path)?);
    let value = |key: &str| ini.get("", &format!("dns_rfc2136_{key}"));
    let (Some(server), Some(name), Some(secret)) =
        (value("server"), value("name"), value("secret"))
    else {
        let reason = "`dns_rfc2136_server`, `dns_rfc2136_name` or `dns_rfc2136_secret` is missing";
        reader.problem(path, reason);
        return None;
    };
    let algorithm = value("algorithm").unwrap_or(USUAL_ALGORITHM);
    let known = ALGORITHMS
        .iter()
        .find(|(theirs, _)| theirs.eq_ignore_ascii_case(algorithm));
    let Some((_, algorithm)) = known else {
        let reason = format!(
            "the key signs with {algorithm}, which is not supported: make a key for hmac-sha256, and set up a provider"
        );
        reader.problem(path, reason);
        return None;
    };
    let server = reader.plain(path, "`dns_rfc2136_server`", server)?;
    let name = reader.plain(path, "`dns_rfc2136_name`", name)?;
    let server = with_port(&server, value("port"));
    Some(FoundProvider {
        file: path.to_owned(),
        id: "rfc2136".to_owned(),
        kind: "rfc2136",
        options: vec![
            ("server", OptionValue::Text(server)),
            (
                "tsig-key",
                OptionValue::Text(name.trim_end_matches('.').to_owned()),
            ),
            ("tsig-algorithm", OptionValue::Text((*algorithm).to_owned())),
            ("tsig-secret", OptionValue::Secret(secret.into())),
        ],
        zone: None,
        comments: Vec::new(),
    })
}

fn cloudflare(reader: &mut Reader, path: &Path) -> Option<FoundProvider> {
    let ini = Ini::parse(&reader.named_text(path)?);
    let Some(token) = ini.get("", "dns_cloudflare_api_token") else {
        let reason = "`dns_cloudflare_api_token` is missing: create an API token for the zone, because the global API key \
                      is not supported";
        reader.problem(path, reason);
        return None;
    };
    Some(FoundProvider {
        file: path.to_owned(),
        id: "cloudflare".to_owned(),
        kind: "cloudflare",
        options: vec![("api-token", OptionValue::Secret(token.into()))],
        zone: None,
        comments: Vec::new(),
    })
}

/// A server with its port, if that is not the usual one.
pub(super) fn with_port(server: &str, port: Option<&str>) -> String {
    let is_bare_v6 = server.contains(':') && !server.starts_with('[');
    match port.filter(|port| *port != "53") {
        Some(port) if is_bare_v6 => format!("[{server}]:{port}"),
        Some(port) => format!("{server}:{port}"),
        None => server.to_owned(),
    }
}
