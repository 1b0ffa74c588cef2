//! The settings in force, and the engine that is built from them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use acme_alias_core::engine::Engine;
use acme_alias_core::issue::NoObserver;
use acme_alias_core::store::CertificateId;
use jiff::Timestamp;

use crate::cli::Cli;
use crate::failure::Failure;
use crate::output::Output;
use crate::settings::{RunSettings, Stamp};
use crate::setup::{Built, Setup, state};
use crate::sources::Sources;

/// The interval of runs, unless `renew-every` says another one: certificates of six days are renewed within hours.
const RUN_EVERY: Duration = Duration::from_hours(1);

/// What a snapshot is made from.
pub(super) struct Source {
    pub(super) setup: Setup,
    pub(super) built: Built,
}

/// The settings in force, and the engine that is built from them.
pub(super) struct Configuration {
    source: Arc<Source>,
    /// Of the settings files, when they were read.
    stamps: Vec<Stamp>,
    /// Certificates whose settings cannot be used, as far as they were not reported.
    unreported: BTreeMap<CertificateId, Failure>,
    is_expired: bool,
    /// Why the files, as they were read last, are not in force.
    refused: Option<Refused>,
}

/// Settings that were read and could not be used.
#[derive(PartialEq, Eq)]
struct Refused {
    /// Of their files.
    stamps: Vec<Stamp>,
    message: Box<str>,
    /// Whether the files have a mistake. What else fails may succeed the next time.
    is_mistake: bool,
}

/// What came of looking at the settings again.
pub(super) enum Changed {
    /// They are as before, or still those that could not be used.
    Nothing,
    /// There are new ones.
    Settings,
    /// They cannot be used, and this was not reported before.
    Refused(Failure),
}

impl Configuration {
    /// Reads the settings for the first time.
    pub(super) async fn read(cli: &Cli, output: Output) -> Result<Self, Failure> {
        let sources = Sources::new(cli)?;
        // Before they are read: what changes meanwhile is read again.
        let stamps = sources.stamps();
        let mut setup = Setup::new(sources).await?;
        state::check_user(&setup.settings)?;
        setup.settings.renew_every.get_or_insert(RUN_EVERY);
        let built = setup.engine(Arc::new(NoObserver)).await?;
        // Not of settings that cannot be used: they may be read every few seconds.
        for warning in &setup.settings.warnings {
            output.warning(warning);
        }
        Ok(Configuration {
            unreported: built.unusable.clone(),
            source: Arc::new(Source { setup, built }),
            stamps,
            is_expired: false,
            refused: None,
        })
    }

    /// The current time.
    pub(super) fn now(&self) -> Timestamp {
        self.source.setup.clock.now()
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.source.built.engine
    }

    /// What a snapshot is made from.
    pub(super) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// What is served to monitoring.
    pub(super) fn serves(&self) -> &RunSettings {
        &self.source.setup.settings.run
    }

    /// How many certificates the settings have.
    pub(super) fn certificates(&self) -> usize {
        self.source.setup.settings.certificates.len()
    }

    /// The certificates whose settings cannot be used.
    pub(super) fn unusable(&self) -> BTreeSet<CertificateId> {
        self.source.built.unusable.keys().cloned().collect()
    }

    /// Those that were not reported yet.
    pub(super) fn newly_unusable(&mut self) -> BTreeMap<CertificateId, Failure> {
        std::mem::take(&mut self.unreported)
    }

    /// Whether the settings files, as they were read last, could not be used.
    pub(super) fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// Lets the next look make everything anew.
    pub(super) fn expire(&mut self) {
        self.is_expired = true;
    }

