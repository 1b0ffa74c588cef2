use std::fs;

use tempfile::TempDir;

use super::*;
use crate::txt::Action;

pub(super) fn entry(event: Event, action: Action, value: &str) -> Entry {
    Entry {
        event,
        action,
        origin: Origin {
            certificate: Some("web".to_owned()),
            order: None,
        },
        zone: "auth.example.net".parse().unwrap(),
        provider: "rfc2136".to_owned(),
        key: Some("acme-key".to_owned()),
        name: "_acme-challenge.auth.example.net".parse().unwrap(),
        value: value.parse().unwrap(),
        ttl: Some(60),
        server: None,
        response: None,
        serial: None,
    }
}

fn intent(value: &str) -> Vec<Entry> {
    vec![entry(Event::Intent, Action::Add, value)]
}

fn only_file(folder: &TempDir) -> PathBuf {
    let files = read::files(folder.path()).unwrap();
    assert_eq!(files.len(), 1);
    files[0].clone()
}

#[tokio::test]
async fn lines_are_numbered_and_chained_across_runs() {
    let folder = tempfile::tempdir().unwrap();
    for run in 0..3 {
        let ledger = Ledger::open(folder.path(), RunId::new()).unwrap();
        ledger.record(intent(&format!("a{run}"))).await.unwrap();
        ledger.record(intent(&format!("b{run}"))).await.unwrap();
    }
    let reading = read(folder.path()).unwrap();
    assert_eq!(reading.damage, []);
    let numbers: Vec<_> = reading.lines.iter().map(|line| line.sequence).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
    assert_eq!(reading.open().len(), 6);
}

#[tokio::test]
async fn two_ledgers_at_once_write_one_chain() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (
        Ledger::open(folder.path(), RunId::new()).unwrap(),
        Ledger::open(folder.path(), RunId::new()).unwrap(),
    );
    for round in 0..20 {
        let values = (format!("one{round}"), format!("other{round}"));
        let both = tokio::join!(
            one.record(intent(&values.0)),
            other.record(intent(&values.1))
        );
        both.0.and(both.1).unwrap();
    }
    let reading = read(folder.path()).unwrap();
    assert_eq!((reading.damage.len(), reading.lines.len()), (0, 40));
}

#[tokio::test]
async fn a_value_is_open_until_it_is_withdrawn() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path(), RunId::new()).unwrap();
    for value in ["withdrawn", "failed", "unknown"] {
        ledger.record(intent(value)).await.unwrap();
    }
    let outcomes = vec![
        entry(Event::Withdrawn, Action::Remove, "withdrawn"),
        entry(Event::Failed, Action::Add, "failed"),
        entry(Event::Unknown, Action::Add, "unknown"),
    ];
    ledger.record(outcomes).await.unwrap();
    let open = read(folder.path()).unwrap().open();
    let values: Vec<_> = open.iter().map(|open| open.value.as_str()).collect();
    assert_eq!(values, ["failed", "unknown"]);
}

#[tokio::test]
async fn a_value_is_abandoned_when_its_run_is_dead_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let dead = Ledger::open(folder.path(), RunId::new()).unwrap();
    dead.record(intent("v")).await.unwrap();
    let ledger = Ledger::open(folder.path(), RunId::new()).unwrap();
    assert_eq!(ledger.abandoned().unwrap(), []);
    drop(dead);
    let abandoned = ledger.abandoned().unwrap();
    assert_eq!(abandoned.len(), 1);
    assert_eq!(abandoned[0].origin.certificate.as_deref(), Some("web"));
}

#[tokio::test]
async fn a_tail_that_was_cut_off_is_no_damage_and_is_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path(), RunId::new()).unwrap();
    ledger.record(intent("a")).await.unwrap();
    drop(ledger);
    let path = only_file(&folder);
    let whole = fs::read(&path).unwrap();
    for cut in 1..whole.len() {
        let torn = [&whole[..], &whole[..cut]].concat();
        fs::write(&path, torn).unwrap();
        let reading = read(folder.path()).unwrap();
        assert!(reading.truncated && reading.damage.is_empty(), "{cut}");
    }
    let ledger = Ledger::open(folder.path(), RunId::new()).unwrap();
    ledger.record(intent("b")).await.unwrap();
    let reading = read(folder.path()).unwrap();
    assert_eq!((reading.damage.len(), reading.lines.len()), (0, 2));
    assert!(!reading.truncated);
}

#[tokio::test]
async fn damage_in_the_middle_is_located_and_survives_what_is_written_after() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path(), RunId::new()).unwrap();
    for value in ["a", "b", "c"] {
        ledger.record(intent(value)).await.unwrap();
    }
    drop(ledger);
    let path = only_file(&folder);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let changed = text.replace("\"value\":\"b\"", "\"value\":\"x\"");
    let cut_out = format!("{}\n{}\n", lines[0], lines[2]);
    let garbage = format!("{}\n{}\nnonsense\n", lines[0], lines[1]);
    for (damaged, line) in [(changed, 2), (cut_out, 2), (garbage, 3)] {
        fs::write(&path, damaged).unwrap();
        let ledger = Ledger::open(folder.path(), RunId::new()).unwrap();
        ledger.record(intent("d")).await.unwrap();
        drop(ledger);
        let reading = read(folder.path()).unwrap();
        assert_eq!(reading.damage[0].line, line, "{reading:?}");
        assert_eq!(reading.lines.last().unwrap().entry.value.as_str(), "d");
    }
}

#[tokio::test]
async fn only_the_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let ledger = Ledger::open(&path, RunId::new()).unwrap();
    ledger.record(intent("a")).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(&read::files(&path).unwrap()[0]), 0o600);
}

#[tokio::test]
async fn an_intent_that_cannot_be_written_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path(), RunId::new()).unwrap();
    let month = jiff::Timestamp::now().strftime("%Y-%m").to_string();
    // A folder stands where the file of this month should be.
    fs::create_dir(folder.path().join(format!("{month}.jsonl"))).unwrap();
    let error = ledger.record(intent("a")).await.unwrap_err();
    assert!(error.to_string().contains(&month), "{error}");
}
