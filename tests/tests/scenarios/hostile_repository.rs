//! An audit repository that others have changed.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use acme_alias_tests::{ALIAS_ZONE, Program, Result, TestBed, git};

const ISSUE: [&str; 4] = ["issue", "example.com", "--challenge-alias", ALIAS_ZONE];

/// A bed, and its audit repository with the export of one certificate.
pub(super) fn exported() -> Result<(TestBed, Program, PathBuf)> {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .validates_each_time()
        .start()?;
    let audit = bed.folder().join("audit");
    let mut settings = bed.settings();
    settings.top = format!("audit-git = '{}'", audit.display());
    let program = bed.program(settings)?;
    program.run(&ISSUE)?.assert_success();
    Ok((bed, program, audit))
}

/// Commits a file of others.
fn commit(audit: &Path, message: &str) -> Result {
    fs::write(audit.join("theirs"), "1")?;
    fs::write(audit.join(".git/message"), message)?;
    git(audit, &["add", "theirs"])?;
    let author = [
        "-c",
        "user.name=Other",
        "-c",
        "user.email=other@example.net",
    ];
    let commit = [
        "commit",
        "--quiet",
        "--cleanup=verbatim",
        "--file",
        ".git/message",
    ];
    git(audit, &[&author[..], &commit].concat()).map(drop)
}

#[test]
fn programs_in_the_configuration_of_the_audit_repository_do_not_run() -> Result {
    let (bed, program, audit) = exported()?;
    let (trap, mark) = (bed.folder().join("trap"), bed.folder().join("mark"));
    fs::write(
        &trap,
        format!("#!/bin/sh\necho \"$0 $*\" >> {}\n", mark.display()),
    )?;
    fs::set_permissions(&trap, Permissions::from_mode(0o755))?;
    commit(&audit, "Theirs\n")?;
    // So many that git would delete them.
    for number in 0..600 {
        fs::write(audit.join("object"), number.to_string())?;
        git(&audit, &["hash-object", "-w", "object"])?;
    }
    // What is missing would be fetched.
    let blob = git(&audit, &["rev-parse", "HEAD:theirs"])?;
    let tree = git(&audit, &["rev-parse", "HEAD^{tree}"])?;
    let hooks = audit.join(".git/hooks");
    fs::create_dir_all(&hooks)?;
    for hook in ["post-index-change", "pre-auto-gc", "reference-transaction"] {
        fs::copy(&trap, hooks.join(hook))?;
    }
    let trap = trap.display().to_string();
    for (name, value) in [
        ("core.fsmonitor", trap.as_str()),
        ("core.sshCommand", &trap),
        ("filter.trap.clean", &trap),
        ("gc.auto", "1"),
        ("gc.autoDetach", "false"),
        ("gc.pruneExpire", "now"),
        ("gc.recentObjectsHook", &trap),
        ("core.repositoryFormatVersion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.uploadpack", &trap),
        ("remote.origin.url", "other.example:/srv/audit"),
    ] {
        git(&audit, &["config", name, value])?;
    }
    fs::write(audit.join(".gitattributes"), "* filter=trap\n")?;
    fs::remove_file(&mark).ok();
    for missing in [None, Some(blob), Some(tree)] {
        if let Some(object) = missing {
            let (folder, file) = object.trim().split_at(2);
            fs::remove_file(audit.join(".git/objects").join(folder).join(file)).ok();
        }
        program.run(&["renew", "--force"])?.assert_success();
        assert!(!mark.exists(), "{}", fs::read_to_string(&mark)?);
    }
    Ok(())
}

#[test]
fn a_commit_with_a_trailer_of_70_megabytes_fails_the_export_only() -> Result {
    let (bed, program, audit) = exported()?;
    let trailer = "x".repeat(70_000_000);
    commit(&audit, &format!("Theirs\n\nAcme-Alias-Run: {trailer}\n"))?;
    let outcome = program.run(&["renew", "--force"])?;
    outcome.assert_success();
    outcome.assert_said(&["could not export the ledger", "more than"]);
    assert_eq!(bed.orders()?, 2);
    Ok(())
}

/// A tree with ten of this object.
fn ten_of(audit: &Path, mode: &str, object: &str) -> Result<String> {
    let lines = (0..10).map(|n| format!("{mode} {object}\t{n}\n"));
    let path = audit.join(".git/lines");
    fs::write(&path, lines.collect::<String>())?;
    let made = Command::new("git")
        .arg("-C")
        .arg(audit)
        .arg("mktree")
        .stdin(File::open(path)?)
        .output()?;
    Ok(String::from_utf8(made.stdout)?.trim().to_owned())
}

#[test]
fn a_small_commit_with_ten_million_files_fails_the_export_with_little_memory() -> Result {
    let (bed, program, audit) = exported()?;
    commit(&audit, "Theirs\n")?;
    let blob = git(&audit, &["rev-parse", "HEAD:theirs"])?;
    let mut tree = ten_of(&audit, "100644 blob", blob.trim())?;
    for _ in 0..6 {
        tree = ten_of(&audit, "040000 tree", &tree)?;
    }
    let author = [
        "-c",
        "user.name=Other",
        "-c",
        "user.email=other@example.net",
    ];
    let make = ["commit-tree", "-p", "HEAD", "-m", "Theirs", &tree];
    let made = git(&audit, &[&author[..], &make].concat())?;
    git(&audit, &["update-ref", "HEAD", made.trim()])?;
    let outcome = program.run(&["renew", "--force"])?;
    outcome.assert_success();
    outcome.assert_said(&["could not export the ledger", "emory"]);
    assert_eq!(bed.orders()?, 2);
    Ok(())
}

#[test]
fn millions_of_trailers_take_little_memory() -> Result {
    let (_bed, program, audit) = exported()?;
    let trailers = "Acme-Alias-Ledger: 1 a\n".repeat(400_000);
    for number in 0..10 {
        fs::write(audit.join("number"), number.to_string())?;
        git(&audit, &["add", "number"])?;
        commit(&audit, &format!("Theirs\n\n{trailers}"))?;
    }
    let outcome = program.run(&["ledger", "verify"])?;
    outcome.assert_success();
    outcome.assert_peak_memory_below(100 << 20);
    Ok(())
}
