//! The directory of a CA (RFC 8555 §7.1.1).

use std::collections::BTreeMap;

use http::Uri;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::decode::lenient;
use super::transport::URL_MAX;
use crate::printable::{grouped, shortened};

/// Names of profiles that are shown, and the characters of one of them. No CA has as many.
const PROFILES_MAX: usize = 20;
const PROFILE_MAX: usize = 50;

/// What is needed of a directory. Everything else may be missing or null.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Directory {
    /// Where nonces come from (§7.2).
    pub(super) new_nonce: String,
    /// Where accounts are created (§7.3).
    pub(super) new_account: String,
    /// Where orders are opened (§7.4).
    pub(super) new_order: String,
    /// Where certificates are revoked (§7.6).
    #[serde(default, skip_serializing, deserialize_with = "lenient")]
    revoke_cert: Option<String>,
    /// Where the key of an account is changed (§7.3.5).
    #[serde(default, skip_serializing, deserialize_with = "lenient")]
    key_change: Option<String>,
    /// Where renewal information comes from (RFC 9773 §3).
    #[serde(default, skip_serializing, deserialize_with = "lenient")]
    renewal_info: Option<String>,
    #[serde(default, skip_serializing, deserialize_with = "lenient")]
    meta: Option<Meta>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    #[serde(default, deserialize_with = "lenient")]
    terms_of_service: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    external_account_required: Option<bool>,
    /// The profiles, each with a description (draft-ietf-acme-profiles §3).
    #[serde(default, deserialize_with = "lenient")]
    profiles: Option<BTreeMap<String, Value>>,
    /// The domains by which CAA records name the CA (RFC 8555 §9.7.6).
    #[serde(default, deserialize_with = "lenient")]
    caa_identities: Option<Vec<String>>,
}

/// What is no URL is as good as missing.
fn optional(url: Option<&str>) -> Option<&str> {
    url.filter(|url| url.parse::<Uri>().is_ok())
}

/// A member of the directory that is no URL.
#[derive(Debug, thiserror::Error)]
#[error("`{member}` is not a URL: `{url}` ({reason})")]
pub(super) struct NoUrl {
    member: &'static str,
    url: String,
    reason: http::uri::InvalidUri,
}

impl Directory {
    /// Checks that all members are URLs, so that no request fails on one later.
    pub(super) fn checked(self) -> Result<Self, NoUrl> {
        for (member, url) in [
            ("newNonce", &self.new_nonce),
            ("newAccount", &self.new_account),
            ("newOrder", &self.new_order),
        ] {
            if let Err(reason) = url.parse::<Uri>() {
                let url = shortened(url, URL_MAX);
                return Err(NoUrl {
                    member,
                    url,
                    reason,
                });
            }
        }
        Ok(self)
    }

    /// Where renewal information comes from; `None` if the CA has none, or no URL for it.
    pub(super) fn renewal_info(&self) -> Option<&str> {
        optional(self.renewal_info.as_deref())
    }

    /// Where certificates are revoked; `None` if the CA has no URL for it.
    pub(super) fn revoke_cert(&self) -> Option<&str> {
        optional(self.revoke_cert.as_deref())
    }

    /// Where the key of an account is changed; `None` if the CA has no URL for it.
    pub(super) fn key_change(&self) -> Option<&str> {
        optional(self.key_change.as_deref())
    }

    /// Whether there is a profile of this name.
    pub(super) fn has_profile(&self, name: &str) -> bool {
        self.profiles().any(|known| known == name)
    }

    /// The names of the profiles, in short.
    pub(super) fn shown_profiles(&self) -> Vec<String> {
        let shown = self.profiles().take(PROFILES_MAX);
        let mut shown: Vec<_> = shown.map(|name| shortened(name, PROFILE_MAX)).collect();
        let more = self.profiles().count() - shown.len();
        if more > 0 {
            shown.push(format!("{} more", grouped(more)));
        }
        shown
    }

    fn profiles(&self) -> impl Iterator<Item = &str> {
        let profiles = self.meta.as_ref().and_then(|meta| meta.profiles.as_ref());
        profiles.into_iter().flatten().map(|(name, _)| &**name)
    }

    /// The domains by which CAA records name the CA.
    pub(super) fn caa_identities(&self) -> &[String] {
        let identities = self
            .meta
            .as_ref()
            .and_then(|meta| meta.caa_identities.as_deref());
        identities.unwrap_or_default()
    }

    /// The URL of the terms of service, to be shown.
    pub(super) fn terms_of_service(&self) -> Option<String> {
        let url = self.meta.as_ref()?.terms_of_service.as_deref()?;
        Some(shortened(url, URL_MAX))
    }

    /// Whether an account must be bound to an account elsewhere (§7.3.4).
    pub(super) fn requires_external_account(&self) -> bool {
        let required = self
            .meta
            .as_ref()
            .and_then(|meta| meta.external_account_required);
        required.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn directory(meta: &Value) -> Directory {
        let url = "https://ca.example/1";
        let members = json!({ "newNonce": url, "newAccount": url, "newOrder": url, "meta": meta });
        serde_json::from_value(members).unwrap()
    }

    #[test]
    fn what_is_optional_may_be_anything() {
        let odd = directory(&json!({ "profiles": ["classic"], "caaIdentities": "ca.example" }));
        assert_eq!(odd.profiles().count(), 0);
        assert_eq!(odd.caa_identities(), [""; 0]);
        let good = directory(&json!({
            "profiles": { "classic": "90 days", "shortlived": null },
            "caaIdentities": ["ca.example"],
        }));
        assert_eq!(
            good.profiles().collect::<Vec<_>>(),
            ["classic", "shortlived"]
        );
        assert_eq!(good.caa_identities(), ["ca.example"]);
    }

    #[test]
    fn metadata_may_be_null() {
        for meta in [
            Value::Null,
            json!({}),
            json!({ "termsOfService": null, "externalAccountRequired": null }),
        ] {
            let directory = directory(&meta);
            assert_eq!(directory.terms_of_service(), None, "{meta}");
            assert!(!directory.requires_external_account(), "{meta}");
        }
        let terms = "https://ca.example/terms";
        let full = directory(&json!({ "termsOfService": terms, "externalAccountRequired": true }));
        assert_eq!(full.terms_of_service().as_deref(), Some(terms));
        assert!(full.requires_external_account());
    }
}
