//! Commands that only look leave off at the first signal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use acme_alias_tests::{ALIAS_ZONE, QueryProxy, Result, TestBed};

#[test]
fn the_first_signal_ends_what_only_looks() -> Result {
    let bed = TestBed::start()?;
    let alias = format!("--challenge-alias={ALIAS_ZONE}");
    for arguments in [
        &["check", "example.com"][..],
        &["check", "--offboard", "example.com"],
        &["delegate", "example.com", &alias],
        &["key", "policy"],
    ] {
        let asked = Arc::new(AtomicBool::new(false));
        let is_asked = Arc::clone(&asked);
        let silent = QueryProxy::start(bed.main_server(), move |_, _| {
            is_asked.store(true, Ordering::SeqCst);
            Vec::new()
        })?;
        let mut settings = bed
            .settings()
            .certificate("web", "domains = [\"example.com\"]");
        settings.zones[0].1 = vec![silent.address(); 60];
        let running = bed.program(settings)?.spawn(arguments)?;
        bed.wait_until("a question", |_| Ok(asked.load(Ordering::SeqCst)))?;
        running.interrupt()?;
        running.wait()?.assert_failure(130, &["interrupted"]);
    }
    Ok(())
}
