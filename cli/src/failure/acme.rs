//! Remedies for failures at the CA.

use acme_alias_core::acme::{AcmeError, CaError, Operation, TransportError};
use acme_alias_core::certificate::CertificateError;
use acme_alias_core::certificate::KeyError;

use super::model::{Failure, Part};
use crate::settings::SettingsError;

const NOT_A_DIRECTORY: &str = "check that `acme.directory` is the URL of an ACME directory";
const RATE_LIMIT: &str =
    "wait until the CA's rate limit allows more requests, then run the same command again";
const LATER: &str = "try again later; check the CA's status page";
const CAA: &str = "change the CAA records of the domain to allow this CA, or use another CA";
const EXTERNAL_ACCOUNT: &str = "get a key identifier and an HMAC key from the CA, then set \
                                `eab-kid` and `eab-hmac-key` under `[acme]`";
const NEW_ACCOUNT: &str = "run `acme-alias account new` (for a CA of `[cas]` with `--ca ID`); the old \
                           account is kept aside";
const KEY_TYPE: &str = "set another `key-type`";
/// For a request that the CA refuses. Those for keys of ours have all names there.
const REQUEST: &str =
    "set another `key-type`; or, with `csr`, create a request for a key that the CA accepts";
const ALL_NAMES: &str = "create the certification request with all names in its subjectAltName";
const REPORT: &str = "report this to the CA";

/// What the user can do about a failure at the CA; `None` if the message says all.
pub(crate) fn remedy(error: &AcmeError) -> Option<String> {
    let remedy = match error {
        AcmeError::Transport(error) => return transport_remedy(error).map(str::to_owned),
        AcmeError::NotAsked(refusal) => return remedy(refusal),
        AcmeError::Problem {
            operation,
            kind,
            subproblems,
            ..
        } => {
            let of_names = || {
                let mut kinds = subproblems.iter().map(|one| &one.kind);
                kinds.find_map(|kind| problem_remedy(*operation, kind))
            };
            problem_remedy(*operation, kind).or_else(of_names)?
        }
        AcmeError::InvalidAnswer {
            operation: Operation::Directory,
            ..
        } => NOT_A_DIRECTORY,
        AcmeError::TermsNotAgreed { .. } => {
            "read the terms, then agree once with `--agree-tos`, or with `agree-tos = true` under \
             `[acme]`"
        }
        AcmeError::ExternalAccountRequired => EXTERNAL_ACCOUNT,
        AcmeError::ExternalAccount { .. } => "correct `eab-hmac-key` under `[acme]`",
        AcmeError::InvalidHmacKey => "copy `eab-hmac-key` exactly as the CA shows it",
        AcmeError::WrongClock { .. } => "set the clock of this machine by NTP",
        AcmeError::UnknownProfile { .. } => "correct or remove `profile`",
        AcmeError::StoredAccount { .. } => {
            return Some(format!(
                "restore the account's file from a backup; or {NEW_ACCOUNT}"
            ));
        }
        AcmeError::NoAccount { .. } => {
            "run `acme-alias account new` to create one, or name the state folder that has it with `--state`"
        }
        AcmeError::NotOffered { .. } => "ask the operator of the CA how to do it there",
        AcmeError::Validation(failures) => {
            let mut remedies = failures
                .iter()
                .filter_map(|failure| validation_remedy(&failure.kind));
            remedies.next()?
        }
        AcmeError::NoDns01 { .. } => "use a CA that offers dns-01 for this name",
        AcmeError::ForeignAuthorization(_) => REPORT,
        AcmeError::Timeout { .. } => {
            "the order is saved and the next run resumes it; or raise `order-timeout` under `[acme]`"
        }
        AcmeError::Key(KeyError::Generation { .. } | KeyError::Request { .. }) => KEY_TYPE,
        _ => return None,
    };
    Some(remedy.to_owned())
}

