//! The rules of [`Ledger`](crate::ledger::Ledger), checked against an implementation.
//!
//! One call, [`run`], checks them all and reports every rule that is broken. A [`Fixture`] hands out
//! ledgers; whoever tests an implementation implements it.

mod parts;
mod rules;

pub use self::rules::{Fixture, Place, run};
