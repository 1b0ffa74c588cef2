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
    /// Of the settings files, when they were read last.
    stamps: Vec<Stamp>,
    /// Certificates whose settings cannot be used, as far as they were not reported.
    unreported: BTreeMap<CertificateId, Failure>,
    is_expired: bool,
}

/// What came of looking at the settings again.
pub(super) enum Changed {
    /// They are as before.
    Nothing,
    /// There are new ones.
    Settings,
    /// There are new ones, which cannot be used.
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
        for warning in &setup.settings.warnings {
            output.warning(warning);
        }
        setup.settings.renew_every.get_or_insert(RUN_EVERY);
        let built = setup.engine(Arc::new(NoObserver)).await?;
        Ok(Configuration {
            unreported: built.unusable.clone(),
            source: Arc::new(Source { setup, built }),
            stamps,
            is_expired: false,
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

    /// Lets the next look make everything anew.
    pub(super) fn expire(&mut self) {
        self.is_expired = true;
    }

    /// Looks at the settings again, and takes them if they have changed or if that is wanted.
    pub(super) async fn reload(&mut self, cli: &Cli, output: Output, is_wanted: bool) -> Changed {
        let stamps = match Sources::new(cli) {
            Ok(sources) => sources.stamps(),
            Err(error) => return Changed::Refused(error.into()),
        };
        let is_same = stamps == self.stamps;
        if is_same && !is_wanted && !self.is_expired {
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
                // They are read again when they have changed once more.
                self.stamps = stamps;
                Changed::Refused(failure)
            }
        }
    }
}
