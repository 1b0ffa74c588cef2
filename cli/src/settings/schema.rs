//! Which keys there are, and which of them are secrets.

use acme_alias_core::provider::{self, OptionKind};

use super::layer::Tree;
use super::mistake::Mistake;

pub(crate) const ROOT: &[&str] = &[
    "state",
    "acme",
    "dns",
    "providers",
    "alias-zones",
    "certificates",
];
pub(crate) const ACME: &[&str] = &[
    "directory",
    "contact",
    "agree-tos",
    "ca-file",
    "eab-kid",
    "eab-hmac-key",
];
pub(crate) const DNS: &[&str] = &["resolver", "timeout", "propagation-timeout", "zones"];
const DNS_ZONE: &[&str] = &["zone", "servers"];
const ALIAS_ZONE: &[&str] = &["zone", "provider", "servers"];
pub(crate) const CERTIFICATE: &[&str] = &[
    "domains",
    "challenge-alias",
    "domain-alias",
    "key-type",
    "provider",
    "deploy-hook",
];
const DOMAIN: &[&str] = &["name", "challenge-alias", "domain-alias"];
pub(crate) const SECRET: &[&str] = &["file", "env", "credential", "command"];

/// Keys whose values are lists; from the environment they are split at commas.
pub(crate) const LISTS: &[&str] = &["contact", "resolver", "domains", "deploy-hook", "servers"];

/// Every key that nothing will ever read, each with the nearest one that is read.
pub(crate) fn unknown_keys(tree: &Tree) -> Vec<Mistake> {
    let mut found = Vec::new();
    let mut check = |path: &str, known: &[&str]| {
        for key in tree.keys(path) {
            if !known.contains(&key.as_str()) {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                let mistake = Mistake::new(format!("`{path}` is no setting"));
                let mistake = mistake.help(nearest(&key, known.iter().copied()));
                found.push(tree.locate(mistake, &path, true));
            }
        }
    };
    check("", ROOT);
    check("acme", ACME);
    check("acme.eab-hmac-key", SECRET);
    check("dns", DNS);
    for (list, known) in [("dns.zones", DNS_ZONE), ("alias-zones", ALIAS_ZONE)] {
        (0..tree.len(list)).for_each(|index| check(&format!("{list}[{index}]"), known));
    }
    for id in tree.keys("certificates") {
        let path = format!("certificates.{id}");
        check(&path, CERTIFICATE);
        let domains = format!("{path}.domains");
        (0..tree.len(&domains)).for_each(|index| check(&format!("{domains}[{index}]"), DOMAIN));
    }
    for id in tree.keys("providers") {
        let path = format!("providers.{id}");
        let kind = tree
            .at(&format!("{path}.kind"))
            .and_then(|kind| kind.clone().into_string().ok());
        // Without a known kind the options cannot be known either; that is told elsewhere.
        let Some(Ok(kind)) = kind.map(|kind| provider::find(&kind)) else {
            continue;
        };
        let known: Vec<_> = std::iter::once("kind")
            .chain(kind.options.iter().map(|option| option.name))
            .collect();
        check(&path, &known);
        for option in kind
            .options
            .iter()
            .filter(|option| option.kind == OptionKind::Secret)
        {
            check(&format!("{path}.{}", option.name), SECRET);
        }
    }
    found
}

/// `did you mean …?`, or all there are where none is near.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<_> = known.collect();
    let near = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min();
    match near {
        Some((_, candidate)) => format!("did you mean `{candidate}`?"),
        None if known.is_empty() => "there is none yet".to_owned(),
        None => format!("there are: {}", known.join(", ")),
    }
}

/// The names of all keys that hold a secret.
fn secret_keys() -> Vec<&'static str> {
    let options = provider::kinds()
        .unwrap_or_default()
        .into_iter()
        .flat_map(|kind| kind.options);
    let secrets = options.filter(|option| option.kind == OptionKind::Secret);
    secrets
        .map(|option| option.name)
        .chain(["eab-hmac-key"])
        .collect()
}

/// Whether the key at the end of `path` holds a secret.
pub(crate) fn is_secret(path: &str) -> bool {
    let key = path.rsplit('.').next().unwrap_or(path);
    secret_keys().contains(&key)
}

/// The text with every secret that stands in it overwritten, octet by octet, so that each place
/// stays where it was. The text may be broken in any way.
pub(crate) fn mask_secrets(text: &str) -> String {
    let mut masked = text.as_bytes().to_vec();
    for key in secret_keys() {
        for (at, _) in text.match_indices(key) {
            let start = at + key.len();
            let value = text[start..].trim_start_matches(['"', '\'', ' ', '\t', '=']);
            let opening = &text[start..text.len() - value.len()];
            // `key = {` refers to a secret and holds none.
            if value.starts_with('{') || !opening.contains('=') {
                continue;
            }
            let end = ["\"\"\"", "'''"]
                .iter()
                .find(|quotes| opening.ends_with(**quotes))
                .map_or_else(|| value.find('\n'), |quotes| value.find(quotes));
            let from = text.len() - value.len();
            let to = from + end.unwrap_or(value.len());
            for octet in &mut masked[from..to] {
                if *octet != b'\n' {
                    *octet = b'*';
                }
            }
        }
    }
    // Only whole lines or quoted texts were overwritten, with ASCII.
    String::from_utf8_lossy(&masked).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inline_secret_is_overwritten_and_a_reference_stays() {
        let text = "a = 1\ntsig-secret = \"abc\"\nb = 2\neab-hmac-key={ file = \"x\" }\n";
        let masked = mask_secrets(text);
        assert_eq!(masked.len(), text.len());
        assert!(!masked.contains("abc"), "{masked}");
        assert!(
            masked.contains("b = 2\neab-hmac-key={ file = \"x\" }"),
            "{masked}"
        );
        let broken = "tsig-secret = \"\"\"abc\ndef\"\"\"\nc = 3";
        let masked = mask_secrets(broken);
        assert!(
            !masked.contains("abc") && !masked.contains("def") && masked.ends_with("c = 3"),
            "{masked}"
        );
        assert!(!mask_secrets("x = { tsig-secret = 'abc").contains("abc"));
    }

    #[test]
    fn the_nearest_word_is_proposed_or_all_are_listed() {
        assert_eq!(
            nearest("contatc", ACME.iter().copied()),
            "did you mean `contact`?"
        );
        assert!(nearest("zzzz", ACME.iter().copied()).starts_with("there are: directory"));
    }
}
