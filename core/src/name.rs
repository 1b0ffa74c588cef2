//! Domain names (RFC 9499) and the names that stand in a certificate.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest domain name in text form without its final dot, in octets (RFC 1035 §3.1).
const NAME_MAX: usize = 253;
/// The longest label, in octets (RFC 1035 §3.1).
const LABEL_MAX: usize = 63;

/// An absolute domain name: A-labels, lower case, at most 253 octets, labels of 1 to 63 octets.
///
/// Underscore labels are allowed, because challenge names have them. The root is not a
/// `DnsName`. `Display` prints it without the final dot, as people write it in settings;
/// [`DnsName::fqdn`] prints it as a zone file wants it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DnsName(String);

impl DnsName {
    /// The name with its final dot, so that no search list or origin can change its meaning.
    pub fn fqdn(&self) -> String {
        format!("{}.", self.0)
    }

    /// The name without its final dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The labels, leftmost first.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('.')
    }

    /// The name with its leftmost label removed; `None` for a top-level name.
    pub fn parent(&self) -> Option<DnsName> {
        self.0
            .split_once('.')
            .map(|(_, rest)| DnsName(rest.to_owned()))
    }

    /// This name, then each of its ancestors up to the top-level name.
    pub fn ancestors(&self) -> impl Iterator<Item = DnsName> {
        std::iter::successors(Some(self.clone()), DnsName::parent)
    }

    /// Whether this name is `zone` or lies below it.
    pub fn is_within(&self, zone: &DnsName) -> bool {
        match self.0.strip_suffix(&zone.0) {
            Some(rest) => rest.is_empty() || rest.ends_with('.'),
            None => false,
        }
    }

    /// The name `label.self`. The label may be any the zone owner could write, `*` included.
    pub fn child(&self, label: &str) -> Result<DnsName, NameError> {
        let name = format!("{}.{}", label.to_ascii_lowercase(), self.0);
        check_lengths(&name)?;
        Ok(DnsName(name))
    }

    /// The challenge name of a certificate for this name (RFC 8555 §8.4).
    pub fn challenge_name(&self) -> Result<DnsName, NameError> {
        self.child("_acme-challenge")
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for DnsName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = |reason| {
            Err(NameError {
                name: text.to_owned(),
                reason,
            })
        };
        let trimmed = text.strip_suffix('.').unwrap_or(text);
        if trimmed.is_empty() {
            return fail(Reason::Empty);
        }
        if is_ip(trimmed) {
            return fail(Reason::IpAddress);
        }
        let ascii = if trimmed.is_ascii() {
            trimmed.to_ascii_lowercase()
        } else {
            match idna::domain_to_ascii_cow(trimmed.as_bytes(), idna::AsciiDenyList::EMPTY) {
                Ok(ascii) => ascii.into_owned(),
                Err(_) => return fail(Reason::Idna),
            }
        };
        check_lengths(&ascii).map_err(|error| NameError {
            name: text.to_owned(),
            ..error
        })?;
        for label in ascii.split('.') {
            if let Some(bad) = label.chars().find(|c| !is_label_char(*c)) {
                return fail(Reason::Character(bad));
            }
            if label.starts_with('-') || label.ends_with('-') {
                return fail(Reason::Hyphen(label.to_owned()));
            }
        }
        Ok(DnsName(ascii))
    }
}

impl TryFrom<String> for DnsName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<DnsName> for String {
    fn from(name: DnsName) -> Self {
        name.0
    }
}

/// A name in the certificate: a host name, or `*.` and a host name (RFC 8555 §7.1.3).
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

    /// Whether the certificate shall hold for every name directly below the base.
    pub fn is_wildcard(&self) -> bool {
        self.wildcard
    }

    /// `_acme-challenge.` and the base; `x` and `*.x` share it.
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

