//! An audit repository in which others make git print much.

use std::fs;
use std::path::Path;

use acme_alias_tests::{Outcome, Program, Result, git};

use super::hostile_repository::exported;

/// Commits a file of others with these octets as the message, which git does not look at.
fn commit(audit: &Path, message: &[u8]) -> Result {
    let head = git(audit, &["rev-parse", "HEAD"])?;
    fs::write(audit.join("theirs"), &head)?;
    git(audit, &["add", "theirs"])?;
    let tree = git(audit, &["write-tree"])?;
    let (head, tree) = (head.trim(), tree.trim());
    let other = "Other <other@example.net> 0 +0000";
    let header = format!("tree {tree}\nparent {head}\nauthor {other}\ncommitter {other}\n\n");
    let mut object = header.into_bytes();
    object.extend_from_slice(message);
    fs::write(audit.join(".git/commit"), object)?;
    let write = ["hash-object", "-t", "commit", "-w", ".git/commit"];
    let made = git(audit, &write)?;
    git(audit, &["update-ref", "HEAD", made.trim()]).map(drop)
}

/// Commits these trailers as others could.
fn commit_trailers(audit: &Path, lines: impl Iterator<Item = String>) -> Result {
    let message = format!("Theirs\n\n{}", lines.collect::<String>());
    commit(audit, message.as_bytes())
}

fn assert_little(outcome: &Outcome) {
    outcome.assert_peak_memory_below(200 << 20);
}

/// Renews with little memory, whatever becomes of the export.
fn renew(program: &Program) -> Result<Outcome> {
    let outcome = program.run(&["renew", "--force"])?;
    outcome.assert_success();
    assert_little(&outcome);
    Ok(outcome)
}

/// The same. The export fails.
fn renew_without_export(program: &Program) -> Result {
    renew(program)?.assert_said(&["could not export the ledger"]);
    Ok(())
}

#[test]
fn trailers_of_sixty_megabytes_that_are_no_text_take_little_memory() -> Result {
    let (_bed, program, audit) = exported()?;
    for _ in 0..10 {
        let mut message = b"Theirs\n\nAcme-Alias-Run: ".to_vec();
        message.resize(6_000_000, 0xff);
        message.push(b'\n');
        commit(&audit, &message)?;
    }
    renew(&program).map(drop)
}

#[test]
fn millions_of_runs_that_others_wrote_into_trailers_take_little_memory() -> Result {
    let (_bed, program, audit) = exported()?;
    for number in 0..8 {
        let runs = (0..400_000).map(|run| format!("Acme-Alias-Run: {number}-{run}\n"));
        commit_trailers(&audit, runs)?;
    }
    renew_without_export(&program)
}

#[test]
fn hundreds_of_thousands_of_hooks_in_the_configuration_take_little_memory() -> Result {
    let (_bed, program, audit) = exported()?;
    let path = audit.join(".git/config");
    let mut text = fs::read_to_string(&path)?;
    for number in 0..700_000 {
        text.push_str(&format!("[hook \"{number}\"]\ncommand=x\n"));
    }
    fs::write(&path, text)?;
    renew_without_export(&program)
}

#[test]
fn sixty_megabytes_of_errors_of_git_take_little_memory() -> Result {
    let (_bed, program, audit) = exported()?;
    let first = git(&audit, &["rev-parse", "HEAD"])?;
    commit(&audit, b"Theirs\n")?;
    let lines = [b"/nowhere/".as_slice(), &[0xff; 50], b"\n"].concat();
    let path = audit.join(".git/objects/info");
    fs::create_dir_all(&path)?;
    fs::write(path.join("alternates"), lines.repeat(600_000))?;
    let (folder, file) = first.trim().split_at(2);
    fs::remove_file(audit.join(".git/objects").join(folder).join(file))?;
    renew_without_export(&program)
}

#[test]
fn a_million_lines_of_the_ledger_in_trailers_take_little_memory() -> Result {
    let (_bed, program, audit) = exported()?;
    for (first, words) in [(0, "is missing or was replaced"), (5, "more than 500000")] {
        for number in first..first + 5 {
            let lines = (0..90_000).map(|line| {
                let line = number * 90_000 + line;
                format!("Acme-Alias-Ledger: {line} {line:064x}\n")
            });
            commit_trailers(&audit, lines)?;
        }
        let outcome = program.run(&["ledger", "verify"])?;
        outcome.assert_shown(&[words]);
        assert_little(&outcome);
    }
    Ok(())
}
