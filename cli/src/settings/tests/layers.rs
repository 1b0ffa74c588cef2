//! What a higher layer replaces.

use secrecy::ExposeSecret;

use super::super::environment::{self, Variables};
use super::*;

const BIND: &str =
    "[providers.bind]\nkind = \"rfc2136\"\nserver = \"192.0.2.1\"\ntsig-key = \"k\"\n";

/// How the secret of `providers.bind` may be written, and what it is read as.
const SECRETS: [(&str, &str); 5] = [
    ("\"bGl0ZXJhbA==\"", "bGl0ZXJhbA=="),
    ("{ file = \"/a\" }", "File(\"/a\")"),
    ("{ env = \"A\" }", "Env(\"A\")"),
    ("{ credential = \"a\" }", "Credential(\"a\")"),
    ("{ command = [\"a\", \"b\"] }", "Command([\"a\", \"b\"])"),
];

fn shown(secret: &SecretRef) -> String {
    match secret {
        SecretRef::Inline(secret) => secret.expose_secret().to_owned(),
        other => format!("{other:?}"),
    }
}

/// The secret of `providers.bind` in these layers.
fn secret(tree: &Tree) -> String {
    let settings = Settings::read(tree).unwrap();
    match &settings.providers["bind"].options["tsig-secret"] {
        ProviderOption::Secret(secret) => shown(secret),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_secret_replaces_the_one_below_whatever_the_two_are() {
    for (lower, _) in SECRETS {
        let lower = format!("{BIND}tsig-secret = {lower}\n");
        for (higher, read) in SECRETS {
            let higher = format!("[providers.bind]\ntsig-secret = {higher}\n");
            let tree = tree(&[("low.toml", &lower), ("high.toml", &higher)]);
            assert_eq!(secret(&tree), read, "{higher} over {lower}");
            let origin = tree
                .at("providers.bind.tsig-secret")
                .and_then(|value| value.origin());
            assert_eq!(origin, Some("high.toml"));
        }
        let below = Layer::parse("low.toml", &lower).unwrap();
        let name = "ACME_ALIAS_PROVIDERS__BIND__TSIG_SECRET";
        let variables = Variables::from([(name.to_owned(), "x".to_owned())]);
        let (mut above, _) = environment::layers(&variables, std::slice::from_ref(&below));
        let mut layers = vec![Layer::parse("default", DEFAULTS).unwrap(), below];
        layers.append(&mut above);
        assert_eq!(
            secret(&Tree::new(layers).unwrap()),
            format!("Env(\"{name}\")")
        );
    }
}

#[test]
fn the_secret_of_an_external_account_replaces_the_one_below() {
    for table in ["acme", "cas.other"] {
        let with = |secret: &str| {
            format!(
                "[{table}]\ndirectory = \"https://ca.example\"\neab-kid = \"k\"\neab-hmac-key = {secret}\n"
            )
        };
        let (low, high) = (with("{ file = \"/a\" }"), with("{ env = \"A\" }"));
        let tree = tree(&[("low.toml", &low), ("high.toml", &high)]);
        let keys = tree.keys(&format!("{table}.eab-hmac-key"));
        assert_eq!(keys, ["env"], "{table}");
        assert!(Settings::read(&tree).is_ok());
    }
}

#[test]
fn other_values_replace_those_below_and_tables_are_merged() {
    for (low, high, resolvers) in [
        ("\"192.0.2.1\"", "[\"192.0.2.2\"]", "192.0.2.2:53"),
        ("[\"192.0.2.1\"]", "\"192.0.2.2\"", "192.0.2.2:53"),
        ("{ a = 1 }", "\"192.0.2.2\"", "192.0.2.2:53"),
        ("{ a = 1 }", "[\"192.0.2.2\"]", "192.0.2.2:53"),
        ("\"192.0.2.1\"", "[]", ""),
    ] {
        let low = format!("[dns]\ntimeout = \"9s\"\nresolver = {low}\n");
        let high = format!("[dns]\nresolver = {high}\n");
        let tree = tree(&[("low.toml", &low), ("high.toml", &high)]);
        let dns = Settings::read(&tree).unwrap().dns;
        let read: Vec<_> = dns.resolver.iter().map(ToString::to_string).collect();
        assert_eq!(read.join(" "), resolvers, "{high} over {low}");
        assert_eq!(dns.timeout, Duration::from_secs(9));
    }
}

#[test]
fn a_single_domain_is_a_list_of_one() {
    let certificate = |domains: &str| {
        format!("[certificates.web]\ndomains = {domains}\nchallenge-alias = \"auth.example.net\"\n")
    };
    let settings = read(&certificate("\"*.example.com\"")).unwrap();
    let domains = &settings.certificates.values().next().unwrap().domains;
    let names: Vec<_> = domains
        .iter()
        .map(|domain| domain.identifier.to_string())
        .collect();
    assert_eq!(names, ["*.example.com"]);
    for wrong in ["\"\"", "\"a b\"", "[]", "{}", "\"a.example, b.example\""] {
        assert!(
            mistake(&certificate(wrong)).contains("certificates.web.domains"),
            "{wrong}"
        );
    }
}
