//! Settings, arguments and folders that cannot be used: told before anything is asked or changed.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use acme_alias_tests::{ALIAS_ZONE, Result, Settings, TestBed};

const ISSUE: [&str; 4] = ["issue", "example.com", "--challenge-alias", ALIAS_ZONE];

/// Runs with settings that are changed, and checks the exit code, the words, and that nothing was changed at the CA and
/// in the zones.
fn refused(
    code: i32,
    words: &[&str],
    arguments: &[&str],
    change: impl FnOnce(&TestBed, &mut Settings) -> Result,
) -> Result {
    let bed = TestBed::start()?;
    let mut settings = bed.settings();
    change(&bed, &mut settings)?;
    let outcome = bed.program(settings)?.run(arguments)?;
    outcome.assert_failure(code, words);
    assert_eq!(bed.orders()?, 0);
    assert_eq!(bed.serial(ALIAS_ZONE)?, 1);
    bed.assert_only_txt_was_touched(&[])
}

/// The same for mistakes in a settings file that ends with `toml`.
fn refused_toml(words: &[&str], toml: &str) -> Result {
    refused(2, words, &["issue", "web"], |_, settings| {
        settings.more.push_str(toml);
        Ok(())
    })
}

#[test]
fn a_state_folder_that_cannot_be_written_is_reported() -> Result {
    refused(6, &["/file/state"], &ISSUE, |bed, settings| {
        // Below a regular file there is no folder, not even for root.
        let file = bed.folder().join("file");
        fs::write(&file, "")?;
        settings.state = file.join("state");
        Ok(())
    })
}

#[test]
fn a_key_file_that_others_can_read_is_refused() -> Result {
    refused(
        2,
        &["644", "chmod 600", "acme-key.secret"],
        &ISSUE,
        |bed, _| {
            let path = bed.secret_file("acme-key");
            fs::set_permissions(path, fs::Permissions::from_mode(0o644))?;
            Ok(())
        },
    )
}

#[test]
fn a_key_file_that_is_not_there_is_reported() -> Result {
    refused(2, &["no-such-file"], &ISSUE, |bed, settings| {
        settings.providers[0].secret = bed.folder().join("no-such-file");
        Ok(())
    })
}

#[test]
fn malformed_toml_is_shown_with_its_line() -> Result {
    refused_toml(
        &["config.toml:", "domains = [\"example.com\""],
        "[certificates.web]\ndomains = [\"example.com\"\nchallenge-alias = 1\n",
    )
}

#[test]
fn an_unknown_key_is_shown_with_the_nearest_known_one() -> Result {
    refused_toml(
        &["config.toml:", "`certificates.web.domain`", "`domains`"],
        "[certificates.web]\ndomain = [\"example.com\"]\n",
    )
}

#[test]
fn a_duplicate_zone_is_refused() -> Result {
    refused_toml(
        &["config.toml:", "auth.example.net", "a second time"],
        "[[alias-zones]]\nzone = \"AUTH.example.net.\"\nprovider = \"second\"\n",
    )
}

#[test]
fn an_illegal_domain_in_the_settings_is_refused() -> Result {
    refused_toml(
        &["config.toml:", "exa mple.com"],
        "[certificates.web]\ndomains = [\"exa mple.com\"]\n",
    )
}

#[test]
fn an_illegal_domain_on_the_command_line_is_refused() -> Result {
    for domain in [
        "example..com",
        "-.example.com",
        "*.*.example.com",
        "192.0.2.1",
    ] {
        refused(2, &[domain], &["issue", "--", domain], |_, _| Ok(()))?;
    }
    Ok(())
}

#[test]
fn an_empty_domain_list_is_refused() -> Result {
    refused_toml(
        &["config.toml:", "domains"],
        "[certificates.web]\ndomains = []\n",
    )
}

#[test]
fn more_than_a_hundred_names_are_refused() -> Result {
    let names: Vec<_> = (0..101).map(|i| format!("host{i}.example.com")).collect();
    let toml = format!("[certificates.web]\ndomains = {names:?}\n");
    refused_toml(&["config.toml:", "100"], &toml)?;
    let mut arguments = vec!["issue"];
    arguments.extend(names.iter().map(String::as_str));
    refused(2, &["100"], &arguments, |_, _| Ok(()))
}

