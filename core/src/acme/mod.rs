//! The certification authority's side: HTTPS, accounts, orders (RFC 8555), through
//! `instant-acme` over a transport of our own.

mod account;
mod chains;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod key;
mod link;
mod order;
mod retry;
mod transport;

pub use self::account::{Account, AccountSettings, ExternalAccount, account_url};
pub use self::error::{AcmeError, TransportError};
pub use self::key::{CertificateKey, KeyError, KeyType};
pub use self::order::{Challenge, Order};
pub use self::transport::{Timeouts, Transport};
