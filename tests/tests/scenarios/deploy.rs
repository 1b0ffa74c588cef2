//! Targets: commands, what is tried again and when, and what a killed run left.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use acme_alias_core::crash::Point;
use acme_alias_tests::{
    ALIAS_ZONE, Outcome, Profile, Result, Settings, SimulatedCa, TestBed, Validation,
};
use serde_json::Value;

use super::partial::{NAMES, bed_with_one_of_two, web};

/// More than the pause after the first failure, and less than that after the second.
const AFTER_THE_PAUSE: &str = "+90s";

/// The settings of a certificate `web` with these lines after its domain.
pub(crate) fn with(bed: &TestBed, lines: &str) -> Settings {
    let lines = format!("domains = [\"example.com\"]\n{lines}");
    bed.settings().certificate("web", &lines)
}

/// A table for a command of a shell.
pub(crate) fn shell(script: &str) -> String {
    format!(
        "[[certificates.web.deploy]]\nkind = 'command'\ncommand = ['sh', '-c', '''{script}''']\n"
    )
}

/// A table for files in a folder.
pub(crate) fn files(folder: &Path, lines: &str) -> String {
    let lines = lines.replace("DIR", &folder.display().to_string());
    format!("[[certificates.web.deploy]]\nkind = 'files'\n{lines}\n")
}

pub(crate) fn folder(bed: &TestBed, name: &str) -> Result<PathBuf> {
    let folder = bed.folder().join(name);
    fs::create_dir(&folder)?;
    Ok(folder)
}

/// The lines of a file; none if it does not exist.
pub(crate) fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// The targets of `web` that `list` names in an outcome in JSON.
pub(crate) fn undeployed(outcome: &Outcome, list: &str) -> Result<Value> {
    Ok(outcome.json()?[list][0]["undeployed"].clone())
}

pub(crate) const RENEW: [&str; 3] = ["renew", "--output", "json"];

#[test]
fn one_reload_deploys_thirty_certificates() -> Result {
    let hosts: Vec<_> = (1..=30).map(|i| format!("h{i}.example.com")).collect();
    let bed = TestBed::builder().delegate_apart(&hosts).start()?;
    // Pebble may stop answering when so many orders are open.
    let ca = SimulatedCa::start(Validation::Trust)?;
    let ran = bed.folder().join("ran");
    let mut settings = bed.settings_with(&ca).certificates(&hosts);
    settings.more.push_str(&format!(
        "[[deploy]]\nkind = 'command'\ncommand = ['sh', '-c', '''
         echo \"$ACME_ALIAS_HOOK_CERTIFICATES:${{ACME_ALIAS_HOOK_PATH-none}}\" >> {}''']\n",
        ran.display()
    ));
    let program = bed.program(settings)?;
    program.run(&["renew"])?.assert_success();
    let [line] = lines(&ran).try_into().unwrap();
    let ids = line.strip_suffix(":none").unwrap();
    assert_eq!(ids.split(' ').count(), 30, "{line}");
    // Nothing is left to do.
    program.run(&["renew"])?.assert_success();
    assert_eq!(lines(&ran).len(), 1);
    Ok(())
}

#[test]
fn a_command_can_run_for_each_certificate() -> Result {
    let bed = TestBed::start()?;
    let ran = bed.folder().join("ran");
    let mut settings = bed.settings().certificates(&["example.com", "example.org"]);
    settings.more.push_str(&format!(
        "[[deploy]]\nkind = 'command'\neach = true\ncommand = ['sh', '-c', '''
         echo \"$ACME_ALIAS_HOOK_CERTIFICATE $ACME_ALIAS_HOOK_DOMAINS\" >> {}''']\n",
        ran.display()
    ));
    bed.program(settings)?.run(&["renew"])?.assert_success();
    assert_eq!(
        lines(&ran),
        ["example-com example.com", "example-org example.org"]
    );
    Ok(())
}

