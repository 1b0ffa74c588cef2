//! Who may issue: CAA records (RFC 8659). They are looked for at the identifier and above it, never at the
//! alias name.

use hickory_proto::rr::RecordType;

use super::property::Property;
use crate::dns::{Caa, Dns, DnsError};
use crate::name::{DnsName, Identifier};
use crate::txt::quoting::quoted_octets;

/// CNAMEs that are followed from one name.
const HOPS_MAX: usize = 8;
/// The properties that authorities know (IANA, *Certification Authority Restriction Properties*).
const KNOWN: [&str; 7] = [
    "issue",
    "issuewild",
    "iodef",
    "issuemail",
    "issuevmc",
    "contactemail",
    "contactphone",
];
/// The flag that forbids to issue where the property is not known (RFC 8659 §4.1). It is the highest bit;
/// those who took it for the lowest are understood as well, as Let's Encrypt does it.
const CRITICAL: u8 = 128 | 1;

/// Who is to issue, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaaIdentity {
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

/// Whether the records that count for `identifier` let the authority issue.
pub(super) async fn verdict(
    dns: &Dns,
    identifier: &Identifier,
    issuance: &CaaIdentity,
) -> Result<(), Refusal> {
    // RFC 8659 §3: the closest name that has any counts alone.
    for name in identifier.base().ancestors() {
        match records(dns, &name).await {
            Ok(None) => return Ok(()),
            Ok(Some(records)) if records.is_empty() => {}
            Ok(Some(records)) => return judge(&name, &records, identifier, issuance),
            Err(error) => return unanswered(&name, &error, identifier),
        }
    }
    Ok(())
}

/// The CAA records at a name, or at the one that it is an alias of; none where that is no name to ask for.
async fn records(dns: &Dns, name: &DnsName) -> Result<Option<Vec<Caa>>, DnsError> {
    let mut name = name.clone();
    for _ in 0..HOPS_MAX {
        let answer = dns.ask(&name, RecordType::CAA).await?;
        match answer.cname() {
            None => return Ok(Some(answer.caa())),
            Some(cname) => match cname.target {
                Ok(target) => name = target,
                Err(_) => return Ok(None),
            },
        }
    }
    Ok(None)
}

/// An authority that gets no answer from the servers of the domain must not issue (RFC 8659 §3). Where a
/// registry or the resolver did not answer us, it may yet answer the authority.
fn unanswered(name: &DnsName, error: &DnsError, identifier: &Identifier) -> Result<(), Refusal> {
    match error {
        DnsError::Unanswered { zone, .. } if zone.labels().count() > 1 => Err(Refusal {
            name: name.clone(),
            answer: format!("whether CAA lets anybody issue for {identifier} was not told: {error}"),
            remedy: "let these servers answer questions for CAA records, if only by saying that there is \
                     none: without an answer no authority issues"
                .to_owned(),
        }),
        _ => Ok(()),
    }
}

fn judge(
    name: &DnsName,
    records: &[Caa],
    identifier: &Identifier,
    issuance: &CaaIdentity,
) -> Result<(), Refusal> {
    let is = |caa: &Caa, tag: &str| caa.tag.eq_ignore_ascii_case(tag);
    let unknown = |caa: &&Caa| caa.flags & CRITICAL != 0 && !KNOWN.iter().any(|tag| is(caa, tag));
    if let Some(caa) = records.iter().find(unknown) {
        return Err(Refusal {
            name: name.clone(),
            answer: format!(
                "CAA lets nobody issue for {identifier}: {caa} is critical, and not known to authorities"
            ),
            remedy: "remove that record, or let its flags be 0".to_owned(),
        });
    }
    let tagged = |tag: &'static str| {
        let values = records.iter().filter(move |caa| is(caa, tag));
        values.map(|caa| caa.value.as_slice()).collect::<Vec<_>>()
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
        let refusal = match Property::parse(value) {
            Some(property) => property.refuses(issuance),
            None => Some("is malformed, and lets nobody issue".to_owned()),
        };
        match refusal {
            None => return Ok(()),
            Some(reason) => reasons.push(format!("{tag} {} {reason}", quoted_octets(value))),
        }
    }
    let CaaIdentity { issuer, .. } = issuance;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn caa(flags: u8, tag: &str, value: &str) -> Caa {
        Caa {
            flags,
            tag: tag.to_owned(),
            value: value.into(),
        }
    }

    fn refusal(identifier: &str, records: &[(&str, &str)]) -> Option<String> {
        let records = records.iter().map(|(tag, value)| caa(0, tag, value));
        let account = Some("https://ca.example/acct/1".to_owned());
        judged(identifier, &records.collect::<Vec<_>>(), account)
    }

    fn judged(identifier: &str, records: &[Caa], account: Option<String>) -> Option<String> {
        let issuance = CaaIdentity {
            issuer: "ca.example".to_owned(),
            account,
        };
        let name = "example.com".parse().unwrap();
        let identifier = identifier.parse().unwrap();
        let judged = judge(&name, records, &identifier, &issuance);
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

    #[test]
    fn an_account_that_is_not_ours_yet_is_not_ours() {
        let record = caa(
            0,
            "issue",
            "ca.example; accounturi=https://ca.example/acct/1",
        );
        let refusal = judged("example.com", &[record], None).unwrap();
        assert!(refusal.contains("none of ours there yet"), "{refusal}");
    }

    #[test]
    fn what_is_malformed_lets_nobody_issue() {
        let value = "ca.example; validationmethods=dns-01;";
        let refused = refusal("example.com", &[("issue", value)]).unwrap();
        assert!(refused.contains("is malformed"), "{refused}");
        let methods = |methods: &str| {
            let value = format!("ca.example; validationmethods={methods}");
            refusal("example.com", &[("issue", &value)])
        };
        assert!(
            methods("DNS-01").is_some(),
            "methods are compared as they are"
        );
        assert!(methods("http_01,dns-01").is_some());
        assert!(methods("").is_some());
    }

    #[test]
    fn a_critical_property_that_nobody_knows_forbids() {
        let good = caa(0, "issue", "ca.example");
        let critical =
            |flags, tag| judged("example.com", &[good.clone(), caa(flags, tag, "x")], None);
        for flags in [128, 1] {
            let refused = critical(flags, "tbs").unwrap();
            assert!(refused.contains("tbs \"x\" is critical"), "{refused}");
        }
        assert_eq!(critical(0, "tbs"), None);
        assert_eq!(critical(128, "IODEF"), None);
    }
}
