//! The client of a certification authority (RFC 8555): HTTPS, accounts and orders. It uses
//! `instant-acme` over a transport of our own.

mod account;
mod ca;
mod cause;
mod chains;
mod config;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod key;
mod link;
mod order;
mod problem;
mod response;
mod retry;
mod transport;

pub use self::account::Account;
pub use self::ca::{Ca, CaError};
pub use self::config::{CaConfig, ExternalAccount, ExternalAccountSource};
pub use self::error::{AcmeError, Operation, TransportError, ValidationFailure};
pub use self::key::{CertificateKey, KeyError, KeyType};
pub use self::order::{Challenge, Order};
pub use self::transport::Timeouts;
