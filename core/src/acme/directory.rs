//! The directory of a CA (RFC 8555 §7.1.1).

use http::Uri;
use serde::{Deserialize, Serialize};

use crate::printable::printable;

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
    #[serde(default, skip_serializing)]
    meta: Option<Meta>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    terms_of_service: Option<String>,
    external_account_required: Option<bool>,
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
                let url = printable(url);
                return Err(NoUrl {
                    member,
                    url,
                    reason,
                });
            }
        }
        Ok(self)
    }

    /// The URL of the terms of service.
    pub(super) fn terms_of_service(&self) -> Option<&str> {
        self.meta.as_ref()?.terms_of_service.as_deref()
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
        assert_eq!(full.terms_of_service(), Some(terms));
        assert!(full.requires_external_account());
    }
}
