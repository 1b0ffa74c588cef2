//! The provider exec: the programs of its guide, and a script of acme.sh, on BIND.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::{
    Applied, Guarantees, Identity, Limits, ProviderError, Reading, TxtProvider,
};
use acme_alias_core::testkit::provider::{self as conformance, Fault, Fixture};
use acme_alias_core::txt::{TxtChange, TxtSets, TxtValue};
use acme_alias_exec::{AcmeSh, Environment, Exec, GUARANTEES, GUARANTEES_WITHOUT_READING, Program};
use acme_alias_tests::{ALIAS_ZONE, FaultyProxy, Result, SECOND_ALIAS_ZONE, TestBed};
use async_trait::async_trait;
use secrecy::SecretString;

use crate::exec::programs;

/// How the provider of a fixture is made for a server.
type Make = fn(&TestBed, SocketAddr) -> Result<Exec>;

/// BIND, and a protocol.
struct Server<'a> {
    bed: &'a TestBed,
    guarantees: Guarantees,
    make: Make,
}

fn json(bed: &TestBed, server: SocketAddr) -> Result<Exec> {
    let path = programs::json(bed, server)?.display().to_string();
    Ok(Exec::json(Program::new([path]).unwrap()))
}

fn lego(bed: &TestBed, server: SocketAddr) -> Result<Exec> {
    let path = programs::lego(bed, server)?.display().to_string();
    Ok(Exec::lego(Program::new([path]).unwrap()))
}

fn acme_sh(bed: &TestBed, server: SocketAddr) -> Result<Exec> {
    let home = programs::acme_sh(bed, server)?;
    let secrets = BTreeMap::from([("BED_KEY".to_owned(), programs::bed_key(bed)?.into())]);
    let provider = Exec::acme_sh(AcmeSh::new(home, "dns_bed").unwrap());
    Ok(provider.with_environment(Environment::new(secrets).unwrap()))
}

/// A provider that cannot be read, with the values that the server has, as the core reads them.
#[derive(Debug)]
struct Read {
    provider: Exec,
    reader: Exec,
}

#[async_trait]
impl TxtProvider for Read {
    async fn apply(
        &self,
        zone: &DnsName,
        changes: &[TxtChange],
    ) -> std::result::Result<Applied, ProviderError> {
        self.provider.apply(zone, changes).await
    }

    async fn values(
        &self,
        zone: &DnsName,
        names: &[DnsName],
    ) -> std::result::Result<TxtSets, ProviderError> {
        assert_eq!(self.provider.reading(), Reading::AtServers);
        assert_eq!(self.provider.values(zone, names).await?, TxtSets::new());
        self.reader.values(zone, names).await
    }

    async fn settle(
        &self,
        zone: &DnsName,
        applied: &Applied,
    ) -> std::result::Result<(), ProviderError> {
        self.provider.settle(zone, applied).await
    }

    fn limits(&self) -> Limits {
        self.provider.limits()
    }

    fn identity(&self) -> Identity {
        self.provider.identity()
    }
}

impl Server<'_> {
    fn provider_at(&self, address: SocketAddr) -> Arc<dyn TxtProvider> {
        let provider = (self.make)(self.bed, address).unwrap();
        match provider.reading() {
            Reading::AtBackend => Arc::new(provider),
            Reading::AtServers => Arc::new(Read {
                provider,
                reader: json(self.bed, self.bed.primary()).unwrap(),
            }),
        }
    }
}

/// Opcode 5, after the length and the id (RFC 2136 §2.2).
fn is_update(request: &[u8]) -> bool {
    request.get(4).is_some_and(|flags| flags >> 3 & 0xf == 5)
}

#[async_trait]
impl Fixture for Server<'_> {
    fn guarantees(&self) -> Guarantees {
        self.guarantees
    }

    fn zone(&self) -> DnsName {
        ALIAS_ZONE.parse().unwrap()
    }

    fn foreign_zone(&self) -> DnsName {
        SECOND_ALIAS_ZONE.parse().unwrap()
    }

    async fn provider(&self) -> Arc<dyn TxtProvider> {
        self.provider_at(self.bed.primary())
    }

    async fn faulty_provider(&self, fault: Fault) -> Arc<dyn TxtProvider> {
        let proxy = FaultyProxy::start(self.bed.primary(), fault, is_update).unwrap();
        self.provider_at(proxy.address())
    }

    async fn put(&self, name: &DnsName, value: &TxtValue) {
        let added = self
            .bed
            .add_foreign_txt(ALIAS_ZONE, name.as_str(), value.as_str());
        added.unwrap();
    }

    fn secrets(&self) -> Vec<SecretString> {
        vec![self.bed.key(ALIAS_ZONE).unwrap().secret.clone().into()]
    }
}

#[tokio::test]
async fn exec_conforms() -> Result {
    let bed = TestBed::start()?;
    let server = Server {
        bed: &bed,
        guarantees: GUARANTEES,
        make: json,
    };
    conformance::run(&server).await?;
    assert_eq!(bed.txt()?, []);
    Ok(())
}

/// An exit status does not say why a change failed. So nothing can be said to be refused.
const BROKEN: [&str; 1] = ["a foreign zone is refused"];

async fn conforms_but_for_the_broken_rules(make: Make) -> Result {
    let bed = TestBed::start()?;
    let server = Server {
        bed: &bed,
        guarantees: GUARANTEES_WITHOUT_READING,
        make,
    };
    let violations = conformance::run(&server).await.unwrap_err();
    let rules: Vec<_> = violations.0.iter().map(|broken| broken.rule).collect();
    assert_eq!(rules, BROKEN, "{violations}");
    assert_eq!(bed.txt()?, []);
    Ok(())
}

#[tokio::test]
async fn exec_conforms_with_the_protocol_lego() -> Result {
    conforms_but_for_the_broken_rules(lego).await
}

#[tokio::test]
async fn exec_conforms_with_the_protocol_acme_sh() -> Result {
    conforms_but_for_the_broken_rules(acme_sh).await
}
