//! Reading files of a folder that others made. Nothing outside it is read through a link, and nothing that other users
//! can change.

use std::cell::Cell;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use acme_alias_core::printable::printable;
use acme_alias_core::trusted::{self, Access, Distrust, Links, Untrusted};

use crate::failure::{Failure, Part};
use crate::trust;

/// No file that is read here is larger.
const SIZE_MAX: u64 = 1 << 20;
/// No folder that is read here has more entries.
const ENTRIES_MAX: usize = 20_000;
/// How many entries of all folders are read at most, with those that links lead to once more. Links may lead in circles.
const ALL_ENTRIES_MAX: usize = 100_000;
/// How many octets of all files are read at most. What is found is kept until everything is read.
const ALL_OCTETS_MAX: usize = 128 << 20;

/// A folder, by its path without links.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    /// How many entries, and how many octets, may still be read.
    entries: Cell<usize>,
    octets: Cell<usize>,
}

fn too_many_octets() -> Refusal {
    format!(
        "it is left out: all files together have more than {} MiB",
        ALL_OCTETS_MAX >> 20
    )
}

/// Why something was not read.
pub(super) type Refusal = String;

impl Folder {
    /// Opens a folder that the user has named.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let shown = printable(&path.display().to_string());
        let opened = fs::canonicalize(path).and_then(|root| {
            trusted::open_folder(&root, None)?;
            Ok(Folder {
                root,
                entries: Cell::new(ALL_ENTRIES_MAX),
                octets: Cell::new(ALL_OCTETS_MAX),
            })
        });
        opened.map_err(|error| match Untrusted::in_error(&error) {
            Some(untrusted) => {
                let remedy = match untrusted.reason {
                    Distrust::Owner { owner } => format!(
                        "run the command as that user (`sudo -u '#{owner}' acme-alias import …`), or look at what is in \
                         the folder and copy it: `cp -r --no-preserve=ownership {shown} COPY`"
                    ),
                    _ => trust::remedy(untrusted, "go-w"),
                };
                Failure::new(Part::Settings, untrusted, remedy)
            }
            None => {
                let message = format!("the folder {shown} cannot be read: {error}");
                let remedy = "name the folder in which the other client keeps its files";
                Failure::new(Part::Settings, &message, remedy.to_owned())
            }
        })
    }

    /// The path of something in it.
    pub(super) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// The names in a folder in it, in order, without those that begin with a dot; none if it does not exist.
    ///
    /// When too many entries have been read, this fails once, and there are no more names.
    pub(super) fn names(&self, relative: impl AsRef<Path>) -> Result<Vec<String>, Refusal> {
        if self.entries.get() == 0 {
            return Ok(Vec::new());
        }
        let path = self.path(relative);
        let Some(path) = self.inside(&path)? else {
            return Ok(Vec::new());
        };
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == ErrorKind::NotADirectory => return Ok(Vec::new()),
            entries => entries.map_err(|error| refusal(&error))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(|error| refusal(&error))?.file_name();
            if names.len() >= ENTRIES_MAX {
                return Err(format!("the folder has more than {ENTRIES_MAX} entries"));
            }
            if self.entries.get() == 1 {
                self.entries.set(0);
                return Err(format!(
                    "nothing more is looked for: all folders together, with what links lead to, have more than \
                     {ALL_ENTRIES_MAX} entries"
                ));
            }
            self.entries.set(self.entries.get() - 1);
            let Ok(name) = name.into_string() else {
                return Err("a name in this folder is not text in UTF-8".to_owned());
            };
            if !name.starts_with('.') {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Reads a text file; `None` if it does not exist. Links are followed to what is in the folder.
    pub(super) fn read(&self, relative: impl AsRef<Path>) -> Result<Option<String>, Refusal> {
        let Some(path) = self.inside(&self.path(relative))? else {
            return Ok(None);
        };
        if self.octets.get() == 0 {
            return Err(too_many_octets());
        }
        let text = read(&path)?;
        let length = text.as_ref().map_or(0, String::len);
        let Some(octets) = self.octets.get().checked_sub(length) else {
            self.octets.set(0);
            return Err(too_many_octets());
        };
        self.octets.set(octets);
        Ok(text)
    }

    /// Whether there is something at a path.
    pub(super) fn has(&self, relative: impl AsRef<Path>) -> bool {
        fs::symlink_metadata(self.path(relative)).is_ok()
    }

    /// The path without links; `None` if nothing is there.
    fn inside(&self, path: &Path) -> Result<Option<PathBuf>, Refusal> {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == ErrorKind::NotADirectory => return Ok(None),
            found => found.map_err(|error| refusal(&error))?,
        };
        let real = match fs::canonicalize(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err("the link leads nowhere".to_owned());
            }
            real => real.map_err(|error| refusal(&error))?,
        };
        if !real.starts_with(&self.root) {
            let real = real.display();
            return Err(format!("the link leads out of the folder, to {real}"));
        }
        Ok(Some(real))
    }
}

/// Reads a text file that settings of the user name.
pub(super) fn read_named(path: &Path) -> Result<Option<String>, Refusal> {
    if !path.is_absolute() {
        return Err("the path is not absolute".to_owned());
    }
    match fs::canonicalize(path) {
        Ok(real) => read(&real),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(refusal(&error)),
    }
}

/// Reads a file at a path without links, in folders that nobody else can change.
fn read(path: &Path) -> Result<Option<String>, Refusal> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    let content = trusted::open_folder(parent, None)
        .and_then(|_| trusted::read(path, Access::Unchangeable, Links::Refused, SIZE_MAX))
        .map_err(|error| refusal(&error))?
        .content;
    match String::from_utf8(content) {
        Ok(text) => Ok(Some(text.trim_start_matches('\u{feff}').to_owned())),
        Err(_) => Err("it is not text in UTF-8".to_owned()),
    }
}

/// In words, with the remedy.
fn refusal(error: &io::Error) -> Refusal {
    let Some(untrusted) = Untrusted::in_error(error) else {
        return format!("it cannot be read: {error}");
    };
    match untrusted.reason {
        Distrust::TooLarge { .. } | Distrust::NotAFile | Distrust::NotAFolder => {
            format!("it {}", untrusted.reason)
        }
        _ => format!("{untrusted}; {}", trust::remedy(untrusted, "go-w")),
    }
}
