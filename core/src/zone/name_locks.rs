//! One round at a time at each alias name.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::name::DnsName;

/// Locks for alias names, for one process.
///
/// A caller that waits holds nothing: otherwise a certificate with many alias names would hold some of them while it waits for the
/// others, one after the other.
#[derive(Clone, Debug, Default)]
pub struct NameLocks(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    held: HashSet<DnsName>,
    /// Who waits, in the order in which they came.
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    sets: Vec<BTreeSet<DnsName>>,
    granted: oneshot::Sender<LockedNames>,
}

/// Names that are locked until this is dropped.
#[derive(Debug)]
pub struct LockedNames {
    locks: NameLocks,
    names: BTreeSet<DnsName>,
}

impl NameLocks {
    /// Waits until nobody holds the names of one of these sets. Locks the names of that set, and of all others that are free
    /// by then. A later caller whose names are free gets them first.
    pub async fn lock(&self, sets: Vec<BTreeSet<DnsName>>) -> LockedNames {
        self.lock_after(None, sets).await
    }

    /// The same, and gives earlier names back, without letting others come between.
    pub async fn lock_after(
        &self,
        earlier: Option<LockedNames>,
        sets: Vec<BTreeSet<DnsName>>,
    ) -> LockedNames {
        let waiting = {
            let mut state = self.state();
            let gives_back = earlier.is_some();
            if let Some(mut earlier) = earlier {
                state.give_back(std::mem::take(&mut earlier.names));
            }
            let names = state.take_free(&sets);
            let outcome = match names {
                Some(names) => Ok(self.locked(names)),
                None => {
                    let (granted, waiting) = oneshot::channel();
                    state.waiting.push_back(Waiting { sets, granted });
                    Err(waiting)
                }
            };
            // Otherwise nothing has become free.
            if gives_back {
                self.grant(state);
            }
            match outcome {
                Ok(locked) => return locked,
                Err(waiting) => waiting,
            }
        };
        // The sender is in the queue until it is used: an error cannot come.
        waiting
            .await
            .unwrap_or_else(|_| self.locked(BTreeSet::new()))
    }

    /// Grants names to those that wait for them, as far as they are free.
    fn grant(&self, mut state: MutexGuard<'_, State>) {
        let mut granted = Vec::new();
        let waiting = std::mem::take(&mut state.waiting);
        for one in waiting {
            match state.take_free(&one.sets) {
                Some(names) => granted.push((one.granted, self.locked(names))),
                None => state.waiting.push_back(one),
            }
        }
        drop(state);
        // What nobody waits for any more is given back when it is dropped here.
        for (sender, names) in granted {
            drop(sender.send(names));
        }
    }

    fn locked(&self, names: BTreeSet<DnsName>) -> LockedNames {
        LockedNames {
            locks: self.clone(),
            names,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes the names of the sets that nobody holds; `None` if each has a name that somebody does. A set without names is
    /// always free.
    fn take_free(&mut self, sets: &[BTreeSet<DnsName>]) -> Option<BTreeSet<DnsName>> {
        let is_free = |set: &&BTreeSet<DnsName>| set.iter().all(|name| !self.held.contains(name));
        let mut free = sets.iter().filter(is_free).peekable();
        free.peek()?;
        let names: BTreeSet<_> = free.flatten().cloned().collect();
        self.held.extend(names.iter().cloned());
        Some(names)
    }

    fn give_back(&mut self, names: BTreeSet<DnsName>) {
        for name in names {
            self.held.remove(&name);
        }
    }
}

impl LockedNames {
    /// Whether all these names are locked.
    pub fn contains(&self, names: &BTreeSet<DnsName>) -> bool {
        names.is_subset(&self.names)
    }

    /// Gives back all names but these.
    pub fn keep_only(&mut self, names: &BTreeSet<DnsName>) {
        let others = self.names.extract_if(.., |name| !names.contains(name));
        let others: BTreeSet<_> = others.collect();
        if others.is_empty() {
            return;
        }
        let mut state = self.locks.state();
        state.give_back(others);
        self.locks.grant(state);
    }
}

impl Drop for LockedNames {
    fn drop(&mut self) {
        self.keep_only(&BTreeSet::new());
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;

    use super::*;

    fn set(names: &[&str]) -> BTreeSet<DnsName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn sets(sets: &[&[&str]]) -> Vec<BTreeSet<DnsName>> {
        sets.iter().map(|names| set(names)).collect()
    }

    /// Which of these names nobody holds.
    fn free<'a>(locks: &NameLocks, names: &[&'a str]) -> Vec<&'a str> {
        let is_free = |name: &&&str| locks.lock(sets(&[&[name]])).now_or_never().is_some();
        names.iter().filter(is_free).copied().collect()
    }

    #[tokio::test]
    async fn rounds_with_a_common_name_wait_for_each_other_and_others_do_not() {
        let locks = NameLocks::default();
        let first = locks.lock(sets(&[&["a", "b"]])).await;
        let mut second = pin!(locks.lock(sets(&[&["b", "c"]])));
        assert!(second.as_mut().now_or_never().is_none());
        // It holds nothing while it waits.
        assert_eq!(free(&locks, &["a", "b", "c"]), ["c"]);
        drop(first);
        let second = second.await;
        assert_eq!(free(&locks, &["a", "b", "c"]), ["a"]);
        drop(second);
        assert_eq!(free(&locks, &["a", "b", "c"]), ["a", "b", "c"]);
    }

    #[tokio::test]
    async fn what_is_free_does_not_wait_for_the_rest() {
        let locks = NameLocks::default();
        let busy = locks.lock(sets(&[&["z"]])).await;
        let wanted = sets(&[&["a", "z"], &["a"], &["b"], &[]]);
        let mut some = locks.lock(wanted.clone()).await;
        let found = wanted.iter().map(|set| some.contains(set));
        assert_eq!(found.collect::<Vec<_>>(), [false, true, true, true]);
        some.keep_only(&set(&["b"]));
        assert_eq!(free(&locks, &["a", "b", "z"]), ["a"]);
        drop((busy, some));
        assert_eq!(free(&locks, &["a", "b", "z"]), ["a", "b", "z"]);
    }

    #[tokio::test]
    async fn names_are_exchanged_before_those_who_wait_get_them() {
        let locks = NameLocks::default();
        let first = locks.lock(sets(&[&["a"]])).await;
        let mut second = pin!(locks.lock(sets(&[&["a"]])));
        assert!(second.as_mut().now_or_never().is_none());
        let again = locks.lock_after(Some(first), sets(&[&["a", "b"]]));
        let again = again.now_or_never().unwrap();
        assert!(second.as_mut().now_or_never().is_none());
        drop(again);
        second.await;
    }

    #[tokio::test]
    async fn names_go_to_the_next_if_nobody_waits_for_them_any_more() {
        let locks = NameLocks::default();
        let first = locks.lock(sets(&[&["a"]])).await;
        {
            let mut gone = pin!(locks.lock(sets(&[&["a"]])));
            assert!(gone.as_mut().now_or_never().is_none());
        }
        let mut next = pin!(locks.lock(sets(&[&["a"]])));
        assert!(next.as_mut().now_or_never().is_none());
        drop(first);
        next.await;
        assert!(locks.state().held.is_empty());
    }
}
