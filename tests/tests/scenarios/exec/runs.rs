//! Runs of the program with the provider exec.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use acme_alias_tests::{
    ALIAS_NAME, ALIAS_ZONE, Outcome, Program, Result, Settings, TestBed, output_of,
};

use super::programs::{bed_key, every_protocol, lego, script, settings};

const LINES: &str = "domains = [\"example.com\", \"*.example.com\"]";

fn bed() -> Result<TestBed> {
    TestBed::builder().delegate(&["example.com"]).start()
}

fn program(bed: &TestBed, host: Settings, options: &str) -> Result<Program> {
    bed.program(settings(host, options).certificate("web", LINES))
}

/// The state of the ledger: nothing may be open.
fn assert_closed(program: &Program) -> Result {
    let verified = program.run(&["ledger", "verify", "--output", "json"])?;
    verified.assert_success();
    assert_eq!(verified.json()?["open"], 0, "{verified}");
    Ok(())
}

fn assert_no_secret(bed: &TestBed, state: &Path, outcome: &Outcome) -> Result {
    let key = bed_key(bed)?;
    let secret = key.rsplit(' ').next().unwrap_or_default();
    for text in [&outcome.stdout, &outcome.stderr] {
        assert!(!text.contains(secret), "{outcome}");
    }
    let found = output_of(&format!("find {} -type f", state.display()))?;
    for file in found.lines() {
        let text = fs::read(file)?;
        let text = String::from_utf8_lossy(&text);
        assert!(!text.contains(secret), "{file}");
    }
    Ok(())
}

#[test]
fn a_certificate_is_issued_and_renewed_with_each_protocol_and_values_of_others_stay() -> Result {
    let bed = bed()?;
    let foreign = bed.add_foreign_txt(ALIAS_ZONE, ALIAS_NAME, "foreign")?;
    for (protocol, options) in every_protocol(&bed)? {
        let mut host = bed.settings();
        host.state = bed.folder().join(format!("state-{protocol}"));
        let state = host.state.clone();
        let program = program(&bed, host, &options)?;
        let before = bed.orders()?;
        let outcome = program.run(&["issue", "web", "-vvv"])?;
        outcome.assert_success();
        assert_no_secret(&bed, &state, &outcome)?;
        let names = bed
            .certificate_in(&format!("state-{protocol}"), "web")?
            .names;
        assert_eq!(names, ["*.example.com", "example.com"]);
        program.run(&["renew", "--force"])?.assert_success();
        assert_eq!(bed.orders()?, before + 2);
        assert_eq!(bed.txt()?, std::slice::from_ref(&foreign), "{protocol}");
        assert_closed(&program)?;
    }
    Ok(())
}

/// A program that waits in the middle of an addition: when the value is written, and before it ends.
struct Held {
    path: PathBuf,
    reached: PathBuf,
    gate: PathBuf,
}

impl Held {
    /// Around the program or script that is at `path`.
    fn around(bed: &TestBed, path: &Path) -> Result<Held> {
        let at = |name: &str| bed.folder().join(name);
        let (reached, gate) = (at("reached"), at("gate"));
        for old in [&reached, &gate] {
            if old.exists() {
                fs::remove_file(old)?;
            }
        }
        output_of(&format!("mkfifo {}", gate.display()))?;
        let text = format!(
            "#!/bin/sh\nrequest=$(cat)\nprintf '%s\\n' \"$request\" | {} \"$@\" > {2}.answer || exit\n\
             case \"$1$request\" in\n\
             present* | *'\"add\"'*) if [ -p {1} ]; then touch {2}; cat {1} > /dev/null; fi ;;\n\
             esac\ncat {2}.answer\n",
            path.display(),
            gate.display(),
            reached.display()
        );
        let path = script(&at("held"), &text)?;
        Ok(Held {
            path,
            reached,
            gate,
        })
    }

