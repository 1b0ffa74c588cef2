//! What a failed exchange means, and what the operator of the server can do about it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::{Failure, ProviderError};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::tsig::TsigError;

use crate::key::{FUDGE, TsigKey};
use crate::server::ServerAddress;

/// An exchange that did not end with a trustworthy success.
#[derive(Clone, Debug)]
pub(crate) enum ExchangeError {
    /// Nothing was sent.
    NotSent(Cause),
    /// The request was sent, and no whole response arrived.
    NoResponse(Cause),
    /// The response reports success but is not signed with our key.
    Untrusted(Cause),
    /// The response reports an error.
    Refused(Refusal),
}

/// Why an exchange failed, in words; with the I/O error, if there was one.
#[derive(Clone, Debug)]
pub(crate) struct Cause {
    text: String,
    io: Option<Arc<io::Error>>,
}

/// A response that reports an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ResponseCode,
    /// What is wrong with the signature (RFC 8945 §5.2).
    pub(crate) tsig: Option<TsigError>,
    /// By how many seconds the server's clock is ahead of ours, if the server says so.
    pub(crate) clock_ahead: Option<i64>,
}

impl ExchangeError {
    /// The same error, with the address at which it happened.
    pub(crate) fn at(self, address: SocketAddr) -> Self {
        match self {
            ExchangeError::NotSent(cause) => ExchangeError::NotSent(cause.after(&address)),
            ExchangeError::NoResponse(cause) => ExchangeError::NoResponse(cause.after(&address)),
            ExchangeError::Untrusted(cause) => ExchangeError::Untrusted(cause.after(&address)),
            ExchangeError::Refused(_) => self,
        }
    }

    /// One error for this one and a later one. If either request was sent, its outcome is unknown.
    pub(crate) fn and(self, later: ExchangeError) -> Self {
        match (self, later) {
            (ExchangeError::NotSent(one), ExchangeError::NotSent(two)) => {
                ExchangeError::NotSent(one.and(&two))
            }
            (
                ExchangeError::NotSent(one) | ExchangeError::NoResponse(one),
                ExchangeError::NotSent(two) | ExchangeError::NoResponse(two),
            ) => ExchangeError::NoResponse(one.and(&two)),
            (_, later) => later,
        }
    }
}

impl Cause {
    /// The same cause, after what it is the cause of.
    pub(crate) fn after(self, what: &dyn fmt::Display) -> Self {
        Cause {
            text: format!("{what}: {}", self.text),
            ..self
        }
    }

    /// This cause and another one, in words; the I/O error is that of the first.
    fn and(self, other: &Cause) -> Self {
        Cause {
            text: format!("{}; {other}", self.text),
            ..self
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<String> for Cause {
    fn from(text: String) -> Self {
        Cause { text, io: None }
    }
}

impl From<&str> for Cause {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        let text = match error.kind() {
            io::ErrorKind::UnexpectedEof => "it closed the connection".to_owned(),
            io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
            _ => error.to_string(),
        };
        Cause {
            text,
            io: Some(Arc::new(error)),
        }
    }
}

pub(crate) fn not_sent(cause: impl Into<Cause>) -> ExchangeError {
    ExchangeError::NotSent(cause.into())
}

pub(crate) fn no_response(cause: impl Into<Cause>) -> ExchangeError {
    ExchangeError::NoResponse(cause.into())
}

pub(crate) fn timed_out(what: &str, limit: Duration) -> Cause {
    format!("{what} within {limit:?}").into()
}

/// Where an exchange failed.
pub(crate) struct ErrorContext<'a> {
    pub(crate) server: &'a ServerAddress,
    pub(crate) zone: &'a DnsName,
    pub(crate) key: &'a TsigKey,
}

impl ErrorContext<'_> {
    /// The failure in the terms of the provider contract.
    pub(crate) fn provider_error(&self, error: &ExchangeError) -> ProviderError {
        let server = self.server;
        let (failure, what, remedy, cause) = match error {
            ExchangeError::NotSent(cause) => (
                Failure::Unavailable,
                format!("{server} could not be reached: {cause}"),
                "check that the server runs and accepts TCP connections on this port from here",
                cause,
            ),
            ExchangeError::NoResponse(cause) => (
                Failure::UnknownOutcome,
                format!("{server} received the request and gave no usable response: {cause}"),
                "check the server's log: the change may have been made",
                cause,
            ),
            ExchangeError::Untrusted(cause) => (
                Failure::UnknownOutcome,
                format!("{server} reports success, but the response cannot be trusted: {cause}"),
                "check that nothing between you and the server changes DNS messages; a server that \
                 has the key signs its responses",
                cause,
            ),
            ExchangeError::Refused(refusal) => return self.refused(refusal),
        };
        let error = ProviderError::new(failure, what, remedy);
        match &cause.io {
            Some(io) => error.with_source(Arc::clone(io) as _),
            None => error,
        }
    }

