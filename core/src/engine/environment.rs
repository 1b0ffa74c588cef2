//! What certificates with the same configuration have in common.

use std::sync::Arc;
use std::time::Duration;

use crate::acme::{Ca, CaConfig, TransportError};
use crate::clock::Clock;
use crate::delegation::DelegationChecker;
use crate::dns::{self, Dns};
use crate::zone::{AliasZone, AliasZones, ConfiguredProvider, ZoneWriters, Zones};

/// How long values may take to reach every server, unless configured otherwise.
const PROPAGATION_TIMEOUT: Duration = Duration::from_mins(5);

/// The configuration of an environment.
#[derive(Clone, Debug)]
pub struct EnvironmentConfig {
    /// The CA.
    pub ca: CaConfig,
    /// How DNS questions are asked.
    pub dns: dns::Config,
    /// The alias zones and who writes there.
    pub alias_zones: Vec<AliasZone>,
    /// How long values may take to reach every server of a zone.
    pub propagation_timeout: Duration,
}

impl EnvironmentConfig {
    /// Certificates of this CA, without any alias zone yet.
    pub fn new(ca: CaConfig) -> Self {
        EnvironmentConfig {
            ca,
            dns: dns::Config::default(),
            alias_zones: Vec::new(),
            propagation_timeout: PROPAGATION_TIMEOUT,
        }
    }
}

/// The CA, DNS, the delegation checker and the alias zones, made once for all certificates that use them.
#[derive(Debug)]
pub struct Environment {
    ca: Ca,
    dns: Arc<Dns>,
    checker: Arc<DelegationChecker>,
    alias_zones: Arc<AliasZones>,
    propagation_timeout: Duration,
}

impl Environment {
    /// An environment that has asked nothing yet.
    pub fn new(config: EnvironmentConfig, clock: &Arc<dyn Clock>) -> Result<Self, TransportError> {
        let dns = Arc::new(Dns::new(config.dns));
        Ok(Environment {
            ca: Ca::new(config.ca, Arc::clone(clock))?,
            checker: Arc::new(DelegationChecker::new(Arc::clone(&dns))),
            dns,
            alias_zones: Arc::new(AliasZones::new(config.alias_zones)),
            propagation_timeout: config.propagation_timeout,
        })
    }

    /// The same with another CA. They share the DNS client and its cache.
    pub fn with_ca(&self, ca: CaConfig, clock: &Arc<dyn Clock>) -> Result<Self, TransportError> {
        Ok(Environment {
            ca: Ca::new(ca, Arc::clone(clock))?,
            checker: Arc::clone(&self.checker),
            dns: Arc::clone(&self.dns),
            alias_zones: Arc::clone(&self.alias_zones),
            propagation_timeout: self.propagation_timeout,
        })
    }

    /// The CA.
    pub fn ca(&self) -> &Ca {
        &self.ca
    }

    /// The DNS client, with its cache.
    pub fn dns(&self) -> &Arc<Dns> {
        &self.dns
    }

    /// The delegation checker.
    pub fn checker(&self) -> &DelegationChecker {
        &self.checker
    }

    /// The alias zones.
    pub fn alias_zones(&self) -> &Arc<AliasZones> {
        &self.alias_zones
    }

    /// The zones that a certificate with this fallback provider may write in.
    pub fn zones(
        &self,
        writers: &Arc<ZoneWriters>,
        fallback: Option<&Arc<ConfiguredProvider>>,
    ) -> Zones {
        Zones {
            writers: Arc::clone(writers),
            dns: Arc::clone(&self.dns),
            alias_zones: Arc::clone(&self.alias_zones),
            fallback: fallback.cloned(),
            propagation_timeout: self.propagation_timeout,
        }
    }
}
