//! History that was cut off, deleted or replaced by an older copy is missed.

use std::fs;
use std::path::Path;

use super::FileLedger;
use super::bed::{Temporary, clock, only_file, open_at, run, verify};
use super::folder::Folder;
use super::head::Head;
use super::verify::RecordedLine;
use crate::ledger::sample::{entry, intent};
use crate::ledger::{Event, Ledger};
use crate::txt::Action;

async fn record(folder: &Path, values: &[&str]) {
    let ledger = open_at(folder, &clock("2026-11-25T06:00:00Z")).await;
    for value in values {
        ledger.record(&run(), intent(value)).await.unwrap();
    }
}

/// The numbers of the lines that are missing.
async fn missing(folder: &Path) -> Vec<u64> {
    let found = verify(folder).await;
    assert_eq!(found.is_whole(), found.missing.is_empty());
    found.missing.iter().map(|line| line.sequence).collect()
}

#[tokio::test]
async fn a_ledger_that_was_cut_or_deleted_is_not_whole() {
    let folder = Temporary::new();
    record(folder.path(), &["a", "b", "c"]).await;
    assert!(missing(folder.path()).await.is_empty());
    let file = only_file(folder.path());
    let text = fs::read_to_string(&file).unwrap();
    let (cut, _) = text.match_indices('\n').nth(1).unwrap();
    for left in [&text[..=cut], ""] {
        fs::write(&file, left).unwrap();
        assert_eq!(missing(folder.path()).await, [3], "{left}");
    }
    fs::remove_file(&file).unwrap();
    assert_eq!(missing(folder.path()).await, [3]);
    fs::remove_dir_all(folder.path()).unwrap();
    assert_eq!(missing(folder.path()).await, [3]);
    fs::create_dir(folder.path()).unwrap();
    fs::write(&file, &text).unwrap();
    assert!(missing(folder.path()).await.is_empty());
}

#[tokio::test]
async fn new_lines_do_not_hide_that_old_ones_are_missing() {
    let folder = Temporary::new();
    record(folder.path(), &["a"]).await;
    let file = only_file(folder.path());
    let older = fs::read(&file).unwrap();
    record(folder.path(), &["b", "c"]).await;
    fs::write(&file, older).unwrap();
    record(folder.path(), &["d"]).await;
    assert_eq!(missing(folder.path()).await, [3]);
    record(folder.path(), &["e", "f", "g"]).await;
    assert_eq!(missing(folder.path()).await, [3], "it was replaced");
    // The operator knows, and deletes the record.
    fs::remove_file(Head::path(&Folder::new(folder.path()))).unwrap();
    assert!(missing(folder.path()).await.is_empty());
}

#[tokio::test]
async fn lines_that_a_power_cut_may_take_are_recorded_only_by_a_checkpoint() {
    let folder = Temporary::new();
    let recorded = || Head::read(&Folder::new(folder.path())).map(|head| head.end.sequence);
    let ledger = open_at(folder.path(), &clock("2026-11-25T06:00:00Z")).await;
    ledger.open_values().await.unwrap();
    ledger.record(&run(), intent("a")).await.unwrap();
    let withdrawn = vec![entry(Event::Withdrawn, Action::Remove, "a")];
    ledger.record(&run(), withdrawn).await.unwrap();
    assert_eq!(recorded(), Some(1));
    ledger.checkpoint().await;
    assert_eq!(recorded(), Some(2));
}

#[tokio::test]
async fn a_line_that_is_recorded_elsewhere_is_missed() {
    let folder = Temporary::new();
    record(folder.path(), &["a"]).await;
    let line = |hash: &str| RecordedLine {
        sequence: 1,
        hash: hash.to_owned(),
        place: Path::new("audit").into(),
    };
    let ledger = FileLedger::open_read_only(folder.path());
    let text = fs::read_to_string(only_file(folder.path())).unwrap();
    let (_, hash) = text.split_once("\"hash\":\"").unwrap();
    let known = vec![line(&hash[..64]), line("other")];
    let found = ledger.verify_with(known).await.unwrap();
    assert_eq!(found.missing, [line("other")]);
}

#[tokio::test]
async fn a_damaged_record_is_written_again() {
    let folder = Temporary::new();
    record(folder.path(), &["a"]).await;
    let path = Head::path(&Folder::new(folder.path()));
    for damaged in ["", "x\n{}\n"] {
        fs::write(&path, damaged).unwrap();
        assert!(missing(folder.path()).await.is_empty());
        record(folder.path(), &["b"]).await;
        assert!(Head::read(&Folder::new(folder.path())).is_some());
    }
}
