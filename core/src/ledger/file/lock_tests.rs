//! Locks of other processes.

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::bed::{Temporary, open, open_texts, run};
use super::folder::Folder;
use crate::ledger::Ledger;
use crate::ledger::sample::intent;

/// Ends the runtime while another process holds the lock; returns how long that took.
fn end_while_locked(folder: &Path) -> Duration {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let lock = Folder::new(folder).open_lock().unwrap();
    let ledger = runtime.block_on(open(folder));
    lock.lock().unwrap();
    runtime.block_on(async {
        let run = run();
        let record = ledger.record(&run, intent("a"));
        let waited = tokio::time::timeout(Duration::from_millis(100), record);
        assert!(waited.await.is_err(), "the lock was not respected");
    });
    let began = Instant::now();
    drop(runtime);
    began.elapsed()
}

#[test]
fn a_lock_of_another_process_does_not_delay_exit() {
    let folder = Temporary::new();
    let took = end_while_locked(folder.path());
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test]
async fn what_waits_for_the_lock_is_written_when_it_is_released() {
    let folder = Temporary::new();
    let ledger = open(folder.path()).await;
    let lock = Folder::new(folder.path()).open_lock().unwrap();
    lock.lock().unwrap();
    let run = run();
    let waiting = [
        ledger.record(&run, intent("a")),
        ledger.record(&run, intent("b")),
    ];
    let released = async { lock.unlock().unwrap() };
    let (recorded, ()) = tokio::join!(join_all(waiting), released);
    assert!(recorded.iter().all(Result::is_ok), "{recorded:?}");
    assert_eq!(open_texts(&ledger).await, ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_is_never_released_is_given_up() {
    let folder = Temporary::new();
    let ledger = open(folder.path()).await;
    let lock = Folder::new(folder.path()).open_lock().unwrap();
    lock.lock().unwrap();
    let error = ledger.record(&run(), intent("a")).await.unwrap_err();
    assert!(error.to_string().contains("holds the lock"), "{error}");
    lock.unlock().unwrap();
    ledger.record(&run(), intent("b")).await.unwrap();
    assert_eq!(open_texts(&ledger).await, ["b"]);
}
