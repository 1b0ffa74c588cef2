//! Files of other users, and files that are not what they should be, are refused and never followed.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use acme_alias_tests::{ALIAS_NAME, ALIAS_ZONE, BELOW, Error, Program, Result, TestBed};

const ISSUE: [&str; 4] = ["issue", "example.com", "--challenge-alias", ALIAS_ZONE];
/// Another user. The tests run as root.
const STRANGER: Option<u32> = Some(65534);

/// A settings file below the bed's own, in a folder that is made.
fn user_settings(program: &Program) -> Result<PathBuf> {
    fs::create_dir_all(program.home())?;
    Ok(program.home().join(BELOW))
}

fn set_mode(path: &Path, mode: u32) -> Result {
    Ok(fs::set_permissions(path, Permissions::from_mode(mode))?)
}

/// A bed whose CA validates each order, so that each run changes the zone.
fn validating_each_time() -> Result<TestBed> {
    TestBed::builder()
        .delegate(&["example.com"])
        .validates_each_time()
        .start()
}

#[test]
fn a_state_folder_of_another_user_is_refused() -> Result {
    let bed = TestBed::start()?;
    bed.run(&ISSUE)?.assert_success();
    let state = bed.settings().state;
    let owned = ["", "accounts", "certificates", "leases", "ledger"];
    for path in owned.map(|name| state.join(name)) {
        chown(&path, STRANGER, None)?;
        let outcome = bed.run(&["renew", "--force"])?;
        outcome.assert_failure(6, &["another user (uid 65534)", "chown -h 0 "]);
        chown(&path, Some(0), None)?;
    }
    assert_eq!(bed.orders()?, 1);
    bed.run(&["renew"])?.assert_success();
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn links_planted_in_a_ledger_folder_that_others_can_change_are_not_followed() -> Result {
    let bed = TestBed::start()?;
    bed.run(&ISSUE)?.assert_success();
    let ledger = bed.settings().state.join("ledger");
    let victim = bed.folder().join("victim");
    fs::write(&victim, "of another program")?;
    set_mode(&ledger, 0o777)?;
    for name in [".lock", "2026-11.jsonl", "9999-12.jsonl"] {
        let _ = fs::remove_file(ledger.join(name));
        symlink(&victim, ledger.join(name))?;
    }
    let outcome = bed.run(&["renew", "--force"])?;
    outcome.assert_failure(6, &["lets others change it", "chmod go-rwx"]);
    // The mode is mended as the error says, and the links are still there.
    set_mode(&ledger, 0o700)?;
    let outcome = bed.run(&["renew", "--force"])?;
    outcome.assert_failure(6, &["is a symbolic link"]);
    assert_eq!(fs::read_to_string(&victim)?, "of another program");
    assert_eq!(bed.orders()?, 1);
    Ok(())
}

#[test]
fn a_hook_in_the_planted_settings_of_a_certificate_does_not_run() -> Result {
    let bed = TestBed::start()?;
    bed.run(&ISSUE)?.assert_success();
    let folder = bed.settings().state.join("certificates/example-com");
    let settings = folder.join("settings.toml");
    let ran = bed.folder().join("ran");
    let planted = format!(
        "[certificates.example-com]\ndeploy-hook = ['touch', '{}']\n{}",
        ran.display(),
        fs::read_to_string(&settings)?
    );
    fs::write(&settings, planted)?;
    for path in [&settings, &folder] {
        chown(path, STRANGER, None)?;
        let outcome = bed.run(&["renew", "--force"])?;
        outcome.assert_failure(6, &["another user"]);
        chown(path, Some(0), None)?;
    }
    set_mode(&settings, 0o666)?;
    let outcome = bed.run(&["renew", "--force"])?;
    outcome.assert_failure(6, &["lets others change it"]);
    assert!(!ran.exists());
    set_mode(&settings, 0o600)?;
    bed.run(&["renew", "--force"])?.assert_success();
    assert!(ran.exists(), "the settings were such that the hook runs");
    Ok(())
}

#[test]
fn a_settings_file_that_others_own_or_can_change_is_refused() -> Result {
    let bed = TestBed::start()?;
    let program = bed.program(bed.settings())?;
    let path = user_settings(&program)?;
    fs::write(&path, "keep-versions = 2\n")?;
    let check = ["config", "check"];
    program.run(&check)?.assert_success();
    for mode in [0o664, 0o646] {
        set_mode(&path, mode)?;
        let outcome = program.run(&check)?;
        outcome.assert_failure(2, &["lets others change it", "chmod go-w"]);
    }
    set_mode(&path, 0o644)?;
    chown(&path, STRANGER, None)?;
    let outcome = program.run(&check)?;
    outcome.assert_failure(2, &["another user", "chown -h 0"]);
    Ok(())
}

#[test]
fn a_settings_file_may_be_a_link_that_root_made() -> Result {
    let bed = TestBed::start()?;
    let program = bed.program(bed.settings())?;
    let path = user_settings(&program)?;
    let target = bed.folder().join("repository.toml");
    fs::write(&target, "keep-versions = 0\n")?;
    symlink(&target, &path)?;
    let check = ["config", "check"];
    let outcome = program.run(&check)?;
    outcome.assert_failure(2, &["`keep-versions` must be at least 1"]);
    lchown(&path, STRANGER, None)?;
    program.run(&check)?.assert_failure(2, &["another user"]);
    lchown(&path, Some(0), None)?;
    chown(&target, STRANGER, None)?;
    let outcome = program.run(&check)?;
    outcome.assert_failure(2, &["repository.toml", "another user"]);
    Ok(())
}

#[test]
fn a_root_or_a_trust_anchor_that_others_can_change_is_refused() -> Result {
    let bed = TestBed::start()?;
    let path = bed.folder().join("planted.pem");
    fs::copy(bed.ca_file(), &path)?;
    for mode in [0o644, 0o666] {
        set_mode(&path, mode)?;
        let mut settings = bed.settings();
        settings.ca_file = Some(path.clone());
        let mut program = bed.program(settings)?;
        let outcome = program.run(&ISSUE)?;
        if mode == 0o644 {
            outcome.assert_success();
            continue;
        }
        let words = ["planted.pem", "lets others change it", "chmod go-w"];
        outcome.assert_failure(2, &words);
        program.settings.ca_file = bed.settings().ca_file;
        program.settings.trust_anchor = Some(path.clone());
        program.run(&ISSUE)?.assert_failure(2, &words);
    }
    Ok(())
}

#[test]
fn a_secret_in_a_settings_file_that_others_can_read_is_refused() -> Result {
    let bed = TestBed::start()?;
    let program = bed.program(bed.settings())?;
    let path = user_settings(&program)?;
    let check = ["config", "check"];
    for settings in [
        "[acme]\neab-kid = \"x\"\neab-hmac-key = \"c2VjcmV0LXNlY3JldA==\"\n",
        "[providers.third]\nkind = \"rfc2136\"\nserver = \"192.0.2.1\"\ntsig-key = \"k\"\n\
         tsig-secret = \"c2VjcmV0LXNlY3JldA==\"\n",
    ] {
        fs::write(&path, settings)?;
        for mode in [0o644, 0o640, 0o604] {
            set_mode(&path, mode)?;
            let outcome = program.run(&check)?;
            outcome.assert_failure(2, &["is a secret", "lets others read it", "chmod 600"]);
            assert!(!outcome.stderr.contains("c2VjcmV0"), "{outcome}");
        }
        set_mode(&path, 0o600)?;
        let outcome = program.run(&check)?;
        outcome.assert_success();
        outcome.assert_said(&["warning"]);
    }
    Ok(())
}

#[test]
fn settings_from_what_is_no_regular_file_or_too_large_are_refused_at_once() -> Result {
    let bed = TestBed::start()?;
    let program = bed.program(bed.settings())?;
    program.run(&["config", "check"])?.assert_success();
    let path = user_settings(&program)?;
    let plant: [(&str, &dyn Fn() -> Result); 4] = [
        ("regular file", &|| {
            let kind = rustix::fs::FileType::Fifo;
            Ok(rustix::fs::mknodat(
                rustix::fs::CWD,
                &path,
                kind,
                0o600.into(),
                0,
            )?)
        }),
        ("regular file", &|| Ok(symlink("/dev/zero", &path)?)),
        ("regular file", &|| Ok(symlink("/", &path)?)),
        (
            "more than",
            &|| Ok(File::create(&path)?.set_len(100 << 20)?),
        ),
    ];
    for (words, plant) in plant {
        plant()?;
        let began = Instant::now();
        let outcome = program.run(&["config", "check"])?;
        outcome.assert_failure(2, &[words]);
        outcome.assert_peak_memory_below(64 << 20);
        assert!(began.elapsed() < Duration::from_secs(5));
        fs::remove_file(&path)?;
    }
    Ok(())
}

#[test]
fn a_certificate_to_revoke_that_is_no_regular_file_is_refused_at_once() -> Result {
    let bed = TestBed::start()?;
    let fifo = bed.folder().join("fifo");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0)?;
    let program = bed.program(bed.settings())?.limit(Duration::from_secs(10));
    for path in [&fifo, Path::new("/dev/zero")] {
        let outcome = program.run(&["revoke", "--cert", &path.display().to_string()])?;
        outcome.assert_failure(2, &["it is not a regular file"]);
    }
    Ok(())
}

