//! What is opened, and what is refused.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use super::{Access, Distrust, Links, Untrusted, check_folder, open_in_place, read};

/// A user that nobody is. To give a file to it takes root, as the scenarios do.
const STRANGER: u32 = 65534;

fn file(folder: &Path, mode: u32) -> PathBuf {
    let path = folder.join("file");
    fs::write(&path, "text").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path
}

fn reason<T: std::fmt::Debug>(outcome: io::Result<T>) -> Distrust {
    let error = outcome.unwrap_err();
    Untrusted::in_error(&error)
        .unwrap_or_else(|| panic!("{error}"))
        .reason
}

fn read_by(path: &Path, links: Links) -> io::Result<super::Read> {
    read(path, Access::Unchangeable, links, 100)
}

#[test]
fn the_mode_decides_what_is_read() {
    let folder = tempfile::tempdir().unwrap();
    for (mode, private, unchangeable) in [
        (0o600, true, true),
        (0o400, true, true),
        (0o640, false, true),
        (0o604, false, true),
        (0o620, false, false),
        (0o602, false, false),
    ] {
        let path = file(folder.path(), mode);
        let is_read = |access| read(&path, access, Links::Refused, 100).is_ok();
        assert_eq!(is_read(Access::Private), private, "{mode:o}");
        assert_eq!(is_read(Access::Unchangeable), unchangeable, "{mode:o}");
        assert!(is_read(Access::Any), "{mode:o}");
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_file_or_folder_of_another_user_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), 0o600);
    chown(&path, Some(STRANGER), None).unwrap();
    let stranger = Distrust::Owner { owner: STRANGER };
    assert_eq!(reason(read_by(&path, Links::Refused)), stranger);
    assert_eq!(reason(open_in_place(&path)), stranger);
    chown(folder.path(), Some(STRANGER), None).unwrap();
    let checked = check_folder(folder.path(), Links::Followed);
    assert_eq!(reason(checked), stranger);
}

#[test]
fn a_link_is_followed_only_on_request_and_only_if_its_owner_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path(), 0o600);
    let (link, second) = (folder.path().join("link"), folder.path().join("second"));
    symlink("file", &link).unwrap();
    symlink(&link, &second).unwrap();
    assert_eq!(reason(read_by(&second, Links::Refused)), Distrust::Link);
    assert_eq!(reason(open_in_place(&second)), Distrust::Link);
    let followed = read_by(&second, Links::Followed).unwrap();
    assert_eq!(followed.content, b"text");
    lchown(&link, Some(STRANGER), None).unwrap();
    let error = reason(read_by(&second, Links::Followed));
    assert_eq!(error, Distrust::Owner { owner: STRANGER });
    symlink("loop", folder.path().join("loop")).unwrap();
    assert!(read_by(&folder.path().join("loop"), Links::Followed).is_err());
}

#[test]
fn a_folder_behind_a_link_is_refused_unless_links_are_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (inner, link) = (folder.path().join("inner"), folder.path().join("link"));
    fs::create_dir(&inner).unwrap();
    symlink(&inner, &link).unwrap();
    assert_eq!(reason(check_folder(&link, Links::Refused)), Distrust::Link);
    check_folder(&link, Links::Followed).unwrap();
    fs::set_permissions(&inner, Permissions::from_mode(0o777)).unwrap();
    let checked = check_folder(&link, Links::Followed);
    assert_eq!(reason(checked), Distrust::Changeable { mode: 0o777 });
    let checked = check_folder(&file(folder.path(), 0o600), Links::Refused);
    assert_eq!(reason(checked), Distrust::NotAFolder);
}

#[test]
fn what_is_not_a_regular_file_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .unwrap();
    let socket = folder.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    for path in [folder.path(), &fifo, &socket, Path::new("/dev/zero")] {
        let refused = reason(read_by(path, Links::Followed));
        assert_eq!(refused, Distrust::NotAFile, "{}", path.display());
        assert_eq!(reason(open_in_place(path)), Distrust::NotAFile);
    }
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), 0o600);
    let read = |limit| read(&path, Access::Private, Links::Refused, limit);
    assert_eq!(read(4).unwrap().content, b"text");
    assert_eq!(reason(read(3)), Distrust::TooLarge { limit: 3 });
}
