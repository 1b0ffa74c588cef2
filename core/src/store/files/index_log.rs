//! What certificates' folders contained when they were last read, as a log of lines.
//!
//! The log saves time and nothing else: a line counts only while its fingerprint is still that of
//! the folder, and a line that is torn or damaged does not count. So it may be deleted at any time.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::access::read_octets;
use super::atomic::write_unsynced;
use super::errors::unavailable;
use super::layout::Layout;
use super::lock::try_lock;
use crate::store::certificate::IndexEntry;
use crate::store::error::StoreError;
use crate::store::id::CertificateId;
use crate::store::status::IndexedStatus;
use crate::trusted::{self, Access};

/// How many lines may be outdated, beside as many as are current, before the log is written anew.
const SLACK: usize = 1000;
/// Digits of a line's checksum.
const CHECK_DIGITS: usize = 16;

/// What was in a certificate's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    #[serde(rename = "f")]
    pub(super) fingerprint: u64,
    #[serde(rename = "s")]
    pub(super) has_settings: bool,
    #[serde(rename = "o")]
    pub(super) has_order: bool,
    #[serde(rename = "t")]
    pub(super) status: IndexedStatus,
    #[serde(rename = "c")]
    pub(super) current: Option<StateVersion>,
}

/// The current version, in few characters. Times are in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StateVersion {
    #[serde(rename = "v")]
    pub(super) version: u32,
    #[serde(rename = "b")]
    pub(super) not_before: i64,
    #[serde(rename = "e")]
    pub(super) not_after: i64,
    #[serde(rename = "d")]
    pub(super) deployed: bool,
    #[serde(rename = "t")]
    pub(super) terms: u64,
    #[serde(rename = "i")]
    pub(super) incomplete: bool,
    #[serde(rename = "x")]
    pub(super) has_external_key: bool,
}

/// The log as it was read.
#[derive(Default)]
pub(super) struct IndexLog {
    /// The last line of each certificate.
    lines: HashMap<String, State>,
    /// How many lines the file has.
    length: usize,
}

impl IndexLog {
    /// Reads the log. One that cannot be read is like an empty one.
    pub(super) fn read(path: &Path) -> Self {
        let mut log = IndexLog::default();
        let content = read_octets(path, Access::Unchangeable);
        let content = content.ok().flatten().unwrap_or_default();
        for line in content.split(|byte| *byte == b'\n') {
            log.length += usize::from(!line.is_empty());
            log.lines.extend(decode(line));
        }
        log
    }

    /// What was in the folder of a certificate when it was last read.
    pub(super) fn state(&self, id: &CertificateId) -> Option<&State> {
        self.lines.get(id.as_str())
    }

    /// Adds lines, unless another process is writing: then it is left to a later call. If most
    /// lines are outdated, writes the log anew with those of the certificates in `index`.
    pub(super) fn write(
        mut self,
        layout: &Layout,
        index: &[IndexEntry],
        new: Vec<(CertificateId, State)>,
    ) -> Result<(), StoreError> {
        let path = layout.index_log();
        let compact = self.length + new.len() > 2 * index.len() + SLACK;
        if new.is_empty() && !compact {
            return Ok(());
        }
        let Some(_locked) = try_lock(&layout.index_lock())? else {
            return Ok(());
        };
        if compact {
            let new = new.into_iter();
            self.lines
                .extend(new.map(|(id, state)| (id.to_string(), state)));
            let ids = index.iter().map(|entry| &entry.id);
            let live = ids.filter_map(|id| Some((id, self.state(id)?)));
            return write_unsynced(&path, &encode(live));
        }
        let content = encode(new.iter().map(|(id, state)| (id, state)));
        append(&path, &content).map_err(|error| unavailable("write", &path, error))
    }
}

fn append(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = trusted::open_in_place(path)?;
    file.seek(SeekFrom::End(0))?;
    file.write_all(content)
}

/// Every line begins with a line feed: the one before may be torn.
fn encode<'a>(lines: impl Iterator<Item = (&'a CertificateId, &'a State)>) -> Vec<u8> {
    let mut content = Vec::new();
    for line in lines {
        // Such a line has nothing that JSON could not express.
        if let Ok(json) = serde_json::to_string(&line) {
            let line = format!("\n{:016x}{json}", check(json.as_bytes()));
            content.extend_from_slice(line.as_bytes());
        }
    }
    content
}

fn decode(line: &[u8]) -> Option<(String, State)> {
    let (digits, json) = line.split_at_checked(CHECK_DIGITS)?;
    let digits = str::from_utf8(digits).ok()?;
    if u64::from_str_radix(digits, 16).ok()? != check(json) {
        return None;
    }
    serde_json::from_slice(json).ok()
}

fn check(json: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(json);
    hasher.finish()
}