#[test]
fn a_settings_error_is_escaped_and_shortened() -> Result {
    let bed = TestBed::start()?;
    let program = bed.program(bed.settings())?;
    let path = user_settings(&program)?;
    let long = "x".repeat(1 << 20);
    let many: Vec<_> = (0..20_000).map(|n| format!("unknown{n} = 1")).collect();
    for (text, words) in [
        ("a = \"\u{1b}[2J\u{9b}\u{202e}\n".to_owned(), "below.toml"),
        ("\"\\u001b[2J\" = 1\n".to_owned(), "\\u{1b}"),
        ("audit = \"\\u001b]0;x\\u0007\"\n".to_owned(), "audit"),
        (format!("state = \"{long}\n"), "below.toml:1:"),
        (format!("{long} = 1\n"), "is no setting"),
        (format!("audit = \"{long}\"\n"), "audit"),
        (many.join("\n"), "19980 more"),
    ] {
        fs::write(&path, text)?;
        for (format, escape) in [("human", "\\"), ("json", "\\\\")] {
            let outcome = program.run(&["config", "check", "--output", format])?;
            outcome.assert_failure(2, &[]);
            let printed = format!("{}{}", outcome.stdout, outcome.stderr);
            let odd = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert!(printed.contains(&words.replace('\\', escape)), "{printed}");
            assert!(!printed.contains(odd), "{printed:?}");
            assert!(printed.len() < 20_000, "{} octets", printed.len());
        }
    }
    Ok(())
}

