//! The state folder.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use acme_alias_core::clock::Clock;
use acme_alias_core::deploy::group_id;
use acme_alias_core::ledger::FileLedger;
use acme_alias_core::store::{FileStore, FileStoreOptions, StoreError};
use acme_alias_core::trusted::{creatable_in, is_private_group, share_folder};

use rustix::process::geteuid;

use crate::failure::{Failure, Part};
use crate::settings::Settings;
use crate::system_folders::STATE;
use crate::trust;

/// The folder of the ledger, in the state folder.
const LEDGER: &str = "ledger";
/// The folder of the certificates, in the state folder.
const CERTIFICATES: &str = "certificates";

/// The store and the ledger in the state folder, which is made if it does not exist.
pub(crate) async fn open(
    settings: &Settings,
    clock: &Arc<dyn Clock>,
) -> Result<(Arc<FileStore>, Arc<FileLedger>), Failure> {
    let store = open_store(settings, clock).await?;
    let ledger = FileLedger::open(&settings.state.join(LEDGER), Arc::clone(clock)).await?;
    Ok((store, Arc::new(ledger)))
}

async fn open_store(
    settings: &Settings,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<FileStore>, Failure> {
    share(settings)?;
    let options = FileStoreOptions {
        clock: Arc::clone(clock),
        keep_versions: settings.keep_versions,
    };
    let store = FileStore::open(&settings.state, options).await;
    let store = store.map_err(|error| {
        if settings.is_default_state && settings.state == Path::new(STATE) && !geteuid().is_root() {
            return without_home(settings, &error);
        }
        of_another_user(&settings.state, error)
    })?;
    Ok(Arc::new(store))
}

/// Lets the group change the state folder that the settings name, or a group that nobody else is in.
fn share(settings: &Settings) -> Result<(), Failure> {
    let group = match &settings.state_group {
        Some(name) => Some(group_id(name).map_err(|error| {
            let remedy = "correct `state-group` in the settings".to_owned();
            Failure::new(Part::Settings, &format!("`state-group`: {error}"), remedy)
        })?),
        None => {
            let metadata = fs::metadata(&settings.state);
            let group = metadata.map(|metadata| metadata.gid()).ok();
            group.filter(|group| is_private_group(*group))
        }
    };
    if let Some(group) = group {
        share_folder(&settings.state, group);
    }
    Ok(())
}

/// The same, with a ledger that is only read, or `None` if there is no state folder: commands that only look
/// change nothing.
pub(crate) async fn open_existing(
    settings: &Settings,
    clock: &Arc<dyn Clock>,
) -> Result<Option<(Arc<FileStore>, Arc<FileLedger>)>, Failure> {
    if settings.state.is_dir() {
        let ledger = FileLedger::open_read_only(&settings.state.join(LEDGER));
        Ok(Some((open_store(settings, clock).await?, Arc::new(ledger))))
    } else {
        Ok(None)
    }
}

/// The failure to open the state folder of root, which is the default if the user has no home.
fn without_home(settings: &Settings, error: &StoreError) -> Failure {
    let user = named(geteuid().as_raw());
    let state = settings.state.display();
    let message = format!("HOME is not set, so the state folder of {user} is {state}: {error}");
    let remedy = "choose a state folder with `--state`, or set HOME or XDG_STATE_HOME".to_owned();
    Failure::new(Part::Store, &message, remedy)
}

/// The failure to open the state folder. If it belongs to another user, that is most likely why.
fn of_another_user(state: &Path, error: StoreError) -> Failure {
    let user = geteuid().as_raw();
    let owner = fs::metadata(state).map_or(user, |metadata| metadata.uid());
    let is_of_group = |untrusted| trust::group_at_fault(untrusted).is_some();
    let is_of_group = matches!(&error, StoreError::Untrusted(untrusted) if is_of_group(untrusted));
    let mut failure = Failure::from(error);
    if owner == user || is_of_group {
        return failure;
    }
    let switch = if owner == 0 {
        "run the command with `sudo`".to_owned()
    } else {
        format!("run it as that user (`sudo -u '#{owner}' acme-alias …`)")
    };
    let choose = format!("{switch}, or choose another state folder with `--state`");
    if user == 0 {
        let remedy = failure.remedy.unwrap_or_default();
        failure.remedy = Some(format!("{choose}; or {remedy}").into());
        return failure;
    }
    let message = format!(
        "the state folder {} belongs to {}, and this is {}: {}",
        state.display(),
        named(owner),
        named(user),
        failure.message
    );
    Failure::new(Part::Store, &message, choose)
}

/// Fails if the state folder cannot be made or written in. Nothing is changed.
pub(crate) fn check_folder(settings: &Settings) -> Result<(), Failure> {
    let state = &settings.state;
    let checked = creatable_in(state).map_err(|error| {
        let message = format!(
            "the state folder {} cannot be used: {error}",
            state.display()
        );
        let remedy =
            "choose a folder in which this user can write, by `state` in the settings or `--state`";
        Failure::new(Part::Store, &message, remedy.to_owned())
    });
    checked.map(|_| ())
}

/// Fails if the certificates are most likely those of another user: that of the default state folder of this user is
/// empty, and that of root exists and cannot be read.
pub(crate) fn check_user(settings: &Settings) -> Result<(), Failure> {
    let is_hidden = || is_denied(&fs::read_dir(STATE));
    if !settings.is_default_state || has_certificates(settings) || !is_hidden() {
        return Ok(());
    }
    let user = named(geteuid().as_raw());
    Err(Failure::new(
        Part::Store,
        &format!(
            "there is no certificate in {}, the state folder of {user}, who cannot read {STATE}",
            settings.state.display()
        ),
        format!(
            "run the command with `sudo` to use {STATE}, or choose a state folder with `--state`"
        ),
    ))
}

/// Fails if there is no certificate at all, and nothing that an earlier run could have left.
pub(crate) fn check_is_anything(settings: &Settings) -> Result<(), Failure> {
    let ledger = settings.state.join(LEDGER);
    let has_ledger = has(&ledger, |name| name.ends_with(b".jsonl"));
    if !settings.certificates.is_empty()
        || has_certificates(settings)
        || has_ledger
        || ledger.with_extension("head").exists()
    {
        return Ok(());
    }
    let user = named(geteuid().as_raw());
    Err(Failure::new(
        Part::Settings,
        &format!(
            "there is no certificate: the settings define none, and the state folder {} is empty",
            settings.state.display()
        ),
        format!(
            "add a certificate to the settings, or obtain one with `acme-alias issue`; if there are certificates \
             elsewhere, choose their state folder with `--state`, or run the command as their user (this is {user}), \
             such as with `sudo`"
        ),
    ))
}

fn has_certificates(settings: &Settings) -> bool {
    let is_visible = |name: &[u8]| !name.starts_with(b".");
    has(&settings.state.join(CERTIFICATES), is_visible)
}

/// Whether a folder has such an entry. One that cannot be read counts as if it had: the store reports it.
fn has(folder: &Path, is_such: impl Fn(&[u8]) -> bool) -> bool {
    match fs::read_dir(folder) {
        Ok(entries) => entries
            .flatten()
            .any(|entry| is_such(entry.file_name().as_encoded_bytes())),
        Err(error) => error.kind() != ErrorKind::NotFound,
    }
}

fn is_denied<T>(result: &io::Result<T>) -> bool {
    let error = result.as_ref().err();
    error.is_some_and(|error| error.kind() == ErrorKind::PermissionDenied)
}

fn named(user: u32) -> String {
    match user {
        0 => "root".to_owned(),
        user => format!("the user with uid {user}"),
    }
}
