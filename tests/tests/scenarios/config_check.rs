//! `config check` catches every mistake that needs no network, and reports what it found in key files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use acme_alias_tests::{ALIAS_ZONE, Outcome, Program, Result, Settings, TestBed};

const CHECK: [&str; 2] = ["config", "check"];

/// A bed, for its folder and its keys; nothing of its network is used.
fn bed() -> Result<TestBed> {
    TestBed::start()
}

/// Checks settings that are changed.
fn checked(bed: &TestBed, change: impl FnOnce(&mut Settings)) -> Result<Outcome> {
    let mut settings = bed.settings();
    change(&mut settings);
    bed.program(settings)?.run(&CHECK)
}

/// Fails unless the check reports each of these texts at the end of the settings, with these words.
fn refused(bed: &TestBed, cases: &[(&str, &[&str])]) -> Result {
    for (toml, words) in cases {
        let outcome = checked(bed, |settings| settings.more.push_str(toml))?;
        assert_eq!(outcome.code, Some(2), "{toml}: {outcome}");
        outcome.assert_said(words);
    }
    Ok(())
}

/// A file that only its owner can change.
fn file(bed: &TestBed, name: &str, text: &str, mode: u32) -> Result<PathBuf> {
    let path = bed.folder().join(name);
    fs::write(&path, text)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    Ok(path)
}

#[test]
fn programs_that_cannot_be_run_are_named_with_their_settings() -> Result {
    let bed = bed()?;
    let plain = file(&bed, "plain", "not a program", 0o600)?;
    let folder = bed.folder().display().to_string();
    let web = "[certificates.web]\ndomains = [\"example.com\"]\n";
    for program in [
        "/no/such/program",
        "no-such-program-in-path",
        &plain.display().to_string(),
        &folder,
    ] {
        let command = format!("[\"{program}\", \"argument\"]");
        let cases = [
            (
                format!("{web}deploy-hook = {command}\n"),
                "`certificates.web.deploy-hook`",
            ),
            (
                format!(
                    "{web}[[certificates.web.deploy]]\nkind = \"command\"\ncommand = {command}\n"
                ),
                "`certificates.web.deploy[0].command`",
            ),
            (
                format!("[[deploy]]\nkind = \"command\"\ncommand = {command}\n"),
                "`deploy[0].command`",
            ),
            (
                format!("[notify]\ncommand = {command}\n"),
                "`notify.command`",
            ),
            (
                format!("[providers.mine]\nkind = \"exec\"\ncommand = {command}\n"),
                "`providers.mine`",
            ),
            (
                format!(
                    "[providers.mine]\nkind = \"exec\"\nprotocol = \"lego\"\ncommand = {command}\n"
                ),
                "`providers.mine`",
            ),
            (
                format!(
                    "[providers.mine]\nkind = \"rfc2136\"\nserver = \"192.0.2.1\"\ntsig-key = \"k\"\n\
                     tsig-secret = {{ command = {command} }}\n"
                ),
                "`providers.mine.tsig-secret`",
            ),
        ];
        for (toml, setting) in &cases {
            refused(&bed, &[(toml, &[setting, program])])?;
        }
    }
    let good = format!("{web}deploy-hook = [\"true\"]\n[notify]\ncommand = [\"/bin/true\"]\n");
    checked(&bed, |settings| settings.more.push_str(&good))?.assert_success();
    Ok(())
}

#[test]
fn a_missing_script_of_acme_sh_is_named() -> Result {
    let bed = bed()?;
    let provider = "[providers.mine]\nkind = \"exec\"\nprotocol = \"acme.sh\"\nhome = \"/no/acme.sh\"\n\
                    script = \"dns_cf\"\n";
    refused(&bed, &[(provider, &["`providers.mine`", "/no/acme.sh"])])
}

#[test]
fn files_that_are_missing_or_of_another_kind_are_named() -> Result {
    let bed = bed()?;
    let garbage = file(&bed, "garbage", "no certificate and no key\n", 0o600)?;
    for path in [Path::new("/no/such/file"), &garbage] {
        let shown = path.display().to_string();
        let outcome = checked(&bed, |settings| settings.ca_file = Some(path.into()))?;
        outcome.assert_failure(2, &[&shown, "ca-file"]);
        let outcome = checked(&bed, |settings| settings.trust_anchor = Some(path.into()))?;
        outcome.assert_failure(2, &[&shown, "trust-anchor"]);
    }
    Ok(())
}

