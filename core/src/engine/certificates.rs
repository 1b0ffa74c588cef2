//! The certificates that the configuration defines, and those that only the store knows.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;

use super::environment::Environment;
use crate::deploy::Target;
use crate::issue::CertificateRequest;
use crate::name::DnsName;
use crate::renewal::{RenewBefore, Terms};
use crate::store::CertificateId;
use crate::zone::ConfiguredProvider;

/// A certificate, with everything that is needed to obtain it.
#[derive(Clone, Debug)]
pub struct CertificateConfig {
    /// What to order.
    pub request: CertificateRequest,
    /// The provider for alias names outside every alias zone.
    pub provider: Option<Arc<ConfiguredProvider>>,
    /// What to do when the certificate has changed, one after the other.
    pub targets: Vec<Target>,
    /// How long before its end the certificate is renewed at the latest.
    pub renew_before: Option<RenewBefore>,
    /// What it shares with others.
    pub environment: Arc<Environment>,
    /// The CA that is asked when the one of the environment has failed.
    pub fallback: Option<Fallback>,
}

/// A CA that is asked when another one has failed.
#[derive(Clone, Debug)]
pub struct Fallback {
    /// The environment with that CA.
    pub environment: Arc<Environment>,
    /// How often in a row the other one has failed then.
    pub after: u32,
}

impl CertificateConfig {
    /// A certificate without a provider of its own and without targets.
    pub fn new(request: CertificateRequest, environment: Arc<Environment>) -> Self {
        CertificateConfig {
            request,
            provider: None,
            targets: Vec::new(),
            renew_before: None,
            environment,
            fallback: None,
        }
    }

    /// What it is ordered with.
    pub fn terms(&self) -> Terms {
        self.request.terms(self.environment.ca().directory())
    }

    /// What it is ordered with at the other CA, if it has one.
    pub(super) fn fallback_terms(&self) -> Option<Terms> {
        let fallback = self.fallback.as_ref()?;
        let directory = fallback.environment.ca().directory();
        Some(self.request.terms(directory))
    }

    /// The certificate at the CA that is to be asked after so many failures of one.
    pub(super) fn after_failures(self: Arc<Self>, failed: u32) -> Arc<Self> {
        let environment = self.environment_after_failures(failed);
        if Arc::ptr_eq(environment, &self.environment) {
            return self;
        }
        Arc::new(CertificateConfig {
            environment: Arc::clone(environment),
            ..(*self).clone()
        })
    }

    fn environment_after_failures(&self, failed: u32) -> &Arc<Environment> {
        match &self.fallback {
            Some(fallback) if failed >= fallback.after => &fallback.environment,
            _ => &self.environment,
        }
    }

    /// The same with another request.
    pub(super) fn with_request(&self, request: CertificateRequest) -> Arc<Self> {
        Arc::new(CertificateConfig {
            request,
            ..self.clone()
        })
    }

    /// The CA that is to be asked after so many failures of one, as a digest for an index.
    pub(super) fn ca_after_failures(&self, failed: u32) -> u64 {
        let environment = self.environment_after_failures(failed);
        let terms = Terms {
            directory: Some(environment.ca().directory().to_owned()),
            ..Terms::default()
        };
        terms.digest()
    }

    /// Its id.
    pub fn id(&self) -> &CertificateId {
        &self.request.id
    }

    /// The providers that it may use.
    pub(super) fn providers(&self) -> impl Iterator<Item = &Arc<ConfiguredProvider>> {
        let zones = self.environment.alias_zones().iter();
        zones.map(|(_, provider)| provider).chain(&self.provider)
    }
}

/// Certificates by id and by challenge name. They share their configuration through `Arc`.
#[derive(Debug, Default)]
pub struct Certificates {
    by_id: BTreeMap<CertificateId, Arc<CertificateConfig>>,
    by_challenge_name: HashMap<DnsName, Vec<CertificateId>>,
}

impl Certificates {
    /// The certificate of this id.
    pub fn get(&self, id: &CertificateId) -> Option<&Arc<CertificateConfig>> {
        self.by_id.get(id)
    }

    /// All certificates, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<CertificateConfig>> {
        self.by_id.values()
    }

    /// The certificates that have this challenge name.
    pub fn with_challenge_name(
        &self,
        challenge_name: &DnsName,
    ) -> impl Iterator<Item = &Arc<CertificateConfig>> {
        let ids = self
            .by_challenge_name
            .get(challenge_name)
            .into_iter()
            .flatten();
        ids.filter_map(|id| self.by_id.get(id))
    }
}

impl FromIterator<Arc<CertificateConfig>> for Certificates {
    fn from_iter<I: IntoIterator<Item = Arc<CertificateConfig>>>(all: I) -> Self {
        let mut certificates = Certificates::default();
        for certificate in all {
            let id = certificate.id().clone();
            for name in &certificate.request.names {
                let challenge_name = name.identifier.challenge_name().clone();
                let ids = certificates
                    .by_challenge_name
                    .entry(challenge_name)
                    .or_default();
                if ids.last() != Some(&id) {
                    ids.push(id.clone());
                }
            }
            certificates.by_id.insert(id, certificate);
        }
        certificates
    }
}

/// Reads the settings that are stored with a certificate that the configuration does not define.
#[async_trait]
pub trait SettingsReader: Send + Sync {
    /// A digest of what such certificates take from the configuration, as far as it is part of their orders. When it
    /// changes, their settings are read again.
    fn shared(&self) -> u64;

    /// A digest of what such certificates take from the configuration for their targets. When it changes, their
    /// settings are read again.
    fn shared_targets(&self) -> u64;

    /// The certificate that these settings describe.
    async fn read(
        &self,
        id: &CertificateId,
        settings: &str,
    ) -> Result<Arc<CertificateConfig>, UnreadableSettings>;
}

/// Stored settings that cannot be used. The source says why.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot use the settings stored with the certificate `{id}`: {source}")]
pub struct UnreadableSettings {
    /// The certificate.
    pub id: CertificateId,
    /// What is wrong.
    pub source: Arc<dyn Error + Send + Sync>,
}
