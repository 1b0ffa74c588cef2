//! The provider: puts configuration and protocols together.

use std::sync::Arc;
use std::time::Duration;

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::{
    Applied, Guarantees, Identity, Limits, LocalCheck, ProviderError, Reading, TxtProvider,
    ValueChanges, Variant, check_within,
};
use acme_alias_core::txt::{TxtChange, TxtSets};
use async_trait::async_trait;

use crate::config::{self, Config, Protocol, clamped_ttl};
use crate::json::{BATCH, Json};
use crate::parameters::{AcmeSh, Environment, Program};
use crate::places::Places;
use crate::single::{Single, Tool, last_changes};

/// The kind of this provider, as settings and flags name it.
pub const KIND: &str = "exec";

/// The number of values at a name that is expected to be accepted.
const VALUES_PER_NAME: usize = 100;

/// What the protocol `json` guarantees, if the program does what the protocol asks for.
pub const GUARANTEES: Guarantees = Guarantees {
    atomic: false,
    values: ValueChanges::PerValue,
    reading: Reading::AtBackend,
    tells_propagation: false,
    narrowest_key: "what the credentials of the program can be limited to",
};

/// What the protocols `lego` and `acme.sh` guarantee.
pub const GUARANTEES_WITHOUT_READING: Guarantees = Guarantees {
    values: ValueChanges::UpToProgram,
    reading: Reading::AtServers,
    ..GUARANTEES
};

pub(crate) const VARIANTS: &[Variant] = &[
    Variant {
        option: "protocol",
        value: config::LEGO,
        guarantees: GUARANTEES_WITHOUT_READING,
    },
    Variant {
        option: "protocol",
        value: config::ACME_SH,
        guarantees: GUARANTEES_WITHOUT_READING,
    },
];

/// Writes TXT values by running a program.
#[derive(Clone, Debug)]
pub struct Exec {
    config: Config,
    places: Arc<Places>,
}

/// How the program of a provider is called.
enum Caller<'a> {
    Json(Json<'a>),
    Single(Single<'a>),
}

impl Exec {
    /// A provider that calls `program` by the protocol `json`.
    pub fn json(program: Program) -> Self {
        Exec::from_config(Config::new(Protocol::Json(program)))
    }

    /// A provider that calls `program` as lego's exec provider does.
    pub fn lego(program: Program) -> Self {
        Exec::from_config(Config::new(Protocol::Lego(program)))
    }

    /// A provider that calls a DNS script of acme.sh.
    pub fn acme_sh(acme_sh: AcmeSh) -> Self {
        Exec::from_config(Config::new(Protocol::AcmeSh(acme_sh)))
    }

    /// A provider with options that were read from settings.
    pub fn from_config(config: Config) -> Self {
        Exec {
            config,
            places: Arc::default(),
        }
    }

    /// Sets variables of the program.
    #[must_use]
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.config.environment = environment;
        self
    }

    /// Sets how long one run of the program may take.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.config.timeout = timeout;
        self
    }

    /// Sets the time to live of new records, in seconds; at most 2^31 - 1 (RFC 2181 §8). Only the protocol `json` passes
    /// it on.
    #[must_use]
    pub fn with_ttl(mut self, ttl: u32) -> Self {
        self.config.ttl = clamped_ttl(ttl);
        self
    }

    fn caller(&self) -> Caller<'_> {
        let config = &self.config;
        let tool = match &config.protocol {
            Protocol::Json(program) => {
                return Caller::Json(Json {
                    config,
                    program,
                    places: &self.places,
                });
            }
            Protocol::Lego(program) => Tool::Lego(program),
            Protocol::AcmeSh(acme_sh) => Tool::AcmeSh(acme_sh),
        };
        Caller::Single(Single { config, tool })
    }

    /// What is run, for messages and the ledger.
    pub(crate) fn label(&self) -> String {
        match self.caller() {
            Caller::Json(json) => json.program.name().to_owned(),
            Caller::Single(single) => single.label(),
        }
    }
}

#[async_trait]
impl LocalCheck for Exec {
    async fn check_locally(&self) -> Result<Vec<String>, ProviderError> {
        match self.caller() {
            Caller::Json(json) => json.check().await?,
            Caller::Single(single) => single.check().await?,
        }
        Ok(Vec::new())
    }
}

#[async_trait]
impl TxtProvider for Exec {
    async fn apply(&self, zone: &DnsName, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        check_within(zone, changes)?;
        let last = last_changes(changes);
        let mut applied = Applied {
            server: self.label(),
            ..Applied::default()
        };
        match self.caller() {
            Caller::Json(json) => json.apply(zone, &last, &mut applied).await?,
            Caller::Single(single) => single.apply(&last, &mut applied).await?,
        }
        Ok(applied)
    }

    async fn values(&self, zone: &DnsName, names: &[DnsName]) -> Result<TxtSets, ProviderError> {
        let read = match self.caller() {
            Caller::Json(json) => json.values(zone, names).await,
            Caller::Single(single) => single.ready().await.map(|()| TxtSets::new()),
        };
        read.map_err(ProviderError::of_reading)
    }

    /// Returns at once: no protocol reports which servers have a change.
    async fn settle(&self, _: &DnsName, _: &Applied) -> Result<(), ProviderError> {
        Ok(())
    }

    fn reading(&self) -> Reading {
        match self.config.protocol {
            Protocol::Json(_) => Reading::AtBackend,
            Protocol::Lego(_) | Protocol::AcmeSh(_) => Reading::AtServers,
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            changes_per_request: match self.config.protocol {
                Protocol::Json(_) => BATCH,
                Protocol::Lego(_) | Protocol::AcmeSh(_) => 1,
            },
            values_per_name: VALUES_PER_NAME,
        }
    }

    /// Without a key: only the program knows its credentials.
    fn identity(&self) -> Identity {
        Identity {
            kind: KIND,
            key: None,
            ttl: match self.config.protocol {
                Protocol::Json(_) => Some(self.config.ttl),
                Protocol::Lego(_) | Protocol::AcmeSh(_) => None,
            },
            endpoint: self.label(),
        }
    }
}
