//! Runs on a store that fails or does not answer.

use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::ledger::GitExport;
use crate::testkit::StoreBehaviour;

/// An engine that must export to this folder before it changes anything.
fn exporting(fixture: &Fixture, folder: &std::path::Path) -> Engine {
    let (store, ledger) = (Arc::clone(&fixture.store), Arc::clone(&fixture.ledger));
    let export = GitExport::new(folder);
    Engine::builder(store, ledger)
        .export(export, true)
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_required_export_is_not_skipped_when_the_store_fails() {
    let (fixture, folder) = (Fixture::new(), tempfile::tempdir().unwrap());
    let engine = exporting(&fixture, folder.path());
    fixture.store.set_behaviour(StoreBehaviour::Fail);
    let export = engine.export().await;
    assert!(
        matches!(export, Some(Err(RunError::Store(_)))),
        "{export:?}"
    );
    let run = engine.begin().await;
    assert!(matches!(run, Err(RunError::Store(_))), "{run:?}");
    fixture.store.set_behaviour(StoreBehaviour::Work);
    engine.begin().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_run_is_interrupted_while_it_waits_for_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::new();
    fixture.leave(ZONE, "one", None, ("a", "key-a")).await;
    let plain = fixture.engine([fixture.provider("a", "key-a")]);
    for engine in [plain, exporting(&fixture, folder.path())] {
        fixture.store.set_behaviour(StoreBehaviour::Hang);
        let options = RunOptions::default();
        let cancel = options.cancel.clone();
        let run = tokio::spawn(async move { engine.run(&options).await });
        tokio::task::yield_now().await;
        cancel.cancel();
        let outcome = timeout(Duration::from_secs(1), run).await;
        let outcome = outcome.expect("the run goes on").unwrap();
        assert!(matches!(outcome, Err(RunError::Interrupted)), "{outcome:?}");
        fixture.store.set_behaviour(StoreBehaviour::Work);
    }
}

#[tokio::test(start_paused = true)]
async fn reconciliation_is_interrupted_while_a_zone_does_not_answer() {
    let fixture = Fixture::new();
    fixture.leave(ZONE, "one", None, ("a", "key-a")).await;
    fixture.backend.set_behaviour(&name(ZONE), Behaviour::Hang);
    let engine = fixture.engine([fixture.provider("a", "key-a")]);
    let options = RunOptions::default();
    let cancel = options.cancel.clone();
    let run = tokio::spawn(async move { engine.run(&options).await });
    // The run holds its lease while it reconciles.
    while fixture.store.live_leases().await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    cancel.cancel();
    let outcome = timeout(Duration::from_secs(5), run).await;
    let outcome = outcome.expect("the run goes on").unwrap();
    assert!(matches!(outcome, Err(RunError::Interrupted)), "{outcome:?}");
    assert!(fixture.store.live_leases().await.unwrap().is_empty());
}
