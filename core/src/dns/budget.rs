//! What the check of one challenge name may cost: a number of queries, and one deadline for everything.
//!
//! The owner of a zone chooses which names and addresses are asked about it. Without a limit, one zone makes
//! this program send thousands of packets to a victim (NXNS). Unbound and BIND limit each client query for that
//! reason (`max-query-count`). Here the limit holds for a challenge name, with all zones on its way.
//!
//! The work on a name runs in [`NameLimits::scope`], and each query sent there is charged, whatever it is for.
//! A query beyond the limit is never sent and never ends. [`NameLimits::run`] drops the work that waits for it.
//! So nothing fails for lack of queries inside work that several names share: another name that waits for the
//! same answer starts again, on its own budget.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RecordType};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::cache::{Cache, Timed};
use super::error::DnsError;
use super::turns::Usage;
use crate::name::DnsName;

/// Queries of one name under way at a time, so that one name never takes all sockets.
const AT_ONCE: usize = 16;

tokio::task_local! {
    /// The budget of the name that is being checked, or of a search by itself.
    static CURRENT: Option<Arc<Budget>>;
}

/// What is asked at which address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct AddressQuestion {
    pub(super) address: SocketAddr,
    pub(super) name: Name,
    pub(super) kind: RecordType,
    pub(super) recursive: bool,
    pub(super) signed: bool,
}

/// The queries of one challenge name.
#[derive(Debug)]
pub(super) struct Budget {
    limit: u32,
    sent: AtomicU32,
    exhausted: CancellationToken,
    under_way: Semaphore,
    questions: Cache<AddressQuestion, Arc<Message>, String>,
    /// How long its queries have had sockets.
    pub(super) usage: Arc<Usage>,
}

impl Budget {
    fn new(limit: u32) -> Self {
        Budget {
            limit,
            sent: AtomicU32::new(0),
            exhausted: CancellationToken::new(),
            under_way: Semaphore::new(AT_ONCE),
            // All are questions of one name, which nobody else waits for.
            questions: Cache::with_patience(usize::MAX, Duration::MAX),
            usage: Arc::default(),
        }
    }

    /// The budget of the work that calls this.
    pub(super) fn current() -> Option<Arc<Budget>> {
        CURRENT.try_with(Option::clone).ok().flatten()
    }

    /// Waits for the turn of a query, and charges it. Never returns if the budget is used up.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        let permit = self.under_way.acquire().await.ok();
        if self.sent.fetch_add(1, Ordering::Relaxed) >= self.limit {
            self.sent.fetch_sub(1, Ordering::Relaxed);
            self.exhausted.cancel();
            std::future::pending::<()>().await;
        }
        permit
    }

    /// Charges packets that are sent again, because the first one was not answered, or its answer was truncated.
    pub(super) fn charge_again(&self, packets: u32) {
        self.sent.fetch_add(packets, Ordering::Relaxed);
    }

    /// The answer to a question, which is asked once if several servers have the same address.
    pub(super) async fn ask_once(
        &self,
        question: &AddressQuestion,
        ask: impl Future<Output = Result<Arc<Message>, String>>,
    ) -> Result<Arc<Message>, String> {
        let fetch = async {
            let value = ask.await?;
            // Not kept: the next one who asks wants to see the state of the server then.
            let expires = Instant::now();
            Ok(Timed { value, expires })
        };
        let asked = self.questions.get_or_fetch(question, fetch);
        asked.await.map(|timed| timed.value)
    }
}

/// Runs work that is not charged to the name: it concerns a zone that the owner of the name does not write. Each
/// search in it has limits of its own.
pub(crate) async fn uncharged<T>(work: impl Future<Output = T>) -> T {
    CURRENT.scope(None, work).await
}

/// The limits of one challenge name.
#[derive(Debug)]
pub(crate) struct NameLimits {
    budget: Arc<Budget>,
    time: Duration,
    begun: Instant,
}

/// Which limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spent {
    /// The time.
    Time(Duration),
    /// The queries.
    Queries(u32),
}

impl NameLimits {
    pub(super) fn new(queries: u32, time: Duration) -> Self {
        NameLimits {
            budget: Arc::new(Budget::new(queries)),
            time,
            begun: Instant::now(),
        }
    }

    /// Runs the work on the name. What it asks is charged.
    pub(crate) async fn scope<T>(&self, work: impl Future<Output = T>) -> T {
        CURRENT.scope(Some(Arc::clone(&self.budget)), work).await
    }

    /// The result of a part of the work, or the limit that ended it.
    pub(crate) async fn run<T>(&self, part: impl Future<Output = T>) -> Result<T, Spent> {
        tokio::select! {
            biased;
            () = self.budget.exhausted.cancelled() => Err(Spent::Queries(self.budget.limit)),
            result = part => Ok(result),
            () = sleep_until(self.begun + self.time) => Err(Spent::Time(self.time)),
        }
    }

