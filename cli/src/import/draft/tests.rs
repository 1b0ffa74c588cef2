//! What is drafted beside the settings that are there.

use std::fs;

use acme_alias_core::certificate::{CertificateKey, ForeignKey, KeyType};
use clap::Parser;
use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;
use crate::cli::Cli;
use crate::import::model::{FoundAccount, FoundName, FoundProvider, OptionValue};
use crate::sources::Sources;

const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
const OTHER: &str = "https://ca.example:444/dir";

/// The settings, and a folder for them.
struct Bed {
    folder: TempDir,
    is_fresh: bool,
}

impl Bed {
    fn new(settings: &str) -> Self {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("config.toml"), settings).unwrap();
        let is_fresh = true;
        Bed { folder, is_fresh }
    }

    fn draft(&self, found: &Found) -> Result<Draft, String> {
        let file = self.folder.path().join("config.toml");
        let file = file.display().to_string();
        let cli = Cli::try_parse_from(["acme-alias", "--config", &file, "providers"]).unwrap();
        let sources = Sources::new(&cli).map_err(|error| error.to_string())?;
        let existing = Existing::new(sources, None, !self.is_fresh);
        let existing = existing.map_err(|failure| failure.to_string())?;
        let draft = Draft::new(found, &existing, "lego");
        draft.map_err(|failure| failure.to_string())
    }
}

fn account(directory: &str) -> Option<FoundAccount> {
    Some(FoundAccount {
        file: "/other/account.key".into(),
        directory: directory.to_owned(),
        url: format!("{directory}/1"),
        contact: vec!["admin@example.com".to_owned()],
        key: ForeignKey::from_pem(&key()?).ok()?,
    })
}

fn key() -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().ok()?;
    let key = runtime.block_on(CertificateKey::generate(KeyType::EcdsaP256));
    Some(key.ok()?.to_pem().expose_secret().to_owned())
}

fn certificate(name: &str, directory: &str, provider: Option<&str>) -> FoundCertificate {
    let names = vec![FoundName {
        identifier: name.parse().unwrap(),
        alias: Some("x.auth.example.net".parse().unwrap()),
    }];
    let id = name.replace('.', "-").parse().unwrap();
    FoundCertificate {
        directory: Some(directory.to_owned()),
        provider: provider.map(str::to_owned),
        ..FoundCertificate::new("/other/file".into(), id, names)
    }
}

fn provider(server: &str, zone: Option<&str>) -> FoundProvider {
    FoundProvider {
        file: "/other/account.conf".into(),
        id: "dns".to_owned(),
        kind: "rfc2136",
        options: vec![
            ("server", OptionValue::Text(server.to_owned())),
            ("tsig-key", OptionValue::Text("key".to_owned())),
            ("tsig-secret", OptionValue::Secret("c2VjcmV0".into())),
        ],
        zone: zone.map(|zone| zone.parse().unwrap()),
        comments: Vec::new(),
    }
}

fn found(directories: &[&str]) -> Found {
    let names = ["a.example", "b.example", "c.example"];
    let certificates = names.iter().zip(directories);
    Found {
        accounts: directories.iter().filter_map(|one| account(one)).collect(),
        certificates: certificates
            .map(|(name, directory)| certificate(name, directory, None))
            .collect(),
        ..Found::default()
    }
}

#[test]
fn the_first_ca_is_the_usual_one_and_the_next_ones_have_tables_of_their_own() {
    let draft = Bed::new("").draft(&found(&[LETS_ENCRYPT, OTHER])).unwrap();
    assert!(
        draft.text.contains("[acme]\ndirectory = \"letsencrypt\"\n"),
        "{}",
        draft.text
    );
    assert!(
        draft.text.contains("contact = [\"admin@example.com\"]"),
        "{}",
        draft.text
    );
    let ca = "[cas.ca-example-444]\ndirectory = \"https://ca.example:444/dir\"\n";
    assert!(draft.text.contains(ca), "{}", draft.text);
    assert!(
        draft.text.contains("ca = \"ca-example-444\"\n"),
        "{}",
        draft.text
    );
    assert_eq!(draft.settings.acme.directory, LETS_ENCRYPT);
    assert_eq!(draft.problems, []);
}

