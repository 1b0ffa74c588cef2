//! The versions of a certificate: reading the current one, adding one, marking it as deployed.

use std::fs;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use super::access::{check_dir, check_file, close, make_dir, read, read_octets, remove};
use super::atomic::{sync_dir, write, write_new};
use super::current::{current_number, expose, numbers, switch};
use super::errors::{damaged, unavailable};
use super::key_access::{Readers, open_way};
use super::layout::{
    CERTIFICATE, CHAIN, DEPLOYED, FULLCHAIN, KEY, NEW, PUBLIC_FILES, VERSION, VERSIONS,
    version_path,
};
use crate::certificate::{self, CertificateInfo};
use crate::crash::{self, Point};
use crate::store::certificate::{NewVersion, VersionOrigin, VersionPem};
use crate::store::error::StoreError;
use crate::trusted::{Access, Links};

/// How often to start again because another process switched versions meanwhile.
const ATTEMPTS: usize = 5;

/// A version as its folder describes it.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) number: u32,
    pub(super) info: CertificateInfo,
    pub(super) origin: VersionOrigin,
    pub(super) deployed: bool,
}

/// What is recorded of a version beside its PEM files.
#[derive(Serialize, Deserialize)]
struct Record {
    #[serde(flatten)]
    origin: VersionOrigin,
    created: Timestamp,
}

