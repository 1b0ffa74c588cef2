//! The ACME DNS-01 challenge through a CNAME alias.

pub mod acme;
pub mod certificate;
pub mod clock;
pub mod crash;
pub mod delegation;
pub mod dns;
pub mod dnssec;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod issue;
pub mod ledger;
pub mod name;
mod printable;
pub mod provider;
pub mod registry;
pub mod renewal;
pub mod rights;
pub mod store;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod txt;
pub mod zone;