#[test]
fn the_usual_ca_of_certificates_that_are_there_stays() {
    let mut bed = Bed::new("");
    bed.is_fresh = false;
    let draft = bed.draft(&found(&[OTHER])).unwrap();
    assert!(!draft.text.contains("[acme]"), "{}", draft.text);
    assert!(
        draft.text.contains("[cas.ca-example-444]"),
        "{}",
        draft.text
    );
    assert_eq!(draft.settings.acme.directory, LETS_ENCRYPT);
    let bed = Bed::new(
        "[acme]\nagree-tos = true\n[cas.mine]\ndirectory = \"https://ca.example:444/dir\"\n",
    );
    let draft = bed.draft(&found(&[LETS_ENCRYPT, OTHER])).unwrap();
    assert!(!draft.text.contains("directory"), "{}", draft.text);
    assert!(draft.text.contains("ca = \"mine\"\n"), "{}", draft.text);
}

#[test]
fn a_provider_and_a_secret_of_the_same_name_stay() {
    let mut found = found(&[LETS_ENCRYPT]);
    let id = found.add_provider(provider("127.0.0.1", Some("auth.example.net")));
    found.certificates[0].provider = Some(id);
    let bed = Bed::new("[providers.dns]\nkind = \"route53\"\n");
    let path = |name: &str| bed.folder.path().join(name);
    let taken = path("lego-dns-rfc2136-tsig-secret");
    fs::write(&taken, "of somebody else").unwrap();
    let draft = bed.draft(&found).unwrap();
    assert!(
        draft.text.contains("[providers.dns-rfc2136]\n"),
        "{}",
        draft.text
    );
    assert!(
        draft.text.contains("provider = \"dns-rfc2136\"\n"),
        "{}",
        draft.text
    );
    let zone = "[[alias-zones]]\nzone = \"auth.example.net\"\nprovider = \"dns-rfc2136\"\n";
    assert!(draft.text.contains(zone), "{}", draft.text);
    assert!(!draft.text.contains("c2VjcmV0"), "{}", draft.text);
    let paths: Vec<_> = draft.secrets.iter().map(|(path, _)| path.clone()).collect();
    assert_eq!(paths, [path("lego-dns-rfc2136-tsig-secret-2")]);
    // The same kind is used as it is.
    let bed = Bed::new(
        "[providers.dns]\nkind = \"rfc2136\"\nserver = \"127.0.0.2\"\ntsig-secret = { file = \"/x\" }\n",
    );
    let draft = bed.draft(&found).unwrap();
    assert!(!draft.text.contains("[providers."), "{}", draft.text);
    assert!(
        draft.text.contains("provider = \"dns\"\n"),
        "{}",
        draft.text
    );
    assert!(
        draft.problems[0]
            .reason
            .contains("is in the settings already")
    );
}

#[test]
fn a_path_of_two_certificates_is_that_of_the_first() {
    let mut found = found(&[LETS_ENCRYPT, LETS_ENCRYPT]);
    for certificate in &mut found.certificates {
        certificate.files = vec![("fullchain", "/srv/web.pem".to_owned())];
    }
    let draft = Bed::new("").draft(&found).unwrap();
    assert_eq!(
        draft.text.matches("/srv/web.pem").count(),
        1,
        "{}",
        draft.text
    );
    assert!(
        draft.problems[0]
            .reason
            .contains("another certificate is written to")
    );
}

#[test]
fn settings_that_cannot_be_extended_are_refused() {
    let bed = Bed::new("certificates = { x = { domains = [\"x.example\"] } }\n");
    let error = bed.draft(&found(&[LETS_ENCRYPT])).err().unwrap();
    assert!(error.contains("cannot be added to the end of"), "{error}");
}