/// The current version of the certificate in this folder, if there is one.
pub(super) fn current(folder: &Path) -> Result<Option<Version>, StoreError> {
    if !check_dir(folder, Links::Refused)? {
        return Ok(None);
    }
    let mut attempts = 1;
    loop {
        let Some(number) = current_number(folder)? else {
            return Ok(None);
        };
        match read_version(folder, number) {
            Ok(version) => return Ok(Some(version)),
            // It may have been pruned after the link was read.
            Err(_) if attempts < ATTEMPTS && current_number(folder)? != Some(number) => {
                attempts += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// The numbers of the versions that are kept, oldest first.
pub(super) fn all(folder: &Path) -> Result<Vec<u32>, StoreError> {
    let versions = folder.join(VERSIONS);
    if !check_dir(folder, Links::Refused)? || !check_dir(&versions, Links::Refused)? {
        return Ok(Vec::new());
    }
    let mut numbers = numbers(&versions)?;
    numbers.sort_unstable();
    Ok(numbers)
}

/// The certificate of a version and its intermediates, if there is such a version.
pub(super) fn chain(folder: &Path, number: u32) -> Result<Option<String>, StoreError> {
    let path = version_path(folder, number);
    if !all(folder)?.contains(&number) || !check_dir(&path, Links::Refused)? {
        return Ok(None);
    }
    let path = path.join(FULLCHAIN);
    let chain = read(&path)?;
    chain.map_or_else(
        || Err(damaged(&path, &"it does not exist")),
        |chain| Ok(Some(chain)),
    )
}

fn read_version(folder: &Path, number: u32) -> Result<Version, StoreError> {
    let version = version_path(folder, number);
    check_dir(&folder.join(VERSIONS), Links::Refused)?;
    check_dir(&version, Links::Refused)?;
    let record = record(&version)?;
    let key = (!has_external_key(record.as_ref())).then_some(KEY);
    for file in key.into_iter().chain(PUBLIC_FILES) {
        let path = version.join(file);
        if !check_file(&path)? {
            return Err(damaged(&path, &"it does not exist"));
        }
    }
    let path = version.join(CERTIFICATE);
    let Some(pem) = read_octets(&path, Access::Unchangeable)? else {
        return Err(damaged(&path, &"it does not exist"));
    };
    let info = certificate::inspect(&pem).map_err(|error| damaged(&path, &error))?;
    Ok(Version {
        number,
        info,
        // Before there were records, nothing noted a failed deployment.
        deployed: record.is_none() || deployed(folder)? == Some(number),
        origin: record.map(|record| record.origin).unwrap_or_default(),
    })
}

/// What is recorded of the version in this folder.
fn record(version: &Path) -> Result<Option<Record>, StoreError> {
    let path = version.join(VERSION);
    let Some(text) = read(&path)? else {
        return Ok(None);
    };
    let record = serde_json::from_str(&text).map_err(|error| damaged(&path, &error))?;
    Ok(Some(record))
}

/// Whether only others have the key of a version with this record.
fn has_external_key(record: Option<&Record>) -> bool {
    record.is_some_and(|record| record.origin.external_key.is_some())
}

/// The number of the version that was deployed last. What cannot be read is none: then the current
/// version is deployed once more.
fn deployed(folder: &Path) -> Result<Option<u32>, StoreError> {
    match read(&folder.join(DEPLOYED)) {
        Ok(text) => Ok(text.and_then(|text| text.trim().parse().ok())),
        Err(StoreError::Damaged { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Adds a version and makes it the current one. Returns its number.
pub(super) fn add(
    folder: &Path,
    version: &NewVersion,
    created: Timestamp,
) -> Result<u32, StoreError> {
    let versions = folder.join(VERSIONS);
    make_dir(folder)?;
    make_dir(&versions)?;
    let number = next_number(folder, &versions)?;
    let before = current_number(folder).ok().flatten();
    let before = before.map(|number| Readers::of(folder, number));
    if let Some(group) = &version.access.group {
        open_way(folder, group).unwrap_or_else(|error| not_admitted(folder, &error));
    }
    let readers = before.unwrap_or_default();
    write_version(&versions, number, version, &readers, created)?;
    crash::point(Point::VersionMade);
    switch(folder, number)?;
    crash::point(Point::VersionSwitched);
    let key = version.key.is_some().then_some(KEY);
    for file in key.into_iter().chain(PUBLIC_FILES) {
        expose(folder, file, number)?;
    }
    if key.is_none() {
        // That of a version with a key would lead nowhere.
        remove(&folder.join(KEY))?;
    }
    sync_dir(folder)?;
    Ok(number)
}

/// Writes the folder of a version, which appears by a rename.
fn write_version(
    versions: &Path,
    number: u32,
    version: &NewVersion,
    readers: &Readers,
    created: Timestamp,
) -> Result<(), StoreError> {
    let new = tempfile::Builder::new()
        .prefix(NEW)
        .tempdir_in(versions)
        .map_err(|error| unavailable("write in", versions, error))?;
    let NewVersion {
        key,
        chain,
        origin,
        access,
    } = version;
    let write = |file, content: &[u8]| write_new(&new.path().join(file), content);
    let key = key
        .as_ref()
        .map(|key| write(KEY, key.expose_secret().as_bytes()));
    let key = key.transpose()?;
    let certificate = write(CERTIFICATE, chain.certificate.as_bytes())?;
    // The lock tells others that the folder is in use; without it they may delete it.
    let _ = key.as_ref().unwrap_or(&certificate).try_lock();
    let fullchain = format!("{}{}", chain.certificate, chain.intermediates);
    let record = Record {
        origin: origin.clone(),
        created,
    };
    let record = serde_json::to_vec_pretty(&record)
        .map_err(|error| unavailable("write", &new.path().join(VERSION), error.into()))?;
    write(CHAIN, chain.intermediates.as_bytes())?;
    write(FULLCHAIN, fullchain.as_bytes())?;
    write(VERSION, &record)?;
    close(new.path())?;
    let admitted = readers.admit(key.as_ref(), new.path(), access);
    admitted.unwrap_or_else(|error| not_admitted(new.path(), &error));
    sync_dir(new.path())?;
    let path = versions.join(number.to_string());
    fs::rename(new.path(), &path).map_err(|error| unavailable("write", &path, error))?;
    // The folder has its final name; there is nothing left to delete.
    let _ = new.keep();
    sync_dir(versions)
}

/// A certificate that was paid for is stored all the same.
fn not_admitted(folder: &Path, error: &io::Error) {
    let folder = folder.display();
    tracing::warn!("{folder}: the group of the key cannot be let in: {error}");
}

/// The key, if it is ours, and the certificates of a version, if it exists.
pub(super) fn pem(folder: &Path, number: u32) -> Result<Option<VersionPem>, StoreError> {
    if !check_dir(folder, Links::Refused)? || !check_dir(&folder.join(VERSIONS), Links::Refused)? {
        return Ok(None);
    }
    let version = version_path(folder, number);
    if !check_dir(&version, Links::Refused)? {
        return Ok(None);
    }
    let text = |file| read(&version.join(file));
    let (Some(certificate), Some(intermediates)) = (text(CERTIFICATE)?, text(CHAIN)?) else {
        return Ok(None);
    };
    let key = text(KEY)?;
    if key.is_none() && !has_external_key(record(&version)?.as_ref()) {
        return Ok(None);
    }
    Ok(Some(VersionPem {
        key: key.map(Into::into),
        certificate,
        intermediates,
    }))
}

/// No number is used twice: not that of a version that was deleted, and not that of the version
/// that was deployed.
fn next_number(folder: &Path, versions: &Path) -> Result<u32, StoreError> {
    let newest = numbers(versions)?.into_iter().max();
    let newest = newest.max(deployed(folder)?).unwrap_or(0);
    newest.checked_add(1).ok_or_else(|| {
        let cause = format!("there is no version number after {newest}");
        damaged(versions, &cause)
    })
}

/// Records that the current version was deployed.
pub(super) fn mark_deployed(folder: &Path, version: u32) -> Result<(), StoreError> {
    if current_number(folder)? != Some(version) {
        return Ok(());
    }
    write(&folder.join(DEPLOYED), format!("{version}\n").as_bytes())
}
