//! Who may issue: CAA records (RFC 8659), with account and method (RFC 8657). They are looked for at the
//! identifier and above it, never at the alias name.

use hickory_proto::rr::RecordType;

use crate::dns::Dns;
use crate::name::{DnsName, Identifier};
use crate::printable::printable;

/// CNAMEs that are followed from one name.
const HOPS_MAX: usize = 8;
/// How we prove that a name is ours (RFC 8657 §4).
const METHOD: &str = "dns-01";

/// Who is to issue, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuance {
    /// The domain by which CAA records name the authority.
    pub issuer: String,
    /// The URL of our account there, where there is one.
    pub account: Option<String>,
}

/// Why the authority may not issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) name: DnsName,
    pub(super) answer: String,
    pub(super) remedy: String,
}

/// Whether the records that count for `identifier` let the authority issue. Where they cannot be read,
/// nothing is said: the walk has told of the servers.
pub(super) async fn verdict(
    dns: &Dns,
    identifier: &Identifier,
    issuance: &Issuance,
) -> Result<(), Refusal> {
    // RFC 8659 §3: the closest name that has any counts alone.
    for name in identifier.base().ancestors() {
        let Some(records) = records(dns, &name).await else {
            return Ok(());
        };
        if !records.is_empty() {
            return judge(&name, &records, identifier, issuance);
        }
    }
    Ok(())
}

/// The CAA records at a name, or at the one that it is an alias of.
async fn records(dns: &Dns, name: &DnsName) -> Option<Vec<(String, String)>> {
    let mut name = name.clone();
    for _ in 0..HOPS_MAX {
        let answer = dns.ask(&name, RecordType::CAA).await.ok()?;
        match answer.cname() {
            Some(cname) => name = cname.target.ok()?,
            None => return Some(answer.caa()),
        }
    }
    None
}

fn judge(
    name: &DnsName,
    records: &[(String, String)],
    identifier: &Identifier,
    issuance: &Issuance,
) -> Result<(), Refusal> {
    let tagged = |tag: &str| -> Vec<&str> {
        let records = records.iter().filter(|(known, _)| known == tag);
        records.map(|(_, value)| value.as_str()).collect()
    };
    // RFC 8659 §4.3: for a wildcard `issuewild` counts, where there is any.
    let (mut tag, mut values) = ("issue", tagged("issue"));
    if identifier.is_wildcard() && !tagged("issuewild").is_empty() {
        (tag, values) = ("issuewild", tagged("issuewild"));
    }
    if values.is_empty() {
        return Ok(());
    }
    let mut reasons = Vec::new();
    for value in values {
        match Property::parse(value).refuses(issuance) {
            None => return Ok(()),
            Some(reason) => reasons.push(format!("{tag} \"{}\" {reason}", printable(value))),
        }
    }
    let Issuance { issuer, .. } = issuance;
    Err(Refusal {
        name: name.clone(),
        answer: format!(
            "CAA does not let {issuer} issue for {identifier}: {}",
            reasons.join("; ")
        ),
        remedy: format!(
            "add the record that `acme-alias delegate --caa {identifier}` prints, or use the authority \
             that is named there"
        ),
    })
}

/// The value of an `issue` or `issuewild` record (RFC 8659 §4.2).
struct Property<'a> {
    issuer: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> Property<'a> {
    fn parse(value: &'a str) -> Self {
        let mut parts = value.split(';');
        let issuer = parts.next().unwrap_or_default().trim();
        let parameters = parts.filter_map(|part| part.trim().split_once('='));
        Property {
            issuer,
            parameters: parameters
                .map(|(tag, value)| (tag.trim(), value.trim()))
                .collect(),
        }
    }

    fn parameter(&self, tag: &str) -> Option<&'a str> {
        let mut found = self
            .parameters
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(tag));
        found.next().map(|(_, value)| *value)
    }

    /// Why this property does not let the authority issue to us.
    fn refuses(&self, issuance: &Issuance) -> Option<String> {
        if self.issuer.is_empty() {
            return Some("lets nobody issue".to_owned());
        }
        if !self.issuer.eq_ignore_ascii_case(&issuance.issuer) {
            return Some("names another authority".to_owned());
        }
        if let Some(methods) = self.parameter("validationmethods") {
            let mut methods = methods.split(',').map(str::trim);
            if !methods.any(|method| method.eq_ignore_ascii_case(METHOD)) {
                return Some(format!("does not allow {METHOD}"));
            }
        }
        match (self.parameter("accounturi"), &issuance.account) {
            (Some(uri), Some(ours)) if uri != ours => {
                Some(format!("is for another account than ours, {ours}"))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(identifier: &str, records: &[(&str, &str)]) -> Option<String> {
        let records: Vec<_> = records
            .iter()
            .map(|(tag, value)| ((*tag).to_owned(), (*value).to_owned()))
            .collect();
        let issuance = Issuance {
            issuer: "ca.example".to_owned(),
            account: Some("https://ca.example/acct/1".to_owned()),
        };
        let name = "example.com".parse().unwrap();
        let identifier = identifier.parse().unwrap();
        let judged = judge(&name, &records, &identifier, &issuance);
        judged.err().map(|refusal| refusal.answer)
    }

    #[test]
    fn who_is_named_may_issue_and_nobody_else() {
        assert_eq!(refusal("example.com", &[("issue", "ca.example")]), None);
        assert_eq!(
            refusal(
                "example.com",
                &[("issue", "other"), ("issue", " CA.example ")]
            ),
            None
        );
        assert_eq!(
            refusal("example.com", &[("iodef", "mailto:a@example.com")]),
            None
        );
        let other = refusal("example.com", &[("issue", "other.example")]).unwrap();
        assert!(
            other.contains("issue \"other.example\" names another authority"),
            "{other}"
        );
        let nobody = refusal("example.com", &[("issue", ";")]).unwrap();
        assert!(nobody.contains("lets nobody issue"), "{nobody}");
    }

    #[test]
    fn a_wildcard_has_its_own_property_where_there_is_one() {
        let records = [("issue", "ca.example"), ("issuewild", ";")];
        assert_eq!(refusal("example.com", &records), None);
        assert!(refusal("*.example.com", &records).is_some());
        assert_eq!(refusal("*.example.com", &records[..1]), None);
    }

    #[test]
    fn method_and_account_count() {
        let value = |more: &str| format!("ca.example; {more}");
        let refused = |more: &str| refusal("example.com", &[("issue", &value(more))]);
        assert_eq!(refused("validationmethods=http-01,dns-01"), None);
        assert_eq!(refused("accounturi=https://ca.example/acct/1"), None);
        let method = refused("validationmethods=http-01").unwrap();
        assert!(method.contains("does not allow dns-01"), "{method}");
        let account = refused("accounturi=https://ca.example/acct/2").unwrap();
        assert!(account.contains("another account than ours"), "{account}");
    }
}
