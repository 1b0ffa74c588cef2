//! The turns of programs that must not run twice at the same time: one after the other, in all processes.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, ErrorKind, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;

use acme_alias_core::provider::Shared;
use acme_alias_core::trusted;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tracing::debug;

/// How often a lock that another process has is tried.
const INTERVAL: Duration = Duration::from_millis(50);

/// Where the locks of root are: not in `/run/acme-alias`, which systemd gives to the user of the unit. Every user who can
/// read a program could hold a lock on the program itself for ever.
const LOCKS: &str = "/run/acme-alias-locks";

/// A run that took so long lets other processes have the next turn: they try the lock from time to time, and would never
/// find it free while this process has runs to do.
const LONG_RUN: Duration = Duration::from_secs(1);
/// How long they have for it.
const PAUSE: Duration = Duration::from_millis(100);

/// By the path of the program.
static PROGRAMS: Shared<PathBuf, Queue> = Shared::new();

/// The queue of this process for one program. Turns are given in the order in which they were asked for.
#[derive(Debug, Default)]
struct Queue {
    turn: Arc<Mutex<()>>,
    progress: StdMutex<Progress>,
}

/// How turns pass on.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// Whether a turn of this process is under way that keeps out other processes.
    is_locked: bool,
    /// Until when the turn under way must have ended, or the next one begun.
    moves_until: Option<Instant>,
    /// Until when other processes go first.
    others_until: Option<Instant>,
}

impl Queue {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for `ready`, for `limit` and then as long as turns pass on: those of a program that hangs end as well.
    async fn wait_for<T>(&self, limit: Duration, ready: impl Future<Output = T>) -> Option<T> {
        let mut ready = pin!(ready);
        let mut deadline = Instant::now() + limit;
        loop {
            if let Ok(ready) = timeout_at(deadline, &mut ready).await {
                return Some(ready);
            }
            let moves_until = self.progress().moves_until;
            deadline = moves_until.filter(|until| *until > deadline)?;
        }
    }
}

/// A turn, which ends when it is dropped. It is for one run of the program.
///
/// Other processes are kept out by a lock (flock(2)): on a file of root for this program, or else on the program's own file.
/// The program gets the open file as its standard input: if this process is killed, the lock lasts until the program has
/// ended as well.
#[derive(Debug)]
pub(crate) struct Turn {
    file: Option<Arc<File>>,
    queue: Arc<Queue>,
    begun: Instant,
    limit: Duration,
    _guard: OwnedMutexGuard<()>,
}

impl Turn {
    /// The locked file, positioned at its end: a program that reads it finds nothing.
    pub(crate) fn file(&self) -> Option<Arc<File>> {
        self.file.clone()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut progress = self.queue.progress();
        progress.is_locked = false;
        progress.moves_until = Some(now + self.limit);
        let is_long = now - self.begun >= LONG_RUN;
        progress.others_until = is_long.then(|| now + PAUSE);
        // What the program left running has the file as well, and must not keep the lock.
        if let Some(file) = &self.file {
            let _ = file.unlock();
        }
    }
}

/// The turns of one program.
#[derive(Debug)]
pub(crate) struct Turns {
    program: PathBuf,
    queue: Arc<Queue>,
}

impl Turns {
    /// Those of the program with this path.
    pub(crate) fn of(program: PathBuf) -> Self {
        let queue = PROGRAMS.get_or_make(program.clone(), Queue::default);
        Turns { program, queue }
    }

    /// Waits for a turn. `limit` is what a run takes at most. `None` if no turn has passed on for so long: a run that
    /// another process has begun does not end.
    pub(crate) async fn next(&self, limit: Duration) -> Option<Turn> {
        let Turns { queue, .. } = self;
        let turn = async {
            let guard = Arc::clone(&queue.turn).lock_owned().await;
            (guard, self.lock().await)
        };
        let (guard, file) = queue.wait_for(limit, turn).await?;
        let begun = Instant::now();
        let mut progress = queue.progress();
        progress.is_locked = file.is_some();
        progress.moves_until = Some(begun + limit);
        drop(progress);
        Some(Turn {
            file,
            queue: Arc::clone(queue),
            begun,
            limit,
            _guard: guard,
        })
    }

    /// Waits until no run is under way that another process has begun; `false` if one does not end. Runs of this
    /// process are not waited for.
    pub(crate) async fn others_ended(&self, limit: Duration) -> bool {
        let Some(file) = self.open() else {
            return true;
        };
        let ended = self.queue.wait_for(limit, async {
            while !self.queue.progress().is_locked && !self.try_lock(&file) {
                sleep(INTERVAL).await;
            }
        });
        ended.await.is_some()
    }

