//! The content of a TXT record.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How the value of a probe begins.
const PROBE: &str = "acme-alias-probe-";

/// The content of a TXT record that is one character-string: 1 to 255 octets of printable ASCII.
///
/// The values of DNS-01 are 43 characters of base64url (RFC 8555 §8.4).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TxtValue(String);

impl TxtValue {
    /// The text, without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A fresh value that shows that a name can be written, and that no CA accepts.
    pub fn probe() -> Self {
        TxtValue(format!("{PROBE}{:016x}", rand::random::<u64>()))
    }

    /// Whether it has the form of a [`probe`](TxtValue::probe).
    pub fn is_probe(&self) -> bool {
        let digits = self.0.strip_prefix(PROBE);
        digits.is_some_and(|digits| {
            digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_hexdigit())
        })
    }

    /// Whether it has the form of a challenge's value: SHA-256 in base64url (RFC 8555 §8.4).
    pub fn is_challenge(&self) -> bool {
        let base64url = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        self.0.len() == 43 && self.0.bytes().all(base64url)
    }
}

impl fmt::Display for TxtValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TxtValue {
    type Err = TxtValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "" => Err(TxtValueError::Empty),
            long if long.len() > 255 => Err(TxtValueError::TooLong(long.len())),
            odd if odd.bytes().any(|b| !(b' '..=b'~').contains(&b)) => {
                Err(TxtValueError::NotPrintable)
            }
            good => Ok(TxtValue(good.to_owned())),
        }
    }
}

impl TryFrom<String> for TxtValue {
    type Error = TxtValueError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<TxtValue> for String {
    fn from(value: TxtValue) -> Self {
        value.0
    }
}

/// A text that is not a [`TxtValue`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // the messages are the documentation
#[non_exhaustive]
pub enum TxtValueError {
    #[error("a TXT value must not be empty")]
    Empty,
    #[error("a TXT value must not have more than 255 octets; this one has {0}")]
    TooLong(usize),
    #[error("a TXT value must be printable ASCII")]
    NotPrintable,
}
