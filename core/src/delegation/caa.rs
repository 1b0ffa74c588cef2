//! Who may issue: CAA records (RFC 8659). They count at the identifier and above it, never at the alias name.

use std::pin::pin;

use futures_util::stream::{self, StreamExt};
use hickory_proto::rr::RecordType;

use super::caa_identity::CaaIdentity;
use super::caa_property::Property;
use super::expectation::DelegationCheck;
use super::finding::{Finding, FindingKind};
use crate::dns::{ANCESTORS_AT_ONCE, Answer, Caa, Dns, DnsError, InfrastructureKind};
use crate::name::{DnsName, Identifier};
use crate::printable::{TEXT_MAX, few, shortened};
use crate::txt::quoting::quoted_octets;

/// CNAMEs that are followed from one name.
const HOPS_MAX: usize = 8;
/// Records at a name, and octets in them, that are kept until the names below have answered. Few names have more than ten.
const RECORDS_MAX: usize = 64;
const OCTETS_MAX: usize = 4_096;
/// The properties that CAs know (IANA, *Certification Authority Restriction Properties*).
const KNOWN: [&str; 7] = [
    "issue",
    "issuewild",
    "iodef",
    "issuemail",
    "issuevmc",
    "contactemail",
    "contactphone",
];
/// The flag that forbids to issue if the property is not known (RFC 8659 §4.1). It is the highest bit. The
/// lowest bit, a common mistake, counts as well, as it does for Let's Encrypt.
const CRITICAL: u8 = 128 | 1;

/// Why the CA may not issue.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusal {
    name: DnsName,
    answer: String,
    remedy: String,
}

/// The records that count for a name, and where they are.
enum Relevant {
    /// There are none.
    None,
    /// They are at this name.
    At(DnsName, Vec<Caa>),
    /// They could not be looked up at this name.
    Unanswered(DnsName, DnsError),
}

/// Whether CAA records let the CA issue for each identifier of the check.
pub(super) async fn findings(dns: &Dns, check: &DelegationCheck<'_>) -> Vec<Finding> {
    let Some(identity) = check.caa else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    // Identifiers that share a challenge name share its base name, too.
    let mut known: Option<(&DnsName, Relevant)> = None;
    for identifier in check.expectation.identifiers {
        let base = identifier.base();
        let relevant = match known.take() {
            Some((name, relevant)) if name == base => relevant,
            _ => relevant(dns, base).await,
        };
        if let Err(refusal) = verdict(&relevant, identifier, identity) {
            findings.push(Finding {
                domains: vec![identifier.clone()],
                ..check.expectation.error(
                    FindingKind::Caa,
                    &refusal.name,
                    refusal.answer,
                    refusal.remedy,
                )
            });
        }
        if let Relevant::Unanswered(name, error) = &relevant
            && error.is_limit()
        {
            findings.push(Finding {
                domains: vec![identifier.clone()],
                ..check.expectation.warning(
                    FindingKind::Incomplete,
                    name,
                    format!("could not look up the CAA records: {error}"),
                    "check that all servers of its zone can be reached from here: a CA may query any of them",
                )
            });
        }
        known = Some((base, relevant));
    }
    findings
}

/// The records that count for `base`. Those of the closest name that has any count alone (RFC 8659 §3). A record
/// at `base` may have just been added, so it is queried now; the names above it are shared and cached. Several are
/// queried at once, because most names have no records. Many records that count are queried once more.
async fn relevant(dns: &Dns, base: &DnsName) -> Relevant {
    let many = match relevant_if_few(dns, base).await {
        Ok(relevant) => return relevant,
        Err(name) => name,
    };
    match records(dns, &many, many != *base).await {
        Ok(None) => Relevant::None,
        Ok(Some(records)) => Relevant::At(many, records),
        Err(error) => Relevant::Unanswered(many, error),
    }
}

/// The records that count for `base`; if they are many, the name that has them.
async fn relevant_if_few(dns: &Dns, base: &DnsName) -> Result<Relevant, DnsName> {
    let asked = base.ancestors().map(|name| async move {
        let found = records(dns, &name, name != *base).await;
        let found = found.map(|found| found.map(|all| Some(all).filter(|all| are_few(all))));
        (name, found)
    });
    let mut asked = pin!(stream::iter(asked).buffered(ANCESTORS_AT_ONCE));
    while let Some((name, found)) = asked.next().await {
        match found {
            Ok(None) => break,
            Ok(Some(None)) => return Err(name),
            Ok(Some(Some(records))) if records.is_empty() => {}
            Ok(Some(Some(records))) => return Ok(Relevant::At(name, records)),
            Err(error) => return Ok(Relevant::Unanswered(name, error)),
        }
    }
    Ok(Relevant::None)
}

