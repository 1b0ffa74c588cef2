//! Turns of which there is a limited number. The one who has used them least goes first: those who hold each turn for as
//! long as they can must not hold up all others.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::time::Instant;

/// What a turn that has not ended counts, in microseconds.
const UNDER_WAY: u64 = 50_000;

/// How long somebody has had turns, in microseconds.
#[derive(Debug, Default)]
pub(crate) struct Usage(AtomicU64);

impl Usage {
    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number of turns at a time.
#[derive(Debug)]
pub(crate) struct Turns(Mutex<State>);

#[derive(Debug)]
struct State {
    free: usize,
    /// Those who wait, the first one first.
    waiting: Vec<(Arc<Usage>, oneshot::Sender<Turn>)>,
}

/// A turn, until this is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Arc<Turns>,
    usage: Arc<Usage>,
    since: Instant,
}

impl Turns {
    /// So many at a time.
    pub(crate) fn new(free: usize) -> Self {
        let waiting = Vec::new();
        Turns(Mutex::new(State { free, waiting }))
    }

    /// Waits for a turn. The one whose usage is the smallest goes first.
    pub(crate) async fn take(self: &Arc<Self>, usage: Arc<Usage>) -> Turn {
        let (sender, turn) = oneshot::channel();
        self.state().waiting.push((Arc::clone(&usage), sender));
        self.hand_out();
        match turn.await {
            Ok(turn) => turn,
            // It is dropped only after the turn was sent.
            Err(_) => Turn::new(self, usage),
        }
    }

    /// Hands out what is free.
    fn hand_out(self: &Arc<Self>) {
        while let Some((usage, turn)) = self.next() {
            // If nobody waits for it any more, it is dropped, and handed out again.
            drop(turn.send(Turn::new(self, usage)));
        }
    }

    /// Takes the one out that goes first, if a turn is free.
    fn next(&self) -> Option<(Arc<Usage>, oneshot::Sender<Turn>)> {
        let mut state = self.state();
        state.waiting.retain(|(_, turn)| !turn.is_closed());
        if state.free == 0 {
            return None;
        }
        let waiting = state.waiting.iter().enumerate();
        let (first, _) = waiting.min_by_key(|(_, (usage, _))| usage.get())?;
        state.free -= 1;
        Some(state.waiting.remove(first))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    fn new(turns: &Arc<Turns>, usage: Arc<Usage>) -> Self {
        usage.0.fetch_add(UNDER_WAY, Ordering::Relaxed);
        Turn {
            turns: Arc::clone(turns),
            usage,
            since: Instant::now(),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let used = u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX);
        let Usage(usage) = &*self.usage;
        usage.fetch_add(used, Ordering::Relaxed);
        usage.fetch_sub(UNDER_WAY, Ordering::Relaxed);
        self.turns.state().free += 1;
        self.turns.hand_out();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::join_all;
    use tokio::time::sleep;

    use super::*;

    /// Sends so many queries for one name at a time; returns how long all of them took.
    async fn send(turns: &Arc<Turns>, queries: usize, each: Duration) -> Duration {
        let (begun, usage) = (Instant::now(), Arc::new(Usage::default()));
        let query = async || {
            let _turn = turns.take(Arc::clone(&usage)).await;
            sleep(each).await;
        };
        join_all((0..queries).map(|_| query())).await;
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn names_with_slow_servers_hold_up_no_other() {
        let turns = Arc::new(Turns::new(8));
        let slow = (0..50).map(|_| send(&turns, 16, Duration::from_secs(1)));
        let good = async {
            sleep(Duration::from_secs(10)).await;
            send(&turns, 8, Duration::from_millis(10)).await
        };
        let (slow, good) = tokio::join!(join_all(slow), good);
        assert!(slow.iter().max() >= Some(&Duration::from_secs(100)));
        assert!(good < Duration::from_secs(2), "{good:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_nobody_waits_for_goes_to_the_next() {
        let turns = Arc::new(Turns::new(1));
        let held = turns.take(Arc::default()).await;
        let given_up = turns.take(Arc::default());
        let given_up = tokio::time::timeout(Duration::from_secs(1), given_up).await;
        assert!(given_up.is_err());
        let mut polled = Box::pin(turns.take(Arc::default()));
        assert!(futures_util::poll!(&mut polled).is_pending());
        drop(held);
        drop(polled);
        let next = turns.take(Arc::default()).await;
        drop(next);
        assert_eq!(turns.state().free, 1);
    }
}
