//! What a failed call means, and what to do about it.

use std::error::Error;
use std::fmt;

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::{Failure, ProviderError};
use aws_sdk_route53::config::http::HttpResponse;
use aws_sdk_route53::error::{ProvideErrorMetadata, SdkError};

/// The credentials may not do this.
const DENIED: [&str; 3] = [
    "AccessDenied",
    "AccessDeniedException",
    "NotAuthorizedException",
];

const THROTTLED: [&str; 4] = [
    "Throttling",
    "ThrottlingException",
    "PriorRequestNotComplete",
    "TooManyRequestsException",
];
const EXPIRED: [&str; 3] = ["ExpiredToken", "ExpiredTokenException", "RequestExpired"];
const WRONG_CREDENTIALS: [&str; 6] = [
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "InvalidSignatureException",
];

/// A call without a result. It has no source: errors of the SDK may quote a signed request, session
/// token included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallError {
    /// The credential chain ended without credentials.
    NoCredentials(String),
    /// Nothing was sent.
    NotSent(String),
    /// The request was sent, and no usable answer arrived.
    NoAnswer(String),
    /// Route 53 answered with an error.
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
    /// The meaning of an error of the SDK.
    pub(crate) fn new<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match error {
            SdkError::ServiceError(context) => {
                let (code, message) = match (context.err().code(), context.err().message()) {
                    (Some(code), message) => (Some(code), message),
                    (None, _) => batch_refusal(context.raw()).unzip(),
                };
                CallError::refused(context.raw().status().as_u16(), code, message)
            }
            SdkError::TimeoutError(_) => CallError::NoAnswer("no answer in time".to_owned()),
            SdkError::ResponseError(context) => {
                let status = context.raw().status().as_u16();
                CallError::NoAnswer(format!("the answer {status} is unreadable"))
            }
            other => CallError::without_answer(other),
        }
    }

    fn refused(status: u16, code: Option<&str>, message: Option<&str>) -> Self {
        let message = match code {
            // The message quotes the request as it was signed, session token included.
            Some("SignatureDoesNotMatch") => "the signature is not that of the key",
            _ => message.unwrap_or("no reason given"),
        };
        CallError::Refused {
            status,
            code: code.map_or_else(|| format!("HTTP {status}"), str::to_owned),
            message: message.to_owned(),
        }
    }

    /// The SDK reports some kinds of errors by their text only.
    fn without_answer(error: &(dyn Error + 'static)) -> Self {
        let causes = causes(error);
        let mention = |words: &[&str]| {
            let mentions = |word: &&str| causes.iter().any(|cause| cause.contains(*word));
            words.iter().any(mentions)
        };
        let innermost = causes.last().cloned().unwrap_or_default();
        if mention(&["credential", "Credential"]) {
            CallError::NoCredentials(innermost)
        } else if mention(&["refused", "dns error", "connect error", "connect timeout"]) {
            CallError::NotSent(innermost)
        } else {
            CallError::NoAnswer(innermost)
        }
    }

    fn is(&self, codes: &[&str]) -> bool {
        matches!(self, CallError::Refused { code, .. } if codes.contains(&code.as_str()))
    }

    /// Whether Route 53 wants the same call later.
    pub(crate) fn is_throttled(&self) -> bool {
        self.is(&THROTTLED)
    }

    /// Whether a set has changed since it was read.
    pub(crate) fn is_stale(&self) -> bool {
        let CallError::Refused { code, message, .. } = self else {
            return false;
        };
        let permanent = ["not permitted", "Invalid", "invalid"];
        code == "InvalidChangeBatch" && !permanent.iter().any(|word| message.contains(word))
    }

    /// Whether the batch was permitted, but not carried out.
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

    /// The failure in the terms of the provider contract.
    pub(crate) fn into_provider_error(self, zone: &DnsName) -> ProviderError {
        let (failure, what, remedy) = match &self {
            CallError::NoCredentials(cause) => (
                Failure::Denied,
                format!("no AWS credentials were found: {cause}"),
                "set `profile`, or provide credentials as for other AWS programs: AWS_ACCESS_KEY_ID and \
                 AWS_SECRET_ACCESS_KEY, ~/.aws/credentials, or a role of the machine"
                    .to_owned(),
            ),
            CallError::NotSent(cause) => (
                Failure::Unavailable,
                format!("Route 53 could not be reached: {cause}"),
                "check that the API can be reached from here, and `endpoint-url` if it is set"
                    .to_owned(),
            ),
            CallError::NoAnswer(cause) => (
                Failure::UnknownOutcome,
                format!("Route 53 received the request and gave no usable answer: {cause}"),
                "try again; check the zone and the AWS status page".to_owned(),
            ),
            CallError::Refused {
                status, message, ..
            } => {
                let (failure, remedy) = self.refusal(*status, message, zone);
                (failure, format!("Route 53 answered {self}"), remedy)
            }
        };
        ProviderError::new(failure, what, remedy)
    }

    /// Kind and remedy of an error that Route 53 reported.
    fn refusal(&self, status: u16, message: &str, zone: &DnsName) -> (Failure, String) {
        let (failure, remedy) = if self.is_throttled() {
            let remedy = "try again later; AWS limits all programs of the account together, and \
                          `requests-per-second` limits this one";
            (Failure::Throttled { retry_after: None }, remedy)
        } else if status >= 500 {
            let remedy = "try again later; check the AWS status page";
            (Failure::UnknownOutcome, remedy)
        } else if self.is(&EXPIRED) {
            let remedy =
                "the credentials have expired: sign in again, or renew them at their source";
            (Failure::Denied, remedy)
        } else if self.is(&WRONG_CREDENTIALS) {
            let remedy =
                "the credentials are wrong: correct `profile`, or the AWS variables and files";
            (Failure::Denied, remedy)
        } else if self.is_batch_refused() && message.contains("conflicting") {
            let remedy = "remove the CNAME at the alias name, or use its target as the alias name";
            (Failure::Conflict, remedy)
        } else {
            return self.refusal_in_zone(zone);
        };
        (failure, remedy.to_owned())
    }

    /// The same for the errors whose remedy names the zone.
    fn refusal_in_zone(&self, zone: &DnsName) -> (Failure, String) {
        if self.is_denied() {
            let remedy = format!(
                "allow ListResourceRecordSets, ChangeResourceRecordSets and GetChange for {zone}, and \
                 ListHostedZonesByName if `hosted-zone-id` is not set"
            );
            return (Failure::Denied, remedy);
        }
        let remedy = if self.is(&["NoSuchHostedZone"]) {
            format!("correct `hosted-zone-id`, or remove it to look up {zone} by name")
        } else {
            format!(
                "check that `hosted-zone-id` is that of {zone}, and that the alias name is in it"
            )
        };
        (Failure::Rejected, remedy)
    }
}

/// Code and message of a refused batch in its other form, which the SDK does not parse:
/// `<InvalidChangeBatch><Messages><Message>…`
/// (<https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html>).
fn batch_refusal(response: &HttpResponse) -> Option<(&str, &str)> {
    const CODE: &str = "InvalidChangeBatch";
    let body = std::str::from_utf8(response.body().bytes()?).ok()?;
    let (_, batch) = body.split_once(CODE)?;
    let (_, message) = batch.split_once("<Message>")?;
    let (message, _) = message.split_once("</Message>")?;
    Some((CODE, message))
}

/// The messages of an error and of all its causes, outermost first.
fn causes(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut causes = vec![error.to_string()];
    let mut current = error;
    while let Some(source) = current.source() {
        causes.push(source.to_string());
        current = source;
    }
    causes
}
