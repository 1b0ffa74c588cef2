//! How long queries wait until they may be sent. That time is not the servers'.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

tokio::task_local! {
    /// Those of the queries that are asked at once.
    static CURRENT: Arc<Waits>;
}

/// The waits of several queries.
#[derive(Debug, Default)]
pub(super) struct Waits(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    waiting: usize,
    last_end: Option<Instant>,
}

impl Waits {
    /// Runs a query whose waits count here.
    pub(super) fn scope<T>(
        self: &Arc<Self>,
        query: impl Future<Output = T>,
    ) -> impl Future<Output = T> {
        CURRENT.scope(Arc::clone(self), query)
    }

    /// When the last query was sent that had to wait: now, if one still waits.
    pub(super) fn last_end(&self) -> Option<Instant> {
        let state = self.state();
        if state.waiting > 0 {
            Some(Instant::now())
        } else {
            state.last_end
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until a query may be sent.
pub(super) async fn counted<T>(turn: impl Future<Output = T>) -> T {
    let _wait = CURRENT.try_with(Wait::begin).ok();
    turn.await
}

/// One query that waits, until this is dropped.
struct Wait(Arc<Waits>);

impl Wait {
    fn begin(waits: &Arc<Waits>) -> Self {
        waits.state().waiting += 1;
        Wait(Arc::clone(waits))
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.waiting -= 1;
        state.last_end = Some(Instant::now());
    }
}
