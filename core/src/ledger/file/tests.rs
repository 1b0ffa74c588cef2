use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::TryStreamExt;
use jiff::{SignedDuration, Timestamp};

use super::bed::{
    Temporary, append, clock, files, lines, only_file, open, open_at, open_texts, run, verify,
};
use super::*;
use crate::clock::{Clock, SystemClock};
use crate::ledger::sample::{entry, intent};
use crate::ledger::{Entry, Event, Ledger, LedgerError};
use crate::testkit;
use crate::testkit::ledger::{Fixture, Place};
use crate::txt::Action;

struct InFiles;

#[async_trait]
impl Fixture for InFiles {
    async fn empty(&self) -> Box<dyn Place> {
        Box::new(TemporaryFolder(Temporary::new()))
    }
}

struct TemporaryFolder(Temporary);

#[async_trait]
impl Place for TemporaryFolder {
    async fn open(&self) -> Result<Arc<dyn Ledger>, LedgerError> {
        let ledger = FileLedger::open(self.0.path(), Arc::new(SystemClock)).await?;
        Ok(Arc::new(ledger))
    }
}

#[tokio::test]
async fn a_ledger_in_files_keeps_the_contract() {
    let outcome = testkit::ledger::run(&InFiles).await;
    assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
}

#[tokio::test]
async fn lines_are_numbered_and_chained_across_processes() {
    let folder = Temporary::new();
    for number in 0..3 {
        let ledger = open(folder.path()).await;
        for value in [format!("a{number}"), format!("b{number}")] {
            ledger.record(&run(), intent(&value)).await.unwrap();
        }
    }
    let found = verify(folder.path()).await;
    assert_eq!((found.damage, found.open), (vec![], 6));
    let lines = lines(folder.path()).await;
    let numbers: Vec<_> = lines.iter().map(|line| line.sequence).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn two_ledgers_at_once_write_one_chain() {
    let folder = Temporary::new();
    let (one, other) = (open(folder.path()).await, open(folder.path()).await);
    let run = run();
    for round in 0..20 {
        let values = (format!("one{round}"), format!("other{round}"));
        let both = tokio::join!(
            one.record(&run, intent(&values.0)),
            other.record(&run, intent(&values.1))
        );
        both.0.and(both.1).unwrap();
    }
    let found = verify(folder.path()).await;
    assert_eq!((found.damage_count, found.lines, found.open), (0, 40, 40));
}

#[tokio::test]
async fn a_value_is_open_until_it_is_withdrawn_or_forgotten() {
    let folder = Temporary::new();
    let ledger = open(folder.path()).await;
    let events = [
        Event::Withdrawn,
        Event::Failed,
        Event::Unknown,
        Event::Forgotten,
    ];
    for event in events {
        let entries = vec![
            entry(Event::Intent, Action::Add, &event.to_string()),
            entry(event, Action::Add, &event.to_string()),
        ];
        ledger.record(&run(), entries).await.unwrap();
    }
    assert_eq!(open_texts(&ledger).await, ["failed", "unknown"]);
    assert_eq!(verify(folder.path()).await.open, 2);
}

#[tokio::test]
async fn a_torn_last_line_is_no_damage_and_is_overwritten() {
    let folder = Temporary::new();
    let ledger = open(folder.path()).await;
    ledger.record(&run(), intent("a")).await.unwrap();
    drop(ledger);
    let path = only_file(folder.path());
    let whole = fs::read(&path).unwrap();
    for cut in 1..whole.len() {
        fs::write(&path, [&whole[..], &whole[..cut]].concat()).unwrap();
        let found = verify(folder.path()).await;
        assert!(found.truncated && found.damage.is_empty(), "{cut}");
        assert_eq!(found.lines, 1, "{cut}");
    }
    let ledger = open(folder.path()).await;
    assert_eq!(open_texts(&ledger).await, ["a"]);
    ledger.record(&run(), intent("b")).await.unwrap();
    assert_eq!(open_texts(&ledger).await, ["a", "b"]);
    let found = verify(folder.path()).await;
    assert_eq!((found.damage_count, found.lines), (0, 2));
    assert!(!found.truncated);
}

#[tokio::test]
async fn a_torn_last_line_of_the_last_month_is_no_damage() {
    let folder = Temporary::new();
    let clock = clock("2026-11-30T23:59:59Z");
    let ledger = open_at(folder.path(), &clock).await;
    ledger.record(&run(), intent("a")).await.unwrap();
    append(&only_file(folder.path()), b"{\"sequence\":2");
    clock.advance(SignedDuration::from_secs(1));
    ledger.record(&run(), intent("b")).await.unwrap();
    assert_eq!(files(folder.path()).len(), 2);
    let found = verify(folder.path()).await;
    assert_eq!((found.damage, found.lines), (vec![], 2));
    assert_eq!(open_texts(&ledger).await, ["a", "b"]);
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_reorder_lines() {
    let folder = Temporary::new();
    let clock = clock("2026-12-01T00:00:00Z");
    let ledger = open_at(folder.path(), &clock).await;
    ledger.record(&run(), intent("a")).await.unwrap();
    clock.advance(SignedDuration::from_hours(-48));
    ledger.record(&run(), intent("b")).await.unwrap();
    assert!(only_file(folder.path()).ends_with("2026-12.jsonl"));
    assert_eq!(verify(folder.path()).await.damage, []);
    let since: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
    let found: Vec<_> = ledger.lines_since(since).try_collect().await.unwrap();
    assert_eq!(found.len(), 2);
}

#[tokio::test]
async fn the_newest_lines_are_found_from_the_end() {
    let folder = Temporary::new();
    let clock = clock("2026-11-30T23:00:00Z");
    let ledger = open_at(folder.path(), &clock).await;
    // An hour and a half, in two files, each longer than what is looked at first.
    for number in 0..540 {
        ledger
            .record(&run(), intent(&format!("v{number}")))
            .await
            .unwrap();
        clock.advance(SignedDuration::from_secs(10));
    }
    assert_eq!(files(folder.path()).len(), 2);
    let end = Clock::now(&*clock);
    for ago in [0, 5, 60, 600, 1_800, 3_600, 5_400, 10_000] {
        let since = end - SignedDuration::from_secs(ago);
        let all: Vec<_> = ledger.lines_since(since).try_collect().await.unwrap();
        let found: Vec<_> = ledger.newest_lines(since).try_collect().await.unwrap();
        assert_eq!(found, all, "{ago} s ago");
    }
    let all: Vec<_> = ledger.lines().try_collect().await.unwrap();
    for count in [0, 1, 20, 179, 180, 181, 539, 540, 1_000] {
        let last = ledger.last_lines(count).await.unwrap();
        let first = all.len().saturating_sub(count);
        assert_eq!(last, all[first..], "{count} lines");
    }
}

/// Writes these lines as the only file, continues the ledger, and returns the first damage.
async fn first_damage(path: &Path, text: &str) -> (u64, DamageKind) {
    fs::write(path, text).unwrap();
    let folder = path.parent().unwrap();
    let ledger = open(folder).await;
    ledger.record(&run(), intent("last")).await.unwrap();
    assert!(open_texts(&ledger).await.contains(&"last".to_owned()));
    let first = verify(folder).await.damage.remove(0);
    assert_eq!(first.path, path);
    (first.line, first.kind)
}

#[tokio::test]
async fn damage_in_the_middle_is_located_and_survived() {
    let folder = Temporary::new();
    let ledger = open(folder.path()).await;
    for value in ["a", "b", "c"] {
        ledger.record(&run(), intent(value)).await.unwrap();
    }
    drop(ledger);
    let path = only_file(folder.path());
    let text = fs::read_to_string(&path).unwrap();
    let [one, two, three] = text.lines().collect::<Vec<_>>().try_into().unwrap();

    let changed = text.replace("\"value\":\"b\"", "\"value\":\"x\"");
    assert_eq!(first_damage(&path, &changed).await, (2, DamageKind::Hash));
    let cut_out = format!("{one}\n{three}\n");
    let gap = DamageKind::Sequence {
        previous: 1,
        found: 3,
    };
    assert_eq!(first_damage(&path, &cut_out).await, (2, gap));
    let replaced = two.replace("\"previous\":\"", "\"previous\":\"0");
    let unchained = format!("{one}\n{replaced}\n{three}\n");
    assert_eq!(
        first_damage(&path, &unchained).await,
        (2, DamageKind::Chain)
    );
    let too_long = format!("{one}\n{two}\n{}\n", "x".repeat(3 << 20));
    assert_eq!(
        first_damage(&path, &too_long).await,
        (3, DamageKind::TooLong)
    );
    let garbage = format!("{one}\n{two}\nnonsense\n");
    let (line, kind) = first_damage(&path, &garbage).await;
    assert!(
        line == 3 && matches!(kind, DamageKind::Unreadable { .. }),
        "{kind:?}"
    );
}

#[tokio::test]
async fn much_damage_is_counted_with_bounded_memory() {
    let folder = Temporary::new();
    fs::write(folder.path().join("2026-01.jsonl"), "x\n".repeat(5000)).unwrap();
    let found = verify(folder.path()).await;
    // The last line may be a torn one.
    assert_eq!((found.damage_count, found.truncated), (4999, true));
    assert!(found.damage.len() < 2000);
}

#[tokio::test]
async fn a_month_that_was_removed_shows_as_damage() {
    let folder = Temporary::new();
    let clock = clock("2026-10-15T00:00:00Z");
    let ledger = open_at(folder.path(), &clock).await;
    for value in ["a", "b", "c"] {
        ledger.record(&run(), intent(value)).await.unwrap();
        clock.advance(SignedDuration::from_hours(31 * 24));
    }
    fs::remove_file(folder.path().join("2026-11.jsonl")).unwrap();
    let found = verify(folder.path()).await;
    let kinds: Vec<_> = found.damage.into_iter().map(|damage| damage.kind).collect();
    let gap = DamageKind::Sequence {
        previous: 1,
        found: 3,
    };
    assert_eq!(kinds, [gap]);
}

#[tokio::test]
async fn only_the_owner_can_read_it() {
    let folder = Temporary::new();
    let path = folder.path().join("ledger");
    let ledger = open(&path).await;
    ledger.open_values().await.unwrap();
    ledger.record(&run(), intent("a")).await.unwrap();
    ledger.checkpoint().await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(&only_file(&path)), 0o600);
    assert_eq!(mode(&path.join(".checkpoint")), 0o600);
}

#[tokio::test]
async fn an_intent_that_cannot_be_written_is_an_error() {
    let folder = Temporary::new();
    let ledger = open_at(folder.path(), &clock("2026-11-25T06:00:00Z")).await;
    // A folder is where the file of this month would be.
    fs::create_dir(folder.path().join("2026-11.jsonl")).unwrap();
    let error = ledger.record(&run(), intent("a")).await.unwrap_err();
    assert!(error.to_string().contains("2026-11"), "{error}");
}

#[tokio::test]
async fn a_file_in_place_of_the_folder_is_an_error() {
    let folder = Temporary::new();
    let path = folder.path().join("ledger");
    fs::write(&path, "").unwrap();
    let error = FileLedger::open(&path, Arc::new(SystemClock)).await;
    assert!(matches!(error, Err(LedgerError::Untrusted(_))));
    let reader = FileLedger::open_read_only(&path);
    assert!(reader.open_values().await.is_err());
    assert!(reader.lines().try_collect::<Vec<_>>().await.is_err());
    assert!(reader.verify().await.is_err());
}

#[tokio::test]
async fn reading_creates_nothing() {
    let folder = Temporary::new();
    let path = folder.path().join("ledger");
    let reader = FileLedger::open_read_only(&path);
    assert_eq!(reader.open_values().await.unwrap(), []);
    assert_eq!(reader.verify().await.unwrap(), Verification::default());
    reader.checkpoint().await;
    let error = reader.record(&run(), intent("a")).await.unwrap_err();
    assert!(matches!(error, LedgerError::NotWritable { .. }));
    assert!(!path.exists());
}

#[tokio::test]
async fn an_entry_that_is_too_long_fails_alone() {
    let folder = Temporary::new();
    let ledger = open(folder.path()).await;
    let too_long = Entry {
        response: Some("x".repeat(2 << 20)),
        ..entry(Event::Acknowledged, Action::Add, "b")
    };
    let run = run();
    let (one, two, three) = tokio::join!(
        ledger.record(&run, intent("a")),
        ledger.record(&run, [intent("b"), vec![too_long]].concat()),
        ledger.record(&run, intent("c")),
    );
    assert!(matches!(two, Err(LedgerError::TooLong { .. })), "{two:?}");
    one.and(three).unwrap();
    assert_eq!(open_texts(&ledger).await, ["a", "c"]);
    assert_eq!(verify(folder.path()).await.damage, []);
}

/// Lines of the version before leases, provider ids and credentials.
const OLD: &str = include_str!("../../../../fuzz/seeds/ledger/whole.jsonl");

#[tokio::test]
async fn ledgers_of_older_versions_are_read_and_continued() {
    let folder = Temporary::new();
    let (end, _) = OLD.match_indices('\n').nth(2).unwrap();
    fs::write(folder.path().join("2026-11.jsonl"), &OLD[..=end]).unwrap();
    let before = verify(folder.path()).await;
    assert_eq!((before.damage, before.lines, before.open), (vec![], 3, 1));
    let ledger = open(folder.path()).await;
    let open = ledger.open_values().await.unwrap();
    assert_eq!(open[0].origin.lease, None);
    assert_eq!((&open[0].provider_id, &open[0].credentials), (&None, &None));
    ledger.record(&run(), intent("new")).await.unwrap();
    let after = verify(folder.path()).await;
    assert_eq!((after.damage, after.lines, after.open), (vec![], 4, 2));
}

#[tokio::test]
async fn run_locks_of_older_versions_are_removed_unless_they_are_held() {
    let folder = Temporary::new();
    let runs = folder.path().join("runs");
    fs::create_dir(&runs).unwrap();
    let held = fs::File::create(runs.join("held")).unwrap();
    held.lock().unwrap();
    fs::write(runs.join("stale"), "").unwrap();
    open(folder.path()).await;
    assert!(runs.join("held").exists() && !runs.join("stale").exists());
    drop(held);
    open(folder.path()).await;
    assert!(!runs.exists());
}

#[tokio::test]
async fn a_line_with_a_field_of_a_later_version_is_as_it_was_written() {
    let folder = Temporary::new();
    let ledger = open(folder.path()).await;
    ledger.record(&run(), intent("a")).await.unwrap();
    drop(ledger);
    let path = only_file(folder.path());
    let text = fs::read_to_string(&path).unwrap();
    let (content, _) = text.rsplit_once(",\"hash\"").unwrap();
    let content = format!("{content},\"later\":1");
    let hash = crate::ledger::line::hash(format!("{content}}}").as_bytes());
    fs::write(&path, format!("{content},\"hash\":\"{hash}\"}}\n")).unwrap();
    let found = verify(folder.path()).await;
    assert_eq!((found.damage, found.lines, found.open), (vec![], 1, 1));
}
