//! What commands work with: the settings in force, and the engine that is built from them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use acme_alias_core::clock::{Clock, SystemClock};
use acme_alias_core::delegation::CaaIdentity;
use acme_alias_core::deploy::digest_of;
use acme_alias_core::engine::{CertificateConfig, Engine, EngineBuilder, Environment};
use acme_alias_core::issue::Observer;
use acme_alias_core::ledger::{FileLedger, GitExport};
use acme_alias_core::name::DnsName;
use acme_alias_core::renewal::Terms;
use acme_alias_core::store::{CertificateId, FileStore, Store};
use jiff::SignedDuration;
use tokio::sync::OnceCell;
use toml::Table;

use super::aliases::AliasNames;
use super::certificates::{Common, certificate};
use super::environments::Environments;
use super::requested_names::refuse_names_in;
use super::state;
use super::stored::StoredSettings;
use super::targets::targets;
use crate::failure::{Failure, Part};
use crate::settings::{AcmeSettings, Audit, ID, Settings, SettingsError, Tree};
use crate::sources::Sources;

/// The id of the CA in `[acme]`.
const USUAL_CA: &str = "acme";

/// The settings in force, with what is made from them.
#[derive(Clone)]
pub(crate) struct Setup {
    sources: Sources,
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) environments: Arc<Environments>,
    pub(crate) aliases: Arc<AliasNames>,
    /// The certificates in the settings that only the state knows: they were issued by flags.
    pub(crate) by_flags: BTreeSet<CertificateId>,
    /// The CA of each of them.
    pub(crate) cas_by_flags: BTreeMap<CertificateId, AcmeSettings>,
}

/// An engine, and the certificates in the settings that it cannot have.
pub(crate) struct Built {
    pub(crate) engine: Engine,
    pub(crate) unusable: BTreeMap<CertificateId, Failure>,
}

impl Setup {
    /// Reads the settings, and the generated alias names in the state folder.
    pub(crate) async fn new(sources: Sources) -> Result<Self, Failure> {
        let mut settings = sources.settings()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let generated = match state::open_existing(&settings, &clock).await? {
            Some((store, _)) => {
                let configured = &mut settings.certificates;
                refuse_names_in(&*store, &sources, |_| false, configured).await?;
                store.alias_names().await?
            }
            None => BTreeMap::new(),
        };
        Ok(Setup {
            environments: Arc::new(Environments::new(Arc::clone(&clock))),
            aliases: Arc::new(AliasNames::new(&settings, generated)),
            by_flags: BTreeSet::new(),
            cas_by_flags: BTreeMap::new(),
            sources,
            settings,
            clock,
        })
    }

    /// The merged layers that the settings were read from.
    pub(crate) fn tree(&self) -> Result<Tree, SettingsError> {
        self.sources.tree()
    }

    /// The settings that hold for a certificate with these stored settings.
    pub(super) fn stored(
        &self,
        id: &CertificateId,
        stored: &str,
    ) -> Result<Settings, SettingsError> {
        self.sources.with_stored(id, stored)
    }

    /// The environment of the settings.
    pub(crate) fn environment(&self) -> Result<Arc<Environment>, Failure> {
        self.environments.get(&self.settings)
    }

    /// The environment of the CA with this id in the settings; without an id, of the usual one.
    pub(crate) fn environment_of_ca(&self, id: Option<&str>) -> Result<Arc<Environment>, Failure> {
        let Some(id) = id.filter(|id| *id != USUAL_CA) else {
            return self.environment();
        };
        let cas = &self.settings.cas;
        let acme = cas.get(id).ok_or_else(|| {
            let ids: Vec<_> = cas.keys().map(String::as_str).chain([USUAL_CA]).collect();
            Failure::new(
                Part::Settings,
                &format!("the settings have no CA `{}`", id.escape_debug()),
                format!("use one of these: {}", ids.join(", ")),
            )
        })?;
        self.environments.of_ca(&self.settings, acme)
    }

    /// The environments of all CAs in the settings, the usual one first.
    pub(crate) fn environments_of_cas(
        &self,
    ) -> impl Iterator<Item = Result<Arc<Environment>, Failure>> {
        let cas = std::iter::once(&self.settings.acme).chain(self.settings.cas.values());
        cas.map(|acme| self.environments.of_ca(&self.settings, acme))
    }

    /// The state, or `None` if there is none yet.
    pub(crate) async fn existing_state(
        &self,
    ) -> Result<Option<(Arc<FileStore>, Arc<FileLedger>)>, Failure> {
        state::open_existing(&self.settings, &self.clock).await
    }

