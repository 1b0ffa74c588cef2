//! What one name, what a program answers, and other users of the machine can do to certificates with the provider exec.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use acme_alias_tests::{Outcome, Program, Result, TestBed};

use super::programs::{acme_sh, bed_key, json, lego, script, settings};

/// Certificates whose alias names the service accepts, beside `bad`.
const GOOD: [&str; 3] = ["one.example.com", "three.example.com", "two.example.com"];
const BAD: &str = "bad.example.com";

fn bed() -> Result<TestBed> {
    let all: Vec<_> = GOOD.into_iter().chain([BAD]).collect();
    TestBed::builder().delegate_apart(&all).start()
}

fn program(bed: &TestBed, options: &str) -> Result<Program> {
    let mut host = bed.settings();
    host.propagation_timeout = "5s";
    let all: Vec<_> = GOOD.into_iter().chain([BAD]).collect();
    bed.program(settings(host, options).certificates(&all))
}

/// All but `bad` are obtained, and nothing is left.
fn assert_good_are_obtained(bed: &TestBed, program: &Program, outcome: &Outcome) -> Result {
    for good in GOOD {
        let id = good.replace('.', "-");
        assert!(bed.certificate(&id).is_ok(), "{id}: {outcome}");
    }
    assert!(outcome.stderr.contains("bad-example-com"), "{outcome}");
    assert_eq!(bed.txt()?, []);
    let verified = program.run(&["ledger", "verify", "--output", "json"])?;
    assert_eq!(verified.json()?["open"], 0, "{verified}");
    Ok(())
}

#[test]
fn a_name_that_the_service_rejects_fails_its_certificate_only() -> Result {
    let bed = bed()?;
    let inner = json(&bed, bed.primary())?;
    let text = format!(
        "#!/bin/sh\nrequest=$(cat)\n\
         case $request in *'\"add\"'*) ;; *) printf '%s' \"$request\" | {0}; exit ;; esac\n\
         printf '%s' \"$request\" | jq -c '.records |= map(select(.name | test(\"bad\") | not))' | {0} > /dev/null\n\
         printf '%s' \"$request\" | jq -c '{{version: 1, results: [.records[] | if (.name | test(\"bad\")) \
         then {{error: {{kind: \"rejected\", message: \"the name is reserved\"}}}} else {{}} end]}}'\n",
        inner.display()
    );
    let path = script(&bed.folder().join("rejects"), &text)?;
    let options = format!("command = '{}'\nttl = 0", path.display());
    let program = program(&bed, &options)?;
    let outcome = program.run(&["renew"])?;
    assert_good_are_obtained(&bed, &program, &outcome)
}

#[test]
fn a_name_for_which_a_program_fails_fails_its_certificate_only() -> Result {
    let bed = bed()?;
    let inner = lego(&bed, bed.primary())?;
    let text = format!(
        "#!/bin/sh\ncase $2 in bad*) echo reserved >&2; exit 1 ;; esac\nexec {} \"$@\"\n",
        inner.display()
    );
    let path = script(&bed.folder().join("rejects"), &text)?;
    let options = format!("protocol = 'lego'\ncommand = '{}'", path.display());
    let program = program(&bed, &options)?;
    let outcome = program.run(&["renew"])?;
    assert_good_are_obtained(&bed, &program, &outcome)
}

#[test]
fn a_name_for_which_a_program_hangs_fails_its_certificate_only() -> Result {
    let bed = bed()?;
    let inner = lego(&bed, bed.primary())?;
    let text = format!(
        "#!/bin/sh\ncase $2 in bad*) sleep 60 ;; esac\nexec {} \"$@\"\n",
        inner.display()
    );
    let path = script(&bed.folder().join("hangs"), &text)?;
    let options = format!(
        "protocol = 'lego'\ncommand = '{}'\ntimeout = '3s'",
        path.display()
    );
    let program = program(&bed, &options)?;
    let outcome = program.run(&["renew"])?;
    for good in GOOD {
        let id = good.replace('.', "-");
        assert!(bed.certificate(&id).is_ok(), "{id}: {outcome}");
    }
    outcome.assert_failure(4, &["bad-example-com", "did not end within 3s"]);
    assert_eq!(bed.txt()?, []);
    Ok(())
}

#[test]
fn a_reason_of_half_a_megabyte_is_shown_and_recorded_in_part() -> Result {
    let bed = bed()?;
    let text = "#!/bin/sh\ncase $(cat) in *'\"add\"'*) ;; *) echo '{\"version\": 1, \"records\": []}'; exit ;; esac\n\
                printf '{\"version\": 1, \"error\": {\"kind\": \"denied\", \"message\": \"'\n\
                head -c 500000 /dev/zero | tr '\\0' x\nprintf '\"}}'\n";
    let path = script(&bed.folder().join("talks"), text)?;
    let options = format!("command = '{}'\nttl = 0", path.display());
    let outcome = program(&bed, &options)?.run(&["renew"])?;
    let said = outcome.stdout.len() + outcome.stderr.len();
    let ledger = bed.settings().state.join("ledger");
    let mut recorded = 0;
    for file in fs::read_dir(ledger)? {
        recorded += file?.metadata()?.len();
    }
    assert!(outcome.stderr.contains("xxx"), "{outcome}");
    assert!(
        said < 100_000 && recorded < 100_000,
        "{said} octets, {recorded} in the ledger"
    );
    Ok(())
}

