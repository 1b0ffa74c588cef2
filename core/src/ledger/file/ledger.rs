//! The ledger in files, as its users see it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use jiff::Timestamp;
use tokio::sync::{Mutex, OwnedMutexGuard, mpsc, oneshot};

use super::append::Appender;
use super::blocking::blocking;
use super::folder::{Folder, LINE_MAX};
use super::index::Index;
use super::stream;
use super::verify::{RecordedLine, Verification, verify};
use super::writer::{Request, Writer};
use crate::clock::Clock;
use crate::ledger::contract::Ledger;
use crate::ledger::error::{LedgerAction, LedgerError};
use crate::ledger::line::{Entry, Line};
use crate::ledger::open_value::OpenValue;
use crate::ledger::run_id::RunId;
use crate::name::DnsName;

/// How many lines are read in one piece of work.
const LINES: usize = if cfg!(test) { 3 } else { 4096 };

/// The longest line, in octets, of a ledger that is only read. A copy from another host can have a hole of terabytes,
/// which would be read for hours.
const READ_ONLY_LINE_MAX: u64 = 4 * LINE_MAX as u64;

/// A ledger in files.
///
/// It needs a tokio runtime. When it is dropped, its task writes a checkpoint if the runtime still
/// lives; see [`FileLedger::checkpoint`].
#[derive(Debug)]
pub struct FileLedger {
    folder: Folder,
    index: Arc<Mutex<Index>>,
    /// How often the index was brought up to date.
    updates: AtomicU64,
    /// None if the ledger is only read.
    requests: Option<mpsc::UnboundedSender<Request>>,
}

impl FileLedger {
    /// Opens the ledger in `folder`, which is created if it does not exist. `clock` gives lines their
    /// time.
    pub async fn open(folder: &Path, clock: Arc<dyn Clock>) -> Result<Self, LedgerError> {
        let mut ledger = FileLedger::open_read_only(folder);
        let folder = ledger.folder.clone();
        let opened = blocking(&ledger.folder, LedgerAction::Open, move || {
            Appender::open(&folder)
        });
        let writer = Writer {
            folder: ledger.folder.clone(),
            clock,
            index: Arc::clone(&ledger.index),
            appender: Some(opened.await??),
        };
        let (requests, receiver) = mpsc::unbounded_channel();
        tokio::spawn(writer.run(receiver));
        ledger.requests = Some(requests);
        Ok(ledger)
    }

    /// The ledger in `folder`, only to be read: nothing in the folder is created or changed, and it
    /// may not exist. A line of more than 4 MiB ends its lines with an error; a ledger that is open for writing leaves
    /// such a line out, so that damage prevents no run.
    pub fn open_read_only(folder: &Path) -> Self {
        let folder = Folder::new(folder);
        FileLedger {
            index: Arc::new(Mutex::new(Index::new(&folder))),
            folder,
            updates: AtomicU64::new(0),
            requests: None,
        }
    }

    /// Reads every line and checks that it is as it was written.
    pub async fn verify(&self) -> Result<Verification, LedgerError> {
        self.verify_with(Vec::new()).await
    }

    /// The same, and checks that the lines that are recorded elsewhere are there, such as those of
    /// [`GitExport::recorded_lines`](crate::ledger::GitExport::recorded_lines).
    pub async fn verify_with(
        &self,
        recorded: Vec<RecordedLine>,
    ) -> Result<Verification, LedgerError> {
        verify(&self.folder, recorded).await
    }

    /// The index with all lines that were recorded before the call.
    async fn index(&self) -> Result<OwnedMutexGuard<Index>, LedgerError> {
        let before = self.updates.load(Ordering::Acquire);
        let mut index = Arc::clone(&self.index).lock_owned().await;
        // Of two updates that ended since, the second began after this call.
        if self.updates.load(Ordering::Acquire) >= before + 2 {
            return Ok(index);
        }
        loop {
            let advance = move || {
                let is_done = index.advance(LINES);
                (index, is_done)
            };
            let (advanced, is_done) = blocking(&self.folder, LedgerAction::Read, advance).await?;
            index = advanced;
            if is_done? {
                break;
            }
        }
        self.updates.fetch_add(1, Ordering::Release);
        Ok(index)
    }

    /// The longest line that is read, in octets.
    fn line_max(&self) -> u64 {
        match self.requests {
            Some(_) => u64::MAX,
            None => READ_ONLY_LINE_MAX,
        }
    }

    fn not_writable(&self) -> LedgerError {
        LedgerError::NotWritable {
            location: self.folder.path().display().to_string(),
        }
    }
}

#[async_trait]
impl Ledger for FileLedger {
    async fn record(&self, run: &RunId, entries: Vec<Entry>) -> Result<(), LedgerError> {
        let Some(requests) = &self.requests else {
            return Err(self.not_writable());
        };
        let (done, outcome) = oneshot::channel();
        let request = Request::Append((run.clone(), entries), done);
        requests.send(request).map_err(|_| self.not_writable())?;
        outcome.await.map_err(|_| self.not_writable())?
    }

    async fn open_values(&self) -> Result<Vec<Arc<OpenValue>>, LedgerError> {
        Ok(self.index().await?.open().iter().cloned().collect())
    }

    async fn open_values_at(&self, names: &[DnsName]) -> Result<Vec<Arc<OpenValue>>, LedgerError> {
        Ok(self.index().await?.open().at(names))
    }

    fn lines(&self) -> BoxStream<'_, Result<Line, LedgerError>> {
        stream::lines(&self.folder, None, self.line_max())
    }

    fn lines_since(&self, since: Timestamp) -> BoxStream<'_, Result<Line, LedgerError>> {
        stream::lines(&self.folder, Some(since), self.line_max())
    }

    fn newest_lines(&self, since: Timestamp) -> BoxStream<'_, Result<Line, LedgerError>> {
        stream::newest_lines(&self.folder, since)
    }

    async fn last_lines(&self, count: usize) -> Result<Vec<Line>, LedgerError> {
        let folder = self.folder.clone();
        let read = move || stream::last_lines(&folder, count);
        blocking(&self.folder, LedgerAction::Read, read).await?
    }

    async fn checkpoint(&self) {
        let (done, written) = oneshot::channel();
        if let Some(requests) = &self.requests
            && requests.send(Request::Checkpoint(done)).is_ok()
        {
            // If the task has ended, it has written one.
            let _ = written.await;
        }
    }
}
