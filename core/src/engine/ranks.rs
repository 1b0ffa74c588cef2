//! In which order certificates are obtained, so that those that anybody can have added hold up no others.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::store::CertificateId;

/// What certificates are known by.
#[derive(Debug, Default)]
pub(super) struct Ranks {
    /// Those whose last attempt failed.
    pub(super) failing: BTreeSet<CertificateId>,
    /// Those that are in use, with the ends of their current versions.
    pub(super) ends: BTreeMap<CertificateId, Timestamp>,
}

/// The place of a certificate: what is in use comes before what is new. Then comes what will probably fail once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    InUse,
    New,
    FailingInUse,
    FailingNew,
}

impl Ranks {
    pub(super) fn of(&self, id: &CertificateId) -> Rank {
        match (self.is_failing(id), self.ends.contains_key(id)) {
            (false, true) => Rank::InUse,
            (false, false) => Rank::New,
            (true, true) => Rank::FailingInUse,
            (true, false) => Rank::FailingNew,
        }
    }

    pub(super) fn is_failing(&self, id: &CertificateId) -> bool {
        self.failing.contains(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_use_comes_first_and_what_failed_comes_last() {
        let id = |text: &str| -> CertificateId { text.parse().unwrap() };
        let ranks = Ranks {
            failing: BTreeSet::from([id("failed"), id("failed-new")]),
            ends: [id("failed"), id("used")]
                .map(|id| (id, Timestamp::MAX))
                .into(),
        };
        let mut all = ["failed-new", "failed", "new", "used"].map(id);
        all.sort_by_key(|id| ranks.of(id));
        assert_eq!(all, ["used", "new", "failed", "failed-new"].map(id));
    }
}
