//! Writes TXT values through Cloudflare's API v4.
//!
//! - Authorised by a scoped API token; the global API key is not supported.
//! - All changes of a zone go in one `dns_records/batch` call, which Cloudflare carries out in one
//!   transaction, or in single calls where batches are refused.
//! - A record is removed by its id, after name, type and content were compared.
//!
//! [`config`] checks the options, [`client`] sends one request, [`error`] says what an answer means,
//! [`provider`] is the provider.

mod budget;
mod client;
mod config;
mod error;
mod provider;
mod rights;

use acme_alias_core::provider::{Guarantees, ValueChanges};
use acme_alias_core::registry::{Provider, ProviderKind};

pub use self::config::Config;
pub use self::provider::Cloudflare;

/// The word for this provider in settings and flags.
pub const KIND: &str = "cloudflare";

/// What Cloudflare promises.
pub const GUARANTEES: Guarantees = Guarantees {
    atomic: true,
    values: ValueChanges::PerValue,
    tells_propagation: false,
    narrowest_key: "all records of one zone (`DNS:Edit`); give the alias zone a zone of its own",
};

inventory::submit! {
    ProviderKind {
        kind: KIND,
        summary: "Cloudflare's API, by a token that may edit one zone",
        options: config::OPTIONS,
        guarantees: GUARANTEES,
        build: |options| Ok(Provider::with_rights(Cloudflare::new(Config::from_options(options)?)?)),
    }
}