#[test]
fn an_audit_folder_that_can_be_no_repository_is_named() -> Result {
    let bed = bed()?;
    let a_file = file(&bed, "a-file", "", 0o600)?;
    let full = bed.folder().join("full");
    fs::create_dir(&full)?;
    fs::write(full.join("other"), "")?;
    for path in [&a_file, &full, &a_file.join("below")] {
        let audit = format!("audit-git = \"{}\"", path.display());
        let outcome = checked(&bed, |settings| settings.top = audit)?;
        outcome.assert_failure(2, &["`audit-git`", &path.display().to_string()]);
    }
    // A folder that is made by the first export is good, and is not made now.
    let later = bed.folder().join("later/audit");
    let audit = format!("audit-git = \"{}\"", later.display());
    checked(&bed, |settings| settings.top = audit)?.assert_success();
    assert!(!later.exists());
    Ok(())
}

#[test]
fn a_folder_that_is_no_ledger_of_another_host_is_named() -> Result {
    let bed = bed()?;
    for path in [bed.folder().join("missing"), bed.folder().to_owned()] {
        let other = format!("other-ledgers = [\"{}\"]", path.display());
        let outcome = checked(&bed, |settings| settings.top = other)?;
        outcome.assert_failure(2, &["`other-ledgers`", &path.display().to_string()]);
    }
    Ok(())
}

#[test]
fn external_accounts_and_contacts_of_a_wrong_form_are_named() -> Result {
    let bed = bed()?;
    let other = "[cas.other]\ndirectory = \"https://ca.example/dir\"\n";
    let (secret, bad) = (
        format!("{other}eab-kid = \"kid\"\n"),
        format!("{other}contact = [\"admin@\"]\n"),
    );
    let key = file(&bed, "eab", "!not base64!", 0o600)?;
    let wrong = format!(
        "{secret}eab-hmac-key = {{ file = \"{}\" }}\n",
        key.display()
    );
    let gone = format!("{secret}eab-hmac-key = {{ file = \"/no/such/file\" }}\n");
    refused(
        &bed,
        &[
            (&secret, &["`cas.other.eab-kid`", "eab-hmac-key"]),
            (&wrong, &["base64"]),
            (&gone, &["/no/such/file"]),
            (&bad, &["`cas.other.contact`", "admin@"]),
        ],
    )
}

#[test]
fn an_alias_without_a_dot_is_no_alias() -> Result {
    let bed = bed()?;
    let plain = "[certificates.web]\ndomains = [\"example.com\"]\n";
    for key in ["challenge-alias", "domain-alias"] {
        let in_domain = format!(
            "[certificates.web]\ndomains = [{{ name = \"example.com\", {key} = \"no\" }}]\n"
        );
        let words = ["has no dot", "`no`", "omit it", "domain-alias"];
        refused(
            &bed,
            &[
                (&format!("{plain}{key} = \"no\"\n"), &words),
                (&in_domain, &words),
            ],
        )?;
        let flag = format!("--{key}");
        let outcome = bed.run(&["issue", "example.com", &flag, "no"])?;
        outcome.assert_failure(2, &["has no dot", "omit it"]);
    }
    let doubled = format!("{plain}challenge-alias = \"_acme-challenge.{ALIAS_ZONE}\"\n");
    refused(&bed, &[(&doubled, &["domain-alias"])])?;
    assert_eq!(bed.orders()?, 0);
    Ok(())
}

/// The advice for an alias that is none: the name itself.
#[test]
fn the_advice_for_an_alias_without_a_dot_works() -> Result {
    let bed = bed()?;
    let own = format!("_acme-challenge.{ALIAS_ZONE}");
    let settings = bed.settings().certificate(
        "web",
        &format!(
            "domains = [\"example.com\", {{ name = \"{ALIAS_ZONE}\", domain-alias = \"{own}\" }}]\n\
             challenge-alias = \"{ALIAS_ZONE}\""
        ),
    );
    let program = bed.program(settings)?;
    program.run(&CHECK)?.assert_success();
    program.run(&["issue", "web"])?.assert_success();
    assert_eq!(bed.txt()?, []);
    Ok(())
}

