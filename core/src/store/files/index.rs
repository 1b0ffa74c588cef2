//! The index: an entry per certificate, without reading every certificate.
//!
//! Each call lists the folders and compares their fingerprints with those of the log. Only folders
//! that changed are read. So it does not matter who changed them: this process, another one, or a
//! person who deleted a folder or restored it from a backup. One change goes unnoticed: an edit of
//! the file `deployed` or `version.json` in place.

use std::fs;
use std::num::NonZero;
use std::path::Path;
use std::thread;

use jiff::Timestamp;

use super::errors::unavailable;
use super::fingerprint::{Fingerprint, file_system_time};
use super::index_log::{IndexLog, State, StateVersion};
use super::layout::{Layout, OLD_LOCK, ORDER, SETTINGS, STATUS};
use super::leftovers::remove_lock;
use super::status::read_status;
use super::{current, versions};
use crate::store::certificate::{IndexEntry, IndexedVersion, terms};
use crate::store::error::StoreError;
use crate::store::id::CertificateId;
use crate::store::status::{CertificateStatus, IndexedStatus};

/// The most threads that look at folders at the same time.
const MAX_THREADS: usize = 8;
/// Fewer folders than this are not worth a thread.
const FOLDERS_PER_THREAD: usize = 500;

pub(super) fn index(layout: &Layout) -> Result<Vec<IndexEntry>, StoreError> {
    // Without the time nothing can be added to the log; everything else works.
    let now = file_system_time(&layout.index_lock()).ok();
    let log = IndexLog::read(&layout.index_log());
    let ids = ids(&layout.certificates())?;
    let Found { mut index, lines } = look_up_all(layout, &log, &ids, now);
    index.sort_unstable_by(|one, other| one.id.cmp(&other.id));
    if let Err(error) = log.write(layout, &index, lines) {
        tracing::debug!("the index log was not written: {error}");
    }
    Ok(index)
}

/// The ids that a folder has entries for.
fn ids(folder: &Path) -> Result<Vec<CertificateId>, StoreError> {
    let failed = |error| unavailable("read", folder, error);
    let mut ids = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        ids.extend(name.to_str().and_then(|name| name.parse().ok()));
    }
    Ok(ids)
}

/// Certificates that were looked up.
#[derive(Default)]
pub(super) struct Found {
    pub(super) index: Vec<IndexEntry>,
    /// Lines that the log does not have yet.
    pub(super) lines: Vec<(CertificateId, State)>,
}

/// Looks all certificates up, by several threads if there are many: they mostly wait for the
/// kernel.
fn look_up_all(layout: &Layout, log: &IndexLog, ids: &[CertificateId], now: Option<i128>) -> Found {
    let look_up_some = |ids: &[CertificateId]| {
        let mut found = Found::default();
        found.index.reserve(ids.len());
        for id in ids {
            found.look_up(layout, log, id, now);
        }
        found
    };
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = ids.len().div_ceil(FOLDERS_PER_THREAD);
    let threads = threads.min(cores).clamp(1, MAX_THREADS);
    let mut parts = ids.chunks(ids.len().div_ceil(threads).max(1));
    let own = parts.next().unwrap_or_default();
    thread::scope(|scope| {
        let others: Vec<_> = parts
            .map(|part| {
                let thread = thread::Builder::new();
                (part, thread.spawn_scoped(scope, move || look_up_some(part)))
            })
            .collect();
        let mut found = look_up_some(own);
        for (part, other) in others {
            let other = other.ok().and_then(|thread| thread.join().ok());
            // Without a thread of its own a part is looked up by this one.
            let other = other.unwrap_or_else(|| look_up_some(part));
            found.index.extend(other.index);
            found.lines.extend(other.lines);
        }
        found
    })
}

