//! The provider exec: what becomes of programs that fail, and runs with each protocol.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail as they do")]

mod hostile;
pub(crate) mod programs;
mod runs;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use acme_alias_core::provider::{Failure, TxtProvider};
use acme_alias_core::rights::{Grade, KeyRights, Subject};
use acme_alias_core::txt::Action;
use acme_alias_exec::{AcmeSh, Environment, Exec, Program};
use acme_alias_tests::{ALIAS_NAME, Result};
use tempfile::TempDir;

use self::programs::script;
use crate::backend::{add, change, refused, zone_name};

/// A user that nobody is.
const STRANGER: u32 = 65534;

/// A script in a folder of its own.
struct Fixture {
    folder: TempDir,
    path: PathBuf,
}

impl Fixture {
    fn new(text: &str) -> Result<Fixture> {
        let folder = TempDir::new()?;
        let path = script(
            &folder.path().join("program"),
            &format!("#!/bin/sh\n{text}\n"),
        )?;
        Ok(Fixture { folder, path })
    }

    fn program(&self) -> Program {
        Program::new([self.path.display().to_string()]).unwrap()
    }

    fn json(&self) -> Exec {
        Exec::json(self.program())
    }

    fn lego(&self) -> Exec {
        Exec::lego(self.program())
    }

