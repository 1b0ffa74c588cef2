//! Writing with a limit of time: a file system of somebody else may never answer.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

/// What is being written, also if nobody waits for it any more.
static UNDER_WAY: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// A path that is being written, until this is dropped.
struct UnderWay(PathBuf);

impl UnderWay {
    /// `None` if it is being written already.
    fn begin(path: &Path) -> Option<Self> {
        let mut all = UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(path.to_owned())
            .then(|| UnderWay(path.to_owned()))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut all = UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&self.0);
    }
}

/// Calls `write` in a thread of its own, and waits for it as long as `limit`.
///
/// Nothing can end it earlier. So the thread is none of those that others need, and until it ends, nothing else is written
/// at this path: attempts that hang do not add up, and an old one never replaces what a new one has written.
pub(super) async fn in_time<T: Send + 'static>(
    path: &Path,
    limit: Duration,
    write: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let late = |problem: String| io::Error::new(ErrorKind::TimedOut, problem);
    let Some(under_way) = UnderWay::begin(path) else {
        return Err(late("an earlier attempt has not ended yet".to_owned()));
    };
    let (sender, receiver) = oneshot::channel();
    thread::Builder::new().spawn(move || {
        let written = write();
        drop(under_way);
        // Perhaps nobody waits any more.
        let _ = sender.send(written);
    })?;
    let written = timeout(limit, receiver).await;
    let written = written.map_err(|_| late(format!("it took more than {limit:?}")))?;
    written.map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn what_hangs_is_not_waited_for() {
        let (_end, ended) = mpsc::channel::<()>();
        let hangs = move || ended.recv().is_err();
        let error = in_time(Path::new("/hangs"), Duration::from_millis(10), hangs).await;
        assert!(error.unwrap_err().to_string().contains("more than 10ms"));
        assert!(in_time(Path::new("/other"), LONG, || ()).await.is_ok());
    }

    #[tokio::test]
    async fn what_has_not_ended_is_not_begun_again() {
        let path = Path::new("/again");
        let (begun, mut begins) = oneshot::channel();
        let (end, ended) = mpsc::channel::<()>();
        let hangs = move || {
            let _ = begun.send(());
            ended.recv().is_err()
        };
        let first = tokio::spawn(in_time(path, LONG, hangs));
        (&mut begins).await.unwrap();
        let again = in_time(path, LONG, || ()).await.unwrap_err();
        assert!(again.to_string().contains("an earlier attempt"), "{again}");
        drop(end);
        assert!(first.await.unwrap().unwrap());
        assert!(in_time(path, LONG, || ()).await.is_ok());
    }
}
