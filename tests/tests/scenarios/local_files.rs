//! Files of other users, and files that are not what they should be, are refused and never followed.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use acme_alias_tests::{ALIAS_ZONE, Program, Result, TestBed};

const ISSUE: [&str; 4] = ["issue", "example.com", "--challenge-alias", ALIAS_ZONE];
/// Another user. The tests run as root.
const STRANGER: Option<u32> = Some(65534);

/// The file of the user's settings, in a folder that is made.
fn user_settings(program: &Program) -> Result<PathBuf> {
    let folder = program.home().join("config/acme-alias");
    fs::create_dir_all(&folder)?;
    Ok(folder.join("config.toml"))
}

fn set_mode(path: &Path, mode: u32) -> Result {
    Ok(fs::set_permissions(path, Permissions::from_mode(mode))?)
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
        assert!(outcome.usage.peak_memory < 64 << 20, "{:?}", outcome.usage);
        assert!(began.elapsed() < Duration::from_secs(5));
        fs::remove_file(&path)?;
    }
    Ok(())
}

#[test]
fn a_settings_error_is_escaped_and_shortened() -> Result {
    let bed = TestBed::start()?;
    let program = bed.program(bed.settings())?;
    let path = user_settings(&program)?;
    let long = "x".repeat(1 << 20);
    let many: String = (0..20_000).map(|n| format!("unknown{n} = 1\n")).collect();
    for (text, words) in [
        ("a = \"\u{1b}[2J\u{9b}\u{202e}\n".to_owned(), "config.toml"),
        ("\"\\u001b[2J\" = 1\n".to_owned(), "\\u{1b}"),
        ("audit = \"\\u001b]0;x\\u0007\"\n".to_owned(), "audit"),
        (format!("state = \"{long}\n"), "config.toml:1:"),
        (format!("{long} = 1\n"), "is no setting"),
        (format!("audit = \"{long}\"\n"), "audit"),
        (many, "19980 more"),
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
