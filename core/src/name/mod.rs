//! Domain names (RFC 9499) and the names in a certificate.

mod dns_name;
mod error;
mod identifier;

pub use self::dns_name::DnsName;
pub use self::error::{NameError, Reason};
pub use self::identifier::Identifier;
