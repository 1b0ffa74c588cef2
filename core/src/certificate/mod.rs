//! X.509 certificates: reading what they contain, and verifying the chain that a CA sent.

mod error;
mod info;
mod pem;
mod verify;

pub use self::error::CertificateError;
pub use self::info::{CertificateInfo, inspect, root_name};
pub use self::verify::{Chain, verify};
