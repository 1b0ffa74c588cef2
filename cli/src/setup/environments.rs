//! What certificates with the same settings have in common, made once for each distinct settings.

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use acme_alias_core::acme::{CaConfig, ExternalAccount, ExternalAccountSource, TransportError};
use acme_alias_core::clock::Clock;
use acme_alias_core::dns::{self, TrustAnchorError, TrustAnchors, ZoneServers};
use acme_alias_core::engine::{Environment, EnvironmentConfig};
use acme_alias_core::renewal::{Limits, Rate};
use acme_alias_core::trusted::{self, Access, Links, Untrusted};
use acme_alias_core::zone::{AliasZone, ConfiguredProvider};
use async_trait::async_trait;
use jiff::SignedDuration;

use super::providers::Providers;
use super::resolvers;
use crate::failure::{Failure, Part};
use crate::settings::{
    AcmeSettings, AliasZoneSettings, DnsSettings, Eab, LimitSettings, Settings, SettingsError,
};
use crate::trust;

/// No file of root certificates is larger, not even that of a system.
const ROOT_MAX: u64 = 4 << 20;

/// The environments and providers of the process.
#[derive(Debug)]
pub(crate) struct Environments {
    clock: Arc<dyn Clock>,
    providers: Providers,
    made: Mutex<Vec<(Distinct, Arc<Environment>)>>,
}

/// What tells environments apart.
#[derive(Clone, Debug, PartialEq)]
struct Distinct {
    acme: AcmeSettings,
    dns: DnsSettings,
    alias_zones: Vec<(AliasZoneSettings, String)>,
}

impl Environments {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Environments {
            clock,
            providers: Providers::default(),
            made: Mutex::default(),
        }
    }

    /// The provider of this id in the settings.
    pub(crate) fn provider(
        &self,
        settings: &Settings,
        id: &str,
    ) -> Result<Arc<ConfiguredProvider>, SettingsError> {
        self.providers.get(settings, id)
    }

    /// The environment of certificates with these settings, of the usual CA.
    pub(crate) fn get(&self, settings: &Settings) -> Result<Arc<Environment>, Failure> {
        self.of_ca(settings, &settings.acme)
    }

    /// The environment of certificates with these settings, of this CA.
    pub(crate) fn of_ca(
        &self,
        settings: &Settings,
        acme: &AcmeSettings,
    ) -> Result<Arc<Environment>, Failure> {
        let mut alias_zones = Vec::new();
        let mut distinct = Distinct {
            acme: acme.clone(),
            dns: settings.dns.clone(),
            alias_zones: Vec::new(),
        };
        for zone in &settings.alias_zones {
            let provider = self.provider(settings, &zone.provider)?;
            let credentials = provider.credentials().to_owned();
            distinct.alias_zones.push((zone.clone(), credentials));
            let zone = zone.zone.clone();
            alias_zones.push(AliasZone { zone, provider });
        }
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, environment)) = made.iter().find(|(known, _)| *known == distinct) {
            return Ok(Arc::clone(environment));
        }
        let ca = ca_config(acme)?;
        // Only the CA differs: the DNS client and its cache are the same.
        let is_alike = |known: &Distinct| {
            Distinct {
                acme: acme.clone(),
                ..known.clone()
            } == distinct
        };
        let environment = match made.iter().find(|(known, _)| is_alike(known)) {
            Some((_, environment)) => environment
                .with_ca(ca, &self.clock)
                .map_err(|error| of_ca(acme, error))?,
            None => {
                let config = EnvironmentConfig {
                    dns: dns_config(settings, &self.clock)?,
                    alias_zones,
                    propagation_timeout: settings.dns.propagation_timeout,
                    ..EnvironmentConfig::new(ca)
                };
                Environment::new(config, &self.clock).map_err(|error| of_ca(acme, error))?
            }
        };
        let environment = Arc::new(environment);
        made.push((distinct, Arc::clone(&environment)));
        Ok(environment)
    }
}

/// The failure to make the client of a CA, with the file that is wrong.
fn of_ca(acme: &AcmeSettings, error: TransportError) -> Failure {
    let is_about_root = matches!(error, TransportError::ExtraRoot { .. });
    let mut failure = Failure::from(error);
    if let Some(path) = acme.ca_file.as_ref().filter(|_| is_about_root) {
        failure.message = format!("{}: {}", path.display(), failure.message).into();
    }
    failure
}

