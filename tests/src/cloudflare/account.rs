//! What the fake keeps: zones with their records, and tokens.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::Method;
use serde_json::{Value, json};

/// A record, as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudflareRecord {
    /// 32 hexadecimal digits.
    pub id: String,
    /// `TXT`, or another type.
    pub kind: String,
    /// The owner, absolute, without the final dot.
    pub name: String,
    /// For a TXT record the value, in quotes or not.
    pub content: String,
}

/// What a token may do.
#[derive(Clone, Debug)]
pub struct Token {
    /// `active`, `disabled` or `expired`.
    pub status: &'static str,
    /// The ids of the zones it may read the records of.
    pub dns_read: Vec<String>,
    /// The ids of the zones it may edit the records of.
    pub dns_edit: Vec<String>,
    /// Whether it may list zones (Zone:Read).
    pub zone_read: bool,
    /// When it expires, where it does.
    pub expires_on: Option<&'static str>,
}

/// What a test puts in place of an answer.
pub enum Injected {
    /// This status, with these headers and this body.
    Answer(u16, Vec<(&'static str, &'static str)>, String),
    /// No answer at all.
    Silence,
}

pub(super) type Injection = Arc<dyn Fn(&Method, &str) -> Option<Injected> + Send + Sync>;
pub(super) type OnChange = Box<dyn Fn(&str, &[CloudflareRecord]) + Send>;

#[derive(Default)]
pub(super) struct Account {
    /// By id: the zone's name, and its records.
    pub(super) zones: BTreeMap<String, (String, Vec<CloudflareRecord>)>,
    /// The status of each zone, by id, if it is not `active`.
    pub(super) statuses: BTreeMap<String, String>,
    /// The servers of each zone, by id, if they are not the usual ones.
    pub(super) name_servers: BTreeMap<String, Vec<String>>,
    pub(super) tokens: BTreeMap<String, Token>,
    pub(super) quota: Option<usize>,
    records_made: u64,
    pub(super) requests: Vec<(Method, String)>,
    pub(super) injection: Option<Injection>,
    pub(super) on_change: Option<OnChange>,
}

#[derive(Clone, Default)]
pub(super) struct Shared(Arc<Mutex<Account>>);

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    /// The zone as the API has it.
    pub(super) fn zone(&self, id: &str, name: &str) -> Value {
        let status = self.statuses.get(id).map_or("active", String::as_str);
        let usual = || ["anna.ns.cloudflare.com", "bob.ns.cloudflare.com"].map(str::to_owned);
        let servers = self.name_servers.get(id).cloned();
        let servers = servers.unwrap_or_else(|| usual().to_vec());
        json!({ "id": id, "name": name, "status": status, "name_servers": servers })
    }

    pub(super) fn insert(
        &mut self,
        zone: &str,
        kind: &str,
        name: &str,
        content: &str,
    ) -> Option<CloudflareRecord> {
        self.records_made += 1;
        let record = CloudflareRecord {
            id: format!("{:032x}", self.records_made),
            kind: kind.to_owned(),
            name: name.to_owned(),
            content: content.to_owned(),
        };
        let (_, records) = self.zones.get_mut(zone)?;
        records.push(record.clone());
        Some(record)
    }

    pub(super) fn changed(&self, zone: &str) {
        if let (Some(on_change), Some((name, records))) = (&self.on_change, self.zones.get(zone)) {
            on_change(name, records);
        }
    }
}
