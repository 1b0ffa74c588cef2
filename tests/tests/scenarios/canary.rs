//! Secrets of every kind, and every place where one could come out.

use std::fs;
use std::path::{Path, PathBuf};

use acme_alias_tests::{EXTERNAL_ACCOUNT, Error, Outcome, Program, Result, git};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::clouds::{Clouds, SECRET_KEY, SESSION, TOKEN};

const ISSUE: [&str; 6] = [
    "issue",
    "example.com",
    "example.org",
    "example.edu",
    "--id",
    "all",
];

/// A secret, in each form in which it could be printed.
struct Secret {
    what: &'static str,
    forms: Vec<String>,
}

impl Secret {
    fn text(what: &'static str, text: &str) -> Secret {
        let forms = vec![
            text.to_owned(),
            STANDARD.encode(text).trim_end_matches('=').to_owned(),
            in_decimal(text.as_bytes()),
        ];
        Secret { what, forms }
    }

    /// Octets that are written in base64, of either alphabet.
    fn octets(what: &'static str, octets: &[u8]) -> Secret {
        let forms = vec![
            STANDARD.encode(octets).trim_end_matches('=').to_owned(),
            URL_SAFE_NO_PAD.encode(octets),
            in_decimal(octets),
        ];
        Secret { what, forms }
    }

    fn assert_not_in(&self, text: &str, place: &str) {
        for form in &self.forms {
            assert!(!text.contains(form), "{} is in {place}", self.what);
        }
    }
}

/// The beginning of what `Debug` makes of octets.
fn in_decimal(octets: &[u8]) -> String {
    let octets: Vec<_> = octets.iter().take(8).map(ToString::to_string).collect();
    octets.join(", ")
}

/// All files below a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(self::files(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

/// The settings' secrets: the TSIG key, the API token, the AWS key and session, the EAB key.
fn of_the_settings(clouds: &Clouds) -> Result<Vec<Secret>> {
    let tsig = fs::read_to_string(clouds.bed.secret_file("acme-key"))?;
    Ok(vec![
        Secret::octets("the TSIG key", &STANDARD.decode(tsig.trim())?),
        Secret::text("the API token", TOKEN),
        Secret::text("the AWS key", SECRET_KEY),
        Secret::text("the AWS session", SESSION),
        Secret::octets("the EAB key", &URL_SAFE_NO_PAD.decode(EXTERNAL_ACCOUNT.1)?),
    ])
}

/// The secrets that the state folder keeps, each with the file that may have it.
fn of_the_state(state: &Path) -> Result<Vec<(Secret, PathBuf)>> {
    let mut secrets = Vec::new();
    for path in files(state)? {
        let text = fs::read_to_string(&path)?;
        if text.contains("key_pkcs8") {
            let account: serde_json::Value = serde_json::from_str(&text)?;
            let key = account["key_pkcs8"].as_str().unwrap_or_default();
            let key = URL_SAFE_NO_PAD.decode(key)?;
            secrets.push((Secret::octets("the account's key", &key), path));
        } else if let Some(pem) = text.strip_prefix("-----BEGIN PRIVATE KEY-----\n") {
            let body: String = pem
                .lines()
                .take_while(|line| !line.starts_with('-'))
                .collect();
            let mut secret = Secret::octets("a certificate's key", &STANDARD.decode(&body)?);
            // As PEM breaks it.
            secret.forms.extend(pem.lines().next().map(str::to_owned));
            secrets.push((secret, path));
        }
    }
    Ok(secrets)
}

/// Commands that succeed after a certificate was issued.
const COMMANDS: &[&[&str]] = &[
    &["renew", "--force", "--output", "json", "-vvv"],
    &["list", "--output", "json"],
    &["config", "show", "--output", "json"],
    &["ledger", "show", "--output", "json"],
    &["ledger", "show"],
    &["ledger", "reconcile", "-vvv"],
    &["ledger", "diff-serial"],
    &["providers"],
];

/// The token, wherever it may be kept.
fn places(token: &Path) -> [String; 5] {
    let token = token.display();
    [
        format!("api-token = {{ file = \"{token}\" }}"),
        "api-token = { env = \"A_TOKEN\" }".to_owned(),
        "api-token = { credential = \"token\" }".to_owned(),
        format!("api-token = {{ command = [\"/bin/cat\", \"{token}\"] }}"),
        format!("api-token = \"{TOKEN}\""),
    ]
}

/// Cloudflare has no shorter TTL than a minute. This clock is ahead, so that nothing waits for caches.
const LATER: &str = "+61s";

