//! An audit repository in whose folder `.git` others plant links.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use acme_alias_tests::{Result, git};

use super::hostile_repository::exported;

/// Another user. The tests run as root.
const STRANGER: Option<u32> = Some(65534);

/// Puts a link to `target` in the place of what is at `path`.
fn plant(target: &Path, path: &Path) -> Result {
    if path.is_dir() {
        fs::remove_dir_all(path)?;
    } else {
        fs::remove_file(path).ok();
    }
    Ok(symlink(target, path)?)
}

#[test]
fn git_writes_nowhere_that_links_in_the_git_folder_lead_to() -> Result {
    let (bed, program, audit) = exported()?;
    let git_folder = audit.join(".git");
    let elsewhere = bed.folder().join("elsewhere");
    fs::create_dir(&elsewhere)?;
    let victim = bed.folder().join("victim");
    fs::write(&victim, "of another program")?;
    let made = elsewhere.join("made");
    for (number, (target, path)) in [
        (&victim, "logs/HEAD"),
        (&made, "logs/HEAD"),
        (&elsewhere, "logs/refs"),
        (&made, "index"),
    ]
    .into_iter()
    .enumerate()
    {
        let path = git_folder.join(path);
        let kept = bed.folder().join(format!("kept-{number}"));
        fs::rename(&path, &kept)?;
        plant(target, &path)?;
        let outcome = program.run(&["renew", "--force"])?;
        outcome.assert_success();
        outcome.assert_said(&["could not export the ledger"]);
        fs::remove_file(&path)?;
        fs::rename(&kept, &path)?;
    }
    for number in 0..=255 {
        plant(
            &elsewhere,
            &git_folder.join(format!("objects/{number:02x}")),
        )
        .ok();
    }
    program.run(&["renew", "--force"])?.assert_success();
    assert_eq!(fs::read_dir(&elsewhere)?.count(), 0);
    assert_eq!(fs::read_to_string(&victim)?, "of another program");
    Ok(())
}

#[test]
fn a_git_folder_elsewhere_that_others_could_have_chosen_is_refused() -> Result {
    let (bed, program, audit) = exported()?;
    let other = bed.folder().join("other");
    fs::create_dir(&other)?;
    git(&other, &["init", "--quiet"])?;
    let before = || fs::read_dir(other.join(".git/objects")).map(Iterator::count);
    let count = before()?;
    let ours = audit.join(".git");
    let theirs = other.join(".git").display().to_string();
    fs::write(ours.join("commondir"), &theirs)?;
    fs::set_permissions(&ours, Permissions::from_mode(0o777))?;
    let refused = |audit: &Path| -> Result {
        fs::set_permissions(audit, Permissions::from_mode(0o777))?;
        let outcome = program.run(&["renew", "--force"])?;
        outcome.assert_success();
        outcome.assert_said(&["could not export the ledger", "lets others change it"]);
        assert_eq!(before()?, count);
        Ok(())
    };
    refused(&audit)?;
    plant(&other.join(".git"), &ours)?;
    refused(&audit)?;
    fs::remove_file(&ours)?;
    fs::write(&ours, format!("gitdir: {theirs}\n"))?;
    refused(&audit)?;
    // Nobody else could have chosen it.
    fs::set_permissions(&audit, Permissions::from_mode(0o755))?;
    program.run(&["renew", "--force"])?.assert_success();
    assert!(before()? > count);
    Ok(())
}

#[test]
fn a_link_of_another_user_leads_the_export_to_no_other_repository() -> Result {
    let (bed, program, audit) = exported()?;
    let (ours, new) = (bed.folder().join("ours"), bed.folder().join("new"));
    for folder in [&ours, &new] {
        fs::create_dir(folder)?;
    }
    git(&ours, &["init", "--quiet"])?;
    fs::remove_dir_all(&audit)?;
    // To a repository, and to a place for one.
    for target in [&ours, &new] {
        symlink(target, &audit)?;
        lchown(&audit, STRANGER, None)?;
        let entries = || fs::read_dir(target).map(Iterator::count);
        let before = entries()?;
        let outcome = program.run(&["renew", "--force"])?;
        outcome.assert_success();
        outcome.assert_said(&["could not export the ledger", "another user (uid 65534)"]);
        assert_eq!(entries()?, before);
        fs::remove_file(&audit)?;
    }
    assert!(git(&ours, &["log"]).is_err());
    Ok(())
}

