//! Checkpoints: what they save, and when they are ignored.

use std::fs;
use std::path::Path;
use std::time::Duration;

use jiff::SignedDuration;

use super::FileLedger;
use super::bed::{Temporary, append, clock, only_file, open, open_at, open_texts, run};
use super::folder::Folder;
use super::index::Index;
use super::position::Position;
use crate::ledger::Ledger;
use crate::ledger::sample::intent;

/// A ledger with these values and a checkpoint after them.
async fn ledger_with_checkpoint(values: &[&str]) -> Temporary {
    let folder = Temporary::new();
    let ledger = open_at(folder.path(), &clock("2026-11-25T06:00:00Z")).await;
    for value in values {
        ledger.record(&run(), intent(value)).await.unwrap();
    }
    assert_eq!(open_texts(&ledger).await, values);
    ledger.checkpoint().await;
    assert!(checkpoint(folder.path()).exists());
    folder
}

fn checkpoint(folder: &Path) -> std::path::PathBuf {
    folder.join(".checkpoint")
}

/// The open values as a new process reports them.
async fn open_in(folder: &Path) -> Vec<String> {
    open_texts(&FileLedger::open_read_only(folder)).await
}

#[tokio::test]
async fn lines_before_the_checkpoint_are_not_read_again() {
    let folder = ledger_with_checkpoint(&["a", "b"]).await;
    let path = only_file(folder.path());
    let text = fs::read_to_string(&path).unwrap();
    let (first, rest) = text.split_once('\n').unwrap();
    let unreadable = "x".repeat(first.len());
    fs::write(&path, format!("{unreadable}\n{rest}")).unwrap();
    assert_eq!(open_in(folder.path()).await, ["a", "b"]);
    fs::remove_file(checkpoint(folder.path())).unwrap();
    assert_eq!(open_in(folder.path()).await, ["b"]);
}

#[tokio::test]
async fn a_checkpoint_of_other_lines_is_ignored() {
    let folder = ledger_with_checkpoint(&["a", "b"]).await;
    // Of the same length.
    let other = ledger_with_checkpoint(&["c", "d"]).await;
    fs::copy(checkpoint(other.path()), checkpoint(folder.path())).unwrap();
    assert_eq!(open_in(folder.path()).await, ["a", "b"]);
}

#[tokio::test]
async fn a_checkpoint_that_was_changed_is_ignored() {
    let folder = ledger_with_checkpoint(&["a", "b"]).await;
    let path = checkpoint(folder.path());
    let text = fs::read_to_string(&path).unwrap();
    let changed = text.replace("\"value\":\"a\"", "\"value\":\"x\"");
    assert_ne!(changed, text);
    for damaged in [changed.as_str(), "", "\n", "{}", &text[..text.len() - 1]] {
        fs::write(&path, damaged).unwrap();
        assert_eq!(open_in(folder.path()).await, ["a", "b"], "{damaged}");
    }
}

#[tokio::test]
async fn a_checkpoint_in_a_file_that_is_gone_is_ignored() {
    let folder = Temporary::new();
    let clock = clock("2026-11-25T06:00:00Z");
    let ledger = open_at(folder.path(), &clock).await;
    ledger.record(&run(), intent("a")).await.unwrap();
    clock.advance(SignedDuration::from_hours(24 * 10));
    ledger.record(&run(), intent("b")).await.unwrap();
    ledger.open_values().await.unwrap();
    ledger.checkpoint().await;
    fs::remove_file(folder.path().join("2026-12.jsonl")).unwrap();
    assert_eq!(open_in(folder.path()).await, ["a"]);
    // The process that still runs notices it as well.
    assert_eq!(open_texts(&ledger).await, ["a"]);
}

#[tokio::test]
async fn lines_after_the_checkpoint_are_read() {
    let folder = ledger_with_checkpoint(&["a"]).await;
    let before = fs::read(checkpoint(folder.path())).unwrap();
    let ledger = open(folder.path()).await;
    ledger.record(&run(), intent("b")).await.unwrap();
    assert_eq!(fs::read(checkpoint(folder.path())).unwrap(), before);
    assert_eq!(open_in(folder.path()).await, ["a", "b"]);
}

#[tokio::test]
async fn a_checkpoint_is_written_after_many_lines() {
    let folder = Temporary::new();
    let ledger = open(folder.path()).await;
    ledger.open_values().await.unwrap();
    for value in 0..10 {
        ledger
            .record(&run(), intent(&value.to_string()))
            .await
            .unwrap();
    }
    assert!(checkpoint(folder.path()).exists());
}

#[tokio::test]
async fn a_ledger_that_is_dropped_writes_a_checkpoint() {
    let folder = Temporary::new();
    let ledger = open(folder.path()).await;
    ledger.open_values().await.unwrap();
    ledger.record(&run(), intent("a")).await.unwrap();
    assert!(!checkpoint(folder.path()).exists());
    drop(ledger);
    let written = async {
        while !checkpoint(folder.path()).exists() {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(10), written).await;
    assert!(waited.is_ok(), "no checkpoint");
}

#[tokio::test]
async fn a_torn_line_is_not_taken_for_the_end() {
    let folder = ledger_with_checkpoint(&["a"]).await;
    append(&only_file(folder.path()), b"{\"sequence\":2");
    let folder = Folder::new(folder.path());
    let mut index = Index::new(&folder);
    while !index.advance(100).unwrap() {}
    assert_eq!(*index.position(), Position::end(&folder).unwrap());
}
