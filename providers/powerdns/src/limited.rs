//! Lists of records in an answer, of which there may be more than memory can hold.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Records of a set. A name server answers with at most 1,100 values at a name.
pub(crate) const RECORDS_MAX: usize = 10_000;

/// Reads the records of a set. More than a name can have are an error.
pub(crate) fn limited<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_seq(Records(PhantomData))
}

struct Records<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Records<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut records = Vec::new();
        while let Some(record) = list.next_element()? {
            if records.len() == RECORDS_MAX {
                let problem = format!("a set has more than {RECORDS_MAX} records");
                return Err(Error::custom(problem));
            }
            records.push(record);
        }
        Ok(records)
    }
}