/// What the user can do about a chain that was not stored.
pub(crate) fn certificate_remedy(error: &CertificateError) -> String {
    let remedy = match error {
        CertificateError::NotValidNow { .. } => "check the clock of this host",
        _ => REPORT,
    };
    format!("{remedy}; the stored certificate is unchanged")
}

fn transport_remedy(error: &TransportError) -> Option<&'static str> {
    Some(match error {
        TransportError::NotHttps { .. } => "use the CA's https:// directory URL",
        TransportError::Unreachable { .. } | TransportError::Timeout { .. } => {
            "check that this host can reach the CA; behind a proxy, set HTTPS_PROXY"
        }
        TransportError::Untrusted { .. } => {
            "for a private CA, set `ca-file` under `[acme]` to its root certificate; for a public \
             CA, find the proxy that intercepts HTTPS"
        }
        TransportError::Status { status: 429, .. } => RATE_LIMIT,
        TransportError::TooLarge { .. }
        | TransportError::Status {
            status: 400..500, ..
        } => NOT_A_DIRECTORY,
        TransportError::Status { .. } => LATER,
        TransportError::ExtraRoot { .. } => {
            "set `ca-file` under `[acme]` to a PEM file with a root certificate"
        }
        _ => return None,
    })
}

/// By the type of the problem (RFC 8555 §6.7), and where that is not enough by what the CA was asked for.
fn problem_remedy(operation: Operation, kind: &str) -> Option<&'static str> {
    Some(match (kind, operation) {
        ("accountDoesNotExist", _)
        | ("unauthorized", Operation::Account | Operation::AccountUpdate | Operation::Order) => {
            NEW_ACCOUNT
        }
        ("unauthorized", Operation::Revocation) => {
            "revoke it with the account that obtained it: name its state folder with `--state`"
        }
        ("unauthorized", Operation::Finalization) => ALL_NAMES,
        ("alreadyReplaced", _) => "run the same command again: it orders without `replaces`",
        ("alreadyRevoked", _) => {
            "nothing is left to revoke; `acme-alias renew --force ID` obtains another certificate"
        }
        ("badCSR", _) => REQUEST,
        ("badNonce", _) => {
            "find the proxy between this host and the CA that returns old answers; try again without it"
        }
        ("badPublicKey", _) => {
            "set `key-type` to one that the CA accepts, such as `rsa-2048`; or, with `csr`, create the request for such \
             a key"
        }
        ("badRevocationReason", _) => "give another `--reason`, or none",
        ("badSignatureAlgorithm", _) => {
            "use another CA: this one does not accept account keys of type ES256"
        }
        ("externalAccountRequired", _) => EXTERNAL_ACCOUNT,
        ("invalidContact", _) => "correct the mail address in `contact` under `[acme]`",
        ("unsupportedContact", _) => "give one plain mail address as `contact` under `[acme]`",
        ("invalidProfile", _) => "correct `profile`, or remove it",
        ("malformed", _) => {
            "run the command again with `-vv`, and report what it shows to the developers of this program"
        }
        ("orderNotReady", _) => "run the same command again: it resumes the order",
        ("rateLimited", _) => RATE_LIMIT,
        ("rejectedIdentifier", _) => {
            "the CA does not issue for this name; remove the name, or use another CA"
        }
        ("serverInternal", _) => LATER,
        ("unsupportedIdentifier", _) => {
            "use another CA for this name: this one does not issue for names of its kind"
        }
        ("userActionRequired", _) => {
            "do what the CA asks for, such as to agree to its new terms of service"
        }
        (kind, _) => return validation_remedy(kind),
    })
}

