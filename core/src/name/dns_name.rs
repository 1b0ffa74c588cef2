//! Domain names.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::{NameError, Reason};

/// The longest domain name in text form without its final dot, in octets (RFC 1035 §3.1).
const NAME_MAX: usize = 253;
/// The longest label, in octets (RFC 1035 §3.1).
const LABEL_MAX: usize = 63;

/// An absolute domain name: A-labels, lower case, at most 253 octets, labels of 1 to 63 octets.
///
/// Underscore labels are allowed, because challenge names have them. The root is not a
/// `DnsName`. `Display` prints it without the final dot, as people write it in settings;
/// [`DnsName::fqdn`] prints it as zone files need it. Clones share the text: long chains of CNAMEs have each name twice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DnsName(Arc<str>);

impl DnsName {
    /// Returns the name with its final dot, as zone files need it. Without the dot, an origin or a search list
    /// could be appended.
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
        self.0.split_once('.').map(|(_, rest)| DnsName(rest.into()))
    }

    /// This name, then each of its ancestors up to the top-level name.
    pub fn ancestors(&self) -> impl Iterator<Item = DnsName> {
        std::iter::successors(Some(self.clone()), DnsName::parent)
    }

    /// Whether this name is `zone` or lies below it.
    pub fn is_within(&self, zone: &DnsName) -> bool {
        match self.0.strip_suffix(&*zone.0) {
            Some(rest) => rest.is_empty() || rest.ends_with('.'),
            None => false,
        }
    }

    /// The name `label.self`. The label may be any that a zone file can contain, `*` included.
    pub fn child(&self, label: &str) -> Result<DnsName, NameError> {
        let name = format!("{}.{}", label.to_ascii_lowercase(), self.0);
        check_lengths(&name)?;
        Ok(DnsName(name.into()))
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
        Ok(DnsName(ascii.into()))
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
        name.0.as_ref().to_owned()
    }
}

fn is_label_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

/// Whether the text is an IP address. `IpAddr` refuses dotted quads with a leading zero or a number above
/// 255, but they are not names either: no name ends in a number (RFC 3696 §2).
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
    fn a_name_is_within_a_zone_by_whole_labels() {
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