    /// Looks at the settings again, and takes them if they have changed or if that is wanted. Unless they have a mistake,
    /// each call tries those again that could not be used.
    pub(super) async fn reload(&mut self, cli: &Cli, output: Output, is_wanted: bool) -> Changed {
        let stamps = match Sources::new(cli) {
            Ok(sources) => sources.stamps(),
            Err(error) => return Changed::Refused(error.into()),
        };
        let is_same = stamps == self.stamps;
        let is_known = match &self.refused {
            Some(refused) => refused.is_mistake && refused.stamps == stamps,
            None => is_same,
        };
        if is_known && !is_wanted && !self.is_expired {
            return Changed::Nothing;
        }
        match Configuration::read(cli, output).await {
            Ok(mut new) if is_same && !is_wanted => {
                // Nobody has to hear again what was said before.
                new.unreported
                    .retain(|id, _| !self.source.built.unusable.contains_key(id));
                *self = new;
                Changed::Nothing
            }
            Ok(new) => {
                *self = new;
                Changed::Settings
            }
            Err(failure) => {
                self.is_expired = false;
                let refused = Refused {
                    stamps,
                    message: failure.message.clone(),
                    is_mistake: failure.settings.is_some(),
                };
                let is_new = self.refused.as_ref() != Some(&refused);
                self.refused = Some(refused);
                if is_new || is_wanted {
                    Changed::Refused(failure)
                } else {
                    Changed::Nothing
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use clap::Parser;
    use tempfile::TempDir;

    use super::*;
    use crate::output::Format;

    /// A settings file, its state folder, and the configuration that was read from it.
    struct Bed {
        folder: TempDir,
        cli: Cli,
        configuration: Configuration,
    }

    const OUTPUT: Output = Output {
        format: Format::Human,
        quiet: true,
        logging: false,
    };

    impl Bed {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = |name: &str| folder.path().join(name).display().to_string();
            let (file, state) = (path("settings.toml"), path("state"));
            write(folder.path(), "");
            let words = ["acme-alias", "--config", &file, "--state", &state, "run"];
            let cli = Cli::parse_from(words);
            let configuration = Configuration::read(&cli, OUTPUT).await.unwrap();
            Bed {
                folder,
                cli,
                configuration,
            }
        }

        /// Lets the state folder be used, or not.
        fn allow(&self, is_allowed: bool) {
            let mode = if is_allowed { 0o700 } else { 0o777 };
            let state = self.folder.path().join("state");
            fs::set_permissions(state, Permissions::from_mode(mode)).unwrap();
        }

        async fn reload(&mut self) -> Changed {
            self.configuration.reload(&self.cli, OUTPUT, false).await
        }
    }

    fn write(folder: &Path, line: &str) {
        fs::write(folder.join("settings.toml"), format!("{line}\n")).unwrap();
    }

    #[tokio::test]
    async fn settings_that_could_not_be_used_for_a_while_are_read_again() {
        let mut bed = Bed::new().await;
        assert!(matches!(bed.reload().await, Changed::Nothing));
        // Unchanged ones.
        bed.allow(false);
        bed.configuration.expire();
        assert!(matches!(bed.reload().await, Changed::Refused(_)));
        assert!(matches!(bed.reload().await, Changed::Nothing));
        assert!(bed.configuration.is_refused());
        let before = Arc::clone(bed.configuration.source());
        bed.allow(true);
        assert!(matches!(bed.reload().await, Changed::Nothing));
        assert!(!bed.configuration.is_refused());
        assert!(!Arc::ptr_eq(&before, bed.configuration.source()));
        // New ones.
        bed.allow(false);
        write(bed.folder.path(), "keep-versions = 7");
        assert!(matches!(bed.reload().await, Changed::Refused(_)));
        assert!(matches!(bed.reload().await, Changed::Nothing));
        bed.allow(true);
        assert!(matches!(bed.reload().await, Changed::Settings));
        assert!(matches!(bed.reload().await, Changed::Nothing));
    }

    #[tokio::test]
    async fn settings_with_a_mistake_are_read_when_they_change_and_after_a_run() {
        let mut bed = Bed::new().await;
        write(bed.folder.path(), "nonsense = 1");
        assert!(matches!(bed.reload().await, Changed::Refused(_)));
        assert!(matches!(bed.reload().await, Changed::Nothing));
        bed.configuration.expire();
        assert!(matches!(bed.reload().await, Changed::Nothing));
        assert!(bed.configuration.is_refused());
        write(bed.folder.path(), "nonsense = 12");
        assert!(matches!(bed.reload().await, Changed::Refused(_)));
        write(bed.folder.path(), "");
        assert!(matches!(bed.reload().await, Changed::Settings));
        assert!(!bed.configuration.is_refused());
    }
}