/// The CAA records at a name, or at the target of its CNAME; none if the target cannot be queried.
async fn records(dns: &Dns, name: &DnsName, cached: bool) -> Result<Option<Vec<Caa>>, DnsError> {
    let mut name = name.clone();
    for _ in 0..HOPS_MAX {
        let answer = answer(dns, &name, cached).await?;
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

fn are_few(records: &[Caa]) -> bool {
    let octets = records.iter().map(|caa| caa.tag.len() + caa.value.len());
    records.len() <= RECORDS_MAX && octets.sum::<usize>() <= OCTETS_MAX
}

async fn answer(dns: &Dns, name: &DnsName, cached: bool) -> Result<Answer, DnsError> {
    if !cached {
        return dns.ask(name, RecordType::CAA).await;
    }
    let answer = dns.ask_infrastructure(name, InfrastructureKind::Caa);
    answer.await.map(|timed| timed.value)
}

/// Whether the records that count let the CA issue for `identifier`.
fn verdict(
    relevant: &Relevant,
    identifier: &Identifier,
    identity: &CaaIdentity,
) -> Result<(), Refusal> {
    match relevant {
        Relevant::None => Ok(()),
        Relevant::At(name, records) => permitted(name, records, identifier, identity),
        Relevant::Unanswered(name, error) => unanswered(name, error),
    }
}

/// A CA that gets no answer from the servers of the domain must not issue (RFC 8659 §3). If a registry or the
/// resolver did not answer us, it may still answer the CA.
fn unanswered(name: &DnsName, error: &DnsError) -> Result<(), Refusal> {
    match error {
        DnsError::Unanswered { zone, .. } if zone.labels().count() > 1 => Err(Refusal {
            name: name.clone(),
            answer: format!("could not look up the CAA records of {name}: {error}"),
            remedy: "make these servers answer CAA queries, even if there are no such records: without an \
                     answer no CA issues"
                .to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Whether these records let the CA issue for `identifier`.
fn permitted(
    name: &DnsName,
    records: &[Caa],
    identifier: &Identifier,
    identity: &CaaIdentity,
) -> Result<(), Refusal> {
    let is = |caa: &Caa, tag: &str| caa.tag.eq_ignore_ascii_case(tag);
    let unknown = |caa: &&Caa| caa.flags & CRITICAL != 0 && !KNOWN.iter().any(|tag| is(caa, tag));
    if let Some(caa) = records.iter().find(unknown) {
        return Err(Refusal {
            name: name.clone(),
            answer: format!(
                "CAA lets nobody issue for {identifier}: {caa} is critical, and no CA knows it"
            ),
            remedy: "remove that record, or set its flags to 0".to_owned(),
        });
    }
    let tagged = |tag: &'static str| {
        let values = records.iter().filter(move |caa| is(caa, tag));
        values.map(|caa| caa.value.as_slice()).collect::<Vec<_>>()
    };
    // RFC 8659 §4.3: for a wildcard `issuewild` counts, if there is any.
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
            Some(property) => property.refuses(identity),
            None => Some("is malformed, and lets nobody issue".to_owned()),
        };
        match refusal {
            None => return Ok(()),
            Some(reason) => {
                let reason = format!("{tag} {} {reason}", quoted_octets(value));
                reasons.push(shortened(&reason, TEXT_MAX));
            }
        }
    }
    let CaaIdentity { issuer, .. } = identity;
    Err(Refusal {
        name: name.clone(),
        answer: format!(
            "CAA does not let {issuer} issue for {identifier}: {}",
            few(&reasons, "; ")
        ),
        remedy: format!(
            "add a CAA record for {issuer} at {}, or use the CA that is named there",
            identifier.base()
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
        answer_to(identifier, &records.collect::<Vec<_>>(), account)
    }

    fn answer_to(identifier: &str, records: &[Caa], account: Option<String>) -> Option<String> {
        let identity = CaaIdentity {
            issuer: "ca.example".to_owned(),
            others: vec!["second.example".to_owned()],
            account,
        };
        let name = "example.com".parse().unwrap();
        let identifier = identifier.parse().unwrap();
        let permitted = permitted(&name, records, &identifier, &identity);
        permitted.err().map(|refusal| refusal.answer)
    }

    #[test]
    fn the_ca_that_is_named_may_issue_and_no_other() {
        assert_eq!(refusal("example.com", &[("issue", "ca.example")]), None);
        assert_eq!(refusal("example.com", &[("issue", "second.example")]), None);
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
            other.contains("issue \"other.example\" names another CA"),
            "{other}"
        );
        let nobody = refusal("example.com", &[("issue", ";")]).unwrap();
        assert!(nobody.contains("lets nobody issue"), "{nobody}");
    }

    #[test]
    fn a_wildcard_has_a_property_of_its_own() {
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
    fn an_account_is_not_ours_before_we_have_one() {
        let record = caa(
            0,
            "issue",
            "ca.example; accounturi=https://ca.example/acct/1",
        );
        let refusal = answer_to("example.com", &[record], None).unwrap();
        assert!(
            refusal.contains("we have no account at this CA yet"),
            "{refusal}"
        );
    }

    #[test]
    fn a_malformed_property_lets_nobody_issue() {
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
    fn a_critical_property_that_no_ca_knows_forbids_to_issue() {
        let good = caa(0, "issue", "ca.example");
        let critical =
            |flags, tag| answer_to("example.com", &[good.clone(), caa(flags, tag, "x")], None);
        for flags in [128, 1] {
            let refused = critical(flags, "tbs").unwrap();
            assert!(refused.contains("tbs \"x\" is critical"), "{refused}");
        }
        assert_eq!(critical(0, "tbs"), None);
        assert_eq!(critical(128, "IODEF"), None);
    }
}
