//! What a command has at hand: the settings in force, and where its words go.

use std::path::Path;

use acme_alias_core::ledger::RunId;
use acme_alias_core::name::Identifier;
use acme_alias_core::store::{CertificateId, FileStore, Store};
use acme_alias_core::zone::AliasZones;
use tokio_util::sync::CancellationToken;

use crate::audit;
use crate::cli::{Cli, IssueArgs, Subject};
use crate::failure::{Failure, Part};
use crate::flags;
use crate::output::{Output, Report};
use crate::settings::{Audit, CertificateSettings, Layer, Origins, Settings, SettingsError, Tree};
use crate::workshop::Workshop;

/// One run of the program.
pub(crate) struct Run {
    /// What it is called in the ledger.
    pub(crate) id: RunId,
    pub(crate) cli: Cli,
    pub(crate) output: Output,
    pub(crate) cancel: CancellationToken,
    origins: Origins,
}

/// A certificate to obtain, with the settings that hold for it.
pub(crate) struct Job {
    pub(crate) id: CertificateId,
    pub(crate) settings: Settings,
    pub(crate) certificate: CertificateSettings,
    /// What to keep for renewals: a settings file, where flags described the certificate.
    pub(crate) keep: Option<String>,
}

impl Run {
    pub(crate) fn new(cli: Cli, output: Output, cancel: CancellationToken) -> Self {
        let origins = Origins {
            config: cli.global.config.clone(),
            variables: std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
            root: rustix::process::geteuid().is_root(),
        };
        Run {
            id: RunId::new(),
            cli,
            output,
            cancel,
            origins,
        }
    }

    /// All layers, those kept with a certificate left out.
    pub(crate) fn tree(&self) -> Result<Tree, SettingsError> {
        self.origins.layers(None, Some(self.flags()?))
    }

    /// The settings that hold for every certificate, warnings told.
    pub(crate) fn settings(&self) -> Result<Settings, SettingsError> {
        let settings = Settings::read(&self.tree()?)?;
        settings
            .warnings
            .iter()
            .for_each(|warning| self.output.warning(warning));
        Ok(settings)
    }

    /// The certificate that `issue` is told to obtain.
    pub(crate) async fn job(&self, args: &IssueArgs) -> Result<Job, Failure> {
        let settings = self.settings()?;
        match args.subjects.as_slice() {
            [Subject::Certificate(id)] => {
                no_flags_beside_an_id(&self.cli, args)?;
                self.known_job(id, &settings).await
            }
            subjects => self.described_job(args, subjects),
        }
    }

    /// A certificate that the settings define, or that is kept with the flags it was issued with.
    /// What the settings define, they define alone.
    pub(crate) async fn known_job(
        &self,
        id: &CertificateId,
        settings: &Settings,
    ) -> Result<Job, Failure> {
        if let Some(certificate) = settings.certificates.get(id) {
            let (certificate, settings) = (certificate.clone(), settings.clone());
            return Ok(Job {
                id: id.clone(),
                settings,
                certificate,
                keep: None,
            });
        }
        let kept = match open_store(&settings.state)? {
            Some(store) => store.settings(id).await?,
            None => None,
        };
        let Some(kept) = kept else {
            return Err(unknown(id));
        };
        let layer = Layer::parse(&format!("kept with {id}"), &kept).map_err(SettingsError::from)?;
        let settings = Settings::read(&self.origins.layers(Some(layer), Some(self.flags()?))?)?;
        let certificate = settings
            .certificates
            .get(id)
            .cloned()
            .ok_or_else(|| unknown(id))?;
        Ok(Job {
            id: id.clone(),
            settings,
            certificate,
            keep: None,
        })
    }