/// Runs that succeed and runs that fail, with as much said as can be, exporting to `repository`. Each of the
/// first has a state folder of its own below `states`, so that it does not wait for caches either.
fn runs(clouds: &Clouds, repository: &Path, states: &Path) -> Result<Vec<Outcome>> {
    let (key_id, key) = EXTERNAL_ACCOUNT;
    let token = clouds.bed.write_secret("token", TOKEN)?;
    let program = |cloudflare: &str, route53: &str| -> Result<Program> {
        let mut program = clouds.signed_in(cloudflare, route53)?;
        program.settings.top = format!("audit-git = \"{}\"\n", repository.display());
        Ok(program
            .env("ACME_ALIAS_ACME__EAB_KID", key_id)
            .env("ACME_ALIAS_ACME__EAB_HMAC_KEY", key)
            .env(
                "CREDENTIALS_DIRECTORY",
                clouds.bed.folder().display().to_string(),
            )
            .env("A_TOKEN", TOKEN))
    };
    let mut outcomes: Vec<Outcome> = Vec::new();
    let places = places(&token);
    for (index, place) in places.iter().enumerate() {
        let mut program = program(place, "")?;
        program.settings.state = states.join(index.to_string());
        let issued = program.run(&[&ISSUE[..], &["-vvv"]].concat())?;
        issued.assert_success();
        outcomes.push(issued);
        for show in [&["config", "show"][..], &["config", "check", "-vvv"]] {
            outcomes.push(program.run(show)?);
        }
    }
    let mut usual = program("", "")?.clock(LATER);
    // The last one used: nobody has changed a zone since.
    usual.settings.state = states.join((places.len() - 1).to_string());
    for arguments in COMMANDS {
        let outcome = usual.run(arguments)?;
        outcome.assert_success();
        outcomes.push(outcome);
    }
    // What fails talks most.
    let nowhere = "base-url = \"http://127.0.0.1:1\"";
    outcomes.push(program(nowhere, "")?.run(&[&ISSUE[..], &["-vvv"]].concat())?);
    let nowhere = "endpoint-url = \"http://127.0.0.1:1\"";
    outcomes.push(program("", nowhere)?.run(&[&ISSUE[..], &["-vvv"]].concat())?);
    clouds.allow("expired");
    outcomes.push(usual.run(&[&ISSUE[..], &["--force", "-vvv"]].concat())?);
    clouds.allow("active");
    let broken = format!("api-token = \"{TOKEN}\"\nno-such = = \"x\"");
    outcomes.push(program(&broken, "")?.run(&["config", "check"])?);
    let mut refused = clouds.bed.settings();
    refused.directory = refused.directory.replace("/dir", "/nothing");
    outcomes.push(
        clouds
            .bed
            .program(refused)?
            .run(&["issue", "example.com", "-vvv"])?,
    );
    let failures = outcomes.iter().filter(|outcome| outcome.code != Some(0));
    assert_eq!(failures.count(), 5, "those that were to fail");
    Ok(outcomes)
}

#[test]
fn no_secret_comes_out_anywhere() -> Result {
    let clouds = Clouds::start_with(acme_alias_tests::Builder::external_account)?;
    let repository = clouds.bed.folder().join("audit");
    let states = clouds.bed.folder().join("states");
    let outcomes = runs(&clouds, &repository, &states)?;
    let (settings, kept) = (of_the_settings(&clouds)?, of_the_state(&states)?);
    assert!(
        kept.len() >= 3,
        "the account's key, and those of the versions"
    );
    let all = || settings.iter().chain(kept.iter().map(|(secret, _)| secret));
    for outcome in &outcomes {
        for secret in all() {
            secret.assert_not_in(&outcome.stdout, "standard output");
            secret.assert_not_in(&outcome.stderr, "standard error");
        }
    }
    let history = git(&repository, &["log", "--patch"])?;
    all().for_each(|secret| secret.assert_not_in(&history, "the export"));
    for path in files(&states)? {
        let (text, place) = (fs::read_to_string(&path)?, path.display().to_string());
        for secret in &settings {
            secret.assert_not_in(&text, &place);
        }
        for (secret, home) in &kept {
            // Versions of a certificate are linked to.
            if path.canonicalize()? != home.canonicalize()? {
                secret.assert_not_in(&text, &place);
            }
        }
    }
    let traced = outcomes
        .iter()
        .any(|outcome| outcome.stderr.contains("TRACE"));
    if traced {
        Ok(())
    } else {
        Err(Error::new("nothing was traced"))
    }
}
