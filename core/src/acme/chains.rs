//! The chains that a CA offers beside the usual one (RFC 8555 §7.4.2). `instant-acme` does not know of
//! them; the transport sees them pass.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::HeaderMap;
use reqwest::Url;

use super::link;

/// Offers that nobody asked for are forgotten beyond this many.
const OFFERS_MAX: usize = 1_000;

/// What was seen on the way. Clones see the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Chains(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    /// The URLs of other chains, by the URL of the one they came with.
    offered: BTreeMap<String, Vec<String>>,
    /// The chains that somebody waits for, and has not got yet where there is none.
    awaited: BTreeSet<String>,
    fetched: BTreeMap<String, Bytes>,
}

impl Chains {
    /// Takes note of an answer.
    pub(super) fn see(&self, url: &str, headers: &HeaderMap, body: &Bytes) {
        let mut seen = self.lock();
        if seen.awaited.remove(url) {
            seen.fetched.insert(url.to_owned(), body.clone());
        }
        let Ok(base) = Url::parse(url) else { return };
        let alternates = link::targets(headers, "alternate", &base);
        if !alternates.is_empty() {
            if seen.offered.len() >= OFFERS_MAX {
                seen.offered.pop_first();
            }
            seen.offered.insert(url.to_owned(), alternates);
        }
    }

    /// The URLs of the chains that came with the one at `url`.
    pub(super) fn take_offered(&self, url: &str) -> Vec<String> {
        self.lock().offered.remove(url).unwrap_or_default()
    }

    /// What comes from `url` is kept until it is taken.
    pub(super) fn wait_for(&self, url: &str) {
        self.lock().awaited.insert(url.to_owned());
    }

    /// What came from `url`.
    pub(super) fn take(&self, url: &str) -> Option<Bytes> {
        let mut seen = self.lock();
        seen.awaited.remove(url);
        seen.offered.remove(url);
        seen.fetched.remove(url)
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
