//! The alias names of one certificate, and the records that go there.

use std::collections::{BTreeMap, BTreeSet};

use crate::acme::{AcmeError, Challenge};
use crate::name::DnsName;
use crate::txt::{TxtRecord, TxtValue};

/// The alias name of each challenge name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aliases(BTreeMap<DnsName, DnsName>);

impl FromIterator<(DnsName, DnsName)> for Aliases {
    fn from_iter<I: IntoIterator<Item = (DnsName, DnsName)>>(pairs: I) -> Self {
        Aliases(pairs.into_iter().collect())
    }
}

impl Aliases {
    /// The challenge names with their alias names.
    pub fn iter(&self) -> impl Iterator<Item = (&DnsName, &DnsName)> {
        self.0.iter()
    }

    /// The alias name of a challenge name.
    pub fn of(&self, challenge_name: &DnsName) -> Option<&DnsName> {
        self.0.get(challenge_name)
    }

    /// Keeps the challenge names that are wanted.
    pub(super) fn retain(&mut self, is_wanted: impl Fn(&DnsName) -> bool) {
        self.0.retain(|name, _| is_wanted(name));
    }

    /// The alias names, each once.
    pub fn names(&self) -> Vec<DnsName> {
        let names: BTreeSet<_> = self.0.values().cloned().collect();
        names.into_iter().collect()
    }

    /// The TXT records that answer `challenges`.
    pub(super) fn records(&self, challenges: Vec<Challenge>) -> Result<Vec<TxtRecord>, AcmeError> {
        let record = |challenge: Challenge| match self.of(&challenge.challenge_name) {
            Some(alias) => Ok(TxtRecord {
                name: alias.clone(),
                value: challenge.value,
            }),
            None => Err(AcmeError::ForeignAuthorization(
                challenge.challenge_name.to_string(),
            )),
        };
        challenges.into_iter().map(record).collect()
    }

    /// One record at each alias name that shows that it can be written, and that no CA would accept.
    pub(super) fn probes(&self) -> Vec<TxtRecord> {
        let probe = |name| TxtRecord {
            name,
            value: TxtValue::probe(),
        };
        self.names().into_iter().map(probe).collect()
    }
}
