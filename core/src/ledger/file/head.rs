//! The end of the ledger, recorded outside its folder: it shows that lines were cut off or replaced.
//!
//! It names lines that are on the disk, never later ones, so that a power cut does not look like a loss.

use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::folder::Folder;
use super::position::Position;
use crate::ledger::error::LedgerError;
use crate::ledger::line::hash;
use crate::trusted::{self, Access, Links};

/// No record is longer, in octets.
const SIZE_MAX: u64 = 4096;

/// Where the ledger ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// When it was last on the disk.
    pub(super) end: Position,
    /// When lines were first found missing. It stays until somebody deletes the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) lost: Option<Position>,
}

impl Head {
    /// The file of the record, beside the folder of the ledger.
    pub(super) fn path(folder: &Folder) -> PathBuf {
        let mut path = folder.path().as_os_str().to_owned();
        path.push(".head");
        path.into()
    }

    /// Reads the record; none if it does not exist or is damaged.
    pub(super) fn read(folder: &Folder) -> Option<Self> {
        let opened = trusted::open(&Head::path(folder), Access::Unchangeable, Links::Refused);
        let mut file = opened.ok()?.take(SIZE_MAX);
        let mut text = String::new();
        file.read_to_string(&mut text).ok()?;
        let mut lines = text.lines();
        let (expected, content) = (lines.next()?, lines.next()?);
        if hash(content.as_bytes()) != expected {
            return None;
        }
        serde_json::from_str(content).ok()
    }

    /// Whether the files have the lines that were recorded. If not, the record of what is missing is kept.
    pub(super) fn check(&mut self, folder: &Folder) -> Result<bool, LedgerError> {
        if self.end.fits(folder)? {
            return Ok(true);
        }
        let end = std::mem::take(&mut self.end);
        self.lost.get_or_insert(end);
        Ok(false)
    }

    /// Writes the record. The caller holds the lock of the ledger, and the lines up to the end are on the disk.
    ///
    /// It is not synced: an older one is true as well.
    pub(super) fn write(&self, folder: &Folder) -> io::Result<()> {
        let content = serde_json::to_string(self)?;
        let text = format!("{}\n{content}\n", hash(content.as_bytes()));
        let file = trusted::open_in_place(&Head::path(folder))?;
        file.write_all_at(text.as_bytes(), 0)?;
        file.set_len(text.len() as u64)
    }
}
