//! What to do about a file or folder that is refused because others own or can change it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use acme_alias_core::trusted::{Distrust, Untrusted};

/// The types of FAT, exFAT, file systems in user space and SMB (statfs(2)).
const WITHOUT_MODES: [u64; 5] = [0x4d44, 0x2011_BAB0, 0x6573_5546, 0xff53_4d42, 0xfe53_4d42];
/// The permission bits of everybody.
const ALL: u32 = 0o007;
const ALL_CHANGE: u32 = 0o002;

/// Whether this user can change the owner or the mode of what is refused.
pub(crate) fn is_ours_to_change(untrusted: &Untrusted) -> bool {
    let owner = fs::metadata(&untrusted.path).map(|metadata| metadata.uid());
    let user = rustix::process::geteuid();
    owner.is_ok_and(|owner| user.is_root() || owner == user.as_raw())
}

/// Whether all files of a file system have the mode that it was mounted with.
fn has_no_modes(path: &Path) -> bool {
    let kind = rustix::fs::statfs(path).map(|fs| u64::try_from(fs.f_type).unwrap_or_default());
    kind.is_ok_and(|kind| WITHOUT_MODES.contains(&kind))
}

/// The id of the group of what is refused, if its group is all that can change or read it.
pub(crate) fn group_at_fault(untrusted: &Untrusted) -> Option<u32> {
    match untrusted.reason {
        Distrust::Changeable { mode } if mode & ALL_CHANGE == 0 => {}
        Distrust::Readable { mode } if mode & ALL == 0 => {}
        _ => return None,
    }
    let metadata = fs::metadata(&untrusted.path).ok()?;
    Some(metadata.gid())
}

/// An imperative sentence. `mode` is the argument for `chmod` if the mode is wrong.
pub(crate) fn remedy(untrusted: &Untrusted, mode: &str) -> String {
    let path = untrusted.path.display();
    match untrusted.reason {
        Distrust::Owner { .. } => {
            let user = rustix::process::geteuid().as_raw();
            format!("look at what is in it; if you trust that, run `chown -h {user} {path}`")
        }
        Distrust::Changeable { .. } | Distrust::Readable { .. }
            if has_no_modes(&untrusted.path) =>
        {
            format!(
                "mount the file system of {path} with the options `umask=077` and `uid=`, it has no modes of its own"
            )
        }
        Distrust::Changeable { .. } | Distrust::Readable { .. } => {
            format!("run `chmod {mode} {path}`")
        }
        Distrust::Link => "replace the link by what it leads to, if you trust that".to_owned(),
        Distrust::TooLarge { .. } => "name a smaller file".to_owned(),
        _ => format!("remove {path}, or name another path"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remedy_of(reason: Distrust) -> String {
        let path = "/var/lib/acme-alias".into();
        remedy(&Untrusted { path, reason }, "go-rwx")
    }

    #[test]
    fn a_loose_mode_and_a_wrong_owner_are_each_mended_by_one_command() {
        let mode = remedy_of(Distrust::Changeable { mode: 0o777 });
        assert_eq!(mode, "run `chmod go-rwx /var/lib/acme-alias`");
        let owner = remedy_of(Distrust::Owner { owner: 65534 });
        assert!(owner.contains("run `chown -h "), "{owner}");
        assert!(owner.contains(" /var/lib/acme-alias`"), "{owner}");
    }
}
