//! Building an engine.

use std::sync::{Arc, OnceLock};

use jiff::SignedDuration;

use super::certificates::{CertificateConfig, SettingsReader};
use super::core::{Engine, Export, Parts};
use super::environment::{Environment, EnvironmentConfig};
use super::notify::Notify;
use super::providers::Providers;
use crate::acme::{CaConfig, TransportError};
use crate::clock::{Clock, SystemClock};
use crate::dns;
use crate::issue::{CertificateRequest, NoObserver, Observer};
use crate::ledger::{GitExport, Ledger};
use crate::name::DnsName;
use crate::provider::TxtProvider;
use crate::renewal::RenewBefore;
use crate::store::Store;
use crate::zone::{AliasZone, ConfiguredProvider, NameLocks, ZoneWriters};

/// The usual interval of a timer.
const RUNS_EVERY: SignedDuration = SignedDuration::from_hours(12);

/// An engine that cannot be built.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is neither a CA nor an environment for the certificates.
    #[error("no certification authority is configured")]
    NoCa,
    /// The HTTPS client for the CA cannot be set up.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// Collects the parts of an [`Engine`].
pub struct EngineBuilder {
    store: Arc<dyn Store>,
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    ca: Option<CaConfig>,
    dns: dns::Config,
    alias_zones: Vec<AliasZone>,
    requests: Vec<CertificateRequest>,
    certificates: Vec<Arc<CertificateConfig>>,
    settings_reader: Option<Arc<dyn SettingsReader>>,
    providers: Vec<Arc<ConfiguredProvider>>,
    export: Option<Export>,
    notify: Option<Notify>,
    runs_every: SignedDuration,
    renew_before: Option<RenewBefore>,
}

impl Engine {
    /// Begins an engine on this store and this ledger.
    pub fn builder(store: Arc<dyn Store>, ledger: Arc<dyn Ledger>) -> EngineBuilder {
        EngineBuilder {
            store,
            ledger,
            clock: Arc::new(SystemClock),
            observer: Arc::new(NoObserver),
            ca: None,
            dns: dns::Config::default(),
            alias_zones: Vec::new(),
            requests: Vec::new(),
            certificates: Vec::new(),
            settings_reader: None,
            providers: Vec::new(),
            export: None,
            notify: None,
            runs_every: RUNS_EVERY,
            renew_before: None,
        }
    }
}

impl EngineBuilder {
    /// The CA of the certificates that are added with [`EngineBuilder::certificate`].
    #[must_use]
    pub fn ca(mut self, ca: CaConfig) -> Self {
        self.ca = Some(ca);
        self
    }

    /// How DNS questions are asked for those certificates.
    #[must_use]
    pub fn dns(mut self, dns: dns::Config) -> Self {
        self.dns = dns;
        self
    }

    /// A zone in which `provider` writes for those certificates.
    #[must_use]
    pub fn alias_zone(self, zone: DnsName, provider: impl TxtProvider + 'static) -> Self {
        let id = zone.to_string();
        let provider = Arc::new(ConfiguredProvider::opened(id, provider));
        self.alias_zone_of(AliasZone { zone, provider })
    }

    /// The same, with a provider that several zones share or that is opened on first use.
    #[must_use]
    pub fn alias_zone_of(mut self, zone: AliasZone) -> Self {
        self.alias_zones.push(zone);
        self
    }

    /// A certificate of the CA.
    #[must_use]
    pub fn certificate(mut self, request: CertificateRequest) -> Self {
        self.requests.push(request);
        self
    }

    /// Certificates with environments of their own.
    #[must_use]
    pub fn certificates(
        mut self,
        certificates: impl IntoIterator<Item = Arc<CertificateConfig>>,
    ) -> Self {
        self.certificates.extend(certificates);
        self
    }

    /// Reads the settings that are stored with certificates that are not added here.
    #[must_use]
    pub fn settings_reader(mut self, reader: Arc<dyn SettingsReader>) -> Self {
        self.settings_reader = Some(reader);
        self
    }

    /// Providers that may have written values, whether or not a certificate uses them now.
    #[must_use]
    pub fn providers(
        mut self,
        providers: impl IntoIterator<Item = Arc<ConfiguredProvider>>,
    ) -> Self {
        self.providers.extend(providers);
        self
    }

    /// Exports the ledger after each run. If that is `required`, a run changes nothing before the
    /// changes of earlier runs are exported.
    #[must_use]
    pub fn export(mut self, git: GitExport, required: bool) -> Self {
        self.export = Some(Export { git, required });
        self
    }

    /// Notifies somebody at the end of a run.
    #[must_use]
    pub fn notify(mut self, notify: Notify) -> Self {
        self.notify = Some(notify);
        self
    }

    /// How often there is a run; every 12 hours by default. A certificate is renewed by the last run in the window that
    /// its CA suggests (RFC 9773), if not before.
    #[must_use]
    pub fn runs_every(mut self, interval: SignedDuration) -> Self {
        self.runs_every = interval;
        self
    }

    /// How long before their end certificates are renewed at the latest that only the store knows.
    #[must_use]
    pub fn renew_before(mut self, renew_before: Option<RenewBefore>) -> Self {
        self.renew_before = renew_before;
        self
    }

    /// Tells the time; the system's clock by default.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Follows the progress.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// The engine. Nothing is asked of the network.
    pub fn build(self) -> Result<Engine, BuildError> {
        let mut certificates = self.certificates;
        if !self.requests.is_empty() {
            let config = EnvironmentConfig {
                dns: self.dns,
                alias_zones: self.alias_zones,
                ..EnvironmentConfig::new(self.ca.ok_or(BuildError::NoCa)?)
            };
            let environment = Arc::new(Environment::new(config, &self.clock)?);
            certificates.extend(self.requests.into_iter().map(|request| {
                let environment = Arc::clone(&environment);
                Arc::new(CertificateConfig::new(request, environment))
            }));
        }
        let providers = Providers::default();
        providers.add_configured(&self.providers);
        let mut last: Option<&Arc<Environment>> = None;
        for certificate in &certificates {
            let environment = &certificate.environment;
            // Certificates of one environment come one after the other.
            if certificate.provider.is_some()
                || !last.is_some_and(|last| Arc::ptr_eq(last, environment))
            {
                providers.add_configured(certificate.providers());
            }
            last = Some(environment);
        }
        Ok(Engine {
            parts: Arc::new(Parts {
                writers: Arc::new(ZoneWriters::new(
                    Arc::clone(&self.ledger),
                    Arc::clone(&self.clock),
                )),
                default_dns: OnceLock::new(),
                names: NameLocks::default(),
                certificates: certificates.into_iter().collect(),
                store: self.store,
                ledger: self.ledger,
                clock: self.clock,
                observer: self.observer,
                settings_reader: self.settings_reader,
                export: self.export,
                notify: self.notify,
                runs_every: self.runs_every,
                renew_before: self.renew_before,
                providers,
            }),
        })
    }
}
