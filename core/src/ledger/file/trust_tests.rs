//! What others own, can change or planted is refused, and no link is followed.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::FileLedger;
use super::bed::{append, clock, open_at, run};
use crate::clock::SystemClock;
use crate::ledger::sample::intent;
use crate::ledger::{Ledger, LedgerError};
use crate::trusted::Distrust;

const MONTH: &str = "2026-11.jsonl";

/// The folder of a ledger with one line.
async fn ledger() -> (TempDir, PathBuf) {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("ledger");
    record(&folder).await.unwrap();
    (temporary, folder)
}

async fn record(folder: &Path) -> Result<(), LedgerError> {
    let ledger = FileLedger::open(folder, Arc::new(SystemClock)).await?;
    drop(ledger);
    let ledger = open_at(folder, &clock("2026-11-25T06:00:00Z")).await;
    ledger.record(&run(), intent("a")).await
}

/// Why the ledger is refused, to be written and to be read.
async fn refused(folder: &Path) -> Distrust {
    let reason = |error| match error {
        LedgerError::Untrusted(untrusted) => untrusted.reason,
        other => panic!("{other}"),
    };
    let written = reason(record(folder).await.unwrap_err());
    let read = FileLedger::open_read_only(folder);
    let reasons = [
        reason(read.open_values().await.unwrap_err()),
        reason(read.verify().await.unwrap_err()),
    ];
    assert_eq!(reasons, [written; 2]);
    written
}

#[tokio::test]
async fn a_folder_or_file_that_others_can_change_is_refused() {
    let (_temporary, folder) = ledger().await;
    for (path, mode) in [(folder.clone(), 0o777), (folder.join(MONTH), 0o666)] {
        let old = fs::metadata(&path).unwrap().permissions();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        assert_eq!(refused(&folder).await, Distrust::Changeable { mode });
        fs::set_permissions(&path, old).unwrap();
    }
}

#[tokio::test]
async fn a_folder_or_file_of_another_user_is_refused() {
    let (_temporary, folder) = ledger().await;
    for path in [folder.clone(), folder.join(MONTH)] {
        chown(&path, Some(65534), None).unwrap();
        let stranger = Distrust::Owner { owner: 65534 };
        assert_eq!(refused(&folder).await, stranger);
        chown(&path, Some(0), None).unwrap();
    }
}

#[tokio::test]
async fn a_link_at_a_file_of_the_ledger_is_not_followed() {
    let (temporary, folder) = ledger().await;
    let other = temporary.path().join("other");
    for name in [MONTH, ".lock", ".checkpoint.new"] {
        fs::write(&other, "of another program").unwrap();
        let (path, aside) = (folder.join(name), temporary.path().join("aside"));
        let existed = fs::rename(&path, &aside).is_ok();
        symlink(&other, &path).unwrap();
        if name == ".checkpoint.new" {
            record(&folder).await.unwrap();
            let ledger = open_at(&folder, &clock("2026-11-25T06:00:00Z")).await;
            ledger.record(&run(), intent("b")).await.unwrap();
            ledger.checkpoint().await;
        } else if name == MONTH {
            assert_eq!(refused(&folder).await, Distrust::Link);
        } else {
            assert!(
                FileLedger::open(&folder, Arc::new(SystemClock))
                    .await
                    .is_err()
            );
        }
        assert_eq!(fs::read_to_string(&other).unwrap(), "of another program");
        fs::remove_file(&path).unwrap();
        if existed {
            fs::rename(&aside, &path).unwrap();
        }
    }
    symlink(
        temporary.path().join("created"),
        folder.join("2026-12.jsonl"),
    )
    .unwrap();
    assert_eq!(refused(&folder).await, Distrust::Link);
    assert!(!temporary.path().join("created").exists());
}

#[tokio::test]
async fn a_value_of_a_forged_line_is_doubtful_and_a_forged_line_closes_nothing() {
    let (_temporary, folder) = ledger().await;
    let path = folder.join(MONTH);
    let first = fs::read_to_string(&path).unwrap();
    let forged = first.replace("\"value\":\"a\"", "\"value\":\"forged\"");
    let withdrawn = first.replace("\"intent\"", "\"withdrawn\"");
    append(&path, forged.as_bytes());
    append(&path, withdrawn.as_bytes());
    record(&folder).await.unwrap();
    let ledger = FileLedger::open_read_only(&folder);
    let open = ledger.open_values().await.unwrap();
    let open: Vec<_> = open
        .iter()
        .map(|open| (open.value.as_str(), open.is_doubtful))
        .collect();
    assert_eq!(open, [("a", false), ("forged", true)]);
}
