//! The DNS clients that look for values which ended or killed jobs left.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::core::Engine;
use crate::dns::{self, Dns};
use crate::ledger::OpenValue;
use crate::name::DnsName;
use crate::store::CertificateId;

/// The clients for values, by their zones and certificates.
pub(super) struct LeftoverClients<'a> {
    engine: &'a Engine,
    /// Those of configured certificates, by their alias zones.
    configured: BTreeMap<&'a DnsName, &'a Arc<Dns>>,
    /// Those of certificates that only the store knows. Their settings are read once.
    stored: HashMap<CertificateId, Option<Arc<Dns>>>,
}

impl<'a> LeftoverClients<'a> {
    pub(super) fn of(engine: &'a Engine) -> Self {
        let mut configured = BTreeMap::new();
        for certificate in engine.certificates().iter() {
            let environment = &certificate.environment;
            for (zone, _) in environment.alias_zones().iter() {
                configured.entry(zone).or_insert(environment.dns());
            }
        }
        LeftoverClients {
            engine,
            configured,
            stored: HashMap::new(),
        }
    }

    /// The client for a value: that of its certificate, which writes its values as well, so that nothing is removed that it has
    /// written again; or else one that knows the zone.
    pub(super) async fn of_value(&mut self, value: &OpenValue) -> Arc<Dns> {
        let id = value.origin.certificate.as_ref();
        let id: Option<CertificateId> = id.and_then(|id| id.parse().ok());
        let certificates = self.engine.certificates();
        if let Some(own) = id.as_ref().and_then(|id| certificates.get(id)) {
            return Arc::clone(own.environment.dns());
        }
        if let Some(id) = id
            && let Some(stored) = self.stored(id).await
        {
            return stored;
        }
        let of_zone = self.configured.get(&value.zone).map(|dns| Arc::clone(dns));
        of_zone.unwrap_or_else(|| self.any())
    }

    async fn stored(&mut self, id: CertificateId) -> Option<Arc<Dns>> {
        if let Some(known) = self.stored.get(&id) {
            return known.clone();
        }
        let certificate = self.engine.certificate(&id).await.ok();
        let dns = certificate.map(|certificate| Arc::clone(certificate.environment.dns()));
        self.stored.insert(id, dns.clone());
        dns
    }

    /// That of any configured certificate, or else one without settings.
    fn any(&self) -> Arc<Dns> {
        if let Some(any) = self.engine.certificates().iter().next() {
            return Arc::clone(any.environment.dns());
        }
        let default = &self.engine.parts.default_dns;
        let default = default.get_or_init(|| Arc::new(Dns::new(dns::Config::default())));
        Arc::clone(default)
    }
}
