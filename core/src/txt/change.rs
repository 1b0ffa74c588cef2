//! TXT records, and changes of single values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::value::TxtValue;
use crate::name::DnsName;

/// A TXT record with one value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxtRecord {
    /// Its owner.
    pub name: DnsName,
    /// Its content.
    pub value: TxtValue,
}

/// The TXT records at one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TxtSet {
    /// How long others may cache them, in seconds; the longest, where records have different ones.
    /// `None` if the backend does not report it.
    pub ttl: Option<u32>,
    /// Their values. Texts that are not a [`TxtValue`] are left out.
    pub values: BTreeSet<TxtValue>,
}

impl TxtSet {
    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && self.ttl.is_none()
    }

    /// Whether one of the records has this value.
    pub fn contains(&self, value: &TxtValue) -> bool {
        self.values.contains(value)
    }

    /// Adds a record: its value, if it is a [`TxtValue`], and its time to live.
    pub fn add(&mut self, ttl: Option<u32>, value: Option<TxtValue>) {
        self.ttl = self.ttl.max(ttl);
        self.values.extend(value);
    }
}

/// The TXT records at each name.
pub type TxtSets = BTreeMap<DnsName, TxtSet>;

/// A value to add to, or to remove from, the TXT records at a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TxtChange {
    /// The owner of the record: the alias name.
    pub name: DnsName,
    /// The whole content of the record.
    pub value: TxtValue,
    /// Whether to add or to remove it.
    pub action: Action,
    /// The time to live of a record that is added, in seconds; `None` for that of the provider. Where other
    /// values are at the name, it is theirs: a set has one time to live (RFC 2181 §5.2).
    pub ttl: Option<u32>,
}

impl TxtChange {
    /// The record that it adds or removes.
    pub fn record(&self) -> TxtRecord {
        TxtRecord {
            name: self.name.clone(),
            value: self.value.clone(),
        }
    }

    /// The change that undoes this addition.
    #[must_use]
    pub fn removal(&self) -> Self {
        TxtChange {
            action: Action::Remove,
            ttl: None,
            ..self.clone()
        }
    }
}

/// A change of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The value exists afterwards.
    Add,
    /// The value does not exist afterwards.
    Remove,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Action::Add => "add",
            Action::Remove => "remove",
        })
    }
}