#[test]
fn commands_that_failed_before_come_last() -> Result {
    let hosts = ["a1.example.com", "a2.example.com", "b.example.com"];
    let bed = TestBed::builder().delegate_apart(&hosts).start()?;
    let ran = bed.folder().join("ran");
    // The servers of the first ones answer nothing.
    let command = format!(
        "[[deploy]]\nkind = 'command'\neach = true\ntimeout = '1s'\ncommand = ['sh', '-c', '''
         echo $ACME_ALIAS_HOOK_CERTIFICATE >> {}
         case $ACME_ALIAS_HOOK_CERTIFICATE in a*) sleep 60;; esac''']\n",
        ran.display()
    );
    let with = |hosts: &[&str]| {
        let mut settings = bed.settings().certificates(hosts);
        settings.more.push_str(&command);
        bed.program(settings)
    };
    with(&hosts[..2])?.run(&["renew"])?;
    fs::remove_file(&ran)?;
    with(&hosts)?.clock(AFTER_THE_PAUSE).run(&["renew"])?;
    let expected = ["b-example-com", "a1-example-com", "a2-example-com"];
    assert_eq!(lines(&ran), expected);
    Ok(())
}

#[test]
fn commands_that_hang_end_the_commands_of_a_run() -> Result {
    let mut hosts: Vec<_> = (1..=7).map(|n| format!("a{n}.example.com")).collect();
    hosts.push("b.example.com".to_owned());
    let bed = TestBed::builder().delegate_apart(&hosts).start()?;
    let ran = bed.folder().join("ran");
    let mut settings = bed.settings().certificates(&hosts);
    settings.more.push_str(&format!(
        "[[deploy]]\nkind = 'command'\neach = true\ntimeout = '300ms'\ncommand = ['sh', '-c', '''
         echo $ACME_ALIAS_HOOK_CERTIFICATE >> {}
         case $ACME_ALIAS_HOOK_CERTIFICATE in a*) sleep 60;; esac''']\n",
        ran.display()
    ));
    let program = bed.program(settings)?;
    let first = program.run(&["renew"])?;
    first.assert_failure(1, &[]);
    first.assert_printed(&["b-example-com", "it was not tried in this run"]);
    let hung: Vec<_> = (1..=6).map(|n| format!("a{n}-example-com")).collect();
    assert_eq!(lines(&ran), hung);
    fs::remove_file(&ran)?;
    program.clock(AFTER_THE_PAUSE).run(&["renew"])?;
    let second = lines(&ran);
    assert_eq!(second[..2], ["a7-example-com", "b-example-com"]);
    assert_eq!(second.len(), 7, "{second:?}");
    Ok(())
}

#[test]
fn a_target_that_fails_waits_for_its_next_attempt_and_stops_no_other() -> Result {
    let bed = TestBed::start()?;
    let (ran, ready) = (bed.folder().join("ran"), bed.folder().join("ready"));
    let (record, test) = (ran.display(), ready.display());
    let targets = [
        shell(&format!("echo first >> {record}; echo why; test -e {test}")),
        shell(&format!("echo second >> {record}")),
    ];
    let program = bed.program(with(&bed, &targets.concat()))?;
    let outcome = program.run(&RENEW)?;
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert_eq!(lines(&ran), ["first", "second"]);
    let left = undeployed(&outcome, "renewed")?;
    assert_eq!(left.as_array().map(Vec::len), Some(1), "{outcome}");
    assert_eq!(left[0]["output"], "why", "{outcome}");
    assert!(left[0]["until"].is_string(), "{outcome}");

    // It is not tried for a minute, and reported by each run.
    let outcome = program.run(&RENEW)?;
    assert_eq!((outcome.code, lines(&ran).len()), (Some(1), 2), "{outcome}");
    assert_eq!(outcome.json()?["deployed"][0]["tried"], false, "{outcome}");
    let later = program.clone().clock(AFTER_THE_PAUSE);
    let outcome = later.run(&RENEW)?;
    assert_eq!((outcome.code, lines(&ran).len()), (Some(1), 3), "{outcome}");
    // The second pause is longer.
    let outcome = program.clone().clock("+200s").run(&RENEW)?;
    assert_eq!((outcome.code, lines(&ran).len()), (Some(1), 3), "{outcome}");

    // One that is named does not wait.
    fs::write(&ready, "")?;
    later.run(&["renew", "web"])?.assert_success();
    program.run(&["renew"])?.assert_success();
    assert_eq!(lines(&ran), ["first", "second", "first", "first"]);
    assert_eq!(bed.orders()?, 1);
    Ok(())
}

#[test]
fn the_output_of_a_command_is_shown_when_it_fails_or_on_request() -> Result {
    let bed = TestBed::start()?;
    let ready = bed.folder().join("ready");
    let target = shell(&format!(
        "printf \"one\\033[2J\\ntwo\\n\"; test -e {}",
        ready.display()
    ));
    let program = bed.program(with(&bed, &target))?;
    let outcome = program.run(&["renew"])?;
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.stdout.contains("| one\\u{1b}[2J\n"), "{outcome}");
    assert!(outcome.stdout.contains("| two\n"), "{outcome}");
    fs::write(&ready, "")?;
    let outcome = program.run(&["renew", "--force", "-v"])?;
    assert!(outcome.stderr.contains("two"), "{outcome}");
    let outcome = program.run(&["renew", "--force"])?;
    outcome.assert_success();
    assert!(!format!("{outcome}").contains("two\n"), "{outcome}");
    Ok(())
}

#[test]
fn a_command_that_hangs_is_stopped_and_tried_again() -> Result {
    let bed = TestBed::start()?;
    let ready = bed.folder().join("ready");
    let script = format!("test -e {} || sleep 100", ready.display());
    let target = format!("{}timeout = '1s'\n", shell(&script));
    let program = bed.program(with(&bed, &target))?;
    let outcome = program.run(&RENEW)?;
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.usage.wall < Duration::from_secs(30), "{outcome}");
    let error = undeployed(&outcome, "renewed")?[0]["error"].to_string();
    assert!(error.contains("did not end within 1s"), "{outcome}");
    fs::write(&ready, "")?;
    program.run(&["renew", "web"])?.assert_success();
    Ok(())
}

#[test]
fn a_signal_stops_a_command_and_the_next_run_repeats_it() -> Result {
    let bed = TestBed::start()?;
    let (ran, ready) = (bed.folder().join("ran"), bed.folder().join("ready"));
    let script = format!(
        "echo >> {}; test -e {} || sleep 100",
        ran.display(),
        ready.display()
    );
    let program = bed.program(with(&bed, &shell(&script)))?;
    let running = program.spawn(&["renew"])?;
    // The file exists before it has a line.
    bed.wait_until("the command runs", |_| {
        Ok(fs::read(&ran).is_ok_and(|text| !text.is_empty()))
    })?;
    running.interrupt()?;
    let outcome = running.wait()?;
    assert_eq!(outcome.code, Some(130), "{outcome}");
    assert!(outcome.usage.wall < Duration::from_mins(1), "{outcome}");
    // It did not fail, so nothing is waited for.
    fs::write(&ready, "")?;
    program.run(&["renew"])?.assert_success();
    assert_eq!((lines(&ran).len(), bed.orders()?), (2, 1));
    Ok(())
}

#[test]
fn a_deployment_that_was_killed_is_finished_by_the_next_run() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .profile(Profile::Failpoints)
        .start()?;
    let points = Point::ALL.iter().copied();
    let points = points.skip_while(|point| *point != Point::FilesStaged);
    for point in points {
        let name = point.name();
        let (folder, ran) = (
            folder(&bed, name)?,
            bed.folder().join(format!("{name}.ran")),
        );
        let targets = [
            files(&folder, "fullchain = 'DIR/fullchain'\nkey = 'DIR/key'"),
            shell(&format!(
                "cat \"$ACME_ALIAS_HOOK_PATH/fullchain.pem\" > {}",
                ran.display()
            )),
        ];
        let mut settings = with(&bed, &targets.concat());
        settings.state = bed.folder().join(format!("{name}.state"));
        let program = bed.program(settings)?;
        program.run(&["renew"])?.assert_success();
        let orders = bed.orders()?;
        let doomed = program.clone().env("FAILPOINTS", format!("{name}=return"));
        let outcome = doomed.run(&["renew", "--force"])?;
        assert_eq!(outcome.code, None, "{point:?}: {outcome}");

        program.run(&["renew"])?.assert_success();
        let stored = program.settings.state.join("certificates/web");
        let expected = fs::read_to_string(stored.join("fullchain.pem"))?;
        assert!(
            fs::read_to_string(folder.join("fullchain"))? == expected,
            "{point:?}"
        );
        assert!(fs::read_to_string(&ran)? == expected, "{point:?}");
        assert_eq!(fs::read(stored.join("deployed"))?, b"2\n", "{point:?}");
        assert_eq!(fs::read_dir(&folder)?.count(), 2, "{point:?}");
        assert_eq!(bed.orders()?, orders + 1, "{point:?}");
    }
    Ok(())
}

#[test]
fn a_new_target_is_deployed_without_an_order() -> Result {
    let bed = TestBed::start()?;
    let (ran, folder) = (bed.folder().join("ran"), folder(&bed, "files")?);
    let reload = shell(&format!("echo reload >> {}", ran.display()));
    bed.program(with(&bed, &reload))?
        .run(&["renew"])?
        .assert_success();
    // The files come before the command, which has not seen them.
    let both = [files(&folder, "key = 'DIR/key'"), reload].concat();
    let program = bed.program(with(&bed, &both))?;
    for _ in 0..2 {
        program.run(&["renew"])?.assert_success();
        assert_eq!(lines(&ran), ["reload", "reload"]);
    }
    let other = [files(&folder, "key = 'DIR/key'"), shell("true")].concat();
    bed.program(with(&bed, &other))?
        .run(&["renew"])?
        .assert_success();
    assert_eq!((lines(&ran).len(), bed.orders()?), (2, 1));
    Ok(())
}

#[test]
fn targets_for_all_are_those_of_certificates_that_flags_describe() -> Result {
    let bed = TestBed::start()?;
    let issue = ["issue", "example.com", "--challenge-alias", ALIAS_ZONE];
    bed.run(&issue)?.assert_success();
    let folder = folder(&bed, "files")?;
    let mut settings = bed.settings();
    settings.more.push_str(&format!(
        "[[deploy]]\nkind = 'files'\ncombined = '{}/{{id}}.pem'\n",
        folder.display()
    ));
    let program = bed.program(settings)?;
    program.run(&["renew"])?.assert_success();
    let file = folder.join("example-com.pem");
    assert!(file.exists());
    // It is not written again.
    fs::remove_file(&file)?;
    program.run(&["renew"])?.assert_success();
    assert!(!file.exists());
    assert_eq!(bed.orders()?, 1);
    Ok(())
}

/// Lets `web` have a command that copies a file, and returns that and the copy.
fn copying(settings: &mut Settings, bed: &TestBed) -> (PathBuf, PathBuf) {
    let [from, to] = ["from", "to"].map(|name| bed.folder().join(name));
    let command = format!(
        "command = [\"cp\", \"{}\", \"{}\"]",
        from.display(),
        to.display()
    );
    settings.more += &format!("[[deploy]]\nkind = \"command\"\n{command}\n");
    (from, to)
}

#[test]
fn what_lacks_a_name_and_was_not_deployed_before_a_crash_is_deployed_next() -> Result {
    let bed = TestBed::builder().delegate(&["example.com"]);
    let bed = bed.profile(Profile::Failpoints).start()?;
    let mut settings = bed.settings();
    let (from, to) = copying(&mut settings, &bed);
    fs::write(&from, "")?;
    let program = bed.program(web(settings, &NAMES, ""))?;
    let crash = format!("{}=return", Point::Command.name());
    let killed = program.clone().env("FAILPOINTS", crash).run(&["renew"])?;
    assert_eq!(killed.code, None, "{killed}");
    assert!(!to.exists());
    // The one with all names waits, and keeps the stored one waiting for nothing.
    let next = program.run(&["renew"])?;
    next.assert_success();
    next.assert_printed(&["web: waits until", "web: deployed"]);
    assert!(to.exists());
    Ok(())
}

#[test]
fn what_lacks_a_name_is_deployed_after_a_failure_although_that_name_fails_again() -> Result {
    let bed = bed_with_one_of_two()?;
    let mut settings = bed.settings();
    let (from, to) = copying(&mut settings, &bed);
    let program = bed.program(web(settings, &NAMES, ""))?;
    let first = program.run(&["renew"])?;
    first.assert_failure(3, &["www.example.com"]);
    first.assert_printed(&["it is not deployed"]);
    fs::write(&from, "")?;
    let next = program.clock("+62s").run(&["renew"])?;
    next.assert_failure(3, &["www.example.com", "CNAME"]);
    next.assert_printed(&["web: deployed"]);
    assert!(to.exists());
    Ok(())
}
