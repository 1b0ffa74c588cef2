//! What tests of single providers have in common.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail as they do")]

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::{Failure, ProviderError, TxtProvider};
use acme_alias_core::txt::{Action, TxtChange};
use acme_alias_tests::{ALIAS_NAME, ALIAS_ZONE};

pub(crate) fn zone_name() -> DnsName {
    ALIAS_ZONE.parse().unwrap()
}

pub(crate) fn change(action: Action, name: &str, value: &str) -> TxtChange {
    TxtChange {
        name: name.parse().unwrap(),
        value: value.parse().unwrap(),
        action,
        ttl: None,
    }
}

/// Adds the value `v` at the alias name.
pub(crate) async fn add(provider: &dyn TxtProvider) -> Result<(), ProviderError> {
    let add = [change(Action::Add, ALIAS_NAME, "v")];
    provider.apply(&zone_name(), &add).await.map(drop)
}

/// Checks that adding fails like this, and that the error says these words.
pub(crate) async fn refused(provider: &dyn TxtProvider, failure: Failure, words: &[&str]) {
    let error = add(provider).await.unwrap_err();
    assert_eq!(error.failure, failure, "{error}");
    let said = format!("{} {}", error.what, error.remedy);
    for word in words {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
    assert!(!said.contains("nobody-shall-see"), "{said}");
}