    /// Lets the program that waits, and all later ones, go on.
    fn release(&self) -> Result {
        // Opening it lasts until the program has opened it, too.
        let gate = fs::OpenOptions::new().write(true).open(&self.gate)?;
        fs::remove_file(&self.gate)?;
        drop(gate);
        Ok(())
    }
}

/// The options of a protocol with a program that is held in the middle.
fn held(bed: &TestBed, protocol: &str, options: &str) -> Result<(Held, String)> {
    let quoted = |text: &str, key: &str| -> String {
        let rest = text.split_once(&format!("{key} = '")).map(|(_, rest)| rest);
        let path = rest.and_then(|rest| rest.split_once('\''));
        path.map(|(path, _)| path.to_owned()).unwrap_or_default()
    };
    if protocol != "acme.sh" {
        let path = quoted(options, "command");
        let held = Held::around(bed, Path::new(&path))?;
        let options = options.replace(&path, &held.path.display().to_string());
        return Ok((held, options));
    }
    // The function of the script is held.
    let held = Held::around(bed, Path::new("/bin/true"))?;
    let home = quoted(options, "home");
    let dns = Path::new(&home).join("dnsapi/dns_bed.sh");
    let text = fs::read_to_string(&dns)?;
    let hold = format!(
        "if [ -p {} ]; then touch {}; cat {0} > /dev/null; fi",
        held.gate.display(),
        held.reached.display()
    );
    let after = "_bed_update \"add $1. 0 TXT \\\"$(_bed_escaped \"$2\")\\\"\"";
    assert!(text.contains(after), "{text}");
    fs::write(&dns, text.replace(after, &format!("{after}\n  {hold}")))?;
    Ok((held, options.to_owned()))
}

#[test]
fn a_run_that_is_killed_while_a_program_writes_leaves_nothing_after_the_next() -> Result {
    let bed = bed()?;
    for (protocol, options) in every_protocol(&bed)? {
        let (held, options) = held(&bed, protocol, &options)?;
        let mut host = bed.settings();
        host.state = bed.folder().join(format!("state-{protocol}"));
        let program = program(&bed, host, &options)?;
        let running = program.spawn(&["renew"])?;
        bed.wait_until("the program has written", |_| Ok(held.reached.exists()))?;
        running.kill()?;
        assert!(!bed.txt()?.is_empty(), "{protocol}");
        // The program of the killed run goes on beside the next run, which must wait where it matters.
        let next = program.spawn(&["renew"])?;
        held.release()?;
        next.wait()?.assert_success();
        assert_eq!(bed.txt()?, [], "{protocol}");
        assert_closed(&program)?;
    }
    Ok(())
}

#[test]
fn an_interrupted_run_waits_for_the_program_and_removes_its_values() -> Result {
    let bed = bed()?;
    for (protocol, options) in every_protocol(&bed)? {
        let (held, options) = held(&bed, protocol, &options)?;
        let mut host = bed.settings();
        host.state = bed.folder().join(format!("state-{protocol}"));
        let program = program(&bed, host, &options)?;
        let running = program.spawn(&["renew"])?;
        bed.wait_until("the program has written", |_| Ok(held.reached.exists()))?;
        running.interrupt()?;
        held.release()?;
        let outcome = running.wait()?;
        assert_ne!(outcome.code, Some(0), "{outcome}");
        assert_eq!(bed.txt()?, [], "{protocol}: {outcome}");
        assert_closed(&program)?;
    }
    Ok(())
}

#[test]
fn a_program_that_fails_after_its_work_fails_no_certificate() -> Result {
    let bed = bed()?;
    let inner = lego(&bed, bed.primary())?;
    // As if the value existed already, or were gone.
    let text = format!(
        "#!/bin/sh\n{} \"$@\"\necho exists >&2\nexit 1\n",
        inner.display()
    );
    let path = script(&bed.folder().join("fails"), &text)?;
    let options = format!("protocol = 'lego'\ncommand = '{}'", path.display());
    let program = program(&bed, bed.settings(), &options)?;
    program.run(&["issue", "web"])?.assert_success();
    assert_eq!(bed.txt()?, []);
    assert_closed(&program)
}

