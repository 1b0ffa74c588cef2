//! Secrets are read when they are needed, once in a process, and only by what needs them.

use std::fs;
use std::path::PathBuf;

use acme_alias_tests::{
    ALIAS_ZONE, BELOW, EXTERNAL_ACCOUNT, Program, Result, SECOND_ALIAS_ZONE, Settings, TestBed,
};

/// A command that prints a secret, and appends a line to a file each time.
struct SecretCommand {
    runs: PathBuf,
    secret: PathBuf,
}

impl SecretCommand {
    fn new(bed: &TestBed, name: &str, secret: &str) -> Result<SecretCommand> {
        Ok(SecretCommand {
            runs: bed.folder().join(format!("{name}.runs")),
            secret: bed.write_secret(&format!("{name}.printed"), secret)?,
        })
    }

    /// As a value in the settings.
    fn setting(&self) -> String {
        let (runs, secret) = (self.runs.display(), self.secret.display());
        format!("{{ command = ['sh', '-c', 'echo run >> {runs}; cat {secret}'] }}")
    }

    /// How often it has run.
    fn runs(&self) -> Result<usize> {
        if !self.runs.exists() {
            return Ok(0);
        }
        Ok(fs::read_to_string(&self.runs)?.lines().count())
    }
}

/// Takes a provider out of the settings, and returns the command that prints its secret now.
fn by_command(
    bed: &TestBed,
    settings: &mut Settings,
    id: &str,
    alias_zone: &str,
) -> Result<SecretCommand> {
    let key = bed.key(alias_zone)?;
    let command = SecretCommand::new(bed, id, &key.secret)?;
    settings.providers.retain(|provider| provider.id != id);
    settings.more.push_str(&format!(
        "[providers.{id}]\nkind = \"rfc2136\"\nserver = \"{}\"\ntsig-key = \"{}\"\n\
         tsig-algorithm = \"{}\"\ntsig-secret = {}\n",
        bed.primary(),
        key.name,
        key.algorithm,
        command.setting()
    ));
    Ok(command)
}

#[test]
fn an_unreadable_secret_that_no_certificate_needs_fails_nothing() -> Result {
    let bed = TestBed::start()?;
    let mut settings = bed.settings().certificates(&["example.com", "example.org"]);
    settings.providers[1].secret = bed.folder().join("does-not-exist");
    let program = bed.program(settings)?;
    program.run(&["renew"])?.assert_success();
    program.run(&["renew", "--force"])?.assert_success();
    let issue = ["issue", "example.edu", "--challenge-alias", ALIAS_ZONE];
    program.run(&issue)?.assert_success();
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn an_unreadable_secret_fails_the_certificates_that_need_it_and_no_other() -> Result {
    let second_name = format!("_acme-challenge.{SECOND_ALIAS_ZONE}");
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .cname("_acme-challenge.example.org", &second_name)
        .start()?;
    let mut settings = bed.settings().certificates(&["example.com", "example.org"]);
    settings.providers[1].secret = bed.folder().join("does-not-exist");
    let outcome = bed.program(settings)?.run(&["renew"])?;
    outcome.assert_failure(2, &["example-org", "does-not-exist"]);
    assert_eq!(bed.certificate("example-com")?.names, ["example.com"]);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_command_runs_once_in_a_process_and_never_for_a_provider_that_is_not_used() -> Result {
    let bed = TestBed::start()?;
    let mut settings = bed.settings();
    let used = by_command(&bed, &mut settings, "first", ALIAS_ZONE)?;
    let unused = by_command(&bed, &mut settings, "second", SECOND_ALIAS_ZONE)?;
    let domains = ["example.com", "example.org", "example.edu"];
    let program = bed.program(settings.certificates(&domains))?;
    for (process, arguments) in [&["renew"][..], &["renew", "--force"]].iter().enumerate() {
        program.run(arguments)?.assert_success();
        assert_eq!(used.runs()?, process + 1, "{arguments:?}");
    }
    // Nothing is due.
    program.run(&["renew"])?.assert_success();
    assert_eq!((used.runs()?, unused.runs()?), (2, 0));
    Ok(())
}

/// The program with an external account whose key a command prints.
fn with_external_account(bed: &TestBed) -> Result<(Program, SecretCommand)> {
    let (key_id, key) = EXTERNAL_ACCOUNT;
    let command = SecretCommand::new(bed, "eab", key)?;
    let program = bed.program(bed.settings().certificates(&["example.com", "example.org"]))?;
    let settings = format!(
        "[acme]\neab-kid = \"{key_id}\"\neab-hmac-key = {}\n",
        command.setting()
    );
    fs::write(program.home().join(BELOW), settings)?;
    Ok((program, command))
}

#[test]
fn the_key_of_an_external_account_is_read_only_when_an_account_is_created() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com", "example.org"])
        .external_account()
        .start()?;
    let (program, command) = with_external_account(&bed)?;
    program.run(&["renew"])?.assert_success();
    assert_eq!(command.runs()?, 1);
    program.run(&["renew", "--force"])?.assert_success();
    program.run(&["renew"])?.assert_success();
    assert_eq!(command.runs()?, 1, "the account exists");
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_command_that_prints_without_end_fails_its_certificates_with_little_memory() -> Result {
    let second_name = format!("_acme-challenge.{SECOND_ALIAS_ZONE}");
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .cname("_acme-challenge.example.org", &second_name)
        .start()?;
    let mut settings = bed.settings().certificates(&["example.com", "example.org"]);
    by_command(&bed, &mut settings, "second", SECOND_ALIAS_ZONE)?;
    for script in [
        "head -c 500000000 /dev/zero",
        "head -c 500000000 /dev/zero >&2; false",
        "printf \"\\033[2J%060000d\" 1 >&2; false",
    ] {
        let more = settings.more.lines().map(|line| match line {
            line if line.starts_with("tsig-secret") => {
                format!("tsig-secret = {{ command = ['sh', '-c', '''{script}'''] }}\n")
            }
            line => format!("{line}\n"),
        });
        let mut settings = settings.clone();
        settings.more = more.collect();
        let outcome = bed.program(settings)?.run(&["renew", "--force"])?;
        outcome.assert_failure(2, &["example-org"]);
        assert!(
            outcome.usage.peak_memory < 100 << 20,
            "{script}: {:?}",
            outcome.usage
        );
        assert!(outcome.stderr.len() < 10_000, "{}", outcome.stderr.len());
        assert!(!outcome.stderr.contains('\u{1b}'), "{outcome}");
    }
    bed.certificate("example-com")?;
    Ok(())
}
