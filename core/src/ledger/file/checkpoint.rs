//! The open values at a position in the files, kept beside them.

use std::fs;
use std::io::{self, Read, Write};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::folder::{Folder, unavailable};
use super::position::Position;
use crate::ledger::error::{LedgerAction, LedgerError};
use crate::ledger::line::hash;
use crate::ledger::open_value::OpenValue;

/// Where it is kept: a line with the SHA-256 hash of the rest, and JSON.
const NAME: &str = ".checkpoint";
/// Where a new one is written before it replaces the old one.
const NEW_NAME: &str = ".checkpoint.new";

/// The open values at a position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    pub(super) position: Position,
    pub(super) open: Vec<Arc<OpenValue>>,
}

impl Checkpoint {
    /// Reads the checkpoint; none if it does not exist, is damaged, or does not fit the files.
    pub(super) fn read(folder: &Folder) -> Option<Self> {
        let mut text = String::new();
        folder.open(NAME).ok()?.read_to_string(&mut text).ok()?;
        let (expected, content) = text.split_once('\n')?;
        if hash(content.as_bytes()) != expected {
            return None;
        }
        let checkpoint: Checkpoint = serde_json::from_str(content).ok()?;
        let fits = checkpoint.position.fits(folder).unwrap_or(false);
        fits.then_some(checkpoint)
    }

    /// Replaces the checkpoint. The caller holds the lock of the ledger.
    pub(super) fn write(&self, folder: &Folder) -> Result<(), LedgerError> {
        let path = folder.file(NEW_NAME);
        let written = self.try_write(folder);
        written.map_err(|error| unavailable(LedgerAction::Write, &path, error))
    }

    fn try_write(&self, folder: &Folder) -> io::Result<()> {
        if !self.position.file.is_empty() {
            // A power cut must not take back lines of which the checkpoint tells.
            folder.open(&self.position.file)?.sync_data()?;
        }
        let content = serde_json::to_string(self)?;
        let text = format!("{}\n{content}", hash(content.as_bytes()));
        let path = folder.file(NEW_NAME);
        let mut file = folder.open_in_place(NEW_NAME)?;
        file.set_len(0)?;
        file.write_all(text.as_bytes())?;
        fs::rename(path, folder.file(NAME))
    }
}