#[test]
fn a_program_that_does_nothing_is_found_out_at_the_servers() -> Result {
    let bed = bed()?;
    let mut host = bed.settings();
    host.propagation_timeout = "3s";
    let options = "protocol = 'lego'\ncommand = '/bin/true'";
    let outcome = program(&bed, host, options)?.run(&["issue", "web"])?;
    outcome.assert_failure(4, &["not on all its servers"]);
    assert!(!bed.has_validated()?);
    Ok(())
}

#[test]
fn values_that_a_program_does_not_remove_are_reported_by_the_next_run() -> Result {
    let bed = bed()?;
    let inner = lego(&bed, bed.primary())?;
    let text = format!(
        "#!/bin/sh\ncase $1 in cleanup) exit 0 ;; esac\nexec {} \"$@\"\n",
        inner.display()
    );
    let path = script(&bed.folder().join("keeps"), &text)?;
    let options = format!("protocol = 'lego'\ncommand = '{}'", path.display());
    let program = program(&bed, bed.settings(), &options)?;
    program.run(&["issue", "web"])?.assert_success();
    assert_eq!(bed.txt()?.len(), 2);
    let outcome = program.run(&["renew"])?;
    outcome.assert_said(&["warning", "is still there", ALIAS_NAME]);
    // When the program is repaired, the next run removes them.
    script(
        &path,
        &format!("#!/bin/sh\nexec {} \"$@\"\n", inner.display()),
    )?;
    program.run(&["renew"])?.assert_success();
    assert_eq!(bed.txt()?, []);
    assert_closed(&program)
}

#[test]
fn an_unusable_program_is_an_error_before_the_order() -> Result {
    let bed = bed()?;
    for (protocol, options) in every_protocol(&bed)? {
        let file = match protocol {
            "acme.sh" => {
                let home = format!("acme-sh-{}", bed.primary().port());
                bed.folder().join(home).join("dnsapi/dns_bed.sh")
            }
            protocol => bed
                .folder()
                .join(format!("{protocol}-{}", bed.primary().port())),
        };
        fs::set_permissions(&file, fs::Permissions::from_mode(0o777))?;
        let outcome = program(&bed, bed.settings(), &options)?.run(&["issue", "web"])?;
        outcome.assert_failure(4, &["lets others change it", "chmod go-w"]);
    }
    for (options, words) in [
        ("command = '/no/such/program'", &["No such file"][..]),
        ("", &["`providers.own.command` is missing"]),
        (
            "command = '/bin/true'\nenvironment = { KEY = 'inline' }",
            &["takes one of { file"],
        ),
        (
            "command = '/bin/true'\nenvironment = { 'A B' = { env = 'X' } }",
            &["A B"],
        ),
    ] {
        let program = program(&bed, bed.settings(), options)?.env("X", "x");
        let outcome = program.run(&["issue", "web"])?;
        outcome.assert_said(words);
        assert_ne!(outcome.code, Some(0));
        assert!(!outcome.stderr.contains("inline"), "{outcome}");
    }
    assert_eq!(bed.orders()?, 0);
    Ok(())
}

#[test]
fn what_a_failed_program_printed_is_shown_on_request() -> Result {
    let bed = bed()?;
    let text = "#!/bin/sh\necho the reason >&2\necho the end >&2\nexit 1\n";
    let path = script(&bed.folder().join("fails"), text)?;
    let options = format!("protocol = 'lego'\ncommand = '{}'", path.display());
    let program = program(&bed, bed.settings(), &options)?;
    let outcome = program.run(&["issue", "web"])?;
    outcome.assert_failure(4, &["the end", "`-v` shows more"]);
    assert!(!outcome.stderr.contains("the reason"), "{outcome}");
    let outcome = program.run(&["issue", "web", "-v"])?;
    outcome.assert_failure(4, &["the end", "the reason"]);
    Ok(())
}

