//! Authorizations and their dns-01 challenges (RFC 8555 §7.1.4, §8.4).

use std::fmt;

use serde::Deserialize;
use serde::de::Error as _;
use serde_json::{Error, Value};

use super::decode::{decode, decode_value, lenient, status};
use super::error::{AcmeError, ValidationFailure};
use super::problem::{self, Problem};
use super::status::{AuthorizationStatus, ChallengeStatus};
use crate::name::{DnsName, Identifier};
use crate::printable::shortened;

const DNS_01: &str = "dns-01";
/// The longest name that is shown, in characters: names have 253 at most (RFC 1035 §2.3.4).
const NAME_MAX: usize = 255;
/// Types of challenges that are shown. About five are in use.
const OFFERED_MAX: usize = 10;
/// The longest reason for a failure that is shown, in characters.
const DETAIL_MAX: usize = 1000;
/// The longest token and the longest URL of a challenge, in octets. Those of CAs have less than 200.
const TEXT_MAX: usize = 2_000;

/// An authorization of an order. Challenges of other types are ignored. A run keeps those of all its orders, so that
/// each is small whatever the CA sends.
#[derive(Debug)]
pub(super) struct Authorization {
    name: AuthorizedName,
    status: AuthorizationStatus,
    /// The dns-01 challenge.
    challenge: Option<Dns01>,
    /// Why the challenge was not met.
    problem: Option<Unmet>,
    /// The types of all challenges, or of the first ones of many.
    offered: Vec<String>,
}

/// The reason of a CA, in short.
#[derive(Debug)]
struct Unmet {
    kind: String,
    detail: Option<String>,
}

/// The name that an authorization is for.
#[derive(Debug)]
struct AuthorizedName {
    base: String,
    is_wildcard: bool,
}

/// A dns-01 challenge.
#[derive(Debug, Deserialize)]
pub(super) struct Dns01 {
    /// Where it is answered (§7.5.1).
    url: String,
    #[serde(default)]
    token: String,
    #[serde(default, deserialize_with = "status")]
    status: ChallengeStatus,
    #[serde(default, deserialize_with = "lenient")]
    error: Option<Problem>,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    identifier: Value,
    #[serde(default, deserialize_with = "status")]
    status: AuthorizationStatus,
    #[serde(default)]
    challenges: Vec<Value>,
    #[serde(default, deserialize_with = "lenient")]
    wildcard: Option<bool>,
}

impl fmt::Display for AuthorizedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_wildcard {
            f.write_str("*.")?;
        }
        f.write_str(&self.base)
    }
}

impl Authorization {
    /// Reads the body of an answer.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Error> {
        let body: Body = decode(body)?;
        let name = body.identifier["value"].as_str().unwrap_or_default();
        let base = name.strip_prefix("*.");
        let kinds = body.challenges.iter().map(|challenge| &challenge["type"]);
        let offered = kinds.filter_map(Value::as_str).take(OFFERED_MAX);
        let offered = offered.map(|kind| shortened(kind, NAME_MAX)).collect();
        let mut challenges = body.challenges.into_iter();
        let challenge = challenges.find(|challenge| challenge["type"] == DNS_01);
        let challenge: Option<Dns01> = challenge.map(decode_value).transpose()?;
        let mut challenge = challenge.map(Dns01::checked).transpose()?;
        let problem = challenge.as_mut().and_then(Dns01::take_error);
        Ok(Authorization {
            name: AuthorizedName {
                base: shortened(base.unwrap_or(name), NAME_MAX),
                is_wildcard: base.is_some() || body.wildcard == Some(true),
            },
            status: body.status,
            challenge,
            problem,
            offered,
        })
    }

    /// Whether the CA has validated the name.
    pub(super) fn is_valid(&self) -> bool {
        self.status == AuthorizationStatus::Valid
    }

    /// Returns the name that was ordered and has the same challenge name.
    pub(super) fn name_of<'a>(&self, names: &'a [Identifier]) -> Result<&'a Identifier, AcmeError> {
        let base: Option<DnsName> = self.name.base.parse().ok();
        let ordered = names.iter().find(|name| Some(name.base()) == base.as_ref());
        ordered.ok_or_else(|| {
            AcmeError::ForeignAuthorization(shortened(&self.name.to_string(), NAME_MAX))
        })
    }

    /// Returns the token of the dns-01 challenge.
    pub(super) fn token(&self) -> Result<&str, AcmeError> {
        match &self.challenge {
            Some(challenge) => Ok(&challenge.token),
            None => Err(AcmeError::NoDns01 {
                name: shortened(&self.name.to_string(), NAME_MAX),
                offered: self.offered.clone(),
            }),
        }
    }

    /// Returns the URL of the dns-01 challenge if it has to be answered.
    pub(super) fn pending_challenge(&self) -> Option<&str> {
        let challenge = self.challenge.as_ref()?;
        (self.status == AuthorizationStatus::Pending).then_some(&challenge.url)
    }

    /// Returns why the CA could not validate the name.
    pub(super) fn failure(&self) -> Option<ValidationFailure> {
        let (kind, detail) = match (&self.problem, self.status.lost()) {
            (Some(problem), lost) => {
                let detail = problem.detail.as_deref().or(lost);
                (problem.kind.clone(), detail.unwrap_or("no reason given"))
            }
            (None, Some(lost)) => ("unauthorized".to_owned(), lost),
            (None, None) => return None,
        };
        Some(ValidationFailure {
            identifier: shortened(&self.name.to_string(), NAME_MAX),
            kind,
            detail: detail.to_owned(),
        })
    }

    /// Whether the name cannot be validated any more by this authorization.
    pub(super) fn is_lost(&self) -> bool {
        self.status.lost().is_some()
    }
}

