//! The place of one job in a round.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::error::{WriteError, ZoneError, ZoneFailure};
use super::publication::{Publication, Published};
use crate::name::DnsName;

/// A wait for the cache of the CA's resolver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheWait {
    /// The alias name of which the CA may have older TXT records in its cache.
    pub name: DnsName,
    /// How long the wait takes.
    pub remaining: Duration,
}

/// The place of one job in a round. A job that drops it leaves the round: its values are withdrawn, and
/// the others do not wait for it.
#[derive(Debug)]
pub struct Seat {
    number: usize,
    outbox: mpsc::UnboundedSender<(usize, Message)>,
    state: State,
}

/// A withdrawal under way.
#[derive(Debug)]
pub struct Withdrawal(Option<Awaited>);

#[derive(Debug)]
struct Awaited {
    /// Is closed when no other job needs the values any more.
    begun: oneshot::Receiver<Infallible>,
    done: oneshot::Receiver<Vec<ZoneError>>,
}

/// A job that has given its values up, and waits until they are withdrawn.
#[derive(Debug)]
pub(super) struct Listener {
    /// Is dropped when the withdrawal begins.
    pub(super) begun: Option<oneshot::Sender<Infallible>>,
    pub(super) done: oneshot::Sender<Vec<ZoneError>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Empty,
    HandedIn,
    GivenUp,
}

pub(super) type Outcome = Result<Vec<Published>, ZoneFailure>;

/// What a job tells its round.
#[derive(Debug)]
pub(super) enum Message {
    /// The job hands its values in, and listens to what becomes of them.
    HandIn(Publication, mpsc::UnboundedSender<Progress>),
    /// The values are no longer needed. The job listens to what may be left of them, unless it has ended.
    GiveUp(Option<Listener>),
    /// The job ended before it handed anything in.
    Leave,
}

/// What a round tells a job.
#[derive(Debug)]
pub(super) enum Progress {
    Waiting(CacheWait),
    Done(Outcome),
}

impl Seat {
    pub(super) fn new(number: usize, outbox: mpsc::UnboundedSender<(usize, Message)>) -> Self {
        Seat {
            number,
            outbox,
            state: State::Empty,
        }
    }

    /// Hands the values in. Returns when every server that counts has them, and no older set can be in
    /// the cache of the CA's resolver. `waiting` is called before a wait for caches.
    pub async fn publish(
        &mut self,
        publication: &Publication,
        waiting: impl Fn(&CacheWait),
    ) -> Outcome {
        let (progress, mut heard) = mpsc::unbounded_channel();
        self.state = State::HandedIn;
        self.send(Message::HandIn(publication.clone(), progress));
        loop {
            match heard.recv().await {
                Some(Progress::Waiting(wait)) => waiting(&wait),
                Some(Progress::Done(outcome)) => return outcome,
                // The round ended before it told everybody: a defect.
                None => {
                    let zone = publication.records().next().map(|(zone, _)| zone.clone());
                    return zone.map_or(Ok(Vec::new()), |zone| {
                        let source = WriteError::Ended;
                        Err(ZoneFailure::at([], ZoneError::Write { zone, source }))
                    });
                }
            }
        }
    }

    /// Gives the values up. The others of the round may need theirs longer.
    #[must_use]
    pub fn withdraw(mut self) -> Withdrawal {
        if self.state != State::HandedIn {
            return Withdrawal(None);
        }
        self.state = State::GivenUp;
        let (begun, is_begun) = oneshot::channel();
        let (done, is_done) = oneshot::channel();
        let begun = Some(begun);
        self.send(Message::GiveUp(Some(Listener { begun, done })));
        Withdrawal(Some(Awaited {
            begun: is_begun,
            done: is_done,
        }))
    }

    fn send(&self, message: Message) {
        // The round outlives its seats, unless the whole process ends.
        let _ = self.outbox.send((self.number, message));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        match self.state {
            State::Empty => self.send(Message::Leave),
            State::HandedIn => self.send(Message::GiveUp(None)),
            State::GivenUp => {}
        }
    }
}

impl Withdrawal {
    /// Returns whether it begins within `limit`. The CA may take minutes for the others of the round.
    pub async fn begins_within(&mut self, limit: Duration) -> bool {
        match &mut self.0 {
            Some(awaited) => timeout(limit, &mut awaited.begun).await.is_ok(),
            None => true,
        }
    }

    /// Returns when the values are withdrawn, with an error for each zone that may still have some.
    pub async fn done(self) -> Vec<ZoneError> {
        match self.0 {
            Some(awaited) => awaited.done.await.unwrap_or_default(),
            None => Vec::new(),
        }
    }
}