#[test]
fn two_hosts_on_one_machine_take_turns() -> Result {
    let bed = bed()?;
    let inner = lego(&bed, bed.primary())?;
    let text = format!(
        "#!/bin/sh\nmkdir \"$0.busy\" || exit 9\n{} \"$@\"\nrmdir \"$0.busy\"\n",
        inner.display()
    );
    let path = script(&bed.folder().join("alone"), &text)?;
    let options = format!("protocol = 'lego'\ncommand = '{}'", path.display());
    let programs = [
        program(&bed, bed.settings(), &options)?,
        program(&bed, bed.second_host(), &options)?,
    ];
    let runs = programs.iter().map(|program| program.spawn(&["renew"]));
    for run in runs.collect::<Result<Vec<_>>>()? {
        let outcome = run.wait()?;
        outcome.assert_success();
        assert!(!outcome.stderr.contains("exit status"), "{outcome}");
    }
    assert_eq!(bed.txt()?, []);
    Ok(())
}

#[test]
fn a_certificate_that_was_issued_with_flags_is_renewed_without_them() -> Result {
    let bed = bed()?;
    let inner = lego(&bed, bed.primary())?;
    let secret = bed.write_secret("token", "a-token-that-nobody-shall-see")?;
    let text = format!(
        "#!/bin/sh\n[ \"$TOKEN\" = a-token-that-nobody-shall-see ] || exit 9\nexec {} \"$@\"\n",
        inner.display()
    );
    let path = script(&bed.folder().join("with-token"), &text)?;
    let mut host = bed.settings();
    host.providers.clear();
    let zone = host.alias_zones.remove(0);
    host.alias_zones.clear();
    host.zones.push((zone.zone, zone.servers));
    let program = bed.program(host)?;
    let command = path.display().to_string();
    let token = format!("TOKEN=file:{}", secret.display());
    let arguments = [
        "issue",
        "example.com",
        "--exec-protocol",
        "lego",
        "--exec-command",
        &command,
        "--exec-environment",
        &token,
    ];
    program.run(&arguments)?.assert_success();
    program.run(&["renew", "--force"])?.assert_success();
    assert_eq!(bed.txt()?, []);
    let inline = [
        "issue",
        "example.com",
        "--exec-command",
        "x",
        "--exec-environment",
        "A=b",
    ];
    let outcome = program.run(&inline)?;
    outcome.assert_failure(2, &["is not taken from the command line"]);
    Ok(())
}

#[test]
fn what_is_guaranteed_and_what_a_key_can_do_is_told_as_it_is() -> Result {
    let bed = bed()?;
    let (_, options) = every_protocol(&bed)?.into_iter().next().unwrap_or_default();
    let program = program(&bed, bed.settings(), &options)?;
    let listed = program.run(&["providers"])?;
    listed.assert_printed(&[
        "is read back at the backend",
        "with protocol = \"lego\"",
        "with protocol = \"acme.sh\"",
        "the authoritative servers are asked instead",
        "may remove other values",
    ]);
    let json = program.run(&["providers", "--output", "json"])?.json()?;
    let kinds = json["providers"].as_array().cloned().unwrap_or_default();
    let exec = kinds.iter().find(|kind| kind["kind"] == "exec");
    let variants = exec
        .map(|kind| kind["variants"].clone())
        .unwrap_or_default();
    assert_eq!(
        variants[0]["guarantees"]["reading"], "at-servers",
        "{variants}"
    );
    assert_eq!(variants[1]["value"], "acme.sh", "{variants}");
    let audit = program.run(&["key", "audit"])?;
    audit.assert_printed(&["cannot tell", "only `"]);
    let policy = program.run(&["key", "policy"])?;
    policy.assert_said(&["docs/providers/exec.md"]);
    Ok(())
}
