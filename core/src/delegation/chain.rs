//! The CNAMEs from a challenge name, hop by hop.

use std::collections::BTreeSet;

use serde::Serialize;

use super::foreign_values::ForeignValues;
use crate::dns::DnsError;
use crate::name::DnsName;

/// TXT values at a name that are kept.
const VALUES_KEPT: usize = 10;

/// CNAMEs that are followed. Unbound gives up after 11 (its default), and a loop has no end.
pub const HOPS_MAX: usize = 16;

/// One CNAME on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hop {
    /// The owner of the CNAME record.
    pub name: DnsName,
    /// Its target.
    pub target: DnsName,
    /// Its time to live, in seconds.
    pub ttl: u32,
    /// The authoritative server that returned it.
    pub server: String,
    /// The wildcard from which the record is made (RFC 4592 §2.2.1).
    pub wildcard: Option<DnsName>,
    /// The owner of the DNAME from which the record is made (RFC 6672).
    pub dname: Option<DnsName>,
    /// Whether TXT records exist beside the CNAME, which RFC 1034 §3.6.2 forbids. Some providers answer with
    /// them instead of the CNAME.
    pub txt_beside: bool,
}

/// Where the CNAMEs end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// At a name without a CNAME: a TXT record would be found there.
    At {
        /// The server that answered.
        server: String,
        /// Its answer, in words.
        answer: String,
        /// Whether the name exists.
        exists: bool,
        /// The TXT values there; none if they could not be looked up.
        txt: FoundTxt,
        /// The zone that holds the name, if the answer named it.
        zone: Option<DnsName>,
    },
    /// At a name that the chain has passed before.
    Loop(DnsName),
    /// After [`HOPS_MAX`] CNAMEs.
    TooLong,
    /// At a CNAME whose target is not a name for a TXT record.
    BadTarget(String),
    /// At a name about which no server answered.
    Unanswered(DnsError),
}

/// The TXT values that were found at a name. It may have thousands, and what was found is kept for many names at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundTxt {
    /// The first of them.
    pub first: Vec<String>,
    /// How many there are.
    pub count: usize,
    /// How many octets all of them have.
    pub octets: usize,
    /// Those that are ours.
    pub(super) ours: BTreeSet<String>,
    /// The others. Of no use if it is not known which are ours.
    pub(super) foreign: ForeignValues,
}

impl FoundTxt {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// What is kept of these values.
    pub(super) fn of(values: &[String], is_ours: impl Fn(&str) -> bool) -> Self {
        let mut found = FoundTxt {
            first: values.iter().take(VALUES_KEPT).cloned().collect(),
            count: values.len(),
            octets: values.iter().map(String::len).sum(),
            ..FoundTxt::default()
        };
        for value in values {
            if is_ours(value) {
                found.ours.insert(value.clone());
            } else {
                found.foreign.add(value);
            }
        }
        found
    }
}

impl End {
    /// The zone that holds the name at the end, if the answer about the name has named it.
    pub(super) fn zone(&self) -> Option<&DnsName> {
        match self {
            End::At { zone, .. } => zone.as_ref(),
            _ => None,
        }
    }
}

/// The CNAMEs from one challenge name, as the authoritative servers return them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CnameChain {
    /// The name at which the chain begins.
    pub challenge_name: DnsName,
    /// The CNAMEs in order.
    pub hops: Vec<Hop>,
    /// Why there are no more.
    pub end: End,
}

impl CnameChain {
    /// The last name; the alias name, if the chain ends [`End::At`] it.
    pub fn last(&self) -> &DnsName {
        self.hops
            .last()
            .map_or(&self.challenge_name, |hop| &hop.target)
    }

    /// Whether TXT records exist where the first CNAME must be: a server does not load a zone with both
    /// (RFC 1034 §3.6.2), so they have to be removed first.
    pub fn has_txt_in_its_way(&self) -> bool {
        self.hops.is_empty() && matches!(&self.end, End::At { txt, .. } if !txt.is_empty())
    }

    /// Whether the challenge name has no CNAME and is the apex of a zone of its own, where none can exist
    /// (RFC 1912 §2.4).
    pub fn begins_at_an_apex(&self) -> bool {
        self.hops.is_empty() && self.end.zone() == Some(&self.challenge_name)
    }

    /// Whether the chain has passed `name` before.
    pub(super) fn has_passed(&self, name: &DnsName) -> bool {
        *name == self.challenge_name || self.hops.iter().any(|hop| hop.target == *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_values_the_first_ones_are_kept() {
        let mut values = vec!["v".repeat(250); 200];
        values[150] = "ours".to_owned();
        let txt = FoundTxt::of(&values, |value| value == "ours");
        assert_eq!((txt.first.len(), txt.count, txt.octets), (10, 200, 49_754));
        assert_eq!(txt.ours, BTreeSet::from(["ours".to_owned()]));
    }
}
