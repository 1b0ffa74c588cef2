//! What becomes of programs that end, hang, and print.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use super::*;

async fn sh(script: &str, limit: Duration) -> Result<String, ProgramError> {
    let command = ["sh", "-c", script].map(str::to_owned);
    let program = Program {
        variables: vec![("A".to_owned(), "b".to_owned())],
        input: Input::Text("in".to_owned()),
        ..Program::new(&command, limit)
    };
    program.run(&CancellationToken::new()).await
}

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_program_that_others_can_change_is_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hook");
    fs::write(&path, "#!/bin/sh\n").unwrap();
    let program = path.to_str().unwrap();
    for (mode, is_run) in [(0o755, true), (0o700, true), (0o775, false), (0o757, false)] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        assert_eq!(check(program).await.is_ok(), is_run, "{mode:o}");
    }
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    for (mode, is_run) in [
        (0o1777, true),
        (0o777, false),
        (0o775, false),
        (0o755, true),
    ] {
        fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
        assert_eq!(check(program).await.is_ok(), is_run, "folder {mode:o}");
    }
    assert!(check("systemctl").await.is_ok());
    let missing = check("/no/such/program").await;
    assert!(matches!(missing, Err(ProgramError::Start { .. })));
}

#[tokio::test]
async fn output_of_both_kinds_comes_in_order_and_input_is_passed() {
    let output = sh("cat; echo; echo two >&2; echo $A", MINUTE).await;
    assert_eq!(output.unwrap(), "in\ntwo\nb");
    let error = sh("echo one; echo why >&2; exit 3", MINUTE)
        .await
        .unwrap_err();
    assert_eq!(error.output(), "one\nwhy");
    assert_eq!(error.to_string(), "`sh` failed with exit status: 3: why");
    let missing = ["/no/such/program".to_owned()];
    let program = Program::new(&missing, MINUTE);
    let error = program.run(&CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, ProgramError::Start { .. }), "{error}");
}

#[tokio::test]
async fn what_a_program_leaves_running_is_not_waited_for() {
    let begin = Instant::now();
    let output = sh("echo done; sleep 30 & exit 0", MINUTE).await;
    assert_eq!(output.unwrap(), "done");
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn all_processes_of_a_program_that_takes_too_long_are_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let alive = folder.path().join("alive");
    let script = format!(
        "(trap '' TERM; sleep 3; touch {}) & echo begun; trap '' TERM; sleep 30; sleep 30",
        alive.display()
    );
    let error = sh(&script, Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(error, ProgramError::TimedOut { .. }), "{error}");
    assert_eq!(error.output(), "begun");
    sleep(Duration::from_secs(2)).await;
    assert!(!alive.exists());
}

#[tokio::test]
async fn a_program_that_no_signal_reaches_is_not_waited_for() {
    let begin = Instant::now();
    let script = "exec perl -e 'setpgrp(0, getpgrp(getppid())); sleep 30'";
    let error = sh(script, Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(error, ProgramError::TimedOut { .. }), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_program_is_stopped_when_the_run_is_cancelled() {
    let cancel = CancellationToken::new();
    let command = ["sleep", "30"].map(str::to_owned);
    let program = Program::new(&command, MINUTE);
    let begin = Instant::now();
    let (ended, ()) = tokio::join!(program.run(&cancel), async {
        sleep(Duration::from_millis(100)).await;
        cancel.cancel();
    });
    assert!(matches!(ended, Err(ProgramError::Interrupted)));
    assert!(begin.elapsed() < Duration::from_secs(10));
}

async fn answer_of(script: &str) -> Result<Vec<u8>, ProgramError> {
    let command = ["sh", "-c", script].map(str::to_owned);
    let secrets = BTreeMap::from([("KEY".to_owned(), "canary".into())]);
    let program = Program {
        secrets: Some(&secrets),
        ..Program::new(&command, MINUTE)
    };
    assert!(!format!("{program:?}").contains("canary"));
    program.answer(100_000, &CancellationToken::new()).await
}

#[tokio::test]
async fn an_answer_is_the_standard_output_alone() {
    let answer = answer_of("echo why >&2; echo $KEY; sleep 30 & exit 0").await;
    assert_eq!(answer.unwrap(), b"canary\n");
    let error = answer_of("echo what; echo why >&2; exit 3")
        .await
        .unwrap_err();
    assert_eq!(error.output(), "why");
}

#[tokio::test]
async fn an_answer_has_a_limit() {
    let fits = answer_of("exec head -c 100000 /dev/zero").await.unwrap();
    assert_eq!(fits.len(), 100_000);
    for script in ["echo why >&2; exec yes", "exec head -c 100001 /dev/zero"] {
        let begin = Instant::now();
        let error = answer_of(script).await.unwrap_err();
        assert!(matches!(error, ProgramError::TooMuch { .. }), "{error}");
        assert!(begin.elapsed() < Duration::from_secs(10));
    }
}
