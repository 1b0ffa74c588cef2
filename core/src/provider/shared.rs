//! State that several providers of one account share, such as its budget of requests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Values by key. A value exists as long as it is in use. Made for a `static`.
#[derive(Debug)]
pub struct Shared<K, V>(Mutex<BTreeMap<K, Weak<V>>>);

impl<K: Ord, V> Shared<K, V> {
    /// No values.
    pub const fn new() -> Self {
        Shared(Mutex::new(BTreeMap::new()))
    }

    /// The value of `key`; `make` makes it if there is none.
    pub fn get_or_make(&self, key: K, make: impl FnOnce() -> V) -> Arc<V> {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        values.retain(|_, value| value.strong_count() > 0);
        if let Some(value) = values.get(&key).and_then(Weak::upgrade) {
            return value;
        }
        let value = Arc::new(make());
        values.insert(key, Arc::downgrade(&value));
        value
    }
}

impl<K: Ord, V> Default for Shared<K, V> {
    fn default() -> Self {
        Shared::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_exists_as_long_as_it_is_in_use() {
        static SHARED: Shared<&str, u8> = Shared::new();
        let one = SHARED.get_or_make("a", || 1);
        assert_eq!(*SHARED.get_or_make("a", || 2), 1);
        assert_eq!(*SHARED.get_or_make("b", || 3), 3);
        drop(one);
        assert_eq!(*SHARED.get_or_make("a", || 4), 4);
    }
}
