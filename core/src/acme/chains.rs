//! The alternate chains that a CA offers (RFC 8555 §7.4.2). `instant-acme` does not support them, so
//! the transport records them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::HeaderMap;
use reqwest::Url;

use super::link;

/// At most this many offers are kept. The others are of chains that nobody wants.
const OFFERS_MAX: usize = 1_000;

/// The alternate chains found in answers. Clones share their content.
#[derive(Clone, Debug, Default)]
pub(super) struct AlternateChains(Arc<Mutex<Content>>);

#[derive(Debug, Default)]
struct Content {
    /// The URLs of alternate chains, by the URL of the chain that they are offered with.
    offered: BTreeMap<String, Vec<String>>,
    /// The URLs whose answer must be kept.
    requested: BTreeSet<String>,
    /// The answers that came from there.
    fetched: BTreeMap<String, Bytes>,
}

impl AlternateChains {
    /// Records what is needed of an answer.
    pub(super) fn record(&self, url: &str, headers: &HeaderMap, body: &Bytes) {
        let mut content = self.lock();
        if content.requested.remove(url) {
            content.fetched.insert(url.to_owned(), body.clone());
        }
        let Ok(base) = Url::parse(url) else { return };
        let alternates = link::targets(headers, "alternate", &base);
        if !alternates.is_empty() {
            if content.offered.len() >= OFFERS_MAX {
                content.offered.pop_first();
            }
            content.offered.insert(url.to_owned(), alternates);
        }
    }

    /// Takes the URLs of the chains that are offered with the one at `url`.
    pub(super) fn take_offered(&self, url: &str) -> Vec<String> {
        self.lock().offered.remove(url).unwrap_or_default()
    }

    /// Keeps the next answer from `url` until it is taken.
    pub(super) fn request(&self, url: &str) {
        self.lock().requested.insert(url.to_owned());
    }

    /// Takes the answer that came from `url`.
    pub(super) fn take(&self, url: &str) -> Option<Bytes> {
        let mut content = self.lock();
        content.requested.remove(url);
        content.offered.remove(url);
        content.fetched.remove(url)
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
