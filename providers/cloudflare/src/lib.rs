//! Writes TXT records through Cloudflare's API v4. A provider of [acme-alias](acme_alias_core).
//!
//! ```no_run
//! use acme_alias_cloudflare::{ApiToken, Cloudflare};
//! use acme_alias_core::provider::TxtProvider;
//! use acme_alias_core::txt::{Action, TxtChange};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let token = ApiToken::new(std::fs::read_to_string("/etc/acme-alias/cloudflare.token")?.trim())?;
//! let provider = Cloudflare::new(token).with_zone_id("023e105f4ecef8ad9ca31a8372d0c353".parse()?);
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
//! - All changes of a zone go in one `dns_records/batch` call, which Cloudflare carries out in one
//!   transaction; more than the batch size go in several. If batches are refused, changes are made one
//!   by one.
//! - A record is removed by its id, after its name, type and content were compared. All others stay.
//! - A `zone-id` is compared with the zone's name before anything is written.
//! - Providers with the same token share one budget of requests, which stays below Cloudflare's limit.
//! - After a lost answer the records are read again.
//!
//! # Options
//!
//! [`Cloudflare::new`] takes an [`ApiToken`]; the `with_…` methods set the rest. Programs that read
//! settings use [`Config::from_options`] instead. It takes these options:
//!
//! | option | meaning | default |
//! |---|---|---|
//! | `api-token` | a scoped API token with DNS:Edit for the alias zone | required |
//! | `zone-id` | the zone's id; without it the token needs Zone:Read | |
//! | `batch-size` | changes in one call, 1 to 3500 | `200` |
//! | `ttl` | time to live of the records, in seconds | `60` |
//! | `timeout` | how long one request may take | `30s` |
//! | `base-url` | the URL of the API | Cloudflare's |
//!
//! # What the token may do
//!
//! Cloudflare cannot limit a token to TXT records or to names. The alias zone should be a zone of its
//! own, with nothing else in it. [`KeyRights::audit`] finds out which zones a token can edit, without
//! changing anything.
//!
//! [`KeyRights::audit`]: acme_alias_core::rights::KeyRights::audit

mod api;
mod budget;
mod client;
mod config;
mod error;
mod parameters;
mod plan;
mod provider;
mod rights;
mod zones;

use acme_alias_core::registry::{Provider, ProviderKind};

pub use self::config::Config;
pub use self::parameters::{ApiToken, BaseUrl, ZoneId};
pub use self::provider::{Cloudflare, GUARANTEES, KIND};

inventory::submit! {
    ProviderKind {
        kind: KIND,
        summary: "Cloudflare's API, with a token that may edit one zone",
        options: config::OPTIONS,
        guarantees: GUARANTEES,
        variants: &[],
        build: |options| {
            let provider = Cloudflare::from_config(Config::from_options(options)?);
            Ok(Provider::with_rights(provider))
        },
    }
}
