//! DNS UPDATE, on BIND and on Knot.

use std::net::SocketAddr;
use std::sync::Arc;

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::{Guarantees, OptionValue, Options, TxtProvider};
use acme_alias_core::registry::find;
use acme_alias_core::testkit::provider::{self as conformance, Fault, Fixture};
use acme_alias_core::txt::TxtValue;
use acme_alias_tests::{ALIAS_ZONE, FaultyProxy, Key, Knot, Result, SECOND_ALIAS_ZONE, TestBed};
use async_trait::async_trait;
use secrecy::SecretString;

/// A server, the key that may update TXT in [`ALIAS_ZONE`] there, and another way to add values.
struct Server<'a> {
    address: SocketAddr,
    key: &'a Key,
    add_foreign_txt: &'a (dyn Fn(&str, &str) -> Result + Sync),
}

impl Server<'_> {
    fn provider_at(&self, address: SocketAddr) -> Arc<dyn TxtProvider> {
        let kind = find("rfc2136").unwrap();
        let text = |text: &str| OptionValue::Text(text.to_owned());
        let secret = OptionValue::Secret(self.key.secret.clone().into());
        let values = [
            ("server", text(&address.to_string())),
            ("tsig-key", text(&self.key.name)),
            ("tsig-algorithm", text(&self.key.algorithm.to_string())),
            ("tsig-secret", secret),
        ];
        let values = values.map(|(name, value)| (name.to_owned(), value));
        (kind.build)(&Options::new(kind.options, values).unwrap())
            .unwrap()
            .txt
    }
}

/// Opcode 5, after the length and the id (RFC 2136 §2.2).
fn is_update(request: &[u8]) -> bool {
    request.get(4).is_some_and(|flags| flags >> 3 & 0xf == 5)
}

#[async_trait]
impl Fixture for Server<'_> {
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
        self.provider_at(self.address)
    }

    async fn faulty_provider(&self, fault: Fault) -> Arc<dyn TxtProvider> {
        let proxy = FaultyProxy::start(self.address, fault, is_update).unwrap();
        self.provider_at(proxy.address())
    }

    async fn put(&self, name: &DnsName, value: &TxtValue) {
        (self.add_foreign_txt)(name.as_str(), value.as_str()).unwrap();
    }

    fn secrets(&self) -> Vec<SecretString> {
        vec![self.key.secret.clone().into()]
    }
}

#[tokio::test]
async fn bind_conforms() -> Result {
    let bed = TestBed::start()?;
    let server = Server {
        address: bed.primary(),
        key: bed.key(ALIAS_ZONE)?,
        add_foreign_txt: &|name, value| bed.add_foreign_txt(ALIAS_ZONE, name, value).map(drop),
    };
    Ok(conformance::run(&server).await?)
}

#[tokio::test]
async fn knot_conforms() -> Result {
    let knot = Knot::start()?;
    let server = Server {
        address: knot.address(),
        key: knot.key(),
        add_foreign_txt: &|name, value| knot.add_foreign_txt(name, value),
    };
    Ok(conformance::run(&server).await?)
}
