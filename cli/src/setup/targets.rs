//! From the targets in the settings to those of the engine.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use acme_alias_core::deploy::{File, FilesTarget, PasswordSource, Target};
use acme_alias_core::store::KeyAccess;
use async_trait::async_trait;
use secrecy::SecretString;

use crate::settings::{
    CertificateSettings, FilesSettings, ID, SecretRef, Settings, TargetSettings,
};

/// The targets of the certificate of this id: its own, or those for all.
pub(super) fn of_certificate(
    settings: &Settings,
    certificate: &CertificateSettings,
    id: &str,
) -> Vec<Target> {
    let mut targets = targets(certificate.deploy.as_ref().unwrap_or(&settings.deploy), id);
    if certificate.csr.is_some() {
        for target in &mut targets {
            if let Target::Files(files) = target {
                // Of the files with the private key, the settings allow that of `letsencrypt` only.
                files.files.retain(|file| !file.format.has_key());
            }
        }
    }
    targets
}

/// These targets for the certificate of this id.
pub(super) fn targets(targets: &[TargetSettings], id: &str) -> Vec<Target> {
    let target = |target: &TargetSettings| match target {
        TargetSettings::Command(command) => Target::Command(command.clone()),
        TargetSettings::Files(settings) => Target::Files(files(settings, id)),
    };
    targets.iter().map(target).collect()
}

fn files(settings: &FilesSettings, id: &str) -> FilesTarget {
    let path = |path: &str| PathBuf::from(path.replace(ID, id));
    let mut target = match &settings.letsencrypt {
        Some(folder) => {
            let name = settings.name.as_deref().unwrap_or(ID).replace(ID, id);
            FilesTarget::letsencrypt(&path(folder), &name)
        }
        None => FilesTarget::default(),
    };
    target
        .files
        .extend(settings.files.iter().map(|(format, file)| File {
            format: *format,
            path: path(file),
        }));
    target.owner.clone_from(&settings.owner);
    target.group.clone_from(&settings.group);
    target.mode = settings.mode;
    target.password = settings.password.clone().map(|(setting, secret)| {
        let source: Arc<dyn PasswordSource> = Arc::new(FromSettings { setting, secret });
        source
    });
    target
}

/// Fetches the password of a key store when it is written.
#[derive(Debug)]
struct FromSettings {
    setting: String,
    secret: SecretRef,
}

#[async_trait]
impl PasswordSource for FromSettings {
    async fn fetch(&self) -> Result<SecretString, Box<dyn Error + Send + Sync>> {
        Ok(self.secret.fetch(&self.setting).await?)
    }
}

/// Who may read the private key of a certificate. There is none to read if only others have it.
pub(super) fn key_access(settings: &Settings, certificate: &CertificateSettings) -> KeyAccess {
    if certificate.csr.is_some() {
        return KeyAccess::default();
    }
    let (own, all) = (&certificate.key, &settings.key);
    KeyAccess {
        mode: own.mode.or(all.mode),
        group: own.group.clone().or_else(|| all.group.clone()),
    }
}
