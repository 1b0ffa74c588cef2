//! Lists in an answer, of which a program may print more than memory can hold.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Items of one list: a hundred names may have a hundred values each.
const ITEMS_MAX: usize = 10_000;

/// A list. One that is longer is an error, before the rest is read: two octets may take a hundred in memory.
#[derive(Debug)]
pub(crate) struct Limited<T>(pub(crate) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Limited<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Items(PhantomData))
    }
}

struct Items<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
    type Value = Limited<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            if items.len() == ITEMS_MAX {
                let problem = format!("a list has more than {ITEMS_MAX} items");
                return Err(Error::custom(problem));
            }
            items.push(item);
        }
        Ok(Limited(items))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_too_long_is_an_error() {
        let read = |count: usize| {
            let text = format!("[{}]", vec!["1"; count].join(","));
            serde_json::from_str::<Limited<u8>>(&text)
        };
        assert_eq!(read(ITEMS_MAX).unwrap().0.len(), ITEMS_MAX);
        let error = read(ITEMS_MAX + 1).unwrap_err().to_string();
        assert!(error.contains("more than 10000 items"), "{error}");
        assert!(serde_json::from_str::<Limited<u8>>("{}").is_err());
    }
}
