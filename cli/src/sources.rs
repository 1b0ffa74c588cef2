//! The settings of this run of the program, from all their sources.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use acme_alias_core::printable::printable;
use acme_alias_core::store::CertificateId;
use toml::Table;

use crate::cli::Cli;
use crate::flags;
use crate::settings::{Layer, ListedNames, Mistake, Origins, Settings, SettingsError, Stamp, Tree};

/// Where settings come from, the flags included.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    origins: Origins,
    /// The defaults and the files without the certificates, read once, when they are needed: for a certificate
    /// that no file defines, the others would only cost time.
    common: OnceLock<Vec<Layer>>,
    /// The names that the files list for certificates, noted when the settings are read.
    listed: OnceLock<Arc<ListedNames>>,
    flags: Table,
}

impl Sources {
    /// The sources that the command line names, and those of the system and the user.
    pub(crate) fn new(cli: &Cli) -> Result<Self, SettingsError> {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        let origins = Origins {
            config: cli.global.config.clone(),
            variables: variables.collect(),
            root: rustix::process::geteuid().is_root(),
        };
        Ok(Sources {
            origins,
            common: OnceLock::new(),
            listed: OnceLock::new(),
            flags: flags::global(&cli.global)?,
        })
    }

    /// All layers, except what is stored with certificates.
    pub(crate) fn tree(&self) -> Result<Tree, SettingsError> {
        self.merged(&self.origins.files()?, None, self.flags.clone())
    }

    /// The settings files that are read, lowest first.
    pub(crate) fn files(&self) -> Result<Vec<String>, SettingsError> {
        let layers = self.origins.files()?;
        let files = layers.iter().filter_map(Layer::file);
        Ok(files.map(str::to_owned).collect())
    }

    /// The same sources, to be read anew, without the flags that are gone with this run. The state folder stays.
    pub(crate) fn without_flags(&self) -> Self {
        let state = self.flags.get("state").cloned();
        Sources {
            origins: self.origins.clone(),
            common: OnceLock::new(),
            listed: OnceLock::new(),
            flags: state
                .map(|state| ("state".to_owned(), state))
                .into_iter()
                .collect(),
        }
    }

    /// The absolute path of the file that settings are added to.
    pub(crate) fn written_file(&self) -> Result<PathBuf, Mistake> {
        let file = self.origins.written_file();
        let file = file.and_then(|file| std::path::absolute(file).ok());
        file.ok_or_else(|| {
            Mistake::new("HOME is not set, so this user has no settings file")
                .help("name a settings file with `--config`")
        })
    }

    /// The settings that hold if a settings file has this text.
    pub(crate) fn with_file(&self, path: &Path, text: &str) -> Result<Settings, SettingsError> {
        let mut files = self.origins.files()?;
        let changed = Layer::parse(&printable(&path.display().to_string()), text)?;
        let is_same = |layer: &Layer| {
            let file = layer.file().map(std::path::absolute);
            file.is_some_and(|file| file.is_ok_and(|file| file == path))
        };
        match files.iter().rposition(is_same) {
            Some(place) => files[place] = changed,
            None => files.push(changed),
        }
        Settings::read(&self.merged(&files, None, self.flags.clone())?)
    }

    /// What tells the settings files from those of another time, without reading them.
    pub(crate) fn stamps(&self) -> Vec<Stamp> {
        self.origins.stamps()
    }

    /// The settings that hold for every certificate.
    pub(crate) fn settings(&self) -> Result<Settings, SettingsError> {
        let settings = Settings::read(&self.tree()?)?;
        let listed = || ListedNames::of(&settings.certificates).into();
        self.listed.get_or_init(listed);
        Ok(settings)
    }

    /// The settings that hold for a certificate with these stored settings.
    pub(crate) fn with_stored(
        &self,
        id: &CertificateId,
        stored: &str,
    ) -> Result<Settings, SettingsError> {
        let layer = Layer::parse(&format!("stored with {id}"), stored)?;
        self.of_one(Some(layer), self.flags.clone())
    }

    /// The settings that hold for a certificate that these flags describe.
    pub(crate) fn with_flags(&self, described: &Table) -> Result<Settings, SettingsError> {
        let mut flags = described.clone();
        flags.extend(self.flags.clone());
        self.of_one(None, flags)
    }

    /// The settings that hold for a certificate that no file defines.
    fn of_one(&self, stored: Option<Layer>, flags: Table) -> Result<Settings, SettingsError> {
        let mut settings = Settings::read(&self.merged(self.common()?, stored, flags)?)?;
        if let Some(listed) = self.listed.get() {
            listed.refuse(&mut settings.certificates, |mistake, _| mistake);
        }
        Ok(settings)
    }

    fn common(&self) -> Result<&[Layer], SettingsError> {
        if let Some(common) = self.common.get() {
            return Ok(common);
        }
        let files = self.origins.files()?;
        let common = files.iter().map(|layer| layer.without("certificates"));
        Ok(self.common.get_or_init(|| common.collect()))
    }

    fn merged(
        &self,
        files: &[Layer],
        stored: Option<Layer>,
        flags: Table,
    ) -> Result<Tree, SettingsError> {
        self.origins
            .layers(files, stored, Layer::new("flags", flags))
    }
}
