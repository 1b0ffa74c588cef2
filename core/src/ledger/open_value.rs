//! Values that may be in a zone.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::line::{Entry, Event, Line, Origin};
use super::run_id::RunId;
use crate::name::DnsName;
use crate::txt::{Action, TxtValue};

/// A value that may be in a zone: an intent to add it was recorded, and neither that it was withdrawn
/// nor that it was forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenValue {
    /// The run that wrote it last.
    pub run: RunId,
    /// For whom it was written.
    #[serde(flatten)]
    pub origin: Origin,
    /// The alias zone.
    pub zone: DnsName,
    /// The kind of the provider that wrote it.
    pub provider: String,
    /// The id of that provider in the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// The key, profile or role that the provider used: its name, never its secret.
    pub key: Option<String>,
    /// A fingerprint of the provider's credentials that contains no secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<String>,
    /// The alias name.
    pub name: DnsName,
    /// The value.
    pub value: TxtValue,
    /// Whether its line in the ledger is not as it was written. Then nothing may be changed because of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_doubtful: bool,
}

impl OpenValue {
    fn new(run: &RunId, entry: &Entry) -> Self {
        OpenValue {
            run: run.clone(),
            origin: entry.origin.clone(),
            zone: entry.zone.clone(),
            provider: entry.provider.clone(),
            provider_id: entry.provider_id.clone(),
            key: entry.key.clone(),
            credentials: entry.credentials.clone(),
            name: entry.name.clone(),
            value: entry.value.clone(),
            is_doubtful: false,
        }
    }
}

/// The open values of a ledger, by alias name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenValues {
    by_name: BTreeMap<DnsName, BTreeMap<(DnsName, TxtValue), Arc<OpenValue>>>,
    count: usize,
}

impl OpenValues {
    /// Applies the next line of the ledger.
    pub fn apply(&mut self, line: &Line) {
        let Line { run, entry, .. } = line;
        match (entry.event, entry.action) {
            (Event::Intent, Action::Add) => self.insert(OpenValue::new(run, entry).into()),
            (Event::Withdrawn | Event::Forgotten, _) => self.remove(entry),
            // Nothing else closes a value: a request that failed may have been one of several.
            _ => {}
        }
    }

    /// Applies the next line of the ledger, which is not as it was written. It closes no value, and a value that
    /// it opens is doubtful.
    pub fn apply_doubtful(&mut self, line: &Line) {
        let Line { run, entry, .. } = line;
        if (entry.event, entry.action) != (Event::Intent, Action::Add) {
            return;
        }
        let key = (entry.zone.clone(), entry.value.clone());
        let at_name = self.by_name.get(&entry.name);
        if at_name.is_none_or(|at_name| !at_name.contains_key(&key)) {
            let value = OpenValue {
                is_doubtful: true,
                ..OpenValue::new(run, entry)
            };
            self.insert(value.into());
        }
    }

    /// How many values are open.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether no value is open.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All values, sorted by name, zone and value.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<OpenValue>> {
        self.by_name.values().flat_map(BTreeMap::values)
    }

    /// The values at these names, sorted by name, zone and value.
    pub fn at(&self, names: &[DnsName]) -> Vec<Arc<OpenValue>> {
        let mut names: Vec<_> = names.iter().collect();
        names.sort();
        names.dedup();
        let found = names.into_iter().filter_map(|name| self.by_name.get(name));
        found.flat_map(BTreeMap::values).cloned().collect()
    }

    fn insert(&mut self, value: Arc<OpenValue>) {
        let at_name = self.by_name.entry(value.name.clone()).or_default();
        let key = (value.zone.clone(), value.value.clone());
        self.count += usize::from(at_name.insert(key, value).is_none());
    }

    fn remove(&mut self, entry: &Entry) {
        let Some(at_name) = self.by_name.get_mut(&entry.name) else {
            return;
        };
        let key = (entry.zone.clone(), entry.value.clone());
        // The value of a newer job at this place stays open.
        if at_name
            .get(&key)
            .is_some_and(|open| open.origin.lease == entry.origin.lease)
        {
            at_name.remove(&key);
            self.count -= 1;
        }
        if at_name.is_empty() {
            self.by_name.remove(&entry.name);
        }
    }
}

impl FromIterator<Arc<OpenValue>> for OpenValues {
    fn from_iter<I: IntoIterator<Item = Arc<OpenValue>>>(values: I) -> Self {
        let mut all = OpenValues::default();
        values.into_iter().for_each(|value| all.insert(value));
        all
    }
}
