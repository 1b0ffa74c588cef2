//! Where settings come from: the files, the environment and the flags, in their order.

use std::path::{Path, PathBuf};

use super::environment::{self, Variables};
use super::layer::{Layer, Tree};
use super::mistake::{Mistake, SettingsError};

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
    /// The file of `--config`.
    pub(crate) config: Option<PathBuf>,
    pub(crate) variables: Variables,
    /// Whether the user is root, for whom the state is kept under `/var/lib`.
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
        let mut layers = vec![Layer::new("default", defaults)];
        layers.extend(Layer::read(Path::new("/etc/acme-alias/config.toml"))?);
        if let Some(dir) = self.home("XDG_CONFIG_HOME", ".config") {
            layers.extend(Layer::read(&dir.join("acme-alias/config.toml"))?);
        }
        if let Some(path) = &self.config {
            match Layer::read(path)? {
                Some(layer) => layers.push(layer),
                None => {
                    let problem = format!("there is no file {}", path.display());
                    return Err(Mistake::new(problem).help("correct `--config`").into());
                }
            }
        }
        Ok(layers)
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
        home.unwrap_or_else(|| PathBuf::from("/var/lib"))
            .join("acme-alias")
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