impl Found {
    /// Looks a certificate up: in the log if its line still holds, else in its folder.
    pub(super) fn look_up(
        &mut self,
        layout: &Layout,
        log: &IndexLog,
        id: &CertificateId,
        now: Option<i128>,
    ) {
        let folder = layout.certificate(id);
        if let Some(entry) = log
            .state(id)
            .and_then(|state| from_state(id, state, &folder))
        {
            self.index.extend(is_anything(entry));
            return;
        }
        // A file is not a certificate.
        if !folder.is_dir() {
            return;
        }
        // A lock that cannot be deleted does no harm.
        let _ = remove_lock(&folder.join(OLD_LOCK));
        // Taken before the folder is read: what changes meanwhile changes the fingerprint.
        let current = current::current_number(&folder).ok();
        let fingerprint = current.and_then(|current| Fingerprint::of(&folder, current));
        let entry = read(id.clone(), &folder);
        if let (Some(now), Some(fingerprint)) = (now, fingerprint)
            && !fingerprint.may_repeat(now)
            && let Some(state) = to_state(&entry, fingerprint)
        {
            self.lines.push((id.clone(), state));
        }
        self.index.extend(is_anything(entry));
    }
}

/// The entry of a certificate as its folder has it.
pub(super) fn read(id: CertificateId, folder: &Path) -> IndexEntry {
    let has = |file| folder.join(file).metadata().is_ok();
    let current = match versions::current(folder) {
        Ok(version) => version.map(|version| {
            Ok(IndexedVersion {
                version: version.number,
                not_before: version.info.not_before,
                not_after: version.info.not_after,
                deployed: version.deployed,
                terms: terms(&version.info, &version.origin).digest(),
                incomplete: !version.origin.left_out.is_empty(),
                has_external_key: version.origin.external_key.is_some(),
            })
        }),
        Err(error) => Some(Err(error)),
    };
    IndexEntry {
        id,
        has_settings: has(SETTINGS),
        has_order: has(ORDER),
        status: indexed_status(folder),
        current,
    }
}

/// A status that cannot be read keeps nothing waiting.
fn indexed_status(folder: &Path) -> IndexedStatus {
    let status: Result<CertificateStatus, _> = read_status(&folder.join(STATUS));
    (&status.unwrap_or_default()).into()
}

/// A folder without content is not a certificate.
pub(super) fn is_anything(entry: IndexEntry) -> Option<IndexEntry> {
    entry.is_anything().then_some(entry)
}

/// An entry for the log. A damaged certificate has none: it is read again each time.
fn to_state(entry: &IndexEntry, fingerprint: Fingerprint) -> Option<State> {
    let current = match &entry.current {
        Some(Ok(version)) => Some(StateVersion {
            version: version.version,
            not_before: version.not_before.as_second(),
            not_after: version.not_after.as_second(),
            deployed: version.deployed,
            terms: version.terms,
            incomplete: version.incomplete,
            has_external_key: version.has_external_key,
        }),
        Some(Err(_)) => return None,
        None => None,
    };
    Some(State {
        fingerprint: fingerprint.hash,
        has_settings: entry.has_settings,
        has_order: entry.has_order,
        status: entry.status,
        current,
    })
}

/// The entry from the log, if the folder did not change.
fn from_state(id: &CertificateId, state: &State, folder: &Path) -> Option<IndexEntry> {
    let number = state.current.map(|current| current.version);
    if Fingerprint::of(folder, number)?.hash != state.fingerprint {
        return None;
    }
    let current = match state.current {
        Some(current) => Some(Ok(IndexedVersion {
            version: current.version,
            not_before: Timestamp::from_second(current.not_before).ok()?,
            not_after: Timestamp::from_second(current.not_after).ok()?,
            deployed: current.deployed,
            terms: current.terms,
            incomplete: current.incomplete,
            has_external_key: current.has_external_key,
        })),
        None => None,
    };
    Some(IndexEntry {
        id: id.clone(),
        has_settings: state.has_settings,
        has_order: state.has_order,
        status: state.status,
        current,
    })
}