#[test]
fn a_provider_kind_that_is_not_compiled_in_is_reported_with_those_that_are() -> Result {
    refused_toml(
        &["rfc2137", "rfc2136"],
        "[providers.third]\nkind = \"rfc2137\"\n[certificates.web]\ndomains = [\"example.com\"]\n",
    )
}

#[test]
fn a_certificate_that_nobody_defined_is_reported() -> Result {
    refused(2, &["`web`"], &["issue", "web"], |_, _| Ok(()))
}

#[test]
fn good_settings_are_shown_with_their_source_and_without_secrets() -> Result {
    let bed = TestBed::start()?;
    let program = bed
        .program(bed.settings())?
        .env("ACME_ALIAS_PROVIDERS__FIRST__TTL", "30");
    program.run(&["config", "check"])?.assert_success();
    let outcome = program.run(&["config", "show"])?;
    outcome.assert_success();
    for words in ["config.toml", "ACME_ALIAS_PROVIDERS__FIRST__TTL"] {
        assert!(outcome.stdout.contains(words), "{outcome}");
    }
    assert!(
        !outcome.stdout.contains(&bed.key(ALIAS_ZONE)?.secret),
        "{outcome}"
    );
    Ok(())
}

#[test]
fn a_secret_in_the_environment_replaces_the_one_in_the_file() -> Result {
    let bed = TestBed::start()?;
    let secret = bed.key(ALIAS_ZONE)?.secret.clone();
    let mut settings = bed.settings();
    settings.providers[0].secret = "/no/such/file".into();
    let program = bed.program(settings)?;
    program.run(&ISSUE)?.assert_failure(2, &["/no/such/file"]);
    let program = program.env("ACME_ALIAS_PROVIDERS__FIRST__TSIG_SECRET", secret);
    program.run(&ISSUE)?.assert_success();
    Ok(())
}

#[test]
fn files_that_are_named_replace_those_of_the_user_and_several_are_layers() -> Result {
    let bed = TestBed::start()?;
    let program = bed.program(bed.settings().certificates(&["example.com"]))?;
    let folder = program.home().join("config/acme-alias");
    fs::create_dir_all(&folder)?;
    let [of_user, first, second] = [
        (folder.join("config.toml"), "user.example.org"),
        (bed.folder().join("first.toml"), "a.example.com"),
        (bed.folder().join("second.toml"), "b.example.com"),
    ]
    .map(|(path, domain)| {
        let text = format!("[certificates.web]\ndomains = [\"{domain}\"]\n");
        fs::write(&path, text).map(|()| path.display().to_string())
    });
    let (of_user, first, second) = (of_user?, first?, second?);
    let show = ["config", "show", "--output", "json"];
    let domains = |outcome: &acme_alias_tests::Outcome| -> Result<(Vec<String>, String)> {
        outcome.assert_success();
        let shown = outcome.json()?;
        let files = shown["files"].as_array().cloned().unwrap_or_default();
        let files = files.iter().filter_map(serde_json::Value::as_str);
        let files = files.map(str::to_owned).collect();
        Ok((files, shown.to_string()))
    };

    // The bed names a file: nothing else is read.
    let (files, all) = domains(&program.run(&show)?)?;
    assert_eq!(files.len(), 1, "{files:?}");
    assert!(!all.contains("user.example.org"), "{all}");
    let both = [&["--config", &first, "--config", &second][..], &show].concat();
    let (files, all) = domains(&program.run(&both)?)?;
    assert_eq!(files[1..], [first.clone(), second.clone()]);
    assert!(all.contains("b.example.com") && !all.contains("a.example.com"));

    // A file after the command would be the only one.
    let split = [&show[..], &["--config", &second]].concat();
    let outcome = program.run(&split)?;
    outcome.assert_failure(2, &["`--config` was given before and after the command"]);

    // The bed's `--config` is taken away.
    let without = program.clone().before("shift 2");
    let (files, all) = domains(&without.run(&show)?)?;
    assert_eq!(files, [of_user]);
    assert!(all.contains("user.example.org"));
    let joined = format!("{first}:{second}");
    let by_variable = without.clone().env("ACME_ALIAS_CONFIG", joined);
    let (files, all) = domains(&by_variable.run(&show)?)?;
    assert_eq!(files, [first, second]);
    assert!(all.contains("b.example.com"));
    let gone = without.env("ACME_ALIAS_CONFIG", "/nowhere/config.toml");
    let words = ["/nowhere/config.toml", "ACME_ALIAS_CONFIG"];
    gone.run(&["list"])?.assert_failure(2, &words);
    Ok(())
}