    fn refused(&self, refusal: &Refusal) -> ProviderError {
        match refusal.tsig {
            Some(tsig) => self.bad_signature(tsig, refusal),
            None => self.error_code(refusal.code),
        }
    }

    /// Errors of TSIG (RFC 8945 §5.2). Nothing was changed.
    fn bad_signature(&self, tsig: TsigError, refusal: &Refusal) -> ProviderError {
        let (name, algorithm) = (self.key.name(), self.key.algorithm());
        let (what, remedy) = match tsig {
            TsigError::BadKey => (
                format!("BADKEY: it has no key `{name}` with {algorithm}"),
                format!(
                    "add the key `{name}` with `algorithm {algorithm};` to the server, or correct \
                     `tsig-key` and `tsig-algorithm`"
                ),
            ),
            TsigError::BadSig => (
                format!("BADSIG: its secret for the key `{name}` differs from ours"),
                "set `tsig-secret` to the secret that the server has for this key".to_owned(),
            ),
            TsigError::BadTime => (
                format!("BADTIME: {}", clock_difference(refusal.clock_ahead)),
                "set the clock of this machine, or of the server, by NTP".to_owned(),
            ),
            TsigError::BadTrunc => (
                "BADTRUNC: it requires longer signatures".to_owned(),
                "check the server's settings for truncated TSIG".to_owned(),
            ),
            TsigError::Unknown(_) => return self.error_code(refusal.code),
        };
        let what = format!("{} answered {what}", self.server);
        ProviderError::new(Failure::Denied, what, remedy)
    }

    /// Response codes (RFC 2136 §2.2).
    fn error_code(&self, code: ResponseCode) -> ProviderError {
        let ErrorContext { server, zone, key } = self;
        let (failure, what, remedy) = match code {
            ResponseCode::Refused => (
                Failure::Denied,
                format!(
                    "REFUSED: the key `{}` may not do this in the zone {zone}",
                    key.name()
                ),
                format!(
                    "grant it to the key in the zone's statement, in BIND by `update-policy {{ \
                     grant {} zonesub TXT; }};`, and check that the zone is not frozen (`rndc thaw`)",
                    key.name()
                ),
            ),
            ResponseCode::NotAuth => (
                Failure::Rejected,
                format!("NOTAUTH: it is not the primary of the zone {zone}"),
                "correct `server`, or the name of the alias zone".to_owned(),
            ),
            ResponseCode::NotZone => (
                Failure::Rejected,
                format!("NOTZONE: a name is outside the zone {zone} as the server has it"),
                "correct the name of the alias zone".to_owned(),
            ),
            ResponseCode::ServFail => (
                // BIND's answer to too many values as well.
                Failure::TooMany,
                format!("SERVFAIL: it cannot change the zone {zone} now"),
                "check the server's log: the zone may not be loaded, its journal not writable, or a \
                 name may have too many values (BIND: `max-records-per-type`)"
                    .to_owned(),
            ),
            ResponseCode::NotImp => (
                Failure::Rejected,
                "NOTIMP: it does not support DNS UPDATE".to_owned(),
                "use the zone's primary, and a server that supports RFC 2136".to_owned(),
            ),
            ResponseCode::FormErr => (
                Failure::Rejected,
                "FORMERR: it did not understand the request".to_owned(),
                "check the server's log, and report this with it".to_owned(),
            ),
            code => (
                Failure::Rejected,
                format!("{code}: it did not change the zone {zone}"),
                "check the server's log".to_owned(),
            ),
        };
        ProviderError::new(failure, format!("{server} answered {what}"), remedy)
    }
}

fn clock_difference(ahead: Option<i64>) -> String {
    match ahead {
        Some(ahead) => format!(
            "its clock is {} s {} ours; at most {FUDGE} s are allowed",
            ahead.unsigned_abs(),
            if ahead < 0 { "behind" } else { "ahead of" },
        ),
        None => "its clock and ours are too far apart".to_owned(),
    }
}

