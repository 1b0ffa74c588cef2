//! Writes TXT values in Amazon Route 53.
//!
//! Route 53 knows record sets, not values: a set is replaced as a whole. So a value is changed by
//! compare and swap: the set is read, and one batch deletes exactly what was read and creates what
//! shall be. Where somebody else was faster, Route 53 refuses the batch, and the set is read again.
//!
//! [`config`] checks the options, [`client`] makes calls that are paced and repeated, [`error`]
//! says what a failed one means, [`sets`] plans what to replace, [`provider`] is the provider.

mod client;
mod config;
mod error;
mod identity;
mod provider;
mod rights;
mod sets;

use acme_alias_core::provider::{Guarantees, ValueChanges};
use acme_alias_core::registry::{Provider, ProviderKind};

pub use self::config::Config;
pub use self::provider::Route53;

/// The word for this provider in settings and flags.
pub const KIND: &str = "route53";

/// What Route 53 promises.
pub const GUARANTEES: Guarantees = Guarantees {
    atomic: true,
    values: ValueChanges::CompareAndSwap,
    tells_propagation: true,
    narrowest_key: "TXT at chosen names of one hosted zone, by conditions of an IAM policy",
};

inventory::submit! {
    ProviderKind {
        kind: KIND,
        summary: "Amazon Route 53, with credentials found as the AWS programs find them",
        options: config::OPTIONS,
        guarantees: GUARANTEES,
        build: |options| Ok(Provider::with_rights(Route53::new(Config::from_options(options)?))),
    }
}