    /// Queries charged so far.
    pub(crate) fn sent(&self) -> u32 {
        self.budget.sent.load(Ordering::Relaxed)
    }

    /// The time since the work began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// The limit that was reached so far.
    pub(crate) fn spent(&self) -> Option<Spent> {
        if self.budget.exhausted.is_cancelled() {
            Some(Spent::Queries(self.budget.limit))
        } else if self.elapsed() >= self.time {
            Some(Spent::Time(self.time))
        } else {
            None
        }
    }
}

impl Spent {
    /// The query for `name` was not answered before the limit was reached.
    pub(crate) fn error(self, name: &DnsName) -> DnsError {
        match self {
            Spent::Time(limit) => DnsError::too_slow(name, limit),
            Spent::Queries(limit) => DnsError::TooManyQueries {
                name: name.clone(),
                limit,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures_util::future::{join, join_all};
    use tokio::time::sleep;

    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    /// Sends so many queries, and counts them.
    async fn send(queries: u32, count: &AtomicUsize) {
        for _ in 0..queries {
            let budget = Budget::current();
            let _turn = match &budget {
                Some(budget) => budget.turn().await,
                None => None,
            };
            count.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_query_beyond_the_limit_is_never_sent_and_ends_the_work() {
        let (limits, count) = (NameLimits::new(3, LONG), AtomicUsize::new(0));
        let sent = limits.scope(limits.run(send(10, &count))).await;
        assert_eq!(sent, Err(Spent::Queries(3)));
        assert_eq!(limits.spent(), Some(Spent::Queries(3)));
        assert_eq!((count.load(Ordering::Relaxed), limits.sent()), (3, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_is_not_charged_and_work_without_a_name_have_no_limit() {
        let (limits, count) = (NameLimits::new(3, LONG), AtomicUsize::new(0));
        let work = async {
            send(2, &count).await;
            uncharged(send(10, &count)).await;
        };
        assert_eq!(limits.scope(limits.run(work)).await, Ok(()));
        send(10, &count).await;
        assert_eq!((count.load(Ordering::Relaxed), limits.sent()), (22, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn all_parts_of_the_work_share_one_deadline() {
        let limits = NameLimits::new(3, LONG);
        let slow = || limits.run(sleep(LONG * 3 / 4));
        assert_eq!(slow().await, Ok(()));
        assert_eq!(slow().await, Err(Spent::Time(LONG)));
        assert_eq!(limits.elapsed(), LONG);
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_without_queries_left_fails_no_name_that_waits_for_the_same_answer() {
        let shared: Cache<&str, u32, String> = Cache::new(8);
        let count = AtomicUsize::new(0);
        let fetch = || async {
            send(5, &count).await;
            let expires = Instant::now() + LONG;
            Ok(Timed { value: 7, expires })
        };
        let (hostile, good) = (NameLimits::new(3, LONG), NameLimits::new(20, LONG));
        let one = hostile.scope(hostile.run(shared.get_or_fetch(&"a", fetch())));
        let other = good.scope(good.run(shared.get_or_fetch(&"a", fetch())));
        let (one, other) = join(one, other).await;
        assert_eq!(one.unwrap_err(), Spent::Queries(3));
        assert_eq!(other.unwrap().unwrap().value, 7);
        assert_eq!((hostile.sent(), good.sent()), (3, 5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_whose_queries_are_all_slow_holds_up_no_name_that_waits_for_the_same_answer() {
        let shared: Cache<&str, u32, String> = Cache::new(8);
        let count = AtomicUsize::new(0);
        let fetch = || async {
            send(1, &count).await;
            let expires = Instant::now() + LONG;
            Ok(Timed { value: 7, expires })
        };
        let (hostile, good) = (NameLimits::new(100, LONG), NameLimits::new(20, LONG));
        let slow = (0..AT_ONCE).map(|_| async {
            let budget = Budget::current().unwrap();
            let _turn = budget.turn().await;
            sleep(LONG * 2).await;
        });
        let work = join(join_all(slow), shared.get_or_fetch(&"a", fetch()));
        let one = hostile.scope(hostile.run(work));
        let other = good.scope(good.run(shared.get_or_fetch(&"a", fetch())));
        let waited = async {
            let found = other.await;
            (found.unwrap().unwrap().value, good.elapsed())
        };
        let (one, (value, waited)) = join(one, waited).await;
        assert_eq!((one.unwrap_err(), value), (Spent::Time(LONG), 7));
        assert!(waited < LONG / 10, "{waited:?}");
    }
}
