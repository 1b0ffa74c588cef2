//! DNS UPDATE, on BIND.

use std::net::SocketAddr;
use std::sync::Arc;

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::conformance::{self, Fault, Stand};
use acme_alias_core::provider::{Guarantees, OptionValue, Options, TxtProvider, TxtValue, find};
use acme_alias_tests::{ALIAS_ZONE, FaultyProxy, Key, Result, SECOND_ALIAS_ZONE, TestBed};
use async_trait::async_trait;
use secrecy::SecretString;

/// A server whose first alias zone a key may update.
struct Server {
    bed: TestBed,
}

impl Server {
    fn provider_at(&self, address: SocketAddr) -> Arc<dyn TxtProvider> {
        let key = self.bed.key(ALIAS_ZONE).unwrap();
        build(address, key)
    }
}

fn build(address: SocketAddr, key: &Key) -> Arc<dyn TxtProvider> {
    let kind = find("rfc2136").unwrap();
    let text = |text: &str| OptionValue::Text(text.to_owned());
    let values = [
        ("server", text(&address.to_string())),
        ("tsig-key", text(&key.name)),
        ("tsig-algorithm", text(&key.algorithm.to_string())),
        (
            "tsig-secret",
            OptionValue::Secret(key.secret.clone().into()),
        ),
    ];
    let values = values.map(|(name, value)| (name.to_owned(), value));
    (kind.build)(&Options::new(kind.options, values).unwrap()).unwrap()
}

/// Opcode 5, after the length and the id (RFC 2136 §2.2).
fn is_update(request: &[u8]) -> bool {
    request.get(4).is_some_and(|flags| flags >> 3 & 0xf == 5)
}

#[async_trait]
impl Stand for Server {
    fn guarantees(&self) -> Guarantees {
        acme_alias_rfc2136::GUARANTEES
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
        self.bed
            .add_foreign_txt(ALIAS_ZONE, name.as_str(), value.as_str())
            .unwrap();
    }

    fn secrets(&self) -> Vec<SecretString> {
        vec![self.bed.key(ALIAS_ZONE).unwrap().secret.clone().into()]
    }
}

#[tokio::test]
async fn bind_conforms() -> Result {
    let stand = Server {
        bed: TestBed::start()?,
    };
    Ok(conformance::run(&stand).await?)
}
