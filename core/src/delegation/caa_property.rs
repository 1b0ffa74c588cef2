//! The value of an `issue` or `issuewild` property: its grammar (RFC 8659 §4.2), and whether it lets a CA issue
//! to us, by account and method (RFC 8657).

use std::collections::BTreeMap;

use super::caa_identity::CaaIdentity;

/// The validation method that we use (RFC 8657 §4).
const METHOD: &str = "dns-01";

/// A value that follows the grammar. Two values with the same meaning are equal.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Property {
    /// The CA's domain in lower case; empty if the record forbids issuance.
    issuer: String,
    /// By their tags in lower case.
    parameters: BTreeMap<String, String>,
}

impl Property {
    /// Parses a value; none if it is malformed, which lets nobody issue.
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let (issuer, rest) = text.split_once(';').unwrap_or((text, ""));
        let issuer = trimmed(issuer);
        if !issuer.is_empty() && !issuer.split('.').all(is_label) {
            return None;
        }
        let mut parameters = BTreeMap::new();
        // One `;` may stand after the issuer without any parameter, and after the last of them none.
        if !trimmed(rest).is_empty() {
            for parameter in rest.split(';') {
                let (tag, value) = parameter.split_once('=')?;
                let (tag, value) = (trimmed(tag), trimmed(value));
                if !is_label(tag) || !value.bytes().all(|octet| octet.is_ascii_graphic()) {
                    return None;
                }
                // No CA could satisfy both (RFC 8657 §3).
                let known = parameters.insert(tag.to_ascii_lowercase(), value.to_owned());
                if known.is_some() {
                    return None;
                }
            }
        }
        Some(Property {
            issuer: issuer.to_ascii_lowercase(),
            parameters,
        })
    }

    /// Why this property does not let the CA issue to us.
    pub(super) fn refuses(&self, identity: &CaaIdentity) -> Option<String> {
        if self.issuer.is_empty() {
            return Some("lets nobody issue".to_owned());
        }
        if !identity.is_named(&self.issuer) {
            return Some("names another CA".to_owned());
        }
        if let Some(methods) = self.parameters.get("validationmethods") {
            // As a whole, and in the case in which they are registered: CAs compare octets.
            if !methods.split(',').all(is_method) || !methods.split(',').any(|one| one == METHOD) {
                return Some(format!("does not allow {METHOD}"));
            }
        }
        let uri = self.parameters.get("accounturi")?;
        match &identity.account {
            Some(ours) if uri == ours => None,
            Some(ours) => Some(format!("is for another account than ours ({ours})")),
            None => Some(format!(
                "is for the account {uri}, and we have no account at this CA yet"
            )),
        }
    }

    /// Whether this property lets a CA issue that `narrower` does not. Properties add up, so that the narrower
    /// one has no effect as long as this one exists.
    pub(super) fn defeats(&self, narrower: &Property) -> bool {
        if narrower.issuer.is_empty() {
            return !self.issuer.is_empty();
        }
        let mut parameters = self.parameters.iter();
        self.issuer == narrower.issuer
            && self.parameters.len() < narrower.parameters.len()
            && parameters.all(|(tag, value)| narrower.parameters.get(tag) == Some(value))
    }
}

/// The text without the blanks around it (`WSP` of RFC 5234).
fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Letters and digits, and hyphens between them.
fn is_label(text: &str) -> bool {
    is_method(text) && !text.starts_with('-') && !text.ends_with('-')
}

/// A label of RFC 8657 §4.
fn is_method(text: &str) -> bool {
    let allowed = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
    !text.is_empty() && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &str) -> Option<Property> {
        Property::parse(value.as_bytes())
    }

    #[test]
    fn a_value_outside_the_grammar_is_malformed() {
        for good in [
            "ca.example",
            " ca.example ;\t",
            ";",
            "",
            "ca.example; a=; b-2 = x=y",
            "ca.example;a=b;c=d",
        ] {
            assert!(parse(good).is_some(), "{good}");
        }
        for bad in [
            "ca.example; validationmethods=dns-01;",
            "ca.example; policy",
            "ca.example;;",
            "ca.example; validationmethods=http-01, dns-01",
            "ca.example; accounturi=a; AccountURI=b",
            "ca.example; a_b=c",
            "ca.example; -a=c",
            "ca.example; =c",
            "ca.example; a=\u{e9}",
            "ca example",
            "ca..example",
            "%%%%%",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(Property::parse(b"ca.example; a=\xff"), None);
    }

    #[test]
    fn case_order_and_blanks_make_no_difference() {
        assert_eq!(
            parse("CA.example;b=2;A=1"),
            parse("ca.example ; a = 1; b = 2")
        );
        assert_ne!(parse("ca.example; a=x"), parse("ca.example; a=X"));
    }

    #[test]
    fn a_wider_property_defeats_a_narrower_one() {
        let ours = "ca.example; validationmethods=dns-01; accounturi=https://ca.example/1";
        let defeats = |wider, narrower| parse(wider).unwrap().defeats(&parse(narrower).unwrap());
        assert!(defeats("CA.example", ours));
        assert!(defeats("ca.example; validationmethods=dns-01", ours));
        assert!(defeats("ca.example", ";"));
        for other in [
            ours,
            ";",
            "other.example",
            "ca.example; validationmethods=http-01",
            "ca.example; validationmethods=dns-01; accounturi=https://ca.example/2",
        ] {
            assert!(!defeats(other, ours), "{other}");
        }
        assert!(!defeats(";", ";"));
    }
}
