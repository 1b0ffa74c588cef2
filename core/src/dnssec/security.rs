//! The result of DNSSEC validation.

use std::fmt;

use serde::Serialize;

/// The result of validation (RFC 4033 §5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", content = "reason", rename_all = "lowercase")]
pub enum Security {
    /// Signed, and every signature from the root down to the records is valid.
    Secure,
    /// Not signed, and a zone above proves that.
    Insecure,
    /// Not valid, or an answer that the chain of trust needs is missing: a validating resolver refuses the
    /// records. With the reason.
    Bogus(String),
    /// Cannot be told from here. With the reason.
    Unknown(String),
}

impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Security::Secure => f.write_str("secure"),
            Security::Insecure => f.write_str("insecure (not signed)"),
            Security::Bogus(reason) => write!(f, "bogus: {reason}"),
            Security::Unknown(reason) => write!(f, "not known: {reason}"),
        }
    }
}
