//! X.509 certificates: their keys and requests, reading what they contain, and verifying the chain that a CA sent.

mod csr;
mod encoding;
mod error;
mod foreign_key;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod info;
mod key;
mod loadable;
mod pem;
mod verify;

pub use self::csr::{CertificationRequest, CsrError};
pub use self::error::CertificateError;
pub use self::foreign_key::{ForeignKey, ForeignKeyError};
pub use self::info::{CertificateInfo, ChainLink, chain_links, inspect, leaf, root_name};
pub use self::key::{CertificateKey, KeyError, KeyType};
pub use self::verify::{Chain, verify};
