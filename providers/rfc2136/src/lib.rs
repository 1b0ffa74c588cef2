//! Writes TXT values by DNS UPDATE (RFC 2136), signed with TSIG (RFC 8945): BIND, Knot, PowerDNS
//! and every other server that speaks it.
//!
//! - All changes of a zone go in one message over TCP, split below 64 KiB. One message is atomic;
//!   a split set is not.
//! - A value is added and removed by itself; the record set around it stays.
//! - A success counts only if it is signed with our key. So does what is read back.
//!
//! Each module is one step: [`config`] checks the options, [`key`] holds the TSIG key,
//! [`message`] builds what is sent, [`exchange`] sends it, [`error`] says what an answer means,
//! [`backend`] is the provider that puts them together. Beside them, [`audit`] finds out what the key can do by
//! the questions of [`probe`], and [`policy`] has the words in which servers allow less.

mod audit;
mod backend;
mod config;
mod error;
mod exchange;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod key;
mod message;
mod policy;
mod probe;

use std::sync::Arc;

use acme_alias_core::provider::{Guarantees, ProviderKind, ValueChanges};

pub use self::backend::Rfc2136;
pub use self::config::Config;

/// The word for this provider in settings and flags.
pub const KIND: &str = "rfc2136";

/// What DNS UPDATE promises.
pub const GUARANTEES: Guarantees = Guarantees {
    atomic: true,
    values: ValueChanges::PerValue,
    tells_propagation: false,
    narrowest_key: "TXT at single names of one zone (BIND: `grant KEY name NAME TXT;`)",
};

inventory::submit! {
    ProviderKind {
        kind: KIND,
        summary: "DNS UPDATE (RFC 2136) signed with TSIG, over TCP: BIND, Knot, PowerDNS and others",
        options: config::OPTIONS,
        guarantees: GUARANTEES,
        build: |options| Ok(Arc::new(Rfc2136::new(Config::from_options(options)?))),
    }
}
