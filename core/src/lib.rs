//! The ACME DNS-01 challenge through a CNAME alias.

pub mod acme;
pub mod certificate;
pub mod crash;
pub mod delegation;
pub mod dns;
pub mod issue;
pub mod ledger;
pub mod name;
pub mod provider;
pub mod renewal;
pub mod store;
pub mod zone;
