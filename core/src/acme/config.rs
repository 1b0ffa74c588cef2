//! Which certification authority (CA) to use, and how.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};

use super::error::AcmeError;
use super::transport::Timeouts;
use crate::renewal::Limits;

const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
const LETS_ENCRYPT_STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";

/// The domains that identify CAs in CAA records, by the start of the directory URL.
const CAA_ISSUERS: [(&str, &str); 4] = [
    ("https://acme-v02.api.letsencrypt.org/", "letsencrypt.org"),
    (
        "https://acme-staging-v02.api.letsencrypt.org/",
        "letsencrypt.org",
    ),
    ("https://acme.zerossl.com/", "sectigo.com"),
    ("https://dv.acme-v02.api.pki.goog/", "pki.goog"),
];

/// A CA and the account there.
///
/// ```
/// use acme_alias_core::acme::CaConfig;
///
/// let config = CaConfig::lets_encrypt_staging()
///     .with_contact(["hostmaster@example.com"])
///     .with_agree_tos(true);
/// assert_eq!(config.caa_issuer(), Some("letsencrypt.org"));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CaConfig {
    /// The URL of the directory (RFC 8555 §7.1.1).
    pub directory: String,
    /// Mail addresses that the CA may write to.
    pub contact: Vec<String>,
    /// Whether the user agrees to the CA's terms of service.
    pub agree_tos: bool,
    /// Root certificates (PEM) to trust for HTTPS in addition to those of the system.
    pub extra_root: Option<Vec<u8>>,
    /// How long the CA may take.
    pub timeouts: Timeouts,
    /// The domain that identifies the CA in CAA records (RFC 8659 §4.2), if it differs from the
    /// one that is known for the directory.
    pub caa_issuer: Option<String>,
    /// What the CA allows the account; known for Let's Encrypt.
    pub limits: Limits,
    /// Where the external account comes from, for CAs that require one (RFC 8555 §7.3.4).
    pub external_account: Option<Arc<dyn ExternalAccountSource>>,
}

impl CaConfig {
    /// The CA with this directory URL.
    pub fn new(directory: impl Into<String>) -> Self {
        let directory = directory.into();
        CaConfig {
            limits: if directory == LETS_ENCRYPT {
                Limits::lets_encrypt()
            } else {
                Limits::default()
            },
            directory,
            contact: Vec::new(),
            agree_tos: false,
            extra_root: None,
            timeouts: Timeouts::default(),
            caa_issuer: None,
            external_account: None,
        }
    }

    /// Let's Encrypt.
    pub fn lets_encrypt() -> Self {
        CaConfig::new(LETS_ENCRYPT)
    }

    /// The staging environment of Let's Encrypt. Browsers do not trust its certificates.
    pub fn lets_encrypt_staging() -> Self {
        CaConfig::new(LETS_ENCRYPT_STAGING)
    }

    /// Sets the mail addresses.
    #[must_use]
    pub fn with_contact<T: Into<String>>(mut self, addresses: impl IntoIterator<Item = T>) -> Self {
        self.contact = addresses.into_iter().map(Into::into).collect();
        self
    }

    /// Sets whether the user agrees to the terms of service.
    #[must_use]
    pub fn with_agree_tos(mut self, agree: bool) -> Self {
        self.agree_tos = agree;
        self
    }

    /// Sets the root certificates (PEM) to trust in addition to those of the system.
    #[must_use]
    pub fn with_extra_root(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.extra_root = Some(pem.into());
        self
    }

    /// Sets the time limits.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Sets the domain that identifies the CA in CAA records.
    #[must_use]
    pub fn with_caa_issuer(mut self, domain: impl Into<String>) -> Self {
        self.caa_issuer = Some(domain.into());
        self
    }

    /// Sets what the CA allows the account.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets where the external account comes from.
    #[must_use]
    pub fn with_external_account(mut self, source: impl ExternalAccountSource + 'static) -> Self {
        self.external_account = Some(Arc::new(source));
        self
    }

    /// Returns the domain that identifies the CA in CAA records: the configured one, or the one that
    /// is known for the directory.
    pub fn caa_issuer(&self) -> Option<&str> {
        let known = || {
            CAA_ISSUERS
                .iter()
                .find(|(start, _)| self.directory.starts_with(start))
                .map(|(_, issuer)| *issuer)
        };
        self.caa_issuer.as_deref().or_else(known)
    }
}

/// An account elsewhere that the ACME account is bound to (RFC 8555 §7.3.4).
#[derive(Clone, Debug)]
pub struct ExternalAccount {
    /// The key identifier.
    pub key_id: String,
    /// The HMAC key in base64url, or in base64.
    pub hmac_key: SecretString,
}

impl ExternalAccount {
    /// The octets of the HMAC key. CAs and password stores show it in both alphabets, with padding, quotes or line
    /// breaks.
    pub fn hmac_key_octets(&self) -> Result<Vec<u8>, AcmeError> {
        let text = self.hmac_key.expose_secret().chars();
        let text: String = text
            .filter(|c| !c.is_whitespace() && !matches!(c, '"' | '\'' | '=' | '\u{feff}'))
            .map(|c| match c {
                '+' => '-',
                '/' => '_',
                c => c,
            })
            .collect();
        let octets = BASE64_URL_SAFE_NO_PAD.decode(text).ok();
        octets
            .filter(|octets| !octets.is_empty())
            .ok_or(AcmeError::InvalidHmacKey)
    }
}

/// Returns the external account when an ACME account must be created, and only then. The secret may
/// be in a file or come from a program.
#[async_trait]
pub trait ExternalAccountSource: fmt::Debug + Send + Sync {
    /// Gets the external account. The error says what failed.
    async fn fetch(&self) -> Result<ExternalAccount, Box<dyn Error + Send + Sync>>;
}

#[async_trait]
impl ExternalAccountSource for ExternalAccount {
    async fn fetch(&self) -> Result<ExternalAccount, Box<dyn Error + Send + Sync>> {
        Ok(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hmac_key_is_read_in_both_alphabets_and_however_it_is_wrapped() {
        let octets = |text: &str| {
            let external = ExternalAccount {
                key_id: "kid".to_owned(),
                hmac_key: text.to_owned().into(),
            };
            external.hmac_key_octets().ok()
        };
        let expected = Some(vec![0xfb, 0xff, 0xfe, 0x01]);
        for text in [
            "-__-AQ",
            "+//+AQ==",
            "\u{feff}\"-__-\r\n AQ\"\n",
            "'+//+AQ=='",
        ] {
            assert_eq!(octets(text), expected, "{text}");
        }
        for text in ["", "a", "not base64!", "key: abcd"] {
            assert_eq!(octets(text), None, "{text}");
        }
    }

    #[test]
    fn the_caa_issuer_is_known_by_the_directory_unless_it_is_configured() {
        let known = CaConfig::lets_encrypt();
        assert_eq!(known.caa_issuer(), Some("letsencrypt.org"));
        let configured = known.with_caa_issuer("ca.example");
        assert_eq!(configured.caa_issuer(), Some("ca.example"));
        let unknown = CaConfig::new("https://ca.example/directory");
        assert_eq!(unknown.caa_issuer(), None);
    }
}
