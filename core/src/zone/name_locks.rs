//! One round at a time at each alias name.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::name::DnsName;

/// Locks for alias names, for one process.
#[derive(Debug, Default)]
pub struct NameLocks(Mutex<HashMap<DnsName, Weak<AsyncMutex<()>>>>);

/// Names that are locked until this is dropped.
#[derive(Debug)]
pub struct LockedNames(#[expect(dead_code, reason = "held, not read")] Vec<OwnedMutexGuard<()>>);

impl NameLocks {
    /// Waits until no other round uses any of these names.
    pub async fn lock(&self, names: &BTreeSet<DnsName>) -> LockedNames {
        let mut held = Vec::with_capacity(names.len());
        // Everybody locks in the order of the names, so that no two wait for each other.
        for name in names {
            held.push(self.of(name).lock_owned().await);
        }
        LockedNames(held)
    }

    fn of(&self, name: &DnsName) -> Arc<AsyncMutex<()>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(name).and_then(Weak::upgrade) {
            return lock;
        }
        if locks.len() == locks.capacity() {
            locks.retain(|_, lock| lock.strong_count() > 0);
        }
        let lock = Arc::new(AsyncMutex::new(()));
        locks.insert(name.clone(), Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn names(texts: &[&str]) -> BTreeSet<DnsName> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[tokio::test]
    async fn rounds_with_a_common_name_wait_for_each_other_and_others_do_not() {
        let locks = NameLocks::default();
        let first = locks.lock(&names(&["a.example", "b.example"])).await;
        assert!(locks.lock(&names(&["c.example"])).now_or_never().is_some());
        let second = names(&["b.example", "c.example"]);
        let mut second = std::pin::pin!(locks.lock(&second));
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        second.await;
    }

    #[tokio::test]
    async fn names_that_nobody_uses_any_more_take_no_memory() {
        let locks = NameLocks::default();
        for number in 0..1_000 {
            locks.lock(&names(&[&format!("h{number}.example")])).await;
        }
        assert!(locks.0.lock().unwrap().len() < 100);
    }
}
