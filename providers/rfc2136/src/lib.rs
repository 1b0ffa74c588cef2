//! Writes TXT values by DNS UPDATE (RFC 2136), signed with TSIG (RFC 8945): BIND, Knot, PowerDNS
//! and every other server that speaks it.
//!
//! - All changes of a zone go in one message over TCP, split below 64 KiB. One message is atomic;
//!   a split set is not.
//! - A value is added and removed by itself; the record set around it stays.
//! - A success counts only if it is signed with our key. So does what is read back.
//!
//! Each module is one step: [`config`] checks the options, [`key`] holds the TSIG key,
//! [`message`] builds what is sent, [`client`] sends it, [`error`] says what an answer means,
//! [`provider`] is the provider that puts them together. Beside them, [`rights`] finds out what the key can do by
//! the questions of [`probe`], and [`policy`] has the words in which servers allow less.

mod client;
mod config;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod key;
mod message;
mod policy;
mod probe;
mod provider;
mod rights;

use acme_alias_core::provider::{Guarantees, ValueChanges};
use acme_alias_core::registry::{Provider, ProviderKind};

pub use self::config::Config;
pub use self::provider::Rfc2136;

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
        build: |options| Ok(Provider::with_rights(Rfc2136::new(Config::from_options(options)?))),
    }
}
