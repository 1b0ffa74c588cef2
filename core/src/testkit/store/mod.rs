//! The rules of [`Store`](crate::store::Store), checked against a store.
//!
//! One call, [`run`], checks all rules and reports every one that does not hold. What the suite
//! needs beside the contract (other processes, their death, a clock) comes from a [`Fixture`].

mod accounts;
mod certificates;
mod checks;
mod fixture;
mod forget;
mod index;
mod leases;
mod records;
mod run;

pub use self::fixture::{Fixture, version};
pub use self::run::run;
