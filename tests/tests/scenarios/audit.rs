//! The ledger in a git repository.

use std::fs;
use std::path::{Path, PathBuf};

use acme_alias_tests::{ALIAS_NAME, ALIAS_ZONE, Error, Program, Result, TestBed, git};

const ISSUE: [&str; 4] = ["issue", "example.com", "--challenge-alias", ALIAS_ZONE];

/// The program, with `audit-git` and perhaps `audit = "required"`.
fn program(bed: &TestBed, repository: &Path, more: &str) -> Result<Program> {
    let mut settings = bed.settings();
    settings.top = format!("audit-git = \"{}\"\n{more}\n", repository.display());
    bed.program(settings)
}

/// The subjects of the commits, oldest first.
fn subjects(repository: &Path) -> Result<Vec<String>> {
    let log = git(repository, &["log", "--reverse", "--format=%s"])?;
    Ok(log.lines().map(str::to_owned).collect())
}

/// The only file of the export.
fn exported(repository: &Path) -> Result<String> {
    let mut months = fs::read_dir(repository.join(ALIAS_ZONE))?;
    let month: PathBuf = months.next().ok_or_else(|| Error::new("no month"))??.path();
    Ok(fs::read_to_string(month)?)
}

#[test]
fn every_run_is_a_commit_that_says_what_it_changed_and_for_whom() -> Result {
    let bed = TestBed::start()?;
    let repository = bed.folder().join("audit");
    let program = program(&bed, &repository, "")?;
    program.run(&ISSUE)?.assert_success();
    // Other names: now and then Pebble knows those of the first run already.
    program.run(&["issue", "example.org"])?.assert_success();
    let subject = |id: &str| format!("{id}: 1 added, 1 withdrawn");
    let wanted = [subject("example-com"), subject("example-org")];
    assert_eq!(subjects(&repository)?, wanted);
    let text = exported(&repository)?;
    let rows: Vec<_> = text.lines().filter(|row| !row.starts_with(';')).collect();
    assert_eq!(rows.len(), 4, "{text}");
    let added = format!("+ {ALIAS_NAME}. 0 TXT \"");
    let withdrawn = format!("- {ALIAS_NAME}. TXT \"");
    assert!(
        rows[0].contains(&added) && rows[1].contains(&withdrawn),
        "{text}"
    );
    assert!(
        rows[0].contains("for example-com by rfc2136 with acme-key at "),
        "{text}"
    );
    assert_eq!(git(&repository, &["status", "--porcelain"])?, "");

    // By hand, into another repository: the same text, and the same commits.
    let other = bed.folder().join("other").display().to_string();
    let export = ["ledger", "export", "--output", "json", "--git", &other];
    assert_eq!(bed.run(&export)?.json()?["commits"], 2);
    assert_eq!(bed.run(&export)?.json()?["commits"], 0);
    assert_eq!(exported(Path::new(&other))?, text);
    let trees = |repository: &Path| git(repository, &["log", "--format=%T %B"]);
    assert_eq!(trees(Path::new(&other))?, trees(&repository)?);
    Ok(())
}

#[test]
fn a_folder_in_a_repository_of_others_leaves_their_work_alone() -> Result {
    let bed = TestBed::start()?;
    let zones = bed.folder().join("zones");
    fs::create_dir(&zones)?;
    git(&zones, &["init", "--quiet"])?;
    fs::write(zones.join("example.com.zone"), "; staged\n")?;
    git(&zones, &["add", "example.com.zone"])?;
    let folder = zones.join("acme");
    program(&bed, &folder, "")?.run(&ISSUE)?.assert_success();
    assert_eq!(subjects(&zones)?, ["example-com: 1 added, 1 withdrawn"]);
    assert_eq!(
        git(&zones, &["status", "--porcelain"])?,
        "A  example.com.zone\n"
    );
    assert!(exported(&folder)?.contains(ALIAS_NAME));
    Ok(())
}

#[test]
fn an_export_that_fails_warns_and_waits_and_holds_up_nothing() -> Result {
    let bed = TestBed::start()?;
    let repository = bed.folder().join("audit");
    fs::create_dir(&repository)?;
    fs::write(repository.join("notes"), "not a repository\n")?;
    let program = program(&bed, &repository, "")?;
    let outcome = program.run(&ISSUE)?;
    outcome.assert_success();
    outcome.assert_said(&["warning", "is not a git repository", "git init"]);
    assert_eq!(bed.certificate("example-com")?.names, ["example.com"]);

    git(&repository, &["init", "--quiet"])?;
    program.run(&["issue", "example.org"])?.assert_success();
    assert_eq!(
        subjects(&repository)?.len(),
        2,
        "the run that waited as well"
    );
    Ok(())
}

#[test]
fn where_the_audit_is_required_nothing_is_changed_without_it() -> Result {
    let bed = TestBed::start()?;
    let repository = bed.folder().join("audit");
    fs::create_dir(&repository)?;
    fs::write(repository.join("notes"), "not a repository\n")?;
    let program = program(&bed, &repository, "audit = \"required\"")?;
    program
        .run(&ISSUE)?
        .assert_failure(6, &["is not a git repository", "git init"]);
    assert_eq!((bed.orders()?, bed.serial(ALIAS_ZONE)?), (0, 1));

    git(&repository, &["init", "--quiet"])?;
    program.run(&ISSUE)?.assert_success();
    assert_eq!(subjects(&repository)?.len(), 1);

    let mut settings = bed.settings();
    settings.top = "audit = \"required\"\n".to_owned();
    let outcome = bed.program(settings)?.run(&ISSUE)?;
    outcome.assert_failure(2, &["`audit` needs `audit-git` beside it"]);
    Ok(())
}
