//! The task that appends for one process.
//!
//! It waits for the lock of another process without a blocked thread, so that the runtime can end at
//! any time.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::Instant;
use tracing::debug;

use super::append::{Appended, Appender, Call};
use super::blocking::blocking;
use super::checkpoint::Checkpoint;
use super::folder::{Folder, unavailable};
use super::index::Index;
use crate::clock::Clock;
use crate::ledger::error::{LedgerAction, LedgerError};

/// The first pause before a lock is tried again; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);
/// A process that holds the lock for longer hangs.
const GIVE_UP_AFTER: Duration = Duration::from_mins(1);

/// What the task is asked to do.
#[derive(Debug)]
pub(super) enum Request {
    /// To append the entries of a call.
    Append(Call, oneshot::Sender<Result<(), LedgerError>>),
    /// To write a checkpoint, if no other process is appending.
    Checkpoint(oneshot::Sender<()>),
}

/// What the task works with.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) folder: Folder,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) index: Arc<Mutex<Index>>,
    /// None after the thread that used it panicked.
    pub(super) appender: Option<Appender>,
}

/// A call that waits for its outcome.
type Waiting = (Call, oneshot::Sender<Result<(), LedgerError>>);

impl Writer {
    /// Appends until nobody can ask for it any more.
    pub(super) async fn run(mut self, mut requests: mpsc::UnboundedReceiver<Request>) {
        while let Some(first) = requests.recv().await {
            let mut calls = Vec::new();
            let mut checkpoints = Vec::new();
            let mut next = Some(first);
            while let Some(request) = next {
                match request {
                    Request::Append(call, done) => calls.push((call, done)),
                    Request::Checkpoint(done) => checkpoints.push(done),
                }
                next = requests.try_recv().ok();
            }
            self.append(calls).await;
            let checkpoint = if !checkpoints.is_empty() {
                self.index.lock().await.checkpoint()
            } else if let Ok(mut index) = self.index.try_lock() {
                index.due_checkpoint()
            } else {
                // It is being brought up to date; there will be another time.
                None
            };
            self.write_checkpoint(checkpoint).await;
            for done in checkpoints {
                // The caller may have been dropped.
                let _ = done.send(());
            }
        }
        let checkpoint = self.index.lock().await.checkpoint();
        self.write_checkpoint(checkpoint).await;
    }

    /// Appends what waits together, so that it costs one `fsync`.
    async fn append(&mut self, mut waiting: Vec<Waiting>) {
        let (begun, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            // A call that was dropped before its turn writes nothing.
            waiting.retain(|(_, done)| !done.is_closed());
            if waiting.is_empty() {
                return;
            }
            let calls = waiting.iter().map(|(call, _)| call.clone()).collect();
            match self.try_append(calls).await {
                Ok(Some(appended)) => return self.finish(waiting, appended),
                Ok(None) if begun.elapsed() < GIVE_UP_AFTER => {}
                Ok(None) => return self.give_up(waiting),
                Err(error) => {
                    for (_, done) in waiting {
                        let _ = done.send(Err(error.clone()));
                    }
                    return;
                }
            }
            // A back-off: another process holds the lock.
            tokio::time::sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    fn give_up(&self, waiting: Vec<Waiting>) {
        let problem = io::Error::new(io::ErrorKind::TimedOut, "another process holds the lock");
        let lock = self.folder.file(".lock");
        let error = unavailable(LedgerAction::Lock, &lock, problem);
        for (_, done) in waiting {
            let _ = done.send(Err(error.clone()));
        }
    }

    fn finish(&self, waiting: Vec<Waiting>, appended: Appended) {
        // If the index is in use, the lines are read from the files later.
        if let Ok(mut index) = self.index.try_lock() {
            index.appended(&appended.from, &appended.to, &appended.lines);
        }
        for ((_, done), outcome) in waiting.into_iter().zip(appended.outcomes) {
            let _ = done.send(outcome);
        }
    }

    async fn try_append(&mut self, calls: Vec<Call>) -> Result<Option<Appended>, LedgerError> {
        let now = self.clock.now();
        self.with_appender(move |appender| appender.append(now, &calls))
            .await
    }

    /// Without a checkpoint a new process reads more lines; that is all.
    async fn write_checkpoint(&mut self, checkpoint: Option<Checkpoint>) {
        let Some(checkpoint) = checkpoint else { return };
        let written = self.with_appender(move |appender| appender.write_checkpoint(&checkpoint));
        if let Err(error) = written.await {
            debug!(%error, "the checkpoint of the ledger was not written");
        }
    }

    async fn with_appender<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Appender) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let Some(mut appender) = self.appender.take() else {
            return Err(LedgerError::NotWritable {
                location: self.folder.path().display().to_string(),
            });
        };
        let work = move || {
            let done = work(&mut appender);
            (appender, done)
        };
        let (appender, done) = blocking(&self.folder, LedgerAction::Write, work).await?;
        self.appender = Some(appender);
        done
    }
}
