//! TXT records, and changes to them, value by value.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::value::TxtValue;
use crate::name::DnsName;

/// A TXT record of one value: an alias name and its content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxtRecord {
    /// The alias name.
    pub name: DnsName,
    /// The value.
    pub value: TxtValue,
}

/// Values, by the name at which they are.
pub type TxtSets = BTreeMap<DnsName, BTreeSet<TxtValue>>;

/// One value to be added to, or removed from, the TXT records at a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TxtChange {
    /// Where the record is: the alias name.
    pub name: DnsName,
    /// The record's whole content.
    pub value: TxtValue,
    /// What is to happen.
    pub action: Action,
}

/// What is to happen to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The value is there afterwards.
    Add,
    /// The value is not there afterwards.
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