#[test]
fn programs_that_are_run_inherit_no_secret() -> Result {
    let bed = TestBed::start()?;
    let dumps = bed.folder().join("dumps");
    let dump = format!("env >> {}", dumps.display());
    let programs = bed.folder().join("programs");
    fs::create_dir(&programs)?;
    let git = programs.join("git");
    // Git can write in the folder of the repository only.
    let audit = bed.folder().join("audit");
    let of_git = audit.join(".git/environment");
    let dump_of_git = format!("env >> {}", of_git.display());
    fs::write(
        &git,
        format!("#!/bin/sh\n{dump_of_git}\nPATH=/usr/bin:/bin exec git \"$@\"\n"),
    )?;
    set_mode(&git, 0o755)?;
    let mut settings = bed.settings();
    let secret = bed.secret_file("acme-key");
    settings.top = format!("audit-git = '{}'", audit.display());
    let (key, primary) = (bed.key(ALIAS_ZONE)?, bed.primary());
    settings.providers.retain(|provider| provider.id != "first");
    settings.more = format!(
        "[providers.first]\nkind = 'rfc2136'\nserver = '{primary}'\ntsig-key = '{}'\n\
         tsig-algorithm = '{}'\n\
         tsig-secret = {{ command = ['sh', '-c', '{dump}; cat {}'] }}\n",
        key.name,
        key.algorithm,
        secret.display()
    );
    let hook = format!("domains = ['example.com']\ndeploy-hook = ['sh', '-c', '{dump}']");
    let path = format!("{}:/usr/bin:/bin", programs.display());
    let mut program = bed
        .program(settings.certificate("web", &hook))?
        .env("PATH", path)
        .env("TZ", "UTC")
        .env("ACME_ALIAS_DNS__TIMEOUT", "2s");
    for name in [
        "CREDENTIALS_DIRECTORY",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "A_TOKEN",
    ] {
        program = program.env(name, "canary");
    }
    program.run(&["renew"])?.assert_success();
    let dumped = fs::read_to_string(&dumps)? + &fs::read_to_string(&of_git)?;
    assert!(!dumped.contains("canary"), "{dumped}");
    assert!(!dumped.contains("ACME_ALIAS_DNS__TIMEOUT"), "{dumped}");
    assert!(!dumped.contains("CREDENTIALS_DIRECTORY"), "{dumped}");
    for words in [
        "ACME_ALIAS_HOOK_CERTIFICATE=web",
        "GIT_CONFIG_GLOBAL=/dev/null",
        "HOME=",
        "TZ=UTC",
    ] {
        assert!(dumped.contains(words), "{words}: {dumped}");
    }
    Ok(())
}