    /// Waits for the lock that keeps out other processes; `None` if there can be none.
    async fn lock(&self) -> Option<Arc<File>> {
        let file = self.open()?;
        let others_until = self.queue.progress().others_until;
        if let Some(until) = others_until {
            sleep_until(until).await;
        }
        while !self.try_lock(&file) {
            // Waiting in the system would block a thread for ever.
            sleep(INTERVAL).await;
        }
        Some(Arc::new(file))
    }

    fn open(&self) -> Option<File> {
        let opened = open(&self.program);
        opened.inspect_err(|error| self.log(error)).ok()
    }

    /// Tries to lock the file; `false` if another process has locked it. `true` as well if it cannot be locked at all.
    fn try_lock(&self, file: &File) -> bool {
        match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(error)) => {
                self.log(&error);
                true
            }
        }
    }

    fn log(&self, error: &io::Error) {
        debug!(program = %self.program.display(), %error, "no lock");
    }
}

/// The file that is locked for a program. One that is named without a path has none here.
fn open(program: &Path) -> io::Result<File> {
    if program.components().count() < 2 {
        return Err(ErrorKind::NotFound.into());
    }
    let mut file = File::open(program)?;
    if let Ok(private) = open_private(&file) {
        return Ok(private);
    }
    file.seek(SeekFrom::End(0))?;
    Ok(file)
}

/// A file for an open program that nobody else can open; an error unless this is root.
fn open_private(program: &File) -> io::Result<File> {
    let metadata = program.metadata()?;
    match DirBuilder::new().mode(0o700).create(LOCKS) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    trusted::open_folder(Path::new(LOCKS), None)?;
    let name = format!("{:x}-{:x}.lock", metadata.dev(), metadata.ino());
    trusted::open_in_place(&Path::new(LOCKS).join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_mins(2);

    fn program() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        std::fs::write(&path, "text").unwrap();
        (folder, path)
    }

    #[tokio::test(start_paused = true)]
    async fn a_lock_of_another_process_is_waited_for() {
        let (_folder, path) = program();
        let turns = Turns::of(path.clone());
        // A lock belongs to what was opened, not to the process.
        let other = open(&path).unwrap();
        other.lock().unwrap();
        assert!(turns.next(LIMIT).await.is_none());
        assert!(!turns.others_ended(LIMIT).await);
        other.unlock().unwrap();
        assert!(turns.others_ended(LIMIT).await);
        let turn = turns.next(LIMIT).await.unwrap();
        assert!(turn.file().is_some());
        assert!(other.try_lock().is_err());
        assert!(turns.next(LIMIT).await.is_none());
        drop(turn);
        other.try_lock().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_program_in_path_has_turns_without_a_file() {
        let turns = Turns::of("systemctl".into());
        let turn = turns.next(LIMIT).await.unwrap();
        assert!(turn.file().is_none());
        assert!(turns.next(LIMIT).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_is_waited_for_as_long_as_turns_pass_on() {
        let (_folder, path) = program();
        let turns = Turns::of(path.clone());
        let hung = || async {
            let turn = turns.next(LIMIT).await.unwrap();
            sleep(LIMIT * 9 / 10).await;
            drop(turn);
        };
        let begun = Instant::now();
        let good = async {
            drop(turns.next(Duration::from_secs(5)).await.unwrap());
            begun.elapsed()
        };
        let (.., waited) = tokio::join!(hung(), hung(), hung(), good);
        assert!(waited > 2 * LIMIT, "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_behind_a_lock_that_is_never_released_fails_at_once() {
        let (_folder, path) = program();
        let turns = Turns::of(path.clone());
        let other = open(&path).unwrap();
        other.lock().unwrap();
        let begun = Instant::now();
        let turn = || turns.next(LIMIT);
        let (one, another, third) = tokio::join!(turn(), turn(), turn());
        assert!(one.is_none() && another.is_none() && third.is_none());
        assert!(begun.elapsed() < 2 * LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn runs_of_this_process_hold_up_no_reading() {
        let (_folder, path) = program();
        let turns = Turns::of(path.clone());
        let turn = turns.next(LIMIT).await.unwrap();
        let begun = Instant::now();
        assert!(turns.others_ended(LIMIT).await);
        assert_eq!(begun.elapsed(), Duration::ZERO);
        drop(turn);
    }

    #[tokio::test(start_paused = true)]
    async fn another_process_gets_its_turn_between_long_runs() {
        let (_folder, path) = program();
        let turns = Turns::of(path.clone());
        let turn = turns.next(LIMIT).await.unwrap();
        let other = open(&path).unwrap();
        let locked = async {
            while other.try_lock().is_err() {
                sleep(INTERVAL).await;
            }
            other.unlock().unwrap();
            Instant::now()
        };
        let runs = async {
            sleep(LONG_RUN).await;
            drop(turn);
            let _turn = turns.next(LIMIT).await.unwrap();
            sleep(LONG_RUN).await;
            Instant::now()
        };
        let (locked, ended) = tokio::join!(locked, runs);
        assert!(locked < ended);
    }
}
