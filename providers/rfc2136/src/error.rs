//! What an exchange that failed means, and what the person who runs the server can do.

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::{Failure, ProviderError};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::tsig::TsigError;

use crate::client::{ExchangeError, Refusal};
use crate::config::Server;
use crate::key::Key;

/// Where an exchange took place.
pub(crate) struct Place<'a> {
    pub(crate) server: &'a Server,
    pub(crate) zone: &'a DnsName,
    pub(crate) key: &'a Key,
}

impl Place<'_> {
    /// The exchange's failure in the terms of the contract.
    pub(crate) fn error(&self, error: &ExchangeError) -> ProviderError {
        let server = self.server;
        match error {
            ExchangeError::NotSent(cause) => ProviderError::new(
                Failure::Unavailable,
                format!("{server} could not be reached: {cause}"),
                "see that the server runs and takes TCP on this port from here",
            ),
            ExchangeError::NoResponse(cause) => ProviderError::new(
                Failure::UnknownOutcome,
                format!("{server} took the request and gave no usable response: {cause}"),
                "see the server's log: it may have done what it was asked to",
            ),
            ExchangeError::Untrusted(cause) => ProviderError::new(
                Failure::UnknownOutcome,
                format!("{server} says success, but that cannot be believed: {cause}"),
                "a server that knows the key signs its responses; see that nothing stands \
                 between you and it",
            ),
            ExchangeError::Answered(refusal) => self.refused(refusal),
        }
    }

    fn refused(&self, refusal: &Refusal) -> ProviderError {
        let Place { server, zone, key } = self;
        let name = key.name();
        let algorithm = key.algorithm();
        let says = |code: &str, meaning: String| format!("{server} answered {code}: {meaning}");
        let denied = |what, remedy: String| ProviderError::new(Failure::Denied, what, remedy);
        match (&refusal.tsig, refusal.code) {
            (Some(TsigError::BadKey), _) => denied(
                says(
                    "BADKEY",
                    format!("it knows no key `{name}` with {algorithm}"),
                ),
                format!(
                    "add the key `{name}` with `algorithm {algorithm};` to the server, or correct \
                     `tsig-key` and `tsig-algorithm`"
                ),
            ),
            (Some(TsigError::BadSig), _) => denied(
                says(
                    "BADSIG",
                    format!("its secret for the key `{name}` is not ours"),
                ),
                "give `tsig-secret` the secret that the server has for this key".to_owned(),
            ),
            (Some(TsigError::BadTime), _) => denied(
                says("BADTIME", clocks(refusal.clock_ahead)),
                "set this machine's clock, or the server's, by NTP".to_owned(),
            ),
            (Some(TsigError::BadTrunc), _) => denied(
                says(
                    "BADTRUNC",
                    "it wants longer signatures than it got".to_owned(),
                ),
                "see the server's settings for truncated TSIG".to_owned(),
            ),
            (_, ResponseCode::Refused) => denied(
                says(
                    "REFUSED",
                    format!("the key `{name}` may not do this in the zone {zone}"),
                ),
                format!(
                    "grant it to the key in the zone's statement, in BIND by `update-policy {{ \
                     grant {name} zonesub TXT; }};`, and see that the zone is not frozen \
                     (`rndc thaw`)"
                ),
            ),
            (_, ResponseCode::NotAuth) => ProviderError::new(
                Failure::Rejected,
                says(
                    "NOTAUTH",
                    format!("it is not the primary of the zone {zone}"),
                ),
                "correct `server`, or the zone under `[[alias-zones]]`",
            ),
            (_, ResponseCode::NotZone) => ProviderError::new(
                Failure::Rejected,
                says(
                    "NOTZONE",
                    format!("a name lies outside the zone {zone} as it has it"),
                ),
                "correct the zone under `[[alias-zones]]`",
            ),
            (_, ResponseCode::ServFail) => ProviderError::new(
                Failure::Unavailable,
                says("SERVFAIL", format!("it cannot work on the zone {zone} now")),
                "see the server's log: the zone may not be loaded, or its journal not writable",
            ),
            (_, ResponseCode::NotImp) => ProviderError::new(
                Failure::Rejected,
                says("NOTIMP", "it takes no DNS UPDATE".to_owned()),
                "use the primary of the zone, and a server that speaks RFC 2136",
            ),
            (_, ResponseCode::FormErr) => ProviderError::new(
                Failure::Rejected,
                says("FORMERR", "it did not understand the request".to_owned()),
                "see the server's log, and report this with it",
            ),
            (_, code) => ProviderError::new(
                Failure::Rejected,
                says(
                    &code.to_string(),
                    format!("it did not change the zone {zone}"),
                ),
                "see the server's log",
            ),
        }
    }
}