/// A process of a user that nobody is, which has locked a file for as long as it lives.
struct Stranger(Child);

impl Stranger {
    fn locks(path: &Path) -> Result<Self> {
        let user = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        let mut command = Command::new("setpriv");
        command
            .args(user)
            .args(["flock", "--exclusive", "--no-fork"])
            .arg(path);
        let child = command.args(["sleep", "600"]).spawn()?;
        std::thread::sleep(Duration::from_secs(1));
        Ok(Stranger(child))
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_lock_that_another_user_holds_on_a_program_delays_nothing() -> Result {
    let bed = bed()?;
    let inner = lego(&bed, bed.primary())?;
    // Where everybody can read it.
    let folder = tempfile::tempdir()?;
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
    let text = format!("#!/bin/sh\nexec {} \"$@\"\n", inner.display());
    let path = script(&folder.path().join("program"), &text)?;
    let options = format!(
        "protocol = 'lego'\ncommand = '{}'\ntimeout = '5s'",
        path.display()
    );
    let _stranger = Stranger::locks(&path)?;
    let program = program(&bed, &options)?;
    program.run(&["renew"])?.assert_success();
    assert_eq!(bed.txt()?, []);
    // The folder that systemd makes for the user of the unit, beside which root runs the program.
    let given =
        "mkdir -p /run/acme-alias && mount -t tmpfs -o uid=54321,mode=755 tmpfs /run/acme-alias";
    let beside_unit = program.before(&format!(
        "exec unshare --mount sh -c '{given} && exec \"$0\" \"$@\"' \"$0\" \"$@\""
    ));
    beside_unit.run(&["renew", "--force"])?.assert_success();
    assert_eq!(bed.txt()?, []);
    Ok(())
}

#[test]
fn account_conf_in_a_folder_that_others_can_change_is_not_run() -> Result {
    let bed = bed()?;
    let secret = bed.write_secret("bed.key", &bed_key(&bed)?)?;
    let home = acme_sh(&bed, bed.primary())?;
    let folder = tempfile::tempdir()?;
    let conf = folder.path().join("account.conf");
    let marker = folder.path().join("marker");
    fs::write(&conf, format!("touch {}\n", marker.display()))?;
    fs::set_permissions(&conf, Permissions::from_mode(0o600))?;
    // Others could exchange the file between the look at it and the run.
    fs::set_permissions(folder.path(), Permissions::from_mode(0o777))?;
    let options = format!(
        "protocol = 'acme.sh'\nhome = '{}'\nconfig-home = '{}'\nscript = 'dns_bed'\n\
         environment = {{ BED_KEY = {{ file = '{}' }} }}",
        home.display(),
        folder.path().display(),
        secret.display()
    );
    let outcome = program(&bed, &options)?.run(&["renew"])?;
    outcome.assert_failure(4, &["lets others change it", "chmod go-w"]);
    assert!(!marker.exists());
    Ok(())
}

/// A token that says at each place which one it is.
fn token() -> String {
    let words = (0..400).map(|place| format!("k{:05}", place * 7919 % 99_991));
    words.collect()
}

/// Whether a text has a part of the token that could be used.
fn has_part_of(text: &str, token: &str) -> bool {
    (0..token.len() - 16).any(|at| text.contains(&token[at..at + 16]))
}

/// Programs that print their secret where an output is cut.
const SHOWING: [(&str, &str); 3] = [
    // A line that is longer than what is shown of one.
    ("lego", "echo \"refused: Bearer $TOKEN\" >&2; exit 1"),
    // More than what is kept, from the middle of the secret on.
    (
        "lego",
        "echo \"$TOKEN\"; head -c 7000 /dev/zero | tr '\\0' '\\n'; echo end; exit 1",
    ),
    // A document whose beginning is shown.
    ("json", "printf 'refused: %s' \"$TOKEN\""),
];

#[test]
fn no_part_of_a_secret_is_shown_where_an_output_is_cut() -> Result {
    let bed = bed()?;
    let token = token();
    let file = bed.write_secret("token", &token)?;
    let part = bed.write_secret("part", "k0")?;
    for (number, (protocol, text)) in SHOWING.into_iter().enumerate() {
        let path = bed.folder().join(format!("shows{number}"));
        let path = script(&path, &format!("#!/bin/sh\n{text}\n"))?;
        let options = format!(
            "protocol = '{protocol}'\ncommand = '{}'\n\
             environment = {{ TOKEN = {{ file = '{}' }}, FLAG = {{ file = '{}' }} }}",
            path.display(),
            file.display(),
            part.display()
        );
        let outcome = program(&bed, &options)?.run(&["renew", "--force", "-vv"])?;
        let mut said = format!("{}{}", outcome.stdout, outcome.stderr);
        for file in fs::read_dir(bed.settings().state.join("ledger"))? {
            said += &fs::read_to_string(file?.path()).unwrap_or_default();
        }
        assert!(said.contains("[hidden]"), "{number}: {outcome}");
        assert!(!has_part_of(&said, &token), "{number}: {outcome}");
    }
    Ok(())
}
