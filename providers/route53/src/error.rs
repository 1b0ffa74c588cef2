//! What a call that failed means, and what to do about it.

use std::error::Error;
use std::fmt;

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::{Failure, ProviderError};
use aws_sdk_route53::config::http::HttpResponse;
use aws_sdk_route53::error::{ProvideErrorMetadata, SdkError};

/// What the credentials may not do.
const DENIED: [&str; 3] = [
    "AccessDenied",
    "AccessDeniedException",
    "NotAuthorizedException",
];

/// A call that gave no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallError {
    /// The credential chain ended without credentials.
    NoCredentials(String),
    /// Nothing was sent.
    NotSent(String),
    /// It was sent, and no usable answer came.
    NoAnswer(String),
    /// Route 53 said no: the HTTP status, its code, its words.
    Refused {
        status: u16,
        code: String,
        message: String,
    },
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::NoCredentials(cause)
            | CallError::NotSent(cause)
            | CallError::NoAnswer(cause) => f.write_str(cause),
            CallError::Refused { code, message, .. } => write!(f, "{code}: {message}"),
        }
    }
}

impl CallError {
    /// The error of a call, in our terms.
    pub(crate) fn new<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match error {
            SdkError::ServiceError(context) => {
                let status = context.raw().status().as_u16();
                let (code, message) = match (context.err().code(), context.err().message()) {
                    (Some(code), message) => (Some(code), message),
                    (None, _) => unwrapped(context.raw()).unzip(),
                };
                CallError::Refused {
                    status,
                    code: code.map_or_else(|| format!("HTTP {status}"), str::to_owned),
                    message: match code {
                        // It quotes the request as it was signed, session token included.
                        Some("SignatureDoesNotMatch") => "the signature is not that of the key",
                        _ => message.unwrap_or("without a reason"),
                    }
                    .to_owned(),
                }
            }
            SdkError::TimeoutError(_) => CallError::NoAnswer("no answer in time".to_owned()),
            SdkError::ResponseError(context) => {
                let status = context.raw().status().as_u16();
                CallError::NoAnswer(format!("it answered {status} with something unreadable"))
            }
            other => {
                let causes = causes(other);
                let says = |words: &[&str]| {
                    let found = |word: &&str| causes.iter().any(|cause| cause.contains(*word));
                    words.iter().any(found)
                };
                let innermost = causes.last().cloned().unwrap_or_default();
                if says(&["credential", "Credential"]) {
                    CallError::NoCredentials(innermost)
                } else if says(&["refused", "dns error", "connect error", "connect timeout"]) {
                    CallError::NotSent(innermost)
                } else {
                    CallError::NoAnswer(innermost)
                }
            }
        }
    }

    fn is(&self, codes: &[&str]) -> bool {
        matches!(self, CallError::Refused { code, .. } if codes.contains(&code.as_str()))
    }

    /// Whether Route 53 wants the same call later.
    pub(crate) fn is_throttled(&self) -> bool {
        self.is(&[
            "Throttling",
            "ThrottlingException",
            "PriorRequestNotComplete",
            "TooManyRequestsException",
        ])
    }

    /// Whether a set is no longer what it was when it was read.
    pub(crate) fn is_stale(&self) -> bool {
        let CallError::Refused { code, message, .. } = self else {
            return false;
        };
        let permanent = ["not permitted", "Invalid", "invalid"];
        code == "InvalidChangeBatch" && !permanent.iter().any(|word| message.contains(word))
    }

    /// Whether the batch was looked at, and not carried out.
    pub(crate) fn is_batch_refused(&self) -> bool {
        self.is(&["InvalidChangeBatch"])
    }

    /// Whether the credentials may not do this.
    pub(crate) fn is_denied(&self) -> bool {
        self.is(&DENIED)
    }

    /// Whether the call may have been carried out.
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(
            self,
            CallError::NoAnswer(_) | CallError::Refused { status: 500.., .. }
        )
    }

    /// The failure in the terms of the contract.
    pub(crate) fn into_provider_error(self, zone: &DnsName) -> ProviderError {
        let says = format!("Route 53 answered {self}");
        match &self {
            CallError::NoCredentials(cause) => ProviderError::new(
                Failure::Denied,
                format!("no AWS credentials were found: {cause}"),
                "set `profile`, or give credentials as the AWS programs take them: AWS_ACCESS_KEY_ID \
                 and AWS_SECRET_ACCESS_KEY, ~/.aws/credentials, or a role of the machine",
            ),
            CallError::NotSent(cause) => ProviderError::new(
                Failure::Unavailable,
                format!("Route 53 could not be reached: {cause}"),
                "see that the API can be reached from here; `endpoint-url` names another place",
            ),
            CallError::NoAnswer(cause) => ProviderError::new(
                Failure::UnknownOutcome,
                format!("Route 53 got the request, and gave no usable answer: {cause}"),
                "try again; see the zone, and the AWS status page",
            ),
            CallError::Refused { .. } if self.is_throttled() => ProviderError::new(
                Failure::Throttled { retry_after: None },
                says,
                "try again later; the limit holds for all programs of the account, and \
                 `requests-per-second` for this one",
            ),
            CallError::Refused { status: 500.., .. } => ProviderError::new(
                Failure::UnknownOutcome,
                says,
                "try again later; see the AWS status page",
            ),
            _ if self.is(&["ExpiredToken", "ExpiredTokenException", "RequestExpired"]) => {
                ProviderError::new(
                    Failure::Denied,
                    says,
                    "the credentials have expired: sign in again, or renew them where they come from",
                )
            }
            _ if self.is(&[
                "InvalidClientTokenId",
                "UnrecognizedClientException",
                "SignatureDoesNotMatch",
                "IncompleteSignature",
                "MissingAuthenticationToken",
                "InvalidSignatureException",
            ]) =>
            {
                ProviderError::new(
                    Failure::Denied,
                    says,
                    "the credentials are wrong: correct `profile`, or the AWS variables and files",
                )
            }
            _ if self.is_denied() => ProviderError::new(
                Failure::Denied,
                says,
                format!(
                    "allow ListResourceRecordSets, ChangeResourceRecordSets and GetChange for {zone} \
                     (and ListHostedZonesByName without `hosted-zone-id`); docs/providers/route53.md \
                     has the policy"
                ),
            ),
            _ if self.is(&["NoSuchHostedZone"]) => ProviderError::new(
                Failure::Rejected,
                says,
                format!(
                    "correct `hosted-zone-id`: there is no such zone; leave it out to find {zone} by name"
                ),
            ),
            CallError::Refused { message, .. } if message.contains("conflicting") => {
                ProviderError::new(
                    Failure::Conflict,
                    says,
                    "a CNAME stands at the alias name: remove it, or use the name that it leads to",
                )
            }
            CallError::Refused { .. } => ProviderError::new(
                Failure::Rejected,
                says,
                format!(
                    "see that `hosted-zone-id` is that of {zone}, and the alias of the certificate lies in it"
                ),
            ),
        }
    }
}

/// Code and message of a refused batch in its other form, which the SDK does not read:
/// `<InvalidChangeBatch><Messages><Message>…`
/// (<https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html>).
fn unwrapped(response: &HttpResponse) -> Option<(&str, &str)> {
    const CODE: &str = "InvalidChangeBatch";
    let body = std::str::from_utf8(response.body().bytes()?).ok()?;
    let (_, batch) = body.split_once(CODE)?;
    let (_, message) = batch.split_once("<Message>")?;
    let (message, _) = message.split_once("</Message>")?;
    Some((CODE, message))
}

/// The words of an error and of all its causes, outermost first.
fn causes(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut causes = vec![error.to_string()];
    let mut current = error;
    while let Some(source) = current.source() {
        causes.push(source.to_string());
        current = source;
    }
    causes
}