fn clocks(ahead: Option<i64>) -> String {
    match ahead {
        Some(ahead) => format!(
            "its clock is {} s {} ours, and {} s are tolerated",
            ahead.unsigned_abs(),
            if ahead < 0 { "behind" } else { "ahead of" },
            300
        ),
        None => "its clock and ours are too far apart".to_owned(),
    }
}

/// One error for all the servers that were tried: the first that is more than an outage tells
/// what to do.
pub(crate) fn all_failed(mut errors: Vec<ProviderError>) -> ProviderError {
    if errors.len() == 1 {
        return errors.remove(0);
    }
    let what = errors
        .iter()
        .map(|error| error.what.as_str())
        .collect::<Vec<_>>()
        .join("; ");
    let unknown = errors
        .iter()
        .any(|error| error.failure == Failure::UnknownOutcome);
    let telling = errors
        .iter()
        .position(|error| error.failure != Failure::Unavailable);
    let telling = errors.swap_remove(telling.unwrap_or(0));
    let failure = if unknown {
        Failure::UnknownOutcome
    } else {
        telling.failure
    };
    ProviderError::new(
        failure,
        format!("no server made the change: {what}"),
        telling.remedy,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(
        code: ResponseCode,
        tsig: Option<TsigError>,
        clock_ahead: Option<i64>,
    ) -> ProviderError {
        let key = Key::read(&"c2VjcmV0".to_owned().into(), Some("acme-key"), None).unwrap();
        let place = Place {
            server: &"192.0.2.1".parse().unwrap(),
            zone: &"auth.example.net".parse().unwrap(),
            key: &key,
        };
        place.error(&ExchangeError::Answered(Refusal {
            code,
            tsig,
            clock_ahead,
        }))
    }

    #[test]
    fn every_refusal_has_its_own_words_and_a_remedy() {
        let all = [
            error(ResponseCode::NotAuth, Some(TsigError::BadKey), None),
            error(ResponseCode::NotAuth, Some(TsigError::BadSig), None),
            error(ResponseCode::NotAuth, Some(TsigError::BadTime), Some(-600)),
            error(ResponseCode::NotAuth, Some(TsigError::BadTrunc), None),
            error(ResponseCode::Refused, None, None),
            error(ResponseCode::NotAuth, None, None),
            error(ResponseCode::NotZone, None, None),
            error(ResponseCode::ServFail, None, None),
            error(ResponseCode::NotImp, None, None),
            error(ResponseCode::FormErr, None, None),
            error(ResponseCode::YXRRSet, None, None),
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
    fn several_servers_are_all_named_and_an_unknown_outcome_stays_unknown() {
        let down = ProviderError::new(Failure::Unavailable, "one is down", "start it");
        let denied = ProviderError::new(Failure::Denied, "two says no", "grant it");
        let lost = ProviderError::new(Failure::UnknownOutcome, "three is silent", "look");
        let both = all_failed(vec![down.clone(), denied.clone()]);
        assert_eq!(both.failure, Failure::Denied);
        assert_eq!(both.remedy, "grant it");
        assert!(both.what.contains("one is down") && both.what.contains("two says no"));
        assert_eq!(
            all_failed(vec![down, denied, lost]).failure,
            Failure::UnknownOutcome
        );
    }
}