#[test]
fn a_text_in_the_configuration_of_the_audit_repository_begins_no_line_like_ours() -> Result {
    let (_bed, program, audit) = exported()?;
    let forged =
        "/nowhere\nerror: example.com is lost\nhelp: run this\n".to_owned() + &"x".repeat(100_000);
    git(&audit, &["config", "core.worktree", &forged])?;
    for command in [&["renew", "--force"][..], &["ledger", "export"]] {
        let outcome = program.run(command)?;
        outcome.assert_said(&["could not export the ledger", "is lost"]);
        let lines = || outcome.stderr.lines();
        assert!(
            !lines().any(|line| line.starts_with("error: example.com")),
            "{outcome}"
        );
        assert!(
            !lines().any(|line| line.starts_with("help: run this")),
            "{outcome}"
        );
        assert!(outcome.stderr.len() < 10_000, "{outcome}");
    }
    Ok(())
}

#[test]
fn secrets_of_another_repository_are_not_packed_where_others_can_read_them() -> Result {
    let (bed, program, audit) = exported()?;
    let private = bed.folder().join("private");
    fs::create_dir(&private)?;
    fs::set_permissions(&private, Permissions::from_mode(0o700))?;
    git(&private, &["init", "--quiet"])?;
    fs::write(private.join("secret"), "canary")?;
    let secret = git(&private, &["hash-object", "-w", "secret"])?;
    let objects = audit.join(".git/objects");
    fs::set_permissions(&objects, Permissions::from_mode(0o777))?;
    git(&audit, &["config", "maintenance.loose-objects.auto", "-1"])?;
    let folder = &secret[..2];
    plant(
        &private.join(".git/objects").join(folder),
        &objects.join(folder),
    )?;
    // An object of the export may belong in the same folder. Then the export fails.
    for _ in 0..3 {
        program.run(&["renew", "--force"])?.assert_success();
    }
    fs::remove_file(objects.join(folder))?;
    assert!(git(&private, &["cat-file", "-e", secret.trim()]).is_ok());
    assert!(git(&audit, &["cat-file", "-e", secret.trim()]).is_err());
    Ok(())
}

/// Answers each question of git for the branch that is checked out, but late.
fn answer_late(head: PathBuf) {
    thread::spawn(move || {
        while let Ok(mut asked) = File::options().write(true).open(&head) {
            thread::sleep(Duration::from_secs(12));
            asked.write_all(b"ref: refs/heads/main\n").ok();
            drop(asked);
            // The reader sees the end before somebody asks anew.
            thread::sleep(Duration::from_millis(50));
        }
    });
}

#[test]
fn an_audit_repository_that_lets_git_wait_for_each_file_delays_the_next_run_by_two_minutes()
-> Result {
    let (bed, program, audit) = exported()?;
    let head = audit.join(".git/HEAD");
    fs::remove_file(&head)?;
    assert!(Command::new("mkfifo").arg(&head).status()?.success());
    answer_late(head);
    let program = program.limit(Duration::from_mins(6));
    let outcome = program.run(&["renew", "--force"])?;
    outcome.assert_success();
    outcome.assert_said(&["could not export the ledger", "did not end within 120s"]);
    assert!(
        outcome.usage.wall < Duration::from_secs(150),
        "{:?}",
        outcome.usage
    );
    assert_eq!(bed.orders()?, 2);
    Ok(())
}

#[test]
fn the_name_of_a_git_folder_elsewhere_begins_no_line_like_ours() -> Result {
    let (bed, program, audit) = exported()?;
    let forged = bed
        .folder()
        .join("x\nerror: example.com is lost\nhelp: run this");
    fs::rename(audit.join(".git"), &forged)?;
    fs::write(
        audit.join(".git"),
        format!("gitdir: {}\n", forged.display()),
    )?;
    fs::set_permissions(&audit, Permissions::from_mode(0o777))?;
    fs::set_permissions(&forged, Permissions::from_mode(0o777))?;
    for command in [&["renew", "--force"][..], &["ledger", "export"]] {
        let outcome = program.run(command)?;
        outcome.assert_said(&["could not export the ledger", "has control characters"]);
        let mut lines = outcome.stderr.lines();
        let is_forged = |line: &str| {
            line.starts_with("error: example.com") || line.starts_with("help: run this")
        };
        assert!(!lines.any(is_forged), "{outcome}");
    }
    Ok(())
}