    /// The provider with either protocol.
    fn both(&self) -> [Exec; 2] {
        [self.json(), self.lego()]
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn set_mode(path: &Path, mode: u32) -> Result {
    Ok(fs::set_permissions(path, Permissions::from_mode(mode))?)
}

/// How a program becomes unusable: in words, the words of the error, and what is done.
type Unusable<'a> = (&'a str, &'a [&'a str], &'a dyn Fn() -> Result);

#[tokio::test]
async fn a_program_that_cannot_be_run_is_reported_before_anything_is_written() -> Result {
    let fixture = Fixture::new("exit 0")?;
    let unusable: [Unusable; 5] = [
        (
            "the mode 757",
            &["lets others change it", "chmod go-w"],
            &|| set_mode(&fixture.path, 0o757),
        ),
        ("another owner", &["another user", "chown root"], &|| {
            set_mode(&fixture.path, 0o755)?;
            Ok(chown(&fixture.path, Some(STRANGER), None)?)
        }),
        (
            "not executable",
            &["Permission denied", "chmod u+x"],
            &|| {
                chown(&fixture.path, Some(0), None)?;
                set_mode(&fixture.path, 0o644)
            },
        ),
        ("no interpreter", &["No such file", "interpreter"], &|| {
            script(&fixture.path, "#!/no/such/interpreter\n").map(drop)
        }),
        ("missing", &["No such file", "correct the path"], &|| {
            Ok(fs::remove_file(&fixture.path)?)
        }),
    ];
    for (state, words, make) in unusable {
        make()?;
        for provider in fixture.both() {
            refused(&provider, Failure::Rejected, words).await;
            let names = [ALIAS_NAME.parse().unwrap()];
            let read = provider.values(&zone_name(), &names).await;
            // An interpreter is missed only when the program is run.
            let is_known = read.is_err() || state == "no interpreter";
            assert!(is_known, "{state}: {read:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_failed_program_is_quoted_without_control_characters_and_secrets() -> Result {
    let fixture =
        Fixture::new("echo first >&2\nprintf '\\033[2J%s is wrong' \"$KEY\" >&2\nexit 3")?;
    let secrets = BTreeMap::from([("KEY".to_owned(), "a-key-that-nobody-shall-see".into())]);
    let environment = Environment::new(secrets).unwrap();
    for provider in fixture.both() {
        let provider = provider.with_environment(environment.clone());
        let words = ["exit status: 3", "\\u{1b}[2J[hidden] is wrong"];
        refused(&provider, Failure::UnknownOutcome, &words).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_program_that_hangs_is_stopped_with_all_its_processes() -> Result {
    let fixture = Fixture::new(
        "sleep 1000 & echo $! > \"$0.child\"; trap '' TERM; echo waiting >&2; wait; wait",
    )?;
    for provider in fixture.both() {
        let provider = provider.with_timeout(Duration::from_millis(500));
        let words = ["did not end within 500ms", "waiting", "`timeout`"];
        refused(&provider, Failure::UnknownOutcome, &words).await;
        let child = fs::read_to_string(fixture.file("program.child"))?;
        let state = fs::read_to_string(format!("/proc/{}/stat", child.trim()));
        // Nobody may have waited for it yet.
        assert!(state.is_err() || state.is_ok_and(|s| s.contains(") Z ")));
    }
    Ok(())
}

#[tokio::test]
async fn what_a_program_leaves_running_is_not_waited_for() -> Result {
    let fixture = Fixture::new("sleep 1000 & echo $! >> \"$0.children\"; echo '{\"version\": 1}'")?;
    let begin = Instant::now();
    for provider in fixture.both() {
        // The second time the lock would be missing, if what was left had kept it.
        for _ in 0..2 {
            add(&provider).await.unwrap();
        }
    }
    assert!(begin.elapsed() < Duration::from_secs(30));
    for child in fs::read_to_string(fixture.file("program.children"))?.lines() {
        acme_alias_tests::output_of(&format!("kill {child}"))?;
    }
    Ok(())
}

#[tokio::test]
async fn an_answer_that_is_not_as_described_leaves_the_outcome_unknown() -> Result {
    for (printed, words) in [
        ("", &["EOF", "docs/exec.md"][..]),
        ("echo done", &["expected value", "`done`"]),
        ("printf '\\033[2J'", &["\\u{1b}"]),
        ("echo '{\"version\": 2}'", &["the version 2"]),
        ("echo '{}'", &["version"]),
        (
            "echo '{\"version\": 1, \"results\": []}'",
            &["0 results for 1"],
        ),
        ("echo '{\"version\": 1}{\"version\": 1}'", &["trailing"]),
        ("exec yes", &["printed more than"]),
    ] {
        let provider = Fixture::new(printed)?;
        refused(&provider.json(), Failure::UnknownOutcome, words).await;
    }
    let reading = Fixture::new("echo '{\"version\": 1}'")?;
    let names = [ALIAS_NAME.parse().unwrap()];
    let read = reading.json().values(&zone_name(), &names).await;
    let error = read.unwrap_err();
    assert_eq!(error.failure, Failure::Unavailable);
    assert!(error.what.contains("no `records`"), "{error}");
    Ok(())
}

#[tokio::test]
async fn an_error_of_the_program_has_its_kind() -> Result {
    let after = Some(Duration::from_secs(30));
    for (kind, failure) in [
        ("denied", Failure::Denied),
        ("throttled", Failure::Throttled { retry_after: after }),
        ("unavailable", Failure::Unavailable),
        ("conflict", Failure::Conflict),
        ("rejected", Failure::Rejected),
        ("too-many", Failure::TooMany),
        ("unknown", Failure::UnknownOutcome),
        ("other", Failure::UnknownOutcome),
    ] {
        let error = format!("{{\"kind\": \"{kind}\", \"message\": \"why\", \"retry-after\": 30}}");
        for answer in [
            format!("\"error\": {error}"),
            format!("\"results\": [{{\"error\": {error}}}]"),
        ] {
            let fixture = Fixture::new(&format!("echo '{{\"version\": 1, {answer}}}'"))?;
            refused(&fixture.json(), failure, &[kind, "why"]).await;
        }
    }
    Ok(())
}

#[tokio::test]
async fn results_for_a_part_leave_the_outcome_unknown() -> Result {
    let fixture = Fixture::new(
        "echo '{\"version\": 1, \"results\": [{}, {\"error\": {\"kind\": \"denied\"}}]}'",
    )?;
    let adds = ["a", "b"].map(|value| change(Action::Add, ALIAS_NAME, value));
    let error = fixture.json().apply(&zone_name(), &adds).await.unwrap_err();
    assert_eq!(error.failure, Failure::UnknownOutcome, "{error}");
    assert!(error.what.contains("denied"), "{error}");
    Ok(())
}

#[tokio::test]
async fn arguments_and_documents_are_as_described_and_no_shell_sees_them() -> Result {
    let fixture = Fixture::new(
        "printf '%s|' \"$@\" >> \"$0.seen\"; cat >> \"$0.seen\"; echo '{\"version\": 1}'",
    )?;
    let odd = "-$(id) \"'\\;";
    let changes = [
        change(Action::Add, ALIAS_NAME, odd),
        change(Action::Remove, ALIAS_NAME, "old"),
    ];
    fixture.lego().apply(&zone_name(), &changes).await.unwrap();
    let seen = fs::read_to_string(fixture.file("program.seen"))?;
    let expected = format!("cleanup|{ALIAS_NAME}.|old|present|{ALIAS_NAME}.|{odd}|");
    assert_eq!(seen, expected);

    fs::remove_file(fixture.file("program.seen"))?;
    let provider = fixture.json().with_ttl(120);
    let applied = provider.apply(&zone_name(), &changes).await.unwrap();
    assert_eq!(applied.requests, 2);
    let seen = fs::read_to_string(fixture.file("program.seen"))?;
    let documents = seen.split('|').filter(|part| !part.is_empty());
    let documents: Vec<serde_json::Value> = documents
        .flat_map(str::lines)
        .map(serde_json::from_str)
        .collect::<std::result::Result<_, _>>()?;
    let document = |action: &str, record: serde_json::Value| {
        serde_json::json!({
            "version": 1, "action": action, "zone": zone_name().as_str(), "records": [record],
        })
    };
    let removed = serde_json::json!({ "name": ALIAS_NAME, "value": "old" });
    let added = serde_json::json!({ "name": ALIAS_NAME, "value": odd, "ttl": 120 });
    assert_eq!(
        documents,
        [document("remove", removed), document("add", added)]
    );
    Ok(())
}

#[tokio::test]
async fn two_runs_for_lego_are_never_at_the_same_time() -> Result {
    let fixture = Fixture::new(
        "mkdir \"$0.busy\" || exit 9\nfor i in 1 2 3 4 5 6 7 8 9; do /bin/true; done\nrmdir \"$0.busy\"",
    )?;
    let add = [change(Action::Add, ALIAS_NAME, "v")];
    let runs = (0..8).map(async |_| fixture.lego().apply(&zone_name(), &add).await);
    for outcome in futures_util::future::join_all(runs).await {
        outcome.unwrap();
    }
    Ok(())
}

/// What the protocol acme.sh makes of an installation in this state.
async fn acme_sh_refused(home: &Path, words: &[&str]) {
    let provider = Exec::acme_sh(AcmeSh::new(home, "dns_bed").unwrap());
    refused(&provider, Failure::Rejected, words).await;
}

#[tokio::test]
async fn an_unsafe_acme_sh_is_not_loaded() -> Result {
    let home = TempDir::new()?;
    let home = home.path();
    acme_sh_refused(home, &["acme.sh does not exist", "`home`"]).await;
    fs::create_dir(home.join("dnsapi"))?;
    let marker = home.join("loaded");
    let touch = format!("touch {}\n", marker.display());
    let main = script(&home.join("acme.sh"), &touch)?;
    acme_sh_refused(home, &["dns_bed.sh does not exist", "`script`"]).await;
    let dns = script(&home.join("dnsapi/dns_bed.sh"), &touch)?;
    acme_sh_refused(home, &["account.conf does not exist", "install -m 600"]).await;
    let conf = home.join("account.conf");
    fs::write(&conf, "")?;
    set_mode(&conf, 0o644)?;
    acme_sh_refused(home, &["lets others read it", "chmod 600"]).await;
    set_mode(&conf, 0o600)?;
    for file in [main, dns] {
        set_mode(&file, 0o666)?;
        acme_sh_refused(home, &["lets others change it", "chmod go-w"]).await;
        set_mode(&file, 0o644)?;
    }
    assert!(!marker.exists());
    Ok(())
}

#[tokio::test]
async fn an_audit_cannot_tell() -> Result {
    let fixture = Fixture::new("touch \"$0.was-run\"")?;
    let subject = Subject {
        zone: zone_name(),
        alias_names: vec![ALIAS_NAME.parse().unwrap()],
        main_zones: Vec::new(),
    };
    let audit = fixture.json().audit(&subject).await.unwrap();
    assert_eq!(audit.grade(), Grade::CannotTell);
    assert!(!fixture.file("program.was-run").exists());
    Ok(())
}