/// By the type of the problem, for names that the CA could not validate.
fn validation_remedy(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "caa" => CAA,
        "dns" => {
            "check that the name servers of the domain and of the alias zone answer queries from \
             the internet (firewall, split horizon, DNSSEC)"
        }
        "connection" => {
            "let the CA reach the name servers of the domain and of the alias zone: port 53, UDP and TCP"
        }
        "unauthorized" => {
            "all name servers had the value, but the CA did not see it: it may have an older answer in its cache, or \
             not reach these servers. Run the same command again later"
        }
        "incorrectResponse" => {
            "all name servers had the value, but the CA found another one: look with `acme-alias check` whether \
             somebody else writes there, and run the same command again later"
        }
        "tls" => "report this to the CA: dns-01 involves no TLS",
        _ => return None,
    })
}

impl From<AcmeError> for Failure {
    fn from(error: AcmeError) -> Self {
        if let AcmeError::ExternalAccount { source } = &error
            && let Some(settings) = source.downcast_ref::<SettingsError>()
        {
            return settings.clone().into();
        }
        Failure::new(Part::Ca, &error, remedy(&error))
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        AcmeError::from(error).into()
    }
}

impl From<CaError> for Failure {
    fn from(error: CaError) -> Self {
        match error {
            CaError::Acme(error) => error.into(),
            CaError::Store(error) => error.into(),
            error => Failure::new(Part::Unexpected, &error, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use acme_alias_core::acme::ValidationFailure;

    use super::*;

    fn failure(kind: &str) -> ValidationFailure {
        ValidationFailure {
            identifier: "example.com".to_owned(),
            kind: kind.to_owned(),
            detail: "no".to_owned(),
        }
    }

    #[test]
    fn the_remedy_of_a_failed_validation_depends_on_the_kind_of_problem() {
        let of = |kinds: &[&str]| {
            let failures = kinds.iter().map(|kind| failure(kind)).collect();
            remedy(&AcmeError::Validation(failures))
        };
        assert_eq!(of(&["caa"]).as_deref(), Some(CAA));
        assert!(of(&["dns"]).is_some_and(|text| text.contains("name servers")));
        assert_eq!(of(&["unknown", "caa"]).as_deref(), Some(CAA));
        assert_eq!(of(&["unknown"]), None);
    }

    /// RFC 8555 §6.7, RFC 9773 §7.4, draft-ietf-acme-profiles §5. `compound` has subproblems.
    const KINDS: [&str; 25] = [
        "accountDoesNotExist",
        "alreadyReplaced",
        "alreadyRevoked",
        "badCSR",
        "badNonce",
        "badPublicKey",
        "badRevocationReason",
        "badSignatureAlgorithm",
        "caa",
        "connection",
        "dns",
        "externalAccountRequired",
        "incorrectResponse",
        "invalidContact",
        "invalidProfile",
        "malformed",
        "orderNotReady",
        "rateLimited",
        "rejectedIdentifier",
        "serverInternal",
        "tls",
        "unauthorized",
        "unsupportedContact",
        "unsupportedIdentifier",
        "userActionRequired",
    ];

    #[test]
    fn each_type_of_problem_has_a_remedy_of_its_own() {
        let remedies = KINDS.map(|kind| problem_remedy(Operation::Challenges, kind));
        let different: BTreeSet<_> = remedies.iter().flatten().collect();
        assert_eq!(different.len(), KINDS.len());
        assert_eq!(problem_remedy(Operation::Order, "unheard-of"), None);
    }

    #[test]
    fn a_problem_of_several_names_has_the_remedy_of_the_first_that_has_one() {
        let compound = AcmeError::Problem {
            operation: Operation::Order,
            kind: "compound".to_owned(),
            detail: "two names".to_owned(),
            subproblems: vec![failure("unheard-of"), failure("caa")],
            retry_after: None,
        };
        assert_eq!(remedy(&compound).as_deref(), Some(CAA));
    }

    #[test]
    fn a_refused_order_of_an_unknown_account_asks_for_a_new_account() {
        let of = |operation| problem_remedy(operation, "unauthorized");
        assert_eq!(of(Operation::Order), Some(NEW_ACCOUNT));
        assert_ne!(of(Operation::Challenges), Some(NEW_ACCOUNT));
    }
}
