//! From settings to issuers. Certificates that have servers, keys and an authority in common
//! share their writers and connections, however many there are.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use acme_alias_core::acme::{AccountSettings, ExternalAccount, Transport};
use acme_alias_core::dns::TrustAnchors;
use acme_alias_core::dns::{self, Dns, ZoneServers};
use acme_alias_core::issue::{Authority, CertificateRequest, Issuer, Observer, RequestedName};
use acme_alias_core::ledger::{Ledger, Open};
use acme_alias_core::name::DnsName;
use acme_alias_core::provider::TxtProvider;
use acme_alias_core::store::{FileStore, Store};
use acme_alias_core::zone::{AliasZones, ZoneError, ZoneWriter};
use tokio::sync::Mutex as AsyncMutex;
use tokio_util::sync::CancellationToken;

use crate::aliases::{self, AliasNames};
use crate::failure::{Failure, Part};
use crate::issuance;
use crate::run::{Job, Run};
use crate::settings::{AcmeSettings, CertificateSettings, ProviderSettings, Settings};

/// What certificates of one run share.
pub(crate) struct Workshop {
    pub(crate) store: Arc<FileStore>,
    ledger: Arc<Ledger>,
    /// What dead runs left in zones that were not met yet.
    abandoned: AsyncMutex<Vec<Open>>,
    observer: Arc<dyn Observer>,
    cancel: CancellationToken,
    authorities: Shared<AcmeSettings, Arc<Authority>>,
    providers: Shared<ProviderSettings, Arc<dyn TxtProvider>>,
    writers: Shared<(DnsName, ProviderSettings), Arc<ZoneWriter>>,
}

/// Things made once per distinct settings.
struct Shared<K, V>(Mutex<Vec<(K, V)>>);

impl<K: PartialEq, V: Clone> Shared<K, V> {
    fn new() -> Self {
        Shared(Mutex::new(Vec::new()))
    }

    fn get(&self, key: &K) -> Option<V> {
        let made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        made.iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value.clone())
    }

    fn keep(&self, key: K, value: V) -> V {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        made.push((key, value.clone()));
        value
    }
}

impl Workshop {
    /// For a run that looks after this many certificates.
    pub(crate) fn new(store: FileStore, run: &Run, certificates: usize) -> Result<Self, Failure> {
        let ledger = Ledger::open(&store.ledger(), run.id.clone())?;
        let abandoned = ledger.abandoned()?;
        Ok(Workshop {
            store: Arc::new(store),
            ledger: Arc::new(ledger),
            abandoned: AsyncMutex::new(abandoned),
            observer: run.output.observer(certificates),
            cancel: run.cancel.clone(),
            authorities: Shared::new(),
            providers: Shared::new(),
            writers: Shared::new(),
        })
    }

    /// Removes what dead runs left in these zones; returns what was there. What is in other zones
    /// waits for whoever can write there.
    pub(crate) async fn reconcile(&self, zones: &AliasZones) -> Result<Vec<Open>, ZoneError> {
        zones.reconcile(&mut *self.abandoned.lock().await).await
    }

    /// What dead runs left, and nobody has looked after yet.
    pub(crate) async fn abandoned(&self) -> Vec<Open> {
        self.abandoned.lock().await.clone()
    }

    /// An issuer for certificates under these settings.
    pub(crate) async fn issuer(
        &self,
        settings: &Settings,
        certificate: &CertificateSettings,
    ) -> Result<Issuer, Failure> {
        let dns = dns(settings)?;
        let fallback = certificate.provider.as_deref();
        Ok(Issuer {
            zones: self.zones(settings, &dns, fallback).await?,
            dns,
            issuance: issuance::of(settings, None).await?,
            authority: self.authority(&settings.acme).await?,
            store: Arc::clone(&self.store) as Arc<dyn Store>,
            observer: Arc::clone(&self.observer),
            cancel: self.cancel.clone(),
        })
    }

    /// The alias zones of these settings.
    pub(crate) async fn zones(
        &self,
        settings: &Settings,
        dns: &Arc<Dns>,
        fallback: Option<&str>,
    ) -> Result<AliasZones, Failure> {
        let mut writers = Vec::new();
        for alias_zone in &settings.alias_zones {
            let writer = self.writer(settings, &alias_zone.zone, &alias_zone.provider);
            writers.push(writer.await?);
        }
        let fallback = match fallback {
            Some(provider) => Some(self.provider(settings, provider).await?.1),
            None => None,
        };
        Ok(AliasZones::new(
            Arc::clone(dns),
            Arc::clone(&self.ledger),
            writers,
            fallback,
            settings.dns.propagation_timeout,
        ))
    }

