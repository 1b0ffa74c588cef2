//! Files that have more than a ledger writes, or that grow while they are read.

use std::fs::{self, File};

use futures_util::stream::TryStreamExt;

use super::bed::{Temporary, append, lines, only_file, open, run, verify};
use super::folder::Folder;
use super::ledger::FileLedger;
use super::read::LineReader;
use super::verify::DamageKind;
use crate::ledger::sample::intent;
use crate::ledger::{Ledger, Line};

/// A ledger with three lines. Before the last of them, the file has a hole of so many octets.
async fn with_hole(folder: &Temporary, octets: u64) {
    let ledger = open(folder.path()).await;
    for value in ["a", "b", "c"] {
        ledger.record(&run(), intent(value)).await.unwrap();
    }
    drop(ledger);
    let path = only_file(folder.path());
    let text = fs::read_to_string(&path).unwrap();
    let (end, _) = text.match_indices('\n').nth(1).unwrap();
    let (first, last) = text.split_at(end + 1);
    fs::write(&path, first).unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    file.set_len(first.len() as u64 + octets).unwrap();
    append(&path, format!("\n{last}").as_bytes());
}

#[tokio::test]
async fn a_copy_with_a_hole_is_an_error_that_names_its_line() {
    let folder = Temporary::new();
    // Read to its end, it would take hours.
    with_hole(&folder, 1 << 40).await;
    let copy = FileLedger::open_read_only(folder.path());
    let read: Result<Vec<Line>, _> = copy.lines().try_collect().await;
    let error = read.unwrap_err().to_string();
    let path = only_file(folder.path());
    assert!(error.contains(path.to_str().unwrap()), "{error}");
    assert!(error.contains("line 3 of"), "{error}");
}

#[tokio::test]
async fn our_own_ledger_is_read_beyond_a_hole_that_is_reported_as_damage() {
    let folder = Temporary::new();
    with_hole(&folder, 8 << 20).await;
    let found = verify(folder.path()).await;
    assert_eq!((found.lines, found.damage_count), (3, 1));
    let damage = &found.damage[0];
    assert_eq!((damage.line, &damage.kind), (3, &DamageKind::TooLong));
    let ours = open(folder.path()).await;
    assert_eq!(ours.open_values().await.unwrap().len(), 3);
    let read: Vec<Line> = ours.lines().try_collect().await.unwrap();
    assert_eq!(read.len(), 3);
}

#[tokio::test]
async fn a_file_is_read_to_the_end_that_it_had() {
    let folder = Temporary::new();
    let ledger = open(folder.path()).await;
    ledger.record(&run(), intent("a")).await.unwrap();
    let path = only_file(folder.path());
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    let mut reader = LineReader::at(&Folder::new(folder.path()), vec![name], 0).unwrap();
    ledger.record(&run(), intent("b")).await.unwrap();
    let first = reader.next().unwrap().unwrap();
    assert!(first.has_end && first.is_last);
    assert!(reader.next().unwrap().is_none());
    assert_eq!(lines(folder.path()).await.len(), 2);
}
