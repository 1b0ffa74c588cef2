//! Folders that a group may change beside their owner, such as a volume that Kubernetes gives a group (`fsGroup`).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use rustix::process::{getegid, geteuid, getgroups};
use uzers::os::unix::GroupExt;
use uzers::{get_group_by_gid, get_user_by_uid};

/// The folders, each with its group.
static SHARED: RwLock<BTreeMap<PathBuf, u32>> = RwLock::new(BTreeMap::new());

/// The users of the machine with their primary groups (passwd(5)).
const USERS: &str = "/etc/passwd";

/// Lets a group change a folder and what is in it, from now on and for this process. Files of this group there are
/// trusted with any owner, unless everybody can change them.
///
/// Members of the group can then let this program do what they want, such as run a deploy hook.
pub fn share_folder(folder: &Path, group: u32) {
    let mut shared = SHARED.write().unwrap_or_else(PoisonError::into_inner);
    shared.insert(folder.to_owned(), group);
}

/// Whether a file or folder with this path and group is in a folder that this group may change.
pub(super) fn is_shared(path: &Path, group: u32) -> bool {
    let shared = SHARED.read().unwrap_or_else(PoisonError::into_inner);
    let mut ancestors = path.ancestors();
    ancestors.any(|folder| shared.get(folder) == Some(&group))
}

/// Whether this process is in a group in which nobody else is, as far as the system knows its users.
///
/// Groups that container runtimes choose have no name and no members. Root has no such group: it needs none, and
/// what others could change there would be run as root.
pub fn is_private_group(group: u32) -> bool {
    let user = geteuid();
    let is_member = || {
        let mut groups = getgroups().unwrap_or_default().into_iter();
        getegid().as_raw() == group || groups.any(|other| other.as_raw() == group)
    };
    if user.is_root() || !is_member() {
        return false;
    }
    let name = get_user_by_uid(user.as_raw()).map(|user| user.name().to_owned());
    let members = get_group_by_gid(group).map(|group| group.members().to_owned());
    let mut others = members.unwrap_or_default().into_iter();
    if others.any(|member| Some(&member) != name.as_ref()) {
        return false;
    }
    let users = fs::read_to_string(USERS).unwrap_or_default();
    !users.lines().any(|line| {
        let fields: Vec<_> = line.split(':').collect();
        let id = |index| fields.get(index).and_then(|id: &&str| id.parse().ok());
        id(3) == Some(group) && id(2) != Some(user.as_raw())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_in_the_folder_and_has_its_group_is_shared() {
        let folder = Path::new("/no/such/state");
        share_folder(folder, 4_242);
        assert!(is_shared(folder, 4_242));
        assert!(is_shared(&folder.join("a/b"), 4_242));
        assert!(!is_shared(folder, 4_243));
        assert!(!is_shared(Path::new("/no/such"), 4_242));
        assert!(!is_shared(Path::new("/no/such/state-2"), 4_242));
    }
}