/// A text that is not a name, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a usable domain name: {reason}", .name.escape_debug())]
pub struct NameError {
    /// The text as it was given.
    pub name: String,
    /// What is wrong with it.
    pub reason: Reason,
}

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)] // the messages are the documentation
pub enum Reason {
    #[error("it is empty")]
    Empty,
    #[error("it is an IP address, and DNS-01 cannot validate one")]
    IpAddress,
    #[error("it has an empty label (two dots in a row, or a dot in front)")]
    EmptyLabel,
    #[error("the label `{0}` is {len} octets long, more than 63", len = .0.len())]
    LabelTooLong(String),
    #[error("it is {0} octets long with its labels in ASCII form, more than 253")]
    TooLong(usize),
    #[error("`{}` may not stand in it", .0.escape_debug())]
    Character(char),
    #[error("the label `{0}` begins or ends with a hyphen")]
    Hyphen(String),
    #[error("it has no valid internationalised form (IDNA, UTS #46)")]
    Idna,
    #[error("a wildcard is `*.` in front of a name, once")]
    Wildcard,
    #[error("a name in a certificate has no underscore")]
    Underscore,
    #[error("a name in a certificate has at least two labels")]
    SingleLabel,
}

fn is_label_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

/// Dotted quads with a leading zero or a number above 255 are not addresses to `IpAddr`, but no
/// name ends in a number either (RFC 3696 §2).
fn is_ip(text: &str) -> bool {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().is_ok()
        || bare
            .rsplit('.')
            .next()
            .is_some_and(|tld| tld.bytes().all(|b| b.is_ascii_digit()) && !tld.is_empty())
}

fn check_lengths(name: &str) -> Result<(), NameError> {
    let fail = |reason| {
        Err(NameError {
            name: name.to_owned(),
            reason,
        })
    };
    for label in name.split('.') {
        if label.is_empty() {
            return fail(Reason::EmptyLabel);
        }
        if label.len() > LABEL_MAX {
            return fail(Reason::LabelTooLong(label.to_owned()));
        }
    }
    if name.len() > NAME_MAX {
        return fail(Reason::TooLong(name.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> DnsName {
        text.parse().unwrap()
    }

    fn reason(text: &str) -> Reason {
        text.parse::<Identifier>().unwrap_err().reason
    }

    #[test]
    fn a_name_is_lower_case_without_its_final_dot() {
        assert_eq!(
            name("_ACME-Challenge.Example.COM.").as_str(),
            "_acme-challenge.example.com"
        );
        assert_eq!(name("example.com").fqdn(), "example.com.");
    }

    #[test]
    fn an_internationalised_name_becomes_a_labels() {
        assert_eq!(name("Bücher.example").as_str(), "xn--bcher-kva.example");
        assert_eq!(name("bücher。example").as_str(), "xn--bcher-kva.example");
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
    fn what_is_not_an_identifier_is_refused_with_the_reason() {
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

    #[test]
    fn being_within_a_zone_goes_by_labels() {
        assert!(name("a.auth.example").is_within(&name("auth.example")));
        assert!(name("auth.example").is_within(&name("auth.example")));
        assert!(!name("xauth.example").is_within(&name("auth.example")));
        assert!(!name("example").is_within(&name("auth.example")));
    }

    proptest! {
        #[test]
        fn any_text_is_a_name_or_an_error(text in "\\PC{0,300}") {
            if let Ok(name) = text.parse::<DnsName>() {
                prop_assert!(name.as_str().len() <= NAME_MAX);
                prop_assert!(name.labels().all(|l| (1..=LABEL_MAX).contains(&l.len())));
                prop_assert!(name.labels().all(|l| l.chars().all(|c| is_label_char(c) && !c.is_ascii_uppercase())));
                prop_assert_eq!(name.fqdn().parse::<DnsName>().unwrap(), name);
            }
        }

        #[test]
        fn parsing_what_was_printed_changes_nothing(
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

        #[test]
        fn every_ancestor_contains_the_name(
            text in "([a-z0-9]{1,10}\\.){1,8}[a-z]{2,8}"
        ) {
            let name = name(&text);
            for ancestor in name.ancestors() {
                prop_assert!(name.is_within(&ancestor));
            }
            prop_assert_eq!(name.ancestors().count(), name.labels().count());
        }
    }
}
