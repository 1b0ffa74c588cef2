//! Writes TXT records through the HTTP API of the PowerDNS authoritative server. A provider of
//! [acme-alias](acme_alias_core).
//!
//! ```no_run
//! use acme_alias_core::provider::TxtProvider;
//! use acme_alias_core::txt::{Action, TxtChange};
//! use acme_alias_powerdns::{ApiKey, PowerDns};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let key = ApiKey::new(std::fs::read_to_string("/etc/acme-alias/powerdns.key")?.trim())?;
//! let provider = PowerDns::new(key).with_url("http://127.0.0.1:8081".parse()?);
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
//! - All changes of a zone go in one `PATCH`, which PowerDNS carries out in one transaction; large ones
//!   go in several.
//! - Other values at a name stay, with the TTL of their set and with its comments. So do disabled records.
//! - PowerDNS 4.9.12, 5.0.2 and later add and remove single values. Older versions replace the whole
//!   set, which is read before.
//! - After every write the zone is read again. A change that another writer has undone is made again.
//! - Providers in one process write to a zone one after the other.
//! - Secondaries are notified.
//!
//! PowerDNS has no compare and swap. A value that another program writes between the reading and the
//! replacing of a set is lost, unless that program reads back as well, as this one does.
//!
//! # Options
//!
//! [`PowerDns::new`] takes an [`ApiKey`]; the `with_…` methods set the rest. Programs that read settings
//! use [`Config::from_options`] instead. It takes these options:
//!
//! | option | meaning | default |
//! |---|---|---|
//! | `api-key` | the value of `api-key` in `pdns.conf` | required |
//! | `url` | the URL of the web server; `http://` to this machine only | `http://127.0.0.1:8081` |
//! | `server-id` | the id of the server in the API | `localhost` |
//! | `ttl` | time to live of new record sets, in seconds | `0` |
//! | `timeout` | how long one request may take | `30s` |
//!
//! # What the key may do
//!
//! Everything: PowerDNS has one key for all zones, all records, and the DNSSEC and TSIG keys.
//! [`KeyRights::audit`] shows which zones a key can write, without changing anything. A TSIG key for DNS
//! UPDATE (the provider `rfc2136`) is narrower.
//!
//! [`KeyRights::audit`]: acme_alias_core::rights::KeyRights::audit

mod api;
mod client;
mod config;
mod error;
mod parameters;
mod plan;
mod provider;
mod rights;
mod sets;
mod turns;

use acme_alias_core::registry::{Provider, ProviderKind};

pub use self::config::Config;
pub use self::parameters::{ApiKey, ApiUrl, ServerId};
pub use self::provider::{GUARANTEES, KIND, PowerDns};

inventory::submit! {
    ProviderKind {
        kind: KIND,
        summary: "PowerDNS's HTTP API, with a key that may do everything on the server",
        options: config::OPTIONS,
        guarantees: GUARANTEES,
        variants: &[],
        build: |options| {
            let provider = PowerDns::from_config(Config::from_options(options)?);
            Ok(Provider::with_rights(provider))
        },
    }
}
