//! Names under which the store keeps certificates and accounts.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use serde::Serialize;

/// A certificate's id: 1 to 100 lower-case letters, digits, `-` and `_`, the first a letter or a
/// digit. It can safely become part of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct CertificateId(String);

impl CertificateId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CertificateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for CertificateId {
    type Err = InvalidCertificateId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let allowed = |b: u8| alphanumeric(&b) || b == b'-' || b == b'_';
        let valid = text.as_bytes().first().is_some_and(alphanumeric)
            && text.len() <= 100
            && text.bytes().all(allowed);
        if valid {
            Ok(CertificateId(text.to_owned()))
        } else {
            Err(InvalidCertificateId(text.to_owned()))
        }
    }
}

/// A text that is not a [`CertificateId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is not a certificate id: an id has 1 to 100 lower-case letters, digits, `-` and `_`, and \
     begins with a letter or a digit",
    .0.escape_debug()
)]
pub struct InvalidCertificateId(pub String);

impl InvalidCertificateId {
    /// An id under which it can be told that the text is none: what is allowed of its beginning, and the beginning of
    /// its SHA-256 hash.
    pub fn stand_in(&self) -> CertificateId {
        let beginning = self.0.chars().take(60);
        let beginning: String = beginning
            .map(|c| c.to_ascii_lowercase())
            .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
            .collect();
        CertificateId(format!("invalid-{beginning}-{}", short_hash(&self.0)))
    }
}

/// The name under which an account is kept: the host of the CA's directory URL, for people, and the
/// beginning of the URL's SHA-256 hash, which tells apart the directories of one host.
pub(crate) fn account_name(directory: &str) -> String {
    let host: String = directory
        .trim_start_matches("https://")
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
        .take(100)
        .collect();
    format!("{host}-{}", short_hash(directory))
}

/// The beginning of the SHA-256 hash of a text, in hexadecimal.
fn short_hash(text: &str) -> String {
    let hash = digest(&SHA256, text.as_bytes());
    let mut number = [0; 4];
    number.copy_from_slice(&hash.as_ref()[..4]);
    format!("{:08x}", u32::from_be_bytes(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_never_leads_out_of_its_folder() {
        for text in [
            "",
            ".",
            "..",
            "a/b",
            "../x",
            "a.b",
            "A",
            "-a",
            "a b",
            "a\0",
            &"a".repeat(101),
        ] {
            let error = text.parse::<CertificateId>().unwrap_err();
            let stand_in = error.stand_in();
            assert_eq!(stand_in.as_str().parse(), Ok(stand_in.clone()), "{text:?}");
        }
        assert!("example-com_2".parse::<CertificateId>().is_ok());
    }
}
