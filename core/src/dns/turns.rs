//! Turns of which there is a limited number. The one who has used them least goes first: those who hold each turn for as
//! long as they can must not hold up all others.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::time::Instant;

/// What a turn that has not ended counts, in microseconds.
const UNDER_WAY: u64 = 50_000;
/// Those who have given up are not removed before so many wait.
const SIFT_MIN: usize = 1_024;

/// How long somebody has had turns, in microseconds.
#[derive(Debug, Default)]
pub(crate) struct Usage(AtomicU64);

impl Usage {
    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number of turns at a time.
#[derive(Debug)]
pub(crate) struct Turns(Mutex<State>);

#[derive(Debug)]
struct State {
    free: usize,
    waiting: BinaryHeap<Reverse<Waiting>>,
    /// How many have waited so far.
    count: u64,
    /// With more than these, those who have given up are removed.
    sift_at: usize,
}

/// Somebody who waits. The smallest one goes first.
#[derive(Debug)]
struct Waiting {
    /// What the usage was. It may have grown since then.
    used: u64,
    /// Their number: of equal ones, the first goes first.
    number: u64,
    usage: Arc<Usage>,
    turn: oneshot::Sender<Turn>,
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
        Turns(Mutex::new(State {
            free,
            waiting: BinaryHeap::new(),
            count: 0,
            sift_at: SIFT_MIN,
        }))
    }

    /// Waits for a turn. The one whose usage is the smallest goes first.
    pub(crate) async fn take(self: &Arc<Self>, usage: Arc<Usage>) -> Turn {
        let (sender, turn) = oneshot::channel();
        self.state().wait(Arc::clone(&usage), sender);
        self.hand_out();
        match turn.await {
            Ok(turn) => turn,
            // It is dropped only after the turn was sent.
            Err(_) => Turn::new(self, usage),
        }
    }

    /// Hands out what is free.
    fn hand_out(self: &Arc<Self>) {
        loop {
            let next = self.state().next();
            let Some(Waiting { usage, turn, .. }) = next else {
                break;
            };
            // If nobody waits for it any more, it is dropped, and handed out again.
            drop(turn.send(Turn::new(self, usage)));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wait(&mut self, usage: Arc<Usage>, turn: oneshot::Sender<Turn>) {
        if self.waiting.len() >= self.sift_at {
            self.waiting
                .retain(|Reverse(waiting)| !waiting.turn.is_closed());
            self.sift_at = SIFT_MIN.max(2 * self.waiting.len());
        }
        self.count += 1;
        self.waiting.push(Reverse(Waiting {
            used: usage.get(),
            number: self.count,
            usage,
            turn,
        }));
    }

    /// Takes the one out that goes first, if a turn is free.
    fn next(&mut self) -> Option<Waiting> {
        if self.free == 0 {
            return None;
        }
        loop {
            let Reverse(mut first) = self.waiting.pop()?;
            let used = first.usage.get();
            if first.turn.is_closed() {
                continue;
            }
            // Others may come before it now.
            if used > first.used {
                first.used = used;
                self.waiting.push(Reverse(first));
                continue;
            }
            self.free -= 1;
            return Some(first);
        }
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.used, self.number).cmp(&(other.used, other.number))
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Waiting {}

impl Turn {
    fn new(turns: &Arc<Turns>, usage: Arc<Usage>) -> Self {
        usage.0.fetch_add(UNDER_WAY, Relaxed);
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
        usage.fetch_add(used, Relaxed);
        usage.fetch_sub(UNDER_WAY, Relaxed);
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
