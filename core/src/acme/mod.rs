//! The client of a certification authority (RFC 8555): HTTPS, nonces, accounts and orders. `instant-acme`
//! creates accounts over a transport of our own, and has the types of the protocol.

mod account;
mod authorization;
mod ca;
mod cause;
mod client;
mod config;
mod directory;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod jws;
mod link;
mod new_order;
mod nonces;
mod order;
mod order_gate;
mod polls;
mod problem;
mod renewal_info;
mod response;
mod retry;
mod single_flight;
mod transport;

pub use self::account::Account;
pub use self::ca::{Ca, CaError};
pub use self::config::{CaConfig, ExternalAccount, ExternalAccountSource};
pub use self::error::{AcmeError, Operation, TransportError, ValidationFailure};
pub use self::new_order::OrderRequest;
pub use self::order::{Challenge, Order};
pub use self::transport::Timeouts;