#[test]
fn a_link_in_the_audit_repository_is_not_followed() -> Result {
    let bed = validating_each_time()?;
    let audit = bed.folder().join("audit");
    let mut settings = bed.settings();
    settings.top = format!("audit-git = '{}'\naudit = 'required'", audit.display());
    let program = bed.program(settings)?;
    program.run(&ISSUE)?.assert_success();
    let zone = audit.join(ALIAS_ZONE);
    let victim = bed.folder().join("victim");
    fs::write(&victim, "of another program")?;
    for entry in fs::read_dir(&zone)? {
        let path = entry?.path();
        fs::remove_file(&path)?;
        symlink(&victim, &path)?;
    }
    let outcome = program.run(&["renew", "--force"])?;
    outcome.assert_success();
    for entry in fs::read_dir(&zone)? {
        assert!(entry?.file_type()?.is_file(), "{outcome}");
    }
    // The same for the folder of the zone.
    let elsewhere = bed.folder().join("elsewhere");
    fs::rename(&zone, &elsewhere)?;
    symlink(&elsewhere, &zone)?;
    let before = fs::read_dir(&elsewhere)?.count();
    let outcome = program.run(&["renew", "--force"])?;
    outcome.assert_said(&[ALIAS_ZONE, "is a link"]);
    let outcome = program.run(&["renew", "--force"])?;
    outcome.assert_failure(6, &[ALIAS_ZONE, "is a link"]);
    assert_eq!(fs::read_dir(&elsewhere)?.count(), before);
    assert_eq!(fs::read_to_string(&victim)?, "of another program");
    Ok(())
}

/// The only file of the ledger.
fn month(bed: &TestBed) -> Result<PathBuf> {
    for entry in fs::read_dir(bed.settings().state.join("ledger"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "jsonl") {
            return Ok(path);
        }
    }
    Err(Error::new("the ledger has no file"))
}

