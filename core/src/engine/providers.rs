//! All configured providers of a process, to find the one that wrote a value.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::certificates::CertificateConfig;
use crate::ledger::OpenValue;
use crate::zone::ConfiguredProvider;

/// Providers by their credentials, and those of the configuration by their id.
#[derive(Debug, Default)]
pub(super) struct Providers(Mutex<Index>);

#[derive(Debug, Default)]
struct Index {
    by_credentials: HashMap<String, Arc<ConfiguredProvider>>,
    by_id: HashMap<String, Arc<ConfiguredProvider>>,
}

impl Providers {
    /// Adds providers that the configuration defines.
    pub(super) fn add_configured<'a>(
        &self,
        providers: impl IntoIterator<Item = &'a Arc<ConfiguredProvider>>,
    ) {
        let mut index = self.index();
        for provider in providers {
            index.add(provider);
            let id = provider.id().to_owned();
            index
                .by_id
                .entry(id)
                .or_insert_with(|| Arc::clone(provider));
        }
    }

    /// Adds the providers of a certificate with settings of its own. The id of such a provider means nothing
    /// to other certificates: without a name of its own it is the kind.
    pub(super) fn add_of(&self, certificate: &CertificateConfig) {
        let mut index = self.index();
        for provider in certificate.providers() {
            index.add(provider);
        }
    }

    /// The provider with the credentials with which the value was written.
    pub(super) fn same_credentials(&self, value: &OpenValue) -> Option<Arc<ConfiguredProvider>> {
        let index = self.index();
        let known = index.by_credentials.get(value.credentials.as_ref()?);
        known.filter(|known| is_of_kind(known, value)).cloned()
    }

    /// The configured provider of the same id and kind, whose credentials were replaced since. Other
    /// providers of the kind must not touch the value: they may belong to another account, where it
    /// never was.
    pub(super) fn same_id(&self, value: &OpenValue) -> Option<Arc<ConfiguredProvider>> {
        let index = self.index();
        let known = index.by_id.get(value.provider_id.as_ref()?);
        known.filter(|known| is_of_kind(known, value)).cloned()
    }

    /// The provider with the key of a value from version 0.1.0, whose lines have the kind and the name of
    /// the key only.
    pub(super) async fn same_key(&self, value: &OpenValue) -> Option<Arc<ConfiguredProvider>> {
        if value.provider_id.is_some() {
            return None;
        }
        let all: Vec<_> = self.index().by_credentials.values().cloned().collect();
        for provider in all {
            if is_of_kind(&provider, value)
                && let Ok(opened) = provider.open().await
                && opened.txt.identity().key == value.key
            {
                return Some(provider);
            }
        }
        None
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index {
    fn add(&mut self, provider: &Arc<ConfiguredProvider>) {
        let credentials = provider.credentials().to_owned();
        self.by_credentials
            .entry(credentials)
            .or_insert_with(|| Arc::clone(provider));
    }
}

/// Whether a provider is of the kind that wrote the value.
pub(super) fn is_of_kind(provider: &ConfiguredProvider, value: &OpenValue) -> bool {
    provider.kind() == value.provider
}
