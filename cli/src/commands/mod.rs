//! A file per command.

pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod delegate;
pub(crate) mod issue;
pub(crate) mod key;
pub(crate) mod ledger;
pub(crate) mod list;
mod offboard;
pub(crate) mod pages;
mod probe;
pub(crate) mod providers;
pub(crate) mod renew;
