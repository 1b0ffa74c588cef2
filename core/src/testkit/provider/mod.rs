//! The rules of [`TxtProvider`](crate::provider::TxtProvider) as a test suite for implementers.
//!
//! [`run`] checks all rules with a provider on a real backend, and reports every one that it breaks. A
//! [`Fixture`] supplies the rest: another writer, and connections that break. Whoever tests a provider
//! implements it for the backend.
//!
//! The tests of [`memory_provider`](super::memory_provider) have the shortest fixture.

mod changes;
mod failure_rules;
mod fixture;
mod outcome;
mod request_rules;
mod run;
mod suite;
mod value_rules;

pub use self::fixture::{Fault, Fixture};
pub use self::run::run;