    fn described_job(&self, args: &IssueArgs, subjects: &[Subject]) -> Result<Job, Failure> {
        let mut names: Vec<Identifier> = Vec::new();
        for subject in subjects {
            match subject {
                Subject::Name(name) => names.push(name.clone()),
                Subject::Certificate(id) => {
                    let message = format!(
                        "`{id}` has no dot, so it is the id of a certificate, and stands alone"
                    );
                    return Err(Failure::new(Part::Settings, &message, None));
                }
            }
        }
        let id = match (&args.id, names.first()) {
            (Some(id), _) => id.clone(),
            (None, Some(first)) => flags::default_id(first).map_err(SettingsError::from)?,
            (None, None) => return Err(Failure::new(Part::Settings, &"no name was given", None)),
        };
        let keep = flags::certificate(&self.cli, args, &id, &names, &self.tree()?)
            .map_err(SettingsError::from)?;
        let mut flags = keep.clone();
        flags.extend(flags::global(&self.cli.global).map_err(SettingsError::from)?);
        let tree = self
            .origins
            .layers(None, Some(Layer::new("flags", flags)))?;
        let settings = Settings::read(&tree)?;
        let certificate = settings
            .certificates
            .get(&id)
            .cloned()
            .ok_or_else(|| unknown(&id))?;
        Ok(Job {
            id,
            settings,
            certificate,
            keep: Some(keep.to_string()),
        })
    }

    /// Removes what dead runs left in these zones. Where that cannot be done now, the next run will.
    pub(crate) async fn reconcile(&self, workshop: &Workshop, zones: &AliasZones) {
        match workshop.reconcile(zones).await {
            Ok(removed) => {
                for open in removed {
                    self.output.warning(&format!(
                        "removed a TXT value at {} that the run {} left there when it was killed",
                        open.name, open.run
                    ));
                }
            }
            Err(error) => self.output.warning(&format!(
                "what dead runs left could not be removed now: {error}; {}",
                error.remedy()
            )),
        }
    }

    /// Carries out what changes nothing, and leaves off at the first signal.
    pub(crate) async fn looking<T>(
        &self,
        look: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let interrupted = || Err(Failure::new(Part::Interrupted, &"interrupted", None));
        let outcome = self.cancel.run_until_cancelled(look).await;
        outcome.unwrap_or_else(interrupted)
    }

    /// Carries out a command that changes DNS, with the export of the ledger around it: where that is
    /// required, nothing is changed before what earlier runs did is exported.
    pub(crate) async fn audited(
        &self,
        command: impl Future<Output = Result<Report, Failure>>,
    ) -> Result<Report, Failure> {
        // Mistakes and warnings are told by the command itself.
        let settings = Settings::read(&self.tree()?)?;
        let Some(folder) = settings.audit_git else {
            return command.await;
        };
        let ledger = FileStore::open(&settings.state)?.ledger();
        if settings.audit == Audit::Required {
            audit::export(&ledger, &folder).await?;
        }
        let outcome = command.await;
        let exported = match audit::wait_for_end(&ledger, &self.id).await {
            Ok(()) => audit::export(&ledger, &folder).await,
            Err(error) => Err(error),
        };
        if let Err(error) = exported {
            self.output.warning(&format!("{error}; {}", error.remedy()));
        }
        outcome
    }

    fn flags(&self) -> Result<Layer, SettingsError> {
        Ok(Layer::new("flags", flags::global(&self.cli.global)?))
    }
}

/// The store, where there is one: looking must not make it.
pub(crate) fn open_store(state: &Path) -> Result<Option<FileStore>, Failure> {
    Ok(if state.is_dir() {
        Some(FileStore::open(state)?)
    } else {
        None
    })
}

fn unknown(id: &CertificateId) -> Failure {
    Failure::new(
        Part::Settings,
        &format!("there is no certificate `{id}` in the settings or in the state folder"),
        format!("add `[certificates.{id}]` with its `domains`, or give the domains themselves"),
    )
}

fn no_flags_beside_an_id(cli: &Cli, args: &IssueArgs) -> Result<(), Failure> {
    let none = args.id.is_none()
        && args.challenge_alias.is_empty()
        && args.domain_alias.is_empty()
        && args.provider.is_none()
        && args.alias_zone.is_empty()
        && args.key_type.is_none()
        && args.preferred_chain.is_none()
        && cli.provider_flags.is_empty();
    if none {
        return Ok(());
    }
    Err(Failure::new(
        Part::Settings,
        &"a certificate that is named by its id is issued as the settings define it",
        "leave the flags for aliases, provider and key out, or give the domains instead of the id"
            .to_owned(),
    ))
}
