//! Leases in files: one file per lease.
//!
//! A lease is live until it expires, or until its holder ends, if the holder runs on this machine
//! (see [`holder`]). So a killed process blocks nothing, and a process on another machine, or one
//! that hangs, blocks a job no longer than its lease lasts.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::access::{read, remove};
use super::atomic::write_unsynced;
use super::errors::unavailable;
use super::holder::{self, Holder};
use super::layout::Layout;
use super::leftovers::remove_unfinished;
use super::lock::{blocking, locked};
use crate::clock::Clock;
use crate::lease::{JobName, Lease, LeaseId};
use crate::store::error::StoreError;

/// The leases of a store, for one holder.
#[derive(Clone, Debug)]
pub(super) struct Leases {
    layout: Layout,
    clock: Arc<dyn Clock>,
    machine: Arc<str>,
    /// This process; it has a file from its first lease on.
    holder: Arc<Mutex<Option<Holder>>>,
    /// Tasks of this process take turns here instead of trying the lock again and again.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// The content of a lease's file.
#[derive(Serialize, Deserialize)]
struct Record {
    id: LeaseId,
    job: JobName,
    holder: String,
    machine: String,
    expires: Timestamp,
}

impl Leases {
    /// `machine` is that of this process, see [`holder::machine`].
    pub(super) fn new(layout: Layout, clock: Arc<dyn Clock>, machine: &str) -> Self {
        Leases {
            layout,
            clock,
            machine: machine.into(),
            holder: Arc::default(),
            turn: Arc::default(),
        }
    }

    pub(super) async fn acquire(
        &self,
        job: &JobName,
        duration: SignedDuration,
    ) -> Result<Lease, StoreError> {
        let job = job.clone();
        self.exclusively(move |leases| {
            let now = leases.clock.now();
            if let Some(held) = leases.read(&leases.layout.lease(&job))?
                && leases.is_live(&held, now, &mut HashMap::new())
            {
                return Err(StoreError::Busy {
                    job,
                    holder: held.holder,
                    expires: held.expires,
                });
            }
            leases.write(Record {
                id: LeaseId::random(),
                job,
                holder: leases.own_name()?,
                machine: leases.machine.to_string(),
                expires: Lease::expiry(now, duration),
            })
        })
        .await
    }

    pub(super) async fn renew(
        &self,
        lease: &Lease,
        duration: SignedDuration,
    ) -> Result<Lease, StoreError> {
        let lease = lease.clone();
        self.exclusively(
            move |leases| match leases.read(&leases.layout.lease(&lease.job))? {
                Some(held) if held.id == lease.id => leases.write(Record {
                    expires: Lease::expiry(leases.clock.now(), duration),
                    ..held
                }),
                _ => Err(StoreError::LeaseLost { job: lease.job }),
            },
        )
        .await
    }

    pub(super) async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let lease = lease.clone();
        self.exclusively(move |leases| {
            let path = leases.layout.lease(&lease.job);
            match leases.read(&path)? {
                Some(held) if held.id == lease.id => remove(&path),
                _ => Ok(()),
            }
        })
        .await
    }

    /// All live leases, by job. Deletes the files of leases that have ended.
    pub(super) async fn live(&self) -> Result<Vec<Lease>, StoreError> {
        let folder = self.layout.leases();
        // Reading makes no folder: another user could not write in it.
        if !blocking(move || Ok(folder.exists())).await? {
            return Ok(Vec::new());
        }
        self.exclusively(|leases| {
            let now = leases.clock.now();
            let folder = leases.layout.leases();
            let failed = |error| unavailable("read", &folder, error);
            let mut alive = HashMap::new();
            let (mut live, mut ended) = (Vec::new(), Vec::new());
            for entry in fs::read_dir(&folder).map_err(failed)? {
                let path = entry.map_err(failed)?.path();
                if path.extension().is_none_or(|extension| extension != "json") {
                    continue;
                }
                match leases.read(&path)? {
                    Some(held) if leases.is_live(&held, now, &mut alive) => live.push(held.into()),
                    _ => ended.push(path),
                }
            }
            if let Err(error) = leases.tidy(&ended) {
                tracing::debug!("files of ended leases stay: {error}");
            }
            live.sort_unstable_by(|one: &Lease, other| one.job.cmp(&other.job));
            Ok(live)
        })
        .await
    }

    /// Deletes the files of leases and of holders that have ended.
    fn tidy(&self, ended: &[PathBuf]) -> Result<(), StoreError> {
        let removed: Vec<_> = ended.iter().map(|path| remove(path)).collect();
        holder::remove_dead(&self.layout)?;
        remove_unfinished(&self.layout.leases())?;
        removed.into_iter().collect()
    }

    /// Runs work that no other task and no other process does at the same time.
    async fn exclusively<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Leases) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let _turn = self.turn.lock().await;
        let leases = self.clone();
        locked(self.layout.leases_lock(), move || work(&leases)).await
    }

    /// A lease as its file has it. A file that a power cut damaged is like none, as is one whose
    /// name is not that of its lease.
    fn read(&self, path: &Path) -> Result<Option<Record>, StoreError> {
        let text = match read(path) {
            Err(StoreError::Damaged { .. }) => None,
            text => text?,
        };
        let record: Option<Record> = text.and_then(|text| serde_json::from_str(&text).ok());
        Ok(record.filter(|record| self.layout.lease(&record.job) == path))
    }

    fn write(&self, record: Record) -> Result<Lease, StoreError> {
        let path = self.layout.lease(&record.job);
        let content = serde_json::to_vec_pretty(&record)
            .map_err(|error| unavailable("write", &path, error.into()))?;
        // A power cut ends all processes of this machine, and with them their leases.
        write_unsynced(&path, &content)?;
        Ok(record.into())
    }

    fn is_live(&self, lease: &Record, now: Timestamp, alive: &mut HashMap<String, bool>) -> bool {
        if Lease::is_past(lease.expires, now) {
            return false;
        }
        if lease.machine != *self.machine {
            return true;
        }
        if let Some(alive) = alive.get(&lease.holder) {
            return *alive;
        }
        let is_alive = holder::is_alive(&self.layout, &lease.holder);
        alive.insert(lease.holder.clone(), is_alive);
        is_alive
    }

    /// The name of this process as a holder. Makes its file if there is none yet.
    fn own_name(&self) -> Result<String, StoreError> {
        let mut holder = self.holder.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(holder) = &*holder {
            return Ok(holder.name.clone());
        }
        let registered = Holder::register(&self.layout)?;
        let name = registered.name.clone();
        *holder = Some(registered);
        Ok(name)
    }
}

impl From<Record> for Lease {
    fn from(record: Record) -> Self {
        Lease {
            id: record.id,
            job: record.job,
            holder: record.holder,
            expires: record.expires,
        }
    }
}
