//! Writes TXT records by DNS UPDATE (RFC 2136), signed with TSIG (RFC 8945): for BIND, Knot, PowerDNS
//! and every other server that supports it. A provider of [acme-alias](acme_alias_core).
//!
//! ```no_run
//! use acme_alias_core::provider::TxtProvider;
//! use acme_alias_core::txt::{Action, TxtChange};
//! use acme_alias_rfc2136::{Rfc2136, TsigKey};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let key = TsigKey::from_text(std::fs::read_to_string("/etc/acme-alias/acme-key.key")?)?;
//! let provider = Rfc2136::new("ns1.example.net".parse()?, key).with_ttl(10);
//!
//! let change = TxtChange {
//!     name: "_acme-challenge.auth.example.net".parse()?,
//!     value: "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA".parse()?,
//!     action: Action::Add,
//!     ttl: None,
//! };
//! let applied = provider.apply(&"auth.example.net".parse()?, &[change]).await?;
//! println!("{} answered {}", applied.server, applied.response);
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! - All changes of a zone go in one message over TCP, split below 64 KiB. The server carries out one
//!   message entirely or not at all; a split set may be carried out in part.
//! - A value is added and removed by itself. The other values at its name stay.
//! - A success counts only if it is signed with our key. This is true of reads, too.
//! - Everything goes to a server on one connection, whatever it is and however much at a time (RFC 7766 §6.2.1). It
//!   is opened again when the server has ended it; an update that was on the way then is not sent again
//!   before it is known what became of it.
//! - A server name may have several addresses. One that hangs uses its share of the time limit only.
//!
//! # Options
//!
//! [`Rfc2136::new`] takes a server and a [`TsigKey`]; the `with_…` methods set the rest. Programs that
//! read settings use [`Config::from_options`] instead. It takes these options:
//!
//! | option | meaning | default |
//! |---|---|---|
//! | `server` | the primary of the zone; several are tried in order | required |
//! | `tsig-key` | the name of the key; not needed with a key file | |
//! | `tsig-algorithm` | `hmac-sha256`, `hmac-sha384` or `hmac-sha512` | `hmac-sha256` |
//! | `tsig-secret` | the secret in base64, or a key as BIND, Knot, NSD or PowerDNS keep it | required |
//! | `timeout` | how long one exchange with one server may take | `5s` |
//! | `ttl` | time to live of the records, in seconds | `0` |
//!
//! # What the key may do
//!
//! The key should be granted TXT at the alias names only. [`KeyRights::policies`] prints that grant for
//! BIND, Knot and PowerDNS, and [`KeyRights::audit`] finds out what a key can do without changing
//! anything.
//!
//! [`KeyRights::policies`]: acme_alias_core::rights::KeyRights::policies
//! [`KeyRights::audit`]: acme_alias_core::rights::KeyRights::audit

mod attempts;
mod client;
mod config;
mod connection;
mod decoding;
mod error;
mod found;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod key;
mod key_text;
mod message;
mod policy;
mod probe;
mod provider;
mod rights;
mod server;
mod software;

use acme_alias_core::registry::{Provider, ProviderKind};

pub use self::config::Config;
pub use self::key::{TsigAlgorithm, TsigKey};
pub use self::provider::{GUARANTEES, KIND, Rfc2136};
pub use self::server::ServerAddress;

inventory::submit! {
    ProviderKind {
        kind: KIND,
        summary: "DNS UPDATE (RFC 2136) signed with TSIG, over TCP: BIND, Knot, PowerDNS and others",
        options: config::OPTIONS,
        guarantees: GUARANTEES,
        variants: &[],
        build: |options| {
            let provider = Rfc2136::from_config(Config::from_options(options)?);
            Ok(Provider::with_local_check(provider))
        },
    }
}
