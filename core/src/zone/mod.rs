//! The alias zones: who writes in each of them, and how a set of values gets there and away.
//!
//! [`ZoneWriters`] has one writer per zone, provider and DNS client, for a whole process. [`Zones`] finds the writer
//! for an alias name. A [`Publication`] has every value of a job; it is made before anything is written. A
//! [`Round`] is the one way to write: it publishes the values of jobs that share alias names, and withdraws
//! them all, by value, whatever happens.

mod access;
mod alias_zones;
mod at_servers;
mod configured_provider;
mod error;
mod existing;
mod hosting;
mod joint;
mod lag_cause;
mod name_locks;
mod older_sets;
mod propagation;
mod publication;
mod recent;
mod recorder;
mod round;
mod seat;
mod server_state;
mod worker;
mod writer;
mod writers;

pub use self::access::Zones;
pub use self::alias_zones::{AliasZone, AliasZones};
pub use self::configured_provider::{ConfiguredProvider, OpenError, ProviderSource};
pub use self::error::{WriteError, ZoneError, ZoneFailure};
pub use self::existing::{CACHE_MAX, Existing, cache_time};
pub use self::hosting::use_delegated_zone;
pub use self::lag_cause::LagCause;
pub use self::name_locks::{LockedNames, NameLocks};
pub use self::propagation::{PropagationError, Reached};
pub use self::publication::{Publication, Published};
pub use self::recorder::ChangeContext;
pub use self::round::Round;
pub use self::seat::{CacheWait, Seat, Withdrawal};
pub use self::writer::{CleanUp, ZoneWriter};
pub use self::writers::ZoneWriters;
pub use crate::dns::Lagging;
