//! Where settings come from: the files, the environment and the flags, in their order.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::Access;
use rustix::io::Errno;

use super::environment::{self, CONFIG, Variables};
use super::layer::{self, Layer, Tree};
use super::mistake::{Mistake, SettingsError};
use crate::system_folders;

pub(super) const DEFAULTS: &str = r#"
[acme]
directory = "letsencrypt"
agree-tos = false
timeout = "30s"
order-timeout = "5m"
[dns]
timeout = "3s"
propagation-timeout = "5m"
"#;

/// What the settings are read from, apart from the flags.
#[derive(Clone, Debug)]
pub(crate) struct Origins {
    /// The files of `--config`, in their order.
    pub(crate) config: Vec<PathBuf>,
    pub(crate) variables: Variables,
    /// Whether the user is root, for whom the state is kept in the folder of the system.
    pub(crate) root: bool,
}

impl Origins {
    /// The defaults and the files that are there, lowest first.
    pub(crate) fn files(&self) -> Result<Vec<Layer>, SettingsError> {
        let mut defaults: toml::Table =
            toml::from_str(DEFAULTS).map_err(|error| Mistake::new(error.to_string()))?;
        defaults.insert(
            "state".to_owned(),
            self.default_state().display().to_string().into(),
        );
        let mut layers = vec![Layer::new(layer::DEFAULTS, defaults)];
        let (named, remedy) = self.named();
        for path in &named {
            let layer = Layer::read(path)?.ok_or_else(|| {
                let problem = format!("there is no file {}", path.display());
                Mistake::new(problem).help(remedy)
            })?;
            layers.push(layer);
        }
        if named.is_empty() {
            for path in self.usual() {
                layers.extend(self.discovered(&path)?);
            }
        }
        Ok(layers)
    }

    /// The file that settings are added to: the last one that is named, or that of the system for root and that of
    /// the user for others. `None` if the user has no home.
    pub(crate) fn written_file(&self) -> Option<PathBuf> {
        if let Some(last) = self.named().0.pop() {
            return Some(last);
        }
        let folder = if self.root {
            PathBuf::from(system_folders::SETTINGS)
        } else {
            self.home("XDG_CONFIG_HOME", ".config")?
        };
        Some(folder.join("acme-alias/config.toml"))
    }

    /// What tells the files from those of another time, without reading them.
    pub(crate) fn stamps(&self) -> Vec<Stamp> {
        let (mut paths, _) = self.named();
        if paths.is_empty() {
            paths = self.usual().collect();
        }
        paths.into_iter().map(Stamp::of).collect()
    }

    /// The files of the system and the user, lowest first.
    fn usual(&self) -> impl Iterator<Item = PathBuf> {
        let of_user = self.home("XDG_CONFIG_HOME", ".config");
        [PathBuf::from(system_folders::SETTINGS)]
            .into_iter()
            .chain(of_user)
            .map(|folder| folder.join("acme-alias/config.toml"))
    }

    /// The files that are named, lowest first, and what to do if one of them does not exist.
    fn named(&self) -> (Vec<PathBuf>, &'static str) {
        if !self.config.is_empty() {
            return (self.config.clone(), "correct `--config`");
        }
        let paths = self.variables.get(CONFIG).map(std::env::split_paths);
        let paths = paths.into_iter().flatten();
        let paths = paths.filter(|path| !path.as_os_str().is_empty());
        (paths.collect(), "correct the variable ACME_ALIAS_CONFIG")
    }

    /// A file that nobody has named.
    fn discovered(&self, path: &Path) -> Result<Option<Layer>, Mistake> {
        let Some(reason) = self.out_of_reach(path) else {
            return Layer::read(path);
        };
        let problem = format!(
            "the settings file {} cannot be used: {reason}",
            path.display()
        );
        Err(Mistake::new(problem).help(
            "name a settings file with `--config`, or set HOME or XDG_CONFIG_HOME to a folder of this user",
        ))
    }

    /// Why this user cannot read a file, or why it is not meant for this user: HOME is that of another user, as
    /// `su` and container runtimes leave it.
    fn out_of_reach(&self, path: &Path) -> Option<String> {
        match rustix::fs::access(path, Access::READ_OK) {
            Err(Errno::ACCESS) => return Some("permission denied".to_owned()),
            Err(_) => return None,
            Ok(()) => {}
        }
        let home = self.variables.get("HOME").map(Path::new)?;
        let of_file = fs::metadata(path).ok()?.uid();
        let of_home = fs::metadata(home).ok()?.uid();
        let user = rustix::process::geteuid().as_raw();
        let is_other =
            path.starts_with(home) && of_home == of_file && ![0, user].contains(&of_home);
        is_other.then(|| {
            let home = home.display();
            format!("HOME is {home}, which belongs to another user (uid {of_home})")
        })
    }

    /// All layers: those of the [`files`](Origins::files), `kept` with a certificate, the environment,
    /// the flags.
    pub(crate) fn layers(
        &self,
        files: &[Layer],
        kept: Option<Layer>,
        flags: Layer,
    ) -> Result<Tree, SettingsError> {
        let mut layers = files.to_vec();
        layers.extend(kept);
        let (environment, mistakes) = environment::layers(&self.variables, &layers);
        if !mistakes.is_empty() {
            return Err(SettingsError(mistakes));
        }
        layers.extend(environment);
        layers.push(flags);
        Ok(Tree::new(layers)?)
    }

    fn default_state(&self) -> PathBuf {
        let home = if self.root {
            None
        } else {
            self.home("XDG_STATE_HOME", ".local/state")
        };
        match home {
            Some(home) => home.join("acme-alias"),
            None => PathBuf::from(system_folders::STATE),
        }
    }

    /// A folder of the XDG base directory specification; relative ones are to be ignored.
    fn home(&self, variable: &str, below_home: &str) -> Option<PathBuf> {
        let absolute = |name: &str| {
            self.variables
                .get(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(below_home)))
    }
}

/// What tells a file from the same one at another time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    path: PathBuf,
    /// Its device, inode and length, and when it was changed, in seconds and nanoseconds; `None` if it does not exist.
    changed: Option<(u64, u64, u64, i64, i64)>,
}

impl Stamp {
    fn of(path: PathBuf) -> Self {
        let changed = fs::metadata(&path).ok().map(|file| {
            let (seconds, nanoseconds) = (file.ctime(), file.ctime_nsec());
            (file.dev(), file.ino(), file.len(), seconds, nanoseconds)
        });
        Stamp { path, changed }
    }
}