/// One error for all servers that were tried: kind and remedy are those of the first error that is
/// more than an outage. The outcome is unknown if that of one server is.
pub(crate) fn all_failed(mut errors: Vec<ProviderError>) -> ProviderError {
    if errors.len() == 1 {
        return errors.remove(0);
    }
    let causes: Vec<_> = errors.iter().map(|error| error.what.as_str()).collect();
    let what = format!("no server made the change: {}", causes.join("; "));
    let unknown = errors
        .iter()
        .any(|error| error.failure == Failure::UnknownOutcome);
    let first_refusal = errors
        .iter()
        .position(|error| !matches!(error.failure, Failure::Unavailable | Failure::TooMany));
    let mut error = errors.swap_remove(first_refusal.unwrap_or(0));
    if unknown {
        error.failure = Failure::UnknownOutcome;
    }
    error.what = what;
    error
}

/// A request that could not be built.
pub(crate) fn invalid_request(what: impl Into<String>) -> ProviderError {
    let remedy = "correct the name of the alias zone, or the alias name";
    ProviderError::new(Failure::Rejected, what, remedy)
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;
    use crate::key::TsigAlgorithm;

    fn provider_error(error: &ExchangeError) -> ProviderError {
        let context = ErrorContext {
            server: &"192.0.2.1".parse().unwrap(),
            zone: &"auth.example.net".parse().unwrap(),
            key: &TsigKey::new("acme-key", TsigAlgorithm::HmacSha256, "c2VjcmV0").unwrap(),
        };
        context.provider_error(error)
    }

    fn refused(
        code: ResponseCode,
        tsig: Option<TsigError>,
        clock_ahead: Option<i64>,
    ) -> ProviderError {
        provider_error(&ExchangeError::Refused(Refusal {
            code,
            tsig,
            clock_ahead,
        }))
    }

    #[test]
    fn every_refusal_has_its_own_message_and_a_remedy() {
        let all = [
            refused(ResponseCode::NotAuth, Some(TsigError::BadKey), None),
            refused(ResponseCode::NotAuth, Some(TsigError::BadSig), None),
            refused(ResponseCode::NotAuth, Some(TsigError::BadTime), Some(-600)),
            refused(ResponseCode::NotAuth, Some(TsigError::BadTrunc), None),
            refused(ResponseCode::Refused, None, None),
            refused(ResponseCode::NotAuth, None, None),
            refused(ResponseCode::NotZone, None, None),
            refused(ResponseCode::ServFail, None, None),
            refused(ResponseCode::NotImp, None, None),
            refused(ResponseCode::FormErr, None, None),
            refused(ResponseCode::YXRRSet, None, None),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(one.what.contains("192.0.2.1:53"), "{one}");
            assert!(!one.remedy.is_empty(), "{one}");
            assert!(
                all.iter().skip(i + 1).all(|other| other.what != one.what),
                "{one}"
            );
        }
        assert!(all[2].what.contains("600 s behind ours"), "{}", all[2]);
        assert!(
            all[4].remedy.contains("grant acme-key zonesub TXT;"),
            "{}",
            all[4].remedy
        );
    }

    #[test]
    fn an_io_error_is_the_source() {
        let io = io::Error::from(io::ErrorKind::ConnectionRefused);
        let error = provider_error(&ExchangeError::NotSent(io.into()));
        assert!(error.what.ends_with("connection refused"), "{error}");
        let source = error.source().and_then(|s| s.downcast_ref::<io::Error>());
        assert_eq!(
            source.map(io::Error::kind),
            Some(io::ErrorKind::ConnectionRefused)
        );
    }

    #[test]
    fn several_servers_are_all_named_and_an_unknown_outcome_stays_unknown() {
        let down = ProviderError::new(Failure::Unavailable, "one is down", "start it");
        let denied = ProviderError::new(Failure::Denied, "two refuses", "grant it");
        let lost = ProviderError::new(Failure::UnknownOutcome, "three is silent", "check it");
        let both = all_failed(vec![down.clone(), denied.clone()]);
        assert_eq!(both.failure, Failure::Denied);
        assert_eq!(both.remedy, "grant it");
        assert!(both.what.contains("one is down") && both.what.contains("two refuses"));
        assert_eq!(
            all_failed(vec![down, denied, lost]).failure,
            Failure::UnknownOutcome
        );
    }
}