fn ca_config(acme: &AcmeSettings) -> Result<CaConfig, Failure> {
    let mut config = CaConfig::new(&acme.directory)
        .with_contact(acme.contact.clone())
        .with_agree_tos(acme.agree_tos)
        .with_timeouts(acme.timeouts);
    let limits = limits(&acme.limits, config.limits);
    config = config.with_limits(limits);
    if let Some(path) = &acme.ca_file {
        config = config.with_extra_root(read_root(path)?);
    }
    if let Some(issuer) = &acme.caa_issuer {
        config = config.with_caa_issuer(issuer.clone());
    }
    if let Some(eab) = &acme.eab {
        config = config.with_external_account(FromSettings {
            eab: eab.clone(),
            path: format!("{}.eab-hmac-key", acme.table),
        });
    }
    Ok(config)
}

/// What the CA allows: what the settings say, and otherwise what is known of it.
fn limits(given: &LimitSettings, known: Limits) -> Limits {
    let usual = Limits::lets_encrypt();
    let rate =
        |count: Option<u32>, per: Option<Duration>, known: Option<Rate>, usual: Option<Rate>| {
            let base = known.or(usual)?;
            let count = count.or(known.map(|known| known.count))?;
            let per = per.map(|per| SignedDuration::try_from(per).unwrap_or(SignedDuration::MAX));
            let per = per.unwrap_or(base.per);
            (count > 0).then_some(Rate { count, per })
        };
    let LimitSettings {
        orders,
        orders_per,
        identical,
        identical_per,
        failed_validations,
        failed_validations_per,
    } = *given;
    Limits {
        orders: rate(orders, orders_per, known.orders, usual.orders),
        identical: rate(identical, identical_per, known.identical, usual.identical),
        failed_validations: rate(
            failed_validations,
            failed_validations_per,
            known.failed_validations,
            usual.failed_validations,
        ),
    }
}

/// Fetches the external account's key when an ACME account is created.
#[derive(Debug)]
struct FromSettings {
    eab: Eab,
    /// Where the key is in the settings.
    path: String,
}

#[async_trait]
impl ExternalAccountSource for FromSettings {
    async fn fetch(&self) -> Result<ExternalAccount, Box<dyn Error + Send + Sync>> {
        Ok(ExternalAccount {
            key_id: self.eab.kid.clone(),
            hmac_key: self.eab.hmac_key.fetch(&self.path).await?,
        })
    }
}

fn dns_config(settings: &Settings, clock: &Arc<dyn Clock>) -> Result<dns::Config, Failure> {
    let alias_zones = settings.alias_zones.iter();
    let alias_zones = alias_zones.filter(|zone| !zone.servers.is_empty());
    let alias_zones = alias_zones.map(|zone| ZoneServers {
        zone: zone.zone.clone(),
        servers: zone.servers.clone(),
    });
    let trust_anchors = match &settings.dns.trust_anchor {
        Some(path) => TrustAnchors::from_file(path).map_err(|error| {
            let path = path.display();
            let message = format!("the trust anchors in {path} cannot be read: {error}");
            let remedy = match &error {
                TrustAnchorError::Untrusted(untrusted) => trust::remedy(untrusted, "go-w"),
                _ => "set `dns.trust-anchor` to a file of DNSKEY records".to_owned(),
            };
            Failure::new(Part::Settings, &message, remedy)
        })?,
        None => TrustAnchors::default(),
    };
    Ok(dns::Config {
        resolvers: if settings.dns.resolver.is_empty() {
            resolvers::of_the_system()
        } else {
            settings.dns.resolver.clone()
        },
        timeout: settings.dns.timeout,
        queries_per_name: settings.dns.queries_per_name,
        allow_special_addresses: settings.dns.allow_special_addresses,
        allow_private_addresses: settings.dns.allow_private_addresses,
        propagation: settings.dns.propagation.clone(),
        trust_anchors,
        clock: Arc::clone(clock),
        // The servers to wait for in an alias zone come first, so that they count there.
        zones: alias_zones
            .chain(settings.dns.zones.iter().cloned())
            .collect(),
        ..dns::Config::default()
    })
}

fn read_root(path: &Path) -> Result<Vec<u8>, Failure> {
    let read = trusted::read(path, Access::Unchangeable, Links::Followed, ROOT_MAX);
    read.map(|read| read.content).map_err(|error| {
        if let Some(untrusted) = Untrusted::in_error(&error) {
            let remedy = trust::remedy(untrusted, "go-w");
            return Failure::new(Part::Settings, untrusted, remedy);
        }
        let path = path.display();
        let message = format!("the CA's root certificate {path} cannot be read: {error}");
        let remedy = "correct `ca-file` under `[acme]`".to_owned();
        Failure::new(Part::Settings, &message, remedy)
    })
}