    async fn writer(
        &self,
        settings: &Settings,
        zone: &DnsName,
        provider: &str,
    ) -> Result<Arc<ZoneWriter>, Failure> {
        let (provider_settings, provider) = self.provider(settings, provider).await?;
        let key = (zone.clone(), provider_settings);
        Ok(match self.writers.get(&key) {
            Some(writer) => writer,
            None => {
                let writer = Arc::new(ZoneWriter::start(
                    zone.clone(),
                    provider,
                    Arc::clone(&self.ledger),
                ));
                self.writers.keep(key, writer)
            }
        })
    }

    async fn provider(
        &self,
        settings: &Settings,
        id: &str,
    ) -> Result<(ProviderSettings, Arc<dyn TxtProvider>), Failure> {
        let Some(wanted) = settings.providers.get(id) else {
            let message = format!("there is no provider `{id}` in the settings");
            let remedy = format!("add `[providers.{id}]`, or name one that is there");
            return Err(Failure::new(Part::Settings, &message, remedy));
        };
        let provider = match self.providers.get(wanted) {
            Some(provider) => provider,
            None => self
                .providers
                .keep(wanted.clone(), settings.build_provider(id).await?.txt),
        };
        Ok((wanted.clone(), provider))
    }

    async fn authority(&self, acme: &AcmeSettings) -> Result<Arc<Authority>, Failure> {
        if let Some(authority) = self.authorities.get(acme) {
            return Ok(authority);
        }
        let root = match &acme.ca_file {
            Some(path) => Some(read_root(path)?),
            None => None,
        };
        let external = match &acme.eab {
            Some(eab) => Some(ExternalAccount {
                key_id: eab.kid.clone(),
                hmac_key: eab.hmac_key.fetch("acme.eab-hmac-key").await?,
            }),
            None => None,
        };
        let account = AccountSettings {
            directory: acme.directory.clone(),
            contact: acme.contact.clone(),
            agree_tos: acme.agree_tos,
            external,
        };
        let transport = Transport::new(root.as_deref(), acme.patience)?;
        let authority = Arc::new(Authority::new(transport, account));
        Ok(self.authorities.keep(acme.clone(), authority))
    }
}

/// What to order for a certificate.
pub(crate) async fn request(
    job: &Job,
    skip_preflight: bool,
    wait: bool,
) -> Result<CertificateRequest, Failure> {
    let aliases = AliasNames::of(&job.settings).await?;
    let names = job.certificate.domains.iter().map(|domain| {
        let alias = match &domain.alias {
            Some(alias) => Some(aliases::name(alias)?),
            None => aliases.wanted(domain.identifier.challenge_name())?.cloned(),
        };
        Ok(RequestedName {
            identifier: domain.identifier.clone(),
            alias,
        })
    });
    Ok(CertificateRequest {
        id: job.id.clone(),
        names: names.collect::<Result<_, Failure>>()?,
        key_type: job.certificate.key_type,
        preferred_chain: job.certificate.preferred_chain.clone(),
        skip_preflight,
        wait,
    })
}

/// Who asks DNS questions, as the settings say.
pub(crate) fn dns(settings: &Settings) -> Result<Arc<Dns>, Failure> {
    let alias_zones = settings
        .alias_zones
        .iter()
        .filter(|zone| !zone.servers.is_empty());
    let alias_zones = alias_zones.map(|zone| ZoneServers {
        zone: zone.zone.clone(),
        servers: zone.servers.clone(),
    });
    let trust_anchors = match &settings.dns.trust_anchor {
        Some(path) => TrustAnchors::from_file(path).map_err(|error| {
            let message = format!(
                "the trust anchors in {} cannot be read: {error}",
                path.display()
            );
            let remedy = "let `trust-anchor` under `[dns]` name a file of DNSKEY records";
            Failure::new(Part::Settings, &message, remedy.to_owned())
        })?,
        None => TrustAnchors::default(),
    };
    let config = dns::Config {
        resolvers: if settings.dns.resolver.is_empty() {
            crate::resolvers::of_the_system()
        } else {
            settings.dns.resolver.clone()
        },
        timeout: settings.dns.timeout,
        trust_anchors,
        // The servers to wait for in an alias zone come first, so that they count there.
        zones: alias_zones
            .chain(settings.dns.zones.iter().cloned())
            .collect(),
        ..dns::Config::default()
    };
    Ok(Arc::new(Dns::new(config)))
}

fn read_root(path: &PathBuf) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| {
        let message = format!(
            "the CA's root certificate {} cannot be read: {error}",
            path.display()
        );
        Failure::new(
            Part::Settings,
            &message,
            "correct `ca-file` under `[acme]`".to_owned(),
        )
    })
}
