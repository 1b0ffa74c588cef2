//! The client of a certification authority (RFC 8555): HTTPS, nonces, accounts and orders. `instant-acme`
//! creates accounts over a transport of our own, and has the types of the protocol.

mod account;
mod account_lease;
mod account_state;
mod adoption;
mod allowance;
mod authorization;
mod ca;
mod ca_error;
mod cause;
mod client;
mod config;
mod connections;
mod decode;
mod directory;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod jws;
mod key_change;
mod link;
mod lookups;
mod manage;
mod new_order;
mod nonces;
mod order;
mod order_gate;
mod polls;
mod problem;
mod renewal_info;
mod response;
mod retry;
mod revocation;
mod rollover;
mod signed;
mod single_flight;
mod status;
#[cfg(test)]
mod testing;
mod transport;

pub use self::account::Account;
pub use self::account_state::AccountState;
pub use self::adoption::Adoption;
pub use self::ca::Ca;
pub use self::ca_error::CaError;
pub use self::config::{CaConfig, ExternalAccount, ExternalAccountSource};
pub use self::error::{AcmeError, Operation, TransportError, ValidationFailure};
pub use self::new_order::OrderRequest;
pub use self::order::{Challenge, Order};
pub use self::revocation::{Revocation, RevocationReason, RevokedBy};
pub use self::transport::Timeouts;
