//! The sockets for queries, of which a process has a limited number: the rest of its file descriptors is for
//! files, the CA and the backends.

use std::sync::LazyLock;

use rustix::process::{Resource, getrlimit};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Queries under way at a time, in the whole process.
const QUERIES_MAX: u64 = 256;
/// The sockets that one query may have open: one for each time that it is sent.
const SOCKETS_OF_A_QUERY: u64 = 3;
/// File descriptors that queries leave to others.
const RESERVED: u64 = 256;

/// File descriptors belong to the process, and so do the permits for them.
static SOCKETS: LazyLock<Semaphore> = LazyLock::new(|| {
    let limit = getrlimit(Resource::Nofile).current;
    let queries = queries_at_once(limit.unwrap_or(u64::MAX));
    Semaphore::new(usize::try_from(queries).unwrap_or(1))
});

/// Waits until a query may open its sockets.
pub(super) async fn permit() -> Option<SemaphorePermit<'static>> {
    // The semaphore is never closed.
    SOCKETS.acquire().await.ok()
}

/// How many queries may be under way with this limit of file descriptors.
fn queries_at_once(descriptors: u64) -> u64 {
    let left = descriptors - RESERVED.min(descriptors / 2);
    (left / SOCKETS_OF_A_QUERY).clamp(1, QUERIES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_leave_file_descriptors_to_others() {
        for (descriptors, expected) in [(u64::MAX, 256), (1_024, 256), (512, 85), (64, 10), (0, 1)]
        {
            assert_eq!(queries_at_once(descriptors), expected, "{descriptors}");
        }
    }
}
