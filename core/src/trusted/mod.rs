//! Files and folders that only this user and root can change.
//!
//! A process that runs as root must not act on what another user wrote, and must not write where another user
//! leads it. So every file is opened without following links and without waiting, and its kind, owner and mode
//! are checked on the open descriptor. A folder is checked before what is in it is used: nobody else can
//! replace the files of a folder that passed. The folders above are not checked.

mod creatable;
mod folder;
mod open;
mod owner;
mod permissions;
mod provided;
mod shared;
#[cfg(test)]
mod tests;
mod untrusted;

pub use self::creatable::creatable_in;
pub use self::folder::{check_way, open_folder, open_folder_of_anyone};
pub(crate) use self::open::sync_open_folder;
pub use self::open::{Links, Read, check_folder, open, open_in_place, read, sync_folder};
pub use self::owner::Access;
pub(crate) use self::owner::{check_file_at, is_trusted};
pub use self::permissions::{Permissions, make_private};
pub use self::shared::{is_private_group, share_folder};
pub use self::untrusted::{Distrust, Untrusted};