impl Dns01 {
    /// Reads the body of the answer to [`Authorization::pending_challenge`].
    pub(super) fn parse(body: &[u8]) -> Result<Self, Error> {
        decode(body)
    }

    /// Fails if it has a text that no CA has in it.
    fn checked(self) -> Result<Self, Error> {
        let octets = self.token.len().max(self.url.len());
        if octets > TEXT_MAX {
            let problem = format!("a challenge has a text of {octets} octets");
            return Err(Error::custom(problem));
        }
        Ok(self)
    }

    /// What is kept of the error.
    fn take_error(&mut self) -> Option<Unmet> {
        let problem = self.error.take().filter(|problem| !problem.is_empty())?;
        Some(Unmet {
            kind: problem::kind(&problem),
            detail: problem.detail().map(|text| shortened(text, DETAIL_MAX)),
        })
    }

    /// Whether the CA has found the TXT value already.
    pub(super) fn is_valid(&self) -> bool {
        self.status == ChallengeStatus::Valid
    }

    /// Why the CA did not find it.
    pub(super) fn error(&self) -> Option<&Problem> {
        self.error.as_ref().filter(|problem| !problem.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn authorization(changes: &Value) -> Authorization {
        let mut body = json!({
            "identifier": { "type": "dns", "value": "example.com" },
            "status": "pending",
            "challenges": [{
                "type": "dns-01",
                "url": "https://ca.example/challenge/1",
                "token": "t-1",
                "status": "pending",
            }],
        });
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        Authorization::parse(body.to_string().as_bytes()).unwrap()
    }

    fn ordered(changes: &Value) -> Result<String, AcmeError> {
        let names = ["example.com", "*.example.org"].map(|name| name.parse().unwrap());
        let authorization = authorization(changes);
        authorization.name_of(&names).map(ToString::to_string)
    }

    #[test]
    fn a_pending_authorization_has_a_challenge_to_answer() {
        let authorization = authorization(&json!({}));
        assert!(!authorization.is_valid());
        assert_eq!(authorization.token().unwrap(), "t-1");
        let url = authorization.pending_challenge();
        assert_eq!(url, Some("https://ca.example/challenge/1"));
        assert_eq!(authorization.failure(), None);
    }

    #[test]
    fn a_valid_authorization_has_no_challenge_to_answer() {
        let authorization = authorization(&json!({ "status": "valid" }));
        assert!(authorization.is_valid());
        assert_eq!(authorization.pending_challenge(), None);
    }

    #[test]
    fn names_are_compared_whatever_their_case_dot_and_wildcard_are_written_like() {
        for (value, wildcard, name) in [
            ("example.com", Value::Null, "example.com"),
            ("EXAMPLE.com.", json!(false), "example.com"),
            ("example.org", json!(true), "*.example.org"),
            ("*.Example.org.", json!(true), "*.example.org"),
            ("*.example.org", Value::Null, "*.example.org"),
        ] {
            let identifier = json!({ "type": "dns", "value": value });
            let found = ordered(&json!({ "identifier": identifier, "wildcard": wildcard }));
            assert_eq!(found.unwrap(), name, "{value}");
        }
    }

    #[test]
    fn a_name_that_was_not_ordered_is_refused() {
        for value in [
            "example.net",
            "www.example.com",
            "",
            "*.*.example.com",
            "\u{1b}[",
        ] {
            let identifier = json!({ "type": "dns", "value": value });
            let error = ordered(&json!({ "identifier": identifier })).unwrap_err();
            assert!(
                matches!(error, AcmeError::ForeignAuthorization(_)),
                "{error}"
            );
            assert!(!error.to_string().contains('\u{1b}'), "{error}");
        }
    }

    #[test]
    fn challenges_of_other_types_may_be_anything() {
        let mut challenges = json!([{ "type": "new-02" }, { "status": 7 }, null]);
        let dns = json!({ "type": "dns-01", "url": "u", "token": "t-2", "status": "pending" });
        challenges.as_array_mut().unwrap().push(dns);
        let authorization = authorization(&json!({ "challenges": challenges }));
        assert_eq!(authorization.token().unwrap(), "t-2");
    }

    #[test]
    fn what_is_offered_in_place_of_dns_01_is_reported() {
        let challenges = json!([{ "type": "http-01" }, { "type": "tls-alpn-01" }]);
        let authorization = authorization(&json!({ "challenges": challenges, "wildcard": true }));
        let error = authorization.token().unwrap_err().to_string();
        let expected = "the CA offers no dns-01 challenge for *.example.com; it offers http-01, \
                        tls-alpn-01";
        assert_eq!(error, expected);
    }

    #[test]
    fn a_failure_has_the_kind_and_the_detail_of_the_problem() {
        let challenge = json!({
            "type": "dns-01",
            "url": "u",
            "token": "t",
            "status": "invalid",
            "error": { "type": "urn:ietf:params:acme:error:dns", "detail": "SERVFAIL\u{7}" },
        });
        let changes = json!({ "status": "invalid", "challenges": [challenge] });
        let failure = authorization(&changes).failure().unwrap();
        assert_eq!(failure.identifier, "example.com");
        assert_eq!(failure.kind, "dns");
        assert_eq!(failure.detail, "SERVFAIL\\u{7}");
    }
}
