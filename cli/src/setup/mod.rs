//! From settings to the engine. What certificates have in common is made once.

pub(crate) mod aliases;
pub(crate) mod authorities;
mod certificates;
mod engine;
mod environments;
pub(crate) mod leads;
pub(crate) mod needs;
mod providers;
mod requested_names;
mod resolvers;
pub(crate) mod state;
mod stored;
mod subjects;
mod targets;
mod with_stored;

pub(crate) use self::engine::{Built, Setup};
pub(crate) use self::environments::Environments;
#[cfg(test)]
pub(crate) use self::providers::Providers;
