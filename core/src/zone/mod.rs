//! The alias zones: who writes in each of them, and how a set of values gets there and away.
//!
//! [`ZoneWriters`] has one writer per zone and provider, for a whole process. [`Zones`] finds the writer
//! for an alias name. A [`Publication`] is the one way to write: it is made before anything is
//! written and has every value of a job, so that it can withdraw them all, by value, whatever happens.

mod access;
mod alias_zones;
mod configured_provider;
mod error;
mod propagation;
mod publication;
mod recorder;
mod worker;
mod writer;
mod writers;

pub use self::access::Zones;
pub use self::alias_zones::{AliasZone, AliasZones};
pub use self::configured_provider::{ConfiguredProvider, OpenError, ProviderSource};
pub use self::error::{WriteError, ZoneError};
pub use self::propagation::{Lagging, PropagationError, Reached};
pub use self::publication::{Publication, Published};
pub use self::recorder::ChangeContext;
pub use self::writer::{CleanUp, ZoneWriter};
pub use self::writers::ZoneWriters;