    /// As whom CAA records must name the CA and us; `None` if the CA's domain is not known. `issuer` overrides
    /// the configured domain.
    pub(crate) async fn caa_identity(
        &self,
        environment: &Environment,
        issuer: Option<&str>,
    ) -> Result<Option<CaaIdentity>, Failure> {
        let ca = environment.ca();
        let mut names = match issuer {
            Some(issuer) => vec![issuer.to_owned()],
            None => ca.caa_issuers().await,
        }
        .into_iter();
        let Some(issuer) = names.next() else {
            return Ok(None);
        };
        let issuer: DnsName = issuer.parse().map_err(|error| {
            let remedy = "name the CA as its documentation does, such as `letsencrypt.org`";
            Failure::new(Part::Settings, &error, remedy.to_owned())
        })?;
        let account = match self.existing_state().await? {
            Some((store, _)) => ca.account_url(&*store).await?,
            None => None,
        };
        Ok(Some(CaaIdentity {
            issuer: issuer.to_string(),
            others: names.collect(),
            account,
        }))
    }

    /// A certificate that flags describe. `described` is a settings file for it.
    pub(crate) async fn described(
        &self,
        id: &CertificateId,
        described: &Table,
    ) -> Result<Arc<CertificateConfig>, Failure> {
        let mut settings = self.sources.with_flags(described)?;
        if let Some((store, _)) = self.existing_state().await? {
            let is_configured = |id: &_| self.settings.certificates.contains_key(id);
            let certificates = &mut settings.certificates;
            refuse_names_in(&*store, &self.sources, is_configured, certificates).await?;
        }
        let Some(wanted) = settings.certificates.get(id) else {
            let message = format!("the flags do not describe a certificate `{id}`");
            return Err(Failure::new(Part::Unexpected, &message, None));
        };
        let aliases = AliasNames::new(&settings, self.aliases.generated().clone());
        let stored = Some(described.to_string());
        let common = Common::new(&self.environments, &settings);
        certificate(&common, &aliases, id, wanted, stored)
    }

    /// The certificate of this id as the settings define it, if they do.
    pub(crate) fn configured(
        &self,
        id: &CertificateId,
    ) -> Option<Result<Arc<CertificateConfig>, Failure>> {
        let wanted = self.settings.certificates.get(id)?;
        let common = Common::new(&self.environments, &self.settings);
        Some(certificate(&common, &self.aliases, id, wanted, None))
    }

    /// The engine. The state folder is made if it does not exist.
    pub(crate) async fn engine(&self, observer: Arc<dyn Observer>) -> Result<Built, Failure> {
        let (store, ledger) = state::open(&self.settings, &self.clock).await?;
        let settings = &self.settings;
        let mut providers = Vec::new();
        for id in settings.providers.keys() {
            providers.push(self.environments.provider(settings, id)?);
        }
        let mut builder = Engine::builder(Arc::clone(&store) as _, ledger)
            .observer(observer)
            .providers(providers);
        if let Some(folder) = &settings.audit_git {
            let is_required = settings.audit == Audit::Required;
            builder = builder.export(GitExport::new(folder.clone()), is_required);
        }
        if let Some(notify) = &settings.notify {
            builder = builder.notify(notify.clone());
        }
        self.built(builder, store)
    }

    /// An engine that only looks, and changes nothing; `None` if there is no state yet.
    pub(crate) async fn looking_engine(&self) -> Result<Option<Built>, Failure> {
        let Some((store, ledger)) = self.existing_state().await? else {
            return Ok(None);
        };
        let builder = Engine::builder(Arc::clone(&store) as _, ledger);
        self.built(builder, store).map(Some)
    }

    fn built(&self, builder: EngineBuilder, store: Arc<FileStore>) -> Result<Built, Failure> {
        let settings = &self.settings;
        let common = Common::new(&self.environments, settings);
        let mut certificates = Vec::new();
        let mut unusable = BTreeMap::new();
        for (id, wanted) in &settings.certificates {
            let made = certificate(&common, &self.aliases, id, wanted, None);
            match made {
                Ok(certificate) => certificates.push(certificate),
                Err(failure) => {
                    unusable.insert(id.clone(), failure);
                }
            }
        }
        let reader = StoredSettings {
            sources: self.sources.clone(),
            environments: Arc::clone(&self.environments),
            aliases: Arc::clone(&self.aliases),
            shared: shared(settings),
            shared_targets: digest_of(&targets(&settings.deploy, ID)),
            store,
            configured: settings.certificates.keys().cloned().collect(),
            listed: OnceCell::new(),
        };
        let mut builder = builder
            .clock(Arc::clone(&self.clock))
            .certificates(certificates)
            .settings_reader(Arc::new(reader));
        builder = builder.renew_before(settings.renew_before);
        if let Some(interval) = settings.renew_every {
            let interval = SignedDuration::try_from(interval).unwrap_or(SignedDuration::MAX);
            builder = builder.runs_every(interval);
        }
        let engine = builder.build()?;
        Ok(Built { engine, unusable })
    }
}

/// A digest of what certificates that only the state knows take from the settings for their orders.
fn shared(settings: &Settings) -> u64 {
    let terms = Terms {
        directory: Some(settings.acme.directory.clone()),
        ..Terms::default()
    };
    terms.digest()
}
