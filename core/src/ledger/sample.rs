//! Entries for tests.

use super::line::{Entry, Event, Origin};
use crate::txt::{Action, TxtValue};

/// An entry for this value.
pub(super) fn entry(event: Event, action: Action, value: &str) -> Entry {
    Entry {
        event,
        action,
        origin: Origin {
            certificate: Some("web".to_owned()),
            order: None,
            lease: None,
        },
        zone: "auth.example.net".parse().unwrap(),
        provider: "rfc2136".to_owned(),
        provider_id: None,
        key: Some("acme-key".to_owned()),
        credentials: None,
        name: "_acme-challenge.auth.example.net".parse().unwrap(),
        value: value.parse::<TxtValue>().unwrap(),
        ttl: Some(60),
        server: None,
        response: None,
        serial: None,
    }
}

/// Intents to add this value.
pub(super) fn intent(value: &str) -> Vec<Entry> {
    vec![entry(Event::Intent, Action::Add, value)]
}
