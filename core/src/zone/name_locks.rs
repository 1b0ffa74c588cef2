//! One round of a CA at a time at each alias name.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::name::DnsName;

/// Locks for alias names at each CA, for one process. Values for several CAs are visible together at a name, so that one
/// that takes long holds up no certificate of another one.
#[derive(Debug, Default)]
pub struct NameLocks(Mutex<HashMap<AtCa, Weak<AsyncMutex<()>>>>);

/// The directory URL of a CA, and an alias name.
type AtCa = (String, DnsName);

/// Names that are locked until this is dropped.
#[derive(Debug)]
pub struct LockedNames(#[expect(dead_code, reason = "held, not read")] Vec<OwnedMutexGuard<()>>);

impl NameLocks {
    /// Waits until no other round of these CAs uses these names.
    pub async fn lock(&self, names: BTreeSet<AtCa>) -> LockedNames {
        let mut held = Vec::with_capacity(names.len());
        // Everybody locks in the order of the names, so that no two wait for each other.
        for name in names {
            held.push(self.of(name).lock_owned().await);
        }
        LockedNames(held)
    }

    fn of(&self, at_ca: AtCa) -> Arc<AsyncMutex<()>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(&at_ca).and_then(Weak::upgrade) {
            return lock;
        }
        if locks.len() == locks.capacity() {
            locks.retain(|_, lock| lock.strong_count() > 0);
        }
        let lock = Arc::new(AsyncMutex::new(()));
        locks.insert(at_ca, Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const CA: &str = "https://ca.example/directory";

    fn at(directory: &str, names: &[&str]) -> BTreeSet<AtCa> {
        let names = names.iter().map(|name| name.parse().unwrap());
        names.map(|name| (directory.to_owned(), name)).collect()
    }

    #[tokio::test]
    async fn rounds_with_a_common_name_wait_for_each_other_and_others_do_not() {
        let locks = NameLocks::default();
        let first = locks.lock(at(CA, &["a.example", "b.example"])).await;
        let apart = [(CA, "c.example"), ("https://other.example", "b.example")];
        for (directory, name) in apart {
            let other = locks.lock(at(directory, &[name])).now_or_never();
            assert!(other.is_some(), "{directory} {name}");
        }
        let second = at(CA, &["b.example", "c.example"]);
        let mut second = std::pin::pin!(locks.lock(second));
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        second.await;
    }

    #[tokio::test]
    async fn names_that_nobody_uses_any_more_take_no_memory() {
        let locks = NameLocks::default();
        for number in 0..1_000 {
            let name = format!("h{number}.example");
            locks.lock(at(CA, &[&name])).await;
        }
        assert!(locks.0.lock().unwrap().len() < 100);
    }
}
