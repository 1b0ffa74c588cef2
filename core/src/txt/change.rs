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

/// The values at each name.
pub type TxtSets = BTreeMap<DnsName, BTreeSet<TxtValue>>;

/// A value to add to, or to remove from, the TXT records at a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TxtChange {
    /// The owner of the record: the alias name.
    pub name: DnsName,
    /// The whole content of the record.
    pub value: TxtValue,
    /// Whether to add or to remove it.
    pub action: Action,
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
