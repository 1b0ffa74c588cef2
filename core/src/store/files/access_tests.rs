//! What others own or can change is refused, and links are not followed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{chown, symlink};

use super::FileStore;
use super::access::set_mode;
use super::tests::{Folder, id, names, version};
use crate::store::{Store, StoreError};
use crate::trusted::Distrust;

#[tokio::test]
async fn an_account_file_that_others_can_read_is_refused() {
    let folder = Folder::new();
    let store = folder.store().await;
    let directory = "https://ca.example/dir";
    store.put_account(directory, &"{}".into()).await.unwrap();
    let accounts = folder.root.join("accounts");
    set_mode(&accounts.join(&names(&accounts)[0]), 0o644).unwrap();
    let error = store.account(directory).await.unwrap_err();
    assert_eq!(reason(&error), Some(Distrust::Readable { mode: 0o644 }));
}

#[tokio::test]
async fn a_folder_that_others_can_change_is_refused() {
    let folder = Folder::new();
    folder.store().await;
    set_mode(&folder.root, 0o777).unwrap();
    let error = FileStore::open(&folder.root, folder.options())
        .await
        .unwrap_err();
    assert_eq!(reason(&error), Some(Distrust::Changeable { mode: 0o777 }));
}

fn reason(error: &StoreError) -> Option<Distrust> {
    match error {
        StoreError::Untrusted(untrusted) => Some(untrusted.reason),
        _ => None,
    }
}

#[tokio::test]
async fn what_another_user_owns_is_refused() {
    let stranger = Some(Distrust::Owner { owner: 65534 });
    let folder = Folder::new();
    let store = folder.store().await;
    store.put_certificate(&id(), version("1")).await.unwrap();
    store.put_settings(&id(), "").await.unwrap();
    for path in ["", "accounts", "certificates"] {
        let path = folder.root.join(path);
        chown(&path, Some(65534), None).unwrap();
        let opened = FileStore::open(&folder.root, folder.options()).await;
        assert_eq!(reason(&opened.unwrap_err()), stranger);
        chown(&path, Some(0), None).unwrap();
    }
    store.index().await.unwrap();
    for path in ["", "settings.toml"] {
        let path = folder.certificate().join(path);
        chown(&path, Some(65534), None).unwrap();
        let error = store.settings(&id()).await.unwrap_err();
        assert_eq!(reason(&error), stranger);
        chown(&path, Some(0), None).unwrap();
    }
    for path in ["", "versions", "versions/1", "versions/1/privkey.pem"] {
        let path = folder.certificate().join(path);
        chown(&path, Some(65534), None).unwrap();
        let error = store.certificate(&id()).await.unwrap_err();
        assert_eq!(reason(&error), stranger, "{}", path.display());
        chown(&path, Some(0), None).unwrap();
    }
    chown(folder.certificate(), Some(65534), None).unwrap();
    let index = store.index().await.unwrap();
    assert!(matches!(index[0].current, Some(Err(_))), "{index:?}");
}

#[tokio::test]
async fn a_link_in_the_state_folder_is_not_followed() {
    let folder = Folder::new();
    let store = folder.store().await;
    store.put_settings(&id(), "").await.unwrap();
    let (path, elsewhere) = (folder.certificate(), folder.root.join("elsewhere"));
    fs::rename(&path, &elsewhere).unwrap();
    symlink(&elsewhere, &path).unwrap();
    let error = store.settings(&id()).await.unwrap_err();
    assert_eq!(reason(&error), Some(Distrust::Link));
    let error = store.put_settings(&id(), "x").await.unwrap_err();
    assert_eq!(reason(&error), Some(Distrust::Link));
    let lock = folder.root.join(".aliases.lock");
    symlink(elsewhere.join("created"), &lock).unwrap();
    assert!(store.add_alias_names(&BTreeMap::new()).await.is_err());
    assert!(!elsewhere.join("created").exists());
}

#[tokio::test]
async fn the_state_folder_itself_may_be_a_link() {
    let folder = Folder::new();
    folder.store().await;
    let link = folder.root.with_file_name("link");
    symlink(&folder.root, &link).unwrap();
    FileStore::open(&link, folder.options()).await.unwrap();
}
