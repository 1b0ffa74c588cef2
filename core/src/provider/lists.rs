//! Lists in the answers of backends, of which there may be more items than memory can hold: two octets of an answer may take
//! a hundred in memory.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::{Error, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Items of a list that is needed as a whole. A hundred names may have a hundred values each, and a name server answers with
/// at most 1,100 values at a name.
const LIMIT: usize = 10_000;
/// Items that are kept of a list that is only shown.
const FEW: usize = 16;

/// A list. One of more than 10,000 items is an error, before the rest is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limited<T>(pub Vec<T>);

/// The first 16 items of a list. The others are read and not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Few<T>(pub Vec<T>);

impl<T> Default for Limited<T> {
    fn default() -> Self {
        Limited(Vec::new())
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Few(Vec::new())
    }
}

impl<T> Deref for Limited<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

/// Calls `take` with each item of a list, so that only some are kept. An error of `take` is that of the list.
pub fn for_each_item<'de, D, T, E>(
    deserializer: D,
    take: impl FnMut(T) -> Result<(), E>,
) -> Result<(), D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
    E: fmt::Display,
{
    deserializer.deserialize_seq(Items {
        take,
        item: PhantomData,
    })
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Limited<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut items = Vec::new();
        for_each_item(deserializer, |item| {
            if items.len() == LIMIT {
                return Err(format!("a list has more than {LIMIT} items"));
            }
            items.push(item);
            Ok(())
        })?;
        Ok(Limited(items))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(First(PhantomData))
    }
}

struct Items<F, T> {
    take: F,
    item: PhantomData<T>,
}

impl<'de, F, T, E> Visitor<'de> for Items<F, T>
where
    F: FnMut(T) -> Result<(), E>,
    T: Deserialize<'de>,
    E: fmt::Display,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(item) = list.next_element()? {
            (self.take)(item).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

struct First<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for First<T> {
    type Value = Few<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while items.len() < FEW {
            match list.next_element()? {
                Some(item) => items.push(item),
                None => return Ok(Few(items)),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Few(items))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn many(count: usize) -> String {
        format!("[{}]", vec!["1"; count].join(","))
    }

    #[test]
    fn a_list_that_is_too_long_is_an_error() {
        let read = |text: String| serde_json::from_str::<Limited<u8>>(&text);
        assert_eq!(read(many(LIMIT)).unwrap().0.len(), LIMIT);
        let error = read(many(LIMIT + 1)).unwrap_err().to_string();
        assert!(error.contains("more than 10000 items"), "{error}");
        assert!(read("{}".to_owned()).is_err());
    }

    #[test]
    fn the_first_items_are_kept_and_the_others_must_be_good_json() {
        let read = |text: String| serde_json::from_str::<Few<u8>>(&text);
        assert_eq!(read("[1,2]".to_owned()).unwrap().0, [1, 2]);
        assert_eq!(read(many(1_000)).unwrap().0.len(), FEW);
        assert!(read(many(1_000).replace(']', "")).is_err());
        assert!(read("{}".to_owned()).is_err());
    }
}
