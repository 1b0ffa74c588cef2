//! A target that failed.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use super::formats::FormatError;
use super::names::UnknownName;
use crate::program::ProgramError;
use crate::store::StoreError;

/// A target that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// A program failed.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// A file could not be written.
    #[error("{} cannot be written: {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: Arc<std::io::Error>,
    },
    /// The owner or the group does not exist.
    #[error(transparent)]
    Name(#[from] UnknownName),
    /// The password of a key store could not be fetched.
    #[error("the password of {} cannot be used: {source}", .path.display())]
    Password {
        /// The file that it is for.
        path: PathBuf,
        /// Why not.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The certificate cannot be written in the wanted format.
    #[error("{} cannot be written: {source}", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: FormatError,
    },
    /// Another process has the lease of the certificate.
    #[error("another process works on it; if that does not deploy it, the next run does")]
    Busy,
    /// A newer version took the place of the one to deploy.
    #[error("a newer version has replaced it meanwhile")]
    Replaced,
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// All targets are done, and the store could not keep that.
    #[error("the store could not record that the certificate was deployed: {0}")]
    Record(StoreError),
}

impl DeployError {
    /// The end of the output of the program that failed; empty if there was none.
    pub fn output(&self) -> &str {
        match self {
            DeployError::Program(error) => error.output(),
            _ => "",
        }
    }

    /// Whether a program did not end in time.
    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self, DeployError::Program(ProgramError::TimedOut { .. }))
    }

    /// Whether the run was cancelled: the target did not fail.
    pub(crate) fn is_interruption(&self) -> bool {
        matches!(self, DeployError::Program(ProgramError::Interrupted))
    }
}
