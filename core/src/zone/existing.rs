//! What backends have at alias names before a job writes there.

use std::time::Duration;

use crate::name::DnsName;
use crate::txt::{TxtRecord, TxtSets};

/// How long a CA's resolver keeps an answer at most. Let's Encrypt limits it to a minute, and so do the
/// others that are known: a CA must not issue on an old answer.
pub const CACHE_MAX: Duration = Duration::from_mins(1);

/// The TXT records at some alias names, before anything was written.
#[derive(Clone, Debug, Default)]
pub struct Existing {
    /// The records at each name that has any, those of other jobs included.
    pub sets: TxtSets,
    /// Those that no job of this ledger wrote.
    pub foreign: Vec<TxtRecord>,
}

impl Existing {
    /// Adds what is at other names.
    pub(crate) fn extend(&mut self, others: Existing) {
        self.sets.extend(others.sets);
        self.foreign.extend(others.foreign);
    }

    /// The time to live of the records at a name, in seconds; `None` if there are none, or if the backend does
    /// not report it.
    pub fn ttl(&self, name: &DnsName) -> Option<u32> {
        self.sets.get(name)?.ttl
    }

    /// How many values at a name are not ours.
    pub fn foreign_values(&self, name: &DnsName) -> usize {
        let at_name = |record: &&TxtRecord| record.name == *name;
        self.foreign.iter().filter(at_name).count()
    }
}

/// How long a CA's resolver may keep a set with this time to live, in seconds: not at all, or one second longer,
/// because resolvers count whole seconds.
pub fn cache_time(ttl: u32) -> Duration {
    match ttl {
        0 => Duration::ZERO,
        ttl => Duration::from_secs(ttl.into()).min(CACHE_MAX) + Duration::from_secs(1),
    }
}
