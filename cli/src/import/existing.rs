//! The settings that there are already, and the file that new ones are added to.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use acme_alias_core::trusted::{self, Access, Links, Untrusted};
use toml::Table;

use super::toml_text::can_be_extended;
use crate::failure::{Failure, Part};
use crate::settings::{AcmeSettings, Settings, SettingsError};
use crate::sources::Sources;
use crate::trust;

/// No settings file is larger.
const SIZE_MAX: u64 = 16 << 20;

/// The settings that hold without flags, and the file that is written.
pub(crate) struct Existing {
    sources: Sources,
    pub(crate) settings: Settings,
    /// The settings file that is written.
    pub(crate) file: PathBuf,
    text: String,
    /// Whether a file, or the environment, says which CA is the usual one.
    pub(super) has_acme: bool,
    /// Whether there is nothing that a new usual CA would concern.
    pub(super) is_fresh: bool,
    /// Whether alias zones in the file would hide those of another one.
    pub(super) would_hide_zones: bool,
    /// The root certificate that the flags name for new CAs.
    pub(super) ca_file: Option<PathBuf>,
}

impl Existing {
    /// Reads the settings. `has_certificates` if the state folder has some.
    pub(crate) fn new(
        sources: Sources,
        ca_file: Option<&Path>,
        has_certificates: bool,
    ) -> Result<Self, Failure> {
        let settings = sources.settings()?;
        let tree = sources.tree()?;
        let file = sources.written_file().map_err(SettingsError::from)?;
        let text = read(&file)?;
        let table: Table = toml::from_str(&text).unwrap_or_default();
        let ca_file = ca_file.map(std::path::absolute).transpose();
        let ca_file = ca_file.map_err(|error| Failure::new(Part::Settings, &error, None))?;
        Ok(Existing {
            has_acme: tree.is_given("acme"),
            is_fresh: settings.certificates.is_empty() && !has_certificates,
            would_hide_zones: tree.is_given("alias-zones") && !table.contains_key("alias-zones"),
            sources,
            settings,
            file,
            text,
            ca_file,
        })
    }

    /// The settings of the CA with this directory URL, and its id if it is not the usual one.
    pub(super) fn ca(&self, directory: &str) -> Option<(Option<&str>, &AcmeSettings)> {
        ca_of(&self.settings, directory).filter(|(id, _)| id.is_some() || self.has_acme)
    }

    /// The text of the file with more tables at its end.
    pub(super) fn extended(&self, added: &str) -> String {
        let gap = match self.text.as_str() {
            "" => "",
            text if text.ends_with('\n') => "\n",
            _ => "\n\n",
        };
        format!("{}{gap}{added}", self.text)
    }

    /// The settings that hold with more tables at the end of the file.
    pub(super) fn with(&self, added: &str) -> Result<Settings, Failure> {
        let extended = self.extended(added);
        let file = self.file.display();
        if !can_be_extended(&self.text, &extended) {
            let message = format!("the new settings cannot be added to the end of {file}");
            let remedy = "write its tables with a header each, as in `[certificates.web]`, or run the command without \
                          `--write` and add them by hand";
            return Err(Failure::new(Part::Settings, &message, remedy.to_owned()));
        }
        let settings = self.sources.with_file(&self.file, &extended);
        settings.map_err(|error: SettingsError| error.into())
    }

    /// The same sources, read anew.
    pub(super) fn sources(&self) -> Sources {
        self.sources.without_flags()
    }
}

/// The settings of the CA with this directory URL, and its id if it is not the usual one.
pub(super) fn ca_of<'a>(
    settings: &'a Settings,
    directory: &str,
) -> Option<(Option<&'a str>, &'a AcmeSettings)> {
    if settings.acme.directory == directory {
        return Some((None, &settings.acme));
    }
    let mut cas = settings.cas.iter();
    let (id, ca) = cas.find(|(_, ca)| ca.directory == directory)?;
    Some((Some(id), ca))
}

fn read(path: &Path) -> Result<String, Failure> {
    let read = trusted::read(path, Access::Unchangeable, Links::Followed, SIZE_MAX);
    let content = match read {
        Ok(read) => read.content,
        Err(error)
            if error.kind() == ErrorKind::NotFound && fs::symlink_metadata(path).is_err() =>
        {
            return Ok(String::new());
        }
        Err(error) => {
            let shown = path.display();
            let message = format!("the settings file {shown} cannot be read: {error}");
            let remedy = Untrusted::in_error(&error).map(|error| trust::remedy(error, "go-w"));
            return Err(Failure::new(Part::Settings, &message, remedy));
        }
    };
    String::from_utf8(content).map_err(|_| {
        let message = format!("{} is not text in UTF-8", path.display());
        Failure::new(Part::Settings, &message, None)
    })
}
