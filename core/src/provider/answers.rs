//! How many answers of backends are received and read at a time: those to many certificates at once must not fill the
//! memory.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

/// Answers that one client receives and reads at a time.
const AT_ONCE: usize = 2;
/// Octets of an answer that is not large.
const SMALL: usize = 1 << 20;
/// Large answers that this process receives and reads at a time. A client has one of them.
const LARGE_AT_ONCE: usize = 4;
/// How long a large one may take while there is no room for another one: a backend that sends nothing more must not
/// keep others waiting.
const LARGE_TIME: Duration = Duration::from_secs(10);

static LARGE: Semaphore = Semaphore::const_new(LARGE_AT_ONCE);

/// The answers to one client.
#[derive(Debug)]
pub struct Answers {
    all: Semaphore,
    large: Semaphore,
}

/// An answer that is received. It has its place among the others until it is dropped.
#[derive(Debug)]
pub struct Answer<'a> {
    octets: Vec<u8>,
    answers: &'a Answers,
    large: Option<LargePlace<'a>>,
    _place: Option<SemaphorePermit<'a>>,
}

#[derive(Debug)]
struct LargePlace<'a> {
    until: Instant,
    _own: Option<SemaphorePermit<'a>>,
    _of_all: Option<SemaphorePermit<'static>>,
}

/// Why an answer was not received.
#[derive(Debug)]
pub enum NotReceived<E> {
    /// Receiving failed.
    Failed(E),
    /// There is no room for it, for this reason.
    NoRoom(String),
}

impl Default for Answers {
    fn default() -> Self {
        Answers {
            all: Semaphore::new(AT_ONCE),
            large: Semaphore::new(1),
        }
    }
}

impl Answers {
    /// Waits for a place for an answer. Call it when the answer has begun: a server that does not answer must not keep
    /// others waiting.
    pub async fn begin(&self) -> Answer<'_> {
        Answer {
            octets: Vec::new(),
            answers: self,
            large: None,
            // It is never closed.
            _place: self.all.acquire().await.ok(),
        }
    }
}

impl Answer<'_> {
    /// What was received so far.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Receives the next part of the answer, which may have `max` octets in all; `false` if there is no more.
    pub async fn receive<P: AsRef<[u8]>, E>(
        &mut self,
        max: usize,
        next: impl Future<Output = Result<Option<P>, E>>,
    ) -> Result<bool, NotReceived<E>> {
        let received = self.in_time(next).await?;
        let Some(part) = received.map_err(NotReceived::Failed)? else {
            return Ok(false);
        };
        let part = part.as_ref();
        let octets = self.octets.len() + part.len();
        if octets > max {
            let reason = format!("the answer has more than {max} octets");
            return Err(NotReceived::NoRoom(reason));
        }
        if octets > SMALL && self.large.is_none() {
            let own = self.answers.large.acquire().await.ok();
            let of_all = LARGE.acquire().await.ok();
            self.large = Some(LargePlace {
                until: Instant::now() + LARGE_TIME,
                _own: own,
                _of_all: of_all,
            });
        }
        self.octets.extend_from_slice(part);
        Ok(true)
    }

    async fn in_time<T, E>(&mut self, next: impl Future<Output = T>) -> Result<T, NotReceived<E>> {
        let mut next = pin!(next);
        while let Some(large) = &mut self.large {
            if let Ok(received) = timeout_at(large.until, &mut next).await {
                return Ok(received);
            }
            if LARGE.available_permits() == 0 {
                let reason = format!(
                    "the answer has more than {SMALL} octets and took longer than {LARGE_TIME:?}"
                );
                return Err(NotReceived::NoRoom(reason));
            }
            large.until = Instant::now() + LARGE_TIME;
        }
        Ok(next.await)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::{pending, ready};

    use futures_util::future::join_all;
    use tokio::time::timeout;

    use super::*;

    type Next = Result<Option<Vec<u8>>, Infallible>;

    /// Receives an answer of so many octets, after which the server sends nothing more.
    async fn hangs(answers: &Answers, octets: usize) -> Instant {
        let mut answer = answers.begin().await;
        let part: Next = Ok(Some(vec![0; octets]));
        answer.receive(usize::MAX, ready(part)).await.unwrap();
        let ended = answer.receive(usize::MAX, pending::<Next>()).await;
        assert!(matches!(ended, Err(NotReceived::NoRoom(_))));
        Instant::now()
    }

    async fn whole(answers: &Answers, octets: usize) -> Instant {
        let mut answer = answers.begin().await;
        let part: Next = Ok(Some(vec![0; octets]));
        assert!(answer.receive(octets, ready(part)).await.unwrap());
        let end: Next = Ok(None);
        assert!(!answer.receive(octets, ready(end)).await.unwrap());
        assert_eq!(answer.octets().len(), octets);
        Instant::now()
    }

    // One test, because all clients share the places of large answers.
    #[tokio::test(start_paused = true)]
    async fn large_answers_of_backends_that_hang_neither_add_up_nor_keep_others_waiting() {
        let good = Answers::default();
        // Nobody needs its place.
        let alone = timeout(10 * LARGE_TIME, hangs(&good, SMALL + 1));
        assert!(alone.await.is_err());

        let begun = Instant::now();
        let hostile: Vec<_> = (0..8).map(|_| Answers::default()).collect();
        let hang = hostile
            .iter()
            .map(|answers| timeout(5 * LARGE_TIME, hangs(answers, SMALL + 1)));
        let hang = join_all(hang);
        let good = async { (whole(&good, SMALL).await, whole(&good, SMALL + 1).await) };
        let (ended, (small, large)) = tokio::join!(hang, good);
        assert_eq!(small, begun);
        for ended in &ended[..LARGE_AT_ONCE] {
            assert_eq!(*ended, Ok(begun + LARGE_TIME));
        }
        assert_eq!(large, begun + 2 * LARGE_TIME);
    }

    #[tokio::test]
    async fn an_answer_has_a_limit() {
        let answers = Answers::default();
        let mut answer = answers.begin().await;
        let part: Next = Ok(Some(vec![0; 11]));
        let received = answer.receive(10, ready(part)).await;
        assert!(matches!(received, Err(NotReceived::NoRoom(_))));
    }
}
