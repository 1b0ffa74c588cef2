//! Writes TXT records in Amazon Route 53. A provider of [acme-alias](acme_alias_core).
//!
//! ```no_run
//! use acme_alias_core::provider::TxtProvider;
//! use acme_alias_core::txt::{Action, TxtChange};
//! use acme_alias_route53::Route53;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! // Credentials are found as other AWS programs find them.
//! let provider = Route53::new()
//!     .with_profile("acme-alias")
//!     .with_hosted_zone_id("Z0123456789ABC".parse()?);
//!
//! let zone = "auth.example.net".parse()?;
//! let change = TxtChange {
//!     name: "_acme-challenge.auth.example.net".parse()?,
//!     value: "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA".parse()?,
//!     action: Action::Add,
//!     ttl: None,
//! };
//! let applied = provider.apply(&zone, &[change]).await?;
//! // Waits until all servers of Route 53 have the change.
//! provider.settle(&zone, &applied).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! - Route 53 has record sets, not values. So a value is changed by compare and swap: the set is read,
//!   and one batch deletes exactly what was read and creates what is wanted. If the set has changed
//!   since, Route 53 refuses the batch, and the set is read again.
//! - Route 53 carries out a batch entirely or not at all. Many names go in one batch.
//! - Other values and the TTL of a set stay.
//! - A `hosted-zone-id` is compared with the zone's name before anything is written.
//! - Providers with the same profile, role and endpoint share one pace.
//! - After a lost answer the sets are read again.
//!
//! # Options
//!
//! [`Route53::new`] needs nothing; the `with_…` methods set the rest. [`Route53::with_sdk_config`] takes
//! credentials that the caller has set up. Programs that read settings use [`Config::from_options`]
//! instead. It takes these options:
//!
//! | option | meaning | default |
//! |---|---|---|
//! | `hosted-zone-id` | the hosted zone's id; without it the zone is looked up by name | |
//! | `profile` | the profile in the AWS configuration files | |
//! | `assume-role-arn` | the ARN of a role to assume | |
//! | `region` | the region that requests are signed for | `us-east-1` |
//! | `endpoint-url` | the URL of the API | that of AWS |
//! | `ttl` | time to live of new record sets, in seconds | `0` |
//! | `timeout` | how long one request may take | `30s` |
//! | `requests-per-second` | largest number of requests per second | `4` |
//!
//! # What the credentials may do
//!
//! An IAM policy can be limited to TXT at chosen names of one hosted zone. [`KeyRights::policies`] prints
//! that policy, and [`KeyRights::audit`] finds out what credentials can do without changing anything.
//!
//! [`KeyRights::policies`]: acme_alias_core::rights::KeyRights::policies
//! [`KeyRights::audit`]: acme_alias_core::rights::KeyRights::audit

mod answer_limit;
mod api;
mod client;
mod config;
mod error;
mod iam;
mod parameters;
mod policy;
mod probe;
mod provider;
mod rights;
mod sets;
mod zones;

use acme_alias_core::registry::{Provider, ProviderKind};

pub use aws_config::SdkConfig;

pub use self::config::Config;
pub use self::parameters::{EndpointUrl, HostedZoneId};
pub use self::provider::{GUARANTEES, KIND, Route53};

inventory::submit! {
    ProviderKind {
        kind: KIND,
        summary: "Amazon Route 53, with credentials found as other AWS programs find them",
        options: config::OPTIONS,
        guarantees: GUARANTEES,
        variants: &[],
        build: |options| {
            let provider = Route53::from_config(Config::from_options(options)?);
            Ok(Provider::with_rights(provider))
        },
    }
}