#[test]
fn a_forged_line_of_the_ledger_removes_no_record_of_others() -> Result {
    let bed = TestBed::start()?;
    bed.run(&ISSUE)?.assert_success();
    let challenge = "forged".repeat(8)[..43].to_owned();
    let policy = format!("mail.{ALIAS_ZONE}");
    let foreign = [
        bed.add_foreign_txt(ALIAS_ZONE, ALIAS_NAME, &challenge)?,
        bed.add_foreign_txt(ALIAS_ZONE, &policy, "v=spf1-all")?,
    ];
    let path = month(&bed)?;
    let text = fs::read_to_string(&path)?;
    let mut forged = String::new();
    for txt in &foreign {
        let first = text.lines().next().unwrap_or_default();
        let mut line: serde_json::Value = serde_json::from_str(first)?;
        line["name"] = txt.name.as_str().into();
        line["value"] = txt.value.as_str().into();
        forged.push_str(&format!("{line}\n"));
    }
    fs::write(&path, text + &forged)?;
    bed.run(&["ledger", "verify"])?.assert_failure(6, &["hash"]);
    let outcome = bed.run(&["ledger", "reconcile"])?;
    outcome.assert_failure(4, &[]);
    for words in [&challenge, "not as it was written", "ledger forget"] {
        assert!(outcome.stdout.contains(words), "{outcome}");
    }
    for arguments in [&["renew", "--force"][..], &ISSUE] {
        let outcome = bed.run(arguments)?;
        outcome.assert_success();
        outcome.assert_said(&[&challenge, "not as it was written"]);
    }
    bed.run(&["ledger", "forget", ALIAS_NAME])?.assert_success();
    bed.run(&["ledger", "forget", &policy])?.assert_success();
    bed.run(&["ledger", "reconcile"])?.assert_success();
    bed.assert_only_txt_was_touched(&foreign)
}

#[test]
fn missing_or_older_history_of_the_ledger_is_reported() -> Result {
    let bed = validating_each_time()?;
    bed.run(&ISSUE)?.assert_success();
    let path = month(&bed)?;
    let older = fs::read_to_string(&path)?;
    bed.run(&["renew", "--force"])?.assert_success();
    let whole = fs::read_to_string(&path)?;
    let verify = ["ledger", "verify"];
    bed.run(&verify)?.assert_success();
    let missing = ["line 12, which", "ledger.head", "missing or was replaced"];
    let (cut, _) = whole.match_indices('\n').nth(10).unwrap_or_default();
    for text in [&whole[..=cut], &older, ""] {
        fs::write(&path, text)?;
        bed.run(&verify)?.assert_failure(6, &missing);
    }
    fs::remove_file(&path)?;
    bed.run(&verify)?.assert_failure(6, &missing);
    // Further lines do not hide it.
    fs::write(&path, &older)?;
    bed.run(&["renew", "--force"])?.assert_success();
    bed.run(&["renew", "--force"])?.assert_success();
    bed.run(&verify)?.assert_failure(6, &missing);
    fs::write(&path, &whole)?;
    bed.run(&verify)?.assert_failure(6, &["line 18, which"]);
    Ok(())
}

#[test]
fn history_that_the_audit_repository_knows_is_missed() -> Result {
    let bed = validating_each_time()?;
    let mut settings = bed.settings();
    let audit = bed.folder().join("audit");
    settings.top = format!("audit-git = '{}'", audit.display());
    let program = bed.program(settings)?;
    let verify = ["ledger", "verify"];
    program.run(&verify)?.assert_success();
    assert!(!audit.exists());
    program.run(&ISSUE)?.assert_success();
    program.run(&verify)?.assert_success();
    // With everything in the state folder that knows the end.
    let ledger = bed.settings().state.join("ledger");
    fs::remove_dir_all(&ledger)?;
    fs::remove_file(ledger.with_extension("head"))?;
    let outcome = program.run(&verify)?;
    let place = audit.display().to_string();
    outcome.assert_failure(6, &["line 6, which", &place, "missing"]);
    program.run(&["renew", "--force"])?.assert_success();
    program.run(&verify)?.assert_failure(6, &["line 6, which"]);
    Ok(())
}
