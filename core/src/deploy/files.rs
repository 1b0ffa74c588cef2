//! A target that is files outside the store.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::Serialize;

use super::error::DeployError;
use super::formats::Format;
use super::in_time::in_time;
use super::names::{group_id, user_id};
use super::place::{Access, Staged, make_folder};
use crate::crash::{self, Point};
use crate::printable::few;
use crate::store::VersionPem;

/// How long the files of a target may take. The folder may be one of a customer, at a server that is down.
const WRITE_WITHIN: Duration = Duration::from_secs(30);

/// The files of a folder as certbot keeps them.
const LIVE_FILES: [(Format, &str); 4] = [
    (Format::Key, "privkey.pem"),
    (Format::Certificate, "cert.pem"),
    (Format::Chain, "chain.pem"),
    (Format::FullChain, "fullchain.pem"),
];

/// Files that are written when a certificate has changed.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FilesTarget {
    /// The files.
    pub files: Vec<File>,
    /// Folders to make if they do not exist, one after the other.
    pub folders: Vec<PathBuf>,
    /// The owner of the files, by name or number; this user if it is not given.
    pub owner: Option<String>,
    /// Their group. If it is not given, that of the file in their place stays.
    pub group: Option<String>,
    /// The permission bits of those that hold the key. If they are not given, those of the file in their place stay, or
    /// else only the owner can read it.
    pub mode: Option<u32>,
    /// The password of a key store.
    #[serde(skip)]
    pub password: Option<Arc<dyn PasswordSource>>,
}

/// A file to write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct File {
    /// What it holds.
    pub format: Format,
    /// Where it is. The path is absolute.
    pub path: PathBuf,
}

/// Fetches the password of a key store at the moment it is needed.
#[async_trait]
pub trait PasswordSource: fmt::Debug + Send + Sync {
    /// Fetches it.
    async fn fetch(&self) -> Result<SecretString, Box<dyn Error + Send + Sync>>;
}

impl FilesTarget {
    /// The folder of a certificate as certbot keeps it: `live/NAME` in `folder`.
    pub fn letsencrypt(folder: &Path, name: &str) -> Self {
        let live = folder.join("live");
        let of_certificate = live.join(name);
        let files = LIVE_FILES.map(|(format, name)| File {
            format,
            path: of_certificate.join(name),
        });
        FilesTarget {
            files: files.into(),
            folders: vec![live, of_certificate],
            ..FilesTarget::default()
        }
    }

    /// Writes all files beside their places, and then puts all of them there. `name` is that of the key in a key
    /// store.
    pub(crate) async fn write(&self, pem: VersionPem, name: &str) -> Result<(), DeployError> {
        let key_store = self.files.iter().find(|file| file.format == Format::Pkcs12);
        let password = match (&self.password, key_store) {
            (Some(password), Some(file)) => {
                let fetched = password.fetch().await;
                Some(fetched.map_err(|error| DeployError::Password {
                    path: file.path.clone(),
                    source: Arc::from(error),
                })?)
            }
            _ => None,
        };
        let (target, name) = (self.clone(), name.to_owned());
        let path = self.files.first().map(|file| file.path.clone());
        let path = path.unwrap_or_default();
        let write = move || target.write_now(&pem, password.as_ref(), &name);
        let written = in_time(&path, WRITE_WITHIN, write).await;
        written.map_err(|error| failed(&path, error))?
    }

    fn write_now(
        &self,
        pem: &VersionPem,
        password: Option<&SecretString>,
        name: &str,
    ) -> Result<(), DeployError> {
        let owner = self.owner.as_deref().map(user_id).transpose()?;
        let group = self.group.as_deref().map(group_id).transpose()?;
        let access = Access {
            owner,
            group,
            mode: self.mode,
        };
        for folder in &self.folders {
            make_folder(folder, owner).map_err(|error| failed(folder, error))?;
        }
        let staged = self.files.iter().map(|file| {
            let path = &file.path;
            let content = file.format.content(pem, password, name);
            let content = content.map_err(|source| DeployError::Format {
                path: path.clone(),
                source,
            })?;
            let has_key = file.format.has_key();
            let staged = Staged::write(path, &content, access, has_key);
            Ok((path, staged.map_err(|error| failed(path, error))?))
        });
        let staged: Vec<_> = staged.collect::<Result<_, DeployError>>()?;
        crash::point(Point::FilesStaged);
        for (path, staged) in staged {
            staged.publish().map_err(|error| failed(path, error))?;
        }
        crash::point(Point::FilesWritten);
        Ok(())
    }
}

fn failed(path: &Path, error: std::io::Error) -> DeployError {
    DeployError::Write {
        path: path.to_owned(),
        source: Arc::new(error),
    }
}

impl fmt::Display for FilesTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths = self
            .files
            .iter()
            .map(|file| file.path.display().to_string());
        let paths: Vec<_> = paths.collect();
        f.write_str(&few(&paths, ", "))
    }
}
