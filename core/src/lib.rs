//! The ACME DNS-01 challenge through a CNAME alias.

pub mod name;
pub mod provider;
