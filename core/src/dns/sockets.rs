//! The sockets for queries, of which a process has a limited number: the rest of its file descriptors is for
//! files, the CA and the backends.
//!
//! When they are short, a query waits for one. The name that has used sockets least goes first: names whose
//! servers are slow hold each socket for as long as they can, and must not hold up all others.

use std::sync::{Arc, LazyLock};

use rustix::process::{Resource, getrlimit};

use super::turns::{Turn, Turns, Usage};

/// Queries under way at a time, in the whole process.
const QUERIES_MAX: u64 = 256;
/// Those of them over TCP. An answer of 64 KB takes megabytes of memory until it is used.
const TCP_QUERIES_MAX: usize = 24;
/// The sockets that one query may have open: one for each time that it is sent.
const SOCKETS_OF_A_QUERY: u64 = 3;
/// File descriptors that queries leave to others.
const RESERVED: u64 = 256;

/// File descriptors belong to the process, and so do the permits for them.
static SOCKETS: LazyLock<Arc<Turns>> = LazyLock::new(|| {
    let limit = getrlimit(Resource::Nofile).current;
    let queries = queries_at_once(limit.unwrap_or(u64::MAX));
    Arc::new(Turns::new(usize::try_from(queries).unwrap_or(1)))
});

/// The turns of queries over TCP.
static TCP: LazyLock<Arc<Turns>> = LazyLock::new(|| Arc::new(Turns::new(TCP_QUERIES_MAX)));

/// Waits until a query that has its sockets may go on over TCP. `usage` is that of the name that it is for.
pub(super) async fn tcp_permit(usage: Option<Arc<Usage>>) -> Turn {
    TCP.take(usage.unwrap_or_default()).await
}

/// Waits until a query may open its sockets. `usage` is that of the name that it is for, if there is one.
pub(super) async fn permit(usage: Option<Arc<Usage>>) -> Turn {
    SOCKETS.take(usage.unwrap_or_default()).await
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
