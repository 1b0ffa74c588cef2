//! Why a file or folder is refused.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

/// A file or folder that is refused.
///
/// The functions of this module return it in an [`io::Error`]; [`Untrusted::in_error`] finds it there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {reason}", .path.display())]
pub struct Untrusted {
    /// The file or folder.
    pub path: PathBuf,
    /// Why it is refused.
    pub reason: Distrust,
}

/// Why a file or folder is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Distrust {
    /// Another user owns it. Only the effective user and root may.
    #[error("belongs to another user (uid {owner}), who can change it")]
    Owner {
        /// The id of its owner.
        owner: u32,
    },
    /// Its mode lets others change it.
    #[error("has the mode {mode:03o}, which lets others change it")]
    Changeable {
        /// Its permission bits.
        mode: u32,
    },
    /// Its mode lets others read it.
    #[error("has the mode {mode:03o}, which lets others read it")]
    Readable {
        /// Its permission bits.
        mode: u32,
    },
    /// It is a symbolic link, where none is followed.
    #[error("is a symbolic link")]
    Link,
    /// It is a folder, a FIFO, a device or a socket.
    #[error("is not a regular file")]
    NotAFile,
    /// It is not a folder.
    #[error("is not a folder")]
    NotAFolder,
    /// It is larger than any file of its kind.
    #[error("has more than {limit} octets")]
    TooLarge {
        /// The octets that it may have.
        limit: u64,
    },
}

impl Untrusted {
    pub(super) fn new(path: &Path, reason: Distrust) -> Self {
        Untrusted {
            path: path.to_owned(),
            reason,
        }
    }

    /// The refusal in an error of this module; none if the file system failed.
    pub fn in_error(error: &io::Error) -> Option<&Untrusted> {
        let inner: &(dyn Error + 'static) = error.get_ref()?;
        inner.downcast_ref()
    }
}

impl From<Untrusted> for io::Error {
    fn from(untrusted: Untrusted) -> Self {
        io::Error::other(untrusted)
    }
}