#[test]
fn secrets_of_key_stores_are_read_as_well() -> Result {
    let bed = bed()?;
    let store = bed.folder().join("store.p12");
    let target = format!(
        "kind = \"files\"\npkcs12 = \"{}\"\npassword = {{ file = \"/no/such/password\" }}\n",
        store.display()
    );
    let own = format!(
        "[certificates.web]\ndomains = [\"example.com\"]\n[[certificates.web.deploy]]\n{target}"
    );
    refused(&bed, &[(&own, &["/no/such/password"])])
}

#[test]
fn a_state_folder_that_cannot_be_used_is_named() -> Result {
    let bed = bed()?;
    let a_file = file(&bed, "not-a-folder", "", 0o600)?;
    let open = bed.folder().join("open");
    fs::create_dir(&open)?;
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777))?;
    for path in [a_file.clone(), a_file.join("state"), open] {
        let outcome = checked(&bed, |settings| settings.state.clone_from(&path))?;
        outcome.assert_failure(6, &[&path.display().to_string()]);
    }
    let later = bed.folder().join("later/state");
    checked(&bed, |settings| settings.state.clone_from(&later))?.assert_success();
    assert!(!later.exists());
    Ok(())
}

#[test]
fn all_mistakes_are_reported_at_once() -> Result {
    let bed = bed()?;
    let toml = "[certificates.web]\ndomains = [\"example.com\"]\ndeploy-hook = [\"/no/hook\"]\n\
                [notify]\ncommand = [\"/no/notify\"]\n\
                [certificates.org]\ndomains = [\"example.org\"]\nchallenge-alias = \"no\"\n";
    let outcome = checked(&bed, |settings| {
        settings.more.push_str(toml);
        settings.providers[0].secret = "/no/secret".into();
        settings.trust_anchor = Some("/no/anchor".into());
        settings.top = "audit-git = \"/dev/null\"".to_owned();
    })?;
    let words = [
        "/no/hook",
        "/no/notify",
        "has no dot",
        "/no/secret",
        "/no/anchor",
        "/dev/null",
    ];
    outcome.assert_failure(2, &words);
    Ok(())
}

/// The program with this text as the secret of its first provider.
fn with_key(bed: &TestBed, text: &str) -> Result<Program> {
    let mut settings = bed.settings();
    settings.providers[0].secret = bed.write_secret("text-of-key", text)?;
    bed.program(settings)
}

#[test]
fn the_form_of_each_key_file_is_reported() -> Result {
    let bed = bed()?;
    let secret = bed.key(ALIAS_ZONE)?.secret.clone();
    let statement =
        |name: &str| format!("key \"{name}\" {{ algorithm hmac-sha256; secret \"{secret}\"; }};\n");
    let section =
        format!("key:\n  - id: acme-key\n    algorithm: hmac-sha256\n    secret: {secret}\n");
    for (text, form) in [
        (secret.clone(), "the secret alone"),
        (statement("acme-key"), "BIND, 1 key"),
        (statement("other") + &statement("acme-key"), "BIND, 2 keys"),
        (section, "Knot, 1 key"),
        (
            format!(
                "key:\n\tname: \"acme-key\"\n\talgorithm: hmac-sha256\n\tsecret: \"{secret}\"\n"
            ),
            "NSD, 1 key",
        ),
        (
            format!("hmac-sha256:acme-key:{secret}"),
            "algorithm:name:secret, 1 key",
        ),
        (
            format!("acme-key hmac-sha256 {secret}\n"),
            "PowerDNS, 1 key",
        ),
    ] {
        let outcome = with_key(&bed, &text)?.run(&CHECK)?;
        outcome.assert_success();
        let line = format!("providers.first: TSIG key file: {form}; `acme-key` (hmac-sha256)");
        outcome.assert_printed(&[&line, "The settings are good."]);
        assert!(!outcome.stdout.contains(&secret), "{outcome}");
        let json = with_key(&bed, &text)?.run(&["config", "check", "--output", "json"])?;
        let found = json.json()?["found"].clone();
        assert_eq!(found[0]["provider"], "first", "{json}");
        let words = found[0]["found"].as_str().unwrap_or_default();
        assert!(words.contains(form), "{json}");
    }
    Ok(())
}
