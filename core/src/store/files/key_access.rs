//! Who may read the key of a new version: what the configuration says, or else those who could read the one before.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use super::layout::{KEY, VERSIONS, version_path};
use crate::deploy::group_id;
use crate::store::certificate::KeyAccess;
use crate::trusted::{self, Access, Links, Permissions};

/// The permission bits by which a group reads a file, and enters and lists a folder.
const GROUP_READS: u32 = 0o040;
const GROUP_ENTERS: u32 = 0o050;
/// The permission bits by which everybody enters a folder, without listing it.
const ALL_ENTER: u32 = 0o011;

/// Who could read the key of a version, and enter its folder.
#[derive(Debug, Default)]
pub(super) struct Readers {
    key: Option<Permissions>,
    folder: Option<Permissions>,
}

impl Readers {
    /// Those of a version of the certificate in `folder`. What cannot be read lets nobody in.
    pub(super) fn of(folder: &Path, version: u32) -> Self {
        let version = version_path(folder, version);
        let of_file = || {
            let key = trusted::open(&version.join(KEY), Access::Unchangeable, Links::Refused)?;
            Permissions::of(&key)
        };
        let of_folder = || {
            trusted::check_folder(&version, Links::Refused)?;
            Permissions::of(File::open(&version)?)
        };
        Readers {
            key: of_file().unwrap_or_default(),
            folder: of_folder().unwrap_or_default(),
        }
    }

    /// Lets them enter a new folder and read the key in it, if there is one, and whom the configuration adds.
    pub(super) fn admit(
        &self,
        key: Option<&File>,
        folder: &Path,
        access: &KeyAccess,
    ) -> io::Result<()> {
        let opened = File::open(folder)?;
        if let Some(before) = &self.folder {
            before.apply(&opened)?;
        }
        let group = access.group.as_deref().map(group_id);
        let group = group.transpose().map_err(io::Error::other)?;
        if let Some(group) = group {
            let_group_enter(folder, group)?;
        }
        let Some(key) = key else {
            return Ok(());
        };
        if let Some(before) = &self.key {
            before.apply(key)?;
        }
        if let Some(group) = group {
            rustix::fs::fchown(key, None, Some(rustix::fs::Gid::from_raw(group)))?;
        }
        let mode = match (access.mode, group) {
            (Some(mode), _) => mode,
            (None, Some(_)) => key.metadata()?.mode() & 0o777 | GROUP_READS,
            (None, None) => return Ok(()),
        };
        key.set_permissions(fs::Permissions::from_mode(mode))
    }
}

/// Lets a group enter the folders of a certificate, and everybody pass through those above, whose content stays
/// hidden.
pub(super) fn open_way(folder: &Path, group: &str) -> io::Result<()> {
    let group = group_id(group).map_err(io::Error::other)?;
    for folder in folder.ancestors().skip(1).take(2) {
        let mode = folder.metadata()?.mode() & 0o777;
        if mode & ALL_ENTER != ALL_ENTER {
            fs::set_permissions(folder, fs::Permissions::from_mode(mode | ALL_ENTER))?;
        }
    }
    let_group_enter(folder, group)?;
    let_group_enter(&folder.join(VERSIONS), group)
}

fn let_group_enter(folder: &Path, group: u32) -> io::Result<()> {
    let metadata = folder.metadata()?;
    if metadata.gid() != group {
        chown(folder, None, Some(group))?;
    }
    let mode = metadata.mode() & 0o777 | GROUP_ENTERS;
    fs::set_permissions(folder, fs::Permissions::from_mode(mode))
}
