//! The names in a certificate.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::dns_name::DnsName;
use super::error::{NameError, Reason};

/// A name in a certificate: a host name, or `*.` and a host name (RFC 8555 §7.1.3).
///
/// ```
/// use acme_alias_core::name::Identifier;
///
/// let apex: Identifier = "Example.COM".parse()?;
/// let wildcard: Identifier = "*.example.com".parse()?;
/// assert_eq!(apex.challenge_name(), wildcard.challenge_name());
/// # Ok::<(), acme_alias_core::name::NameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Identifier {
    base: DnsName,
    challenge_name: DnsName,
    wildcard: bool,
}

impl Identifier {
    /// The name without `*.`.
    pub fn base(&self) -> &DnsName {
        &self.base
    }

    /// Whether it stands for every name directly below the base.
    pub fn is_wildcard(&self) -> bool {
        self.wildcard
    }

    /// `_acme-challenge.` and the base. `x` and `*.x` have the same one.
    pub fn challenge_name(&self) -> &DnsName {
        &self.challenge_name
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.wildcard {
            f.write_str("*.")?;
        }
        self.base.fmt(f)
    }
}

impl FromStr for Identifier {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = |reason| {
            Err(NameError {
                name: text.to_owned(),
                reason,
            })
        };
        let (wildcard, rest) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        if rest.contains('*') {
            return fail(Reason::Wildcard);
        }
        let base: DnsName = rest.parse().map_err(|error| NameError {
            name: text.to_owned(),
            ..error
        })?;
        if base.as_str().contains('_') {
            return fail(Reason::Underscore);
        }
        if base.parent().is_none() {
            return fail(Reason::SingleLabel);
        }
        let challenge_name = base.challenge_name().map_err(|error| NameError {
            name: text.to_owned(),
            ..error
        })?;
        Ok(Identifier {
            base,
            challenge_name,
            wildcard,
        })
    }
}

impl TryFrom<String> for Identifier {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Identifier> for String {
    fn from(identifier: Identifier) -> Self {
        identifier.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reason(text: &str) -> Reason {
        text.parse::<Identifier>().unwrap_err().reason
    }

    #[test]
    fn apex_and_wildcard_share_a_challenge_name() {
        let apex: Identifier = "example.com".parse().unwrap();
        let wildcard: Identifier = "*.Example.com.".parse().unwrap();
        assert_eq!(apex.challenge_name(), wildcard.challenge_name());
        assert_eq!(wildcard.to_string(), "*.example.com");
        assert_ne!(apex, wildcard);
    }

    #[test]
    fn a_text_that_is_not_an_identifier_is_refused_with_the_reason() {
        assert_eq!(reason(""), Reason::Empty);
        assert_eq!(reason("."), Reason::Empty);
        assert_eq!(reason("192.0.2.1"), Reason::IpAddress);
        assert_eq!(reason("2001:db8::1"), Reason::IpAddress);
        assert_eq!(reason("[2001:db8::1]"), Reason::IpAddress);
        assert_eq!(reason("300.1.2.3"), Reason::IpAddress);
        assert_eq!(reason("a..b"), Reason::EmptyLabel);
        assert_eq!(reason(".example.com"), Reason::EmptyLabel);
        assert_eq!(reason("ex ample.com"), Reason::Character(' '));
        assert_eq!(reason("example.com/x"), Reason::Character('/'));
        assert_eq!(reason("-a.example.com"), Reason::Hyphen("-a".into()));
        assert_eq!(reason("*.*.example.com"), Reason::Wildcard);
        assert_eq!(reason("www*.example.com"), Reason::Wildcard);
        assert_eq!(reason("_x.example.com"), Reason::Underscore);
        assert_eq!(reason("localhost"), Reason::SingleLabel);
        assert!(matches!(
            reason(&format!("{}.com", "a".repeat(64))),
            Reason::LabelTooLong(_)
        ));
        assert!(matches!(
            reason(&["a"; 130].join(".")),
            Reason::TooLong(259)
        ));
    }

    #[test]
    fn a_name_whose_challenge_name_would_be_too_long_is_refused() {
        let long = format!("{0}.{0}.{0}.{1}.com", "a".repeat(60), "b".repeat(55));
        assert!(long.parse::<DnsName>().is_ok());
        assert!(matches!(reason(&long), Reason::TooLong(_)));
    }

    proptest! {
        #[test]
        fn a_printed_identifier_parses_to_itself(
            text in "(\\*\\.)?([a-zA-Z0-9_]([a-zA-Z0-9-]{0,10}[a-zA-Z0-9])?\\.){1,6}[a-zA-Z]{2,8}"
        ) {
            if let Ok(identifier) = text.parse::<Identifier>() {
                let again: Identifier = identifier.to_string().parse().unwrap();
                prop_assert_eq!(&again, &identifier);
                let challenge = identifier.challenge_name();
                prop_assert!(challenge.is_within(identifier.base()));
                prop_assert_eq!(challenge.parent(), Some(identifier.base().clone()));
            }
        }
    }
}
