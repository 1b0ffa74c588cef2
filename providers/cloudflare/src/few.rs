//! Lists in an answer of which a few items are kept: an item may take many times as much in memory as in the answer.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Items of a list that are kept.
const ITEMS_MAX: usize = 16;

/// The first items of a list. The others are read and not kept.
#[derive(Debug)]
pub(crate) struct Few<T>(pub(crate) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Items(PhantomData))
    }
}

struct Items<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
    type Value = Few<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while items.len() < ITEMS_MAX {
            match list.next_element()? {
                Some(item) => items.push(item),
                None => return Ok(Few(items)),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Few(items))
    }
}

/// Reads the first items of a list.
pub(crate) fn few<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Few::deserialize(deserializer).map(|Few(items)| items)
}

/// The same of a list that may be `null`.
pub(crate) fn few_or_none<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let list = Option::<Few<T>>::deserialize(deserializer)?;
    Ok(list.map(|Few(items)| items))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_items_are_kept_and_the_others_must_be_good_json() {
        let read = |text: String| serde_json::from_str::<Few<u8>>(&text);
        assert_eq!(read("[1,2]".to_owned()).unwrap().0, [1, 2]);
        let many = format!("[{}]", vec!["1"; 1_000].join(","));
        assert_eq!(read(many.clone()).unwrap().0.len(), ITEMS_MAX);
        assert!(read(many.replace(']', "")).is_err());
        assert!(read("{}".to_owned()).is_err());
    }
}
