//! The HTTP API of `PowerDNS`, on Debian's version, and on the same behind a gate that knows single values.

use std::net::SocketAddr;
use std::sync::Arc;

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::{Guarantees, OptionValue, Options, TxtProvider};
use acme_alias_core::registry::find;
use acme_alias_core::testkit::provider::{self as conformance, Fault, Fixture};
use acme_alias_core::txt::{TxtValue, quoting};
use acme_alias_tests::{ALIAS_ZONE, FaultyProxy, PowerDns, PowerDnsGate, Result};
use async_trait::async_trait;
use secrecy::SecretString;

const KEY: &str = "a-key-that-nobody-shall-see";

/// A server, and where providers reach its API.
struct Api {
    server: PowerDns,
    address: SocketAddr,
    is_write: fn(&[u8]) -> bool,
}

fn provider_at(address: SocketAddr) -> Arc<dyn TxtProvider> {
    let kind = find("powerdns").unwrap();
    let values = [
        ("api-key", OptionValue::Secret(KEY.into())),
        ("url", OptionValue::Text(format!("http://{address}"))),
    ];
    let values = values.map(|(name, value)| (name.to_owned(), value));
    (kind.build)(&Options::new(kind.options, values).unwrap())
        .unwrap()
        .txt
}

fn is_write(request: &[u8]) -> bool {
    request.starts_with(b"PATCH ")
}

/// A write that is not of single values, where those are refused.
fn is_whole_write(request: &[u8]) -> bool {
    is_write(request) && !String::from_utf8_lossy(request).contains("EXTEND")
}

#[async_trait]
impl Fixture for Api {
    fn guarantees(&self) -> Guarantees {
        acme_alias_powerdns::GUARANTEES
    }

    fn zone(&self) -> DnsName {
        ALIAS_ZONE.parse().unwrap()
    }

    fn foreign_zone(&self) -> DnsName {
        "example.org".parse().unwrap()
    }

    async fn provider(&self) -> Arc<dyn TxtProvider> {
        provider_at(self.address)
    }

    async fn faulty_provider(&self, fault: Fault) -> Arc<dyn TxtProvider> {
        let proxy = FaultyProxy::start(self.address, fault, self.is_write).unwrap();
        provider_at(proxy.address())
    }

    async fn put(&self, name: &DnsName, value: &TxtValue) {
        // Relative to the zone.
        let name = name.as_str().trim_end_matches(&format!(".{ALIAS_ZONE}"));
        let value = quoting::quoted(value);
        let added = ["add-record", ALIAS_ZONE, name, "TXT", "300", &value];
        self.server.util(&added).unwrap();
    }

    fn secrets(&self) -> Vec<SecretString> {
        vec![KEY.into()]
    }
}

#[tokio::test]
async fn powerdns_conforms() -> Result {
    let server = PowerDns::start_with_api(KEY)?;
    let address = server.api();
    let api = Api {
        server,
        address,
        is_write: is_whole_write,
    };
    conformance::run(&api).await?;
    assert_eq!(api.server.txt()?, []);
    Ok(())
}

#[tokio::test]
async fn powerdns_conforms_where_single_values_can_be_changed() -> Result {
    let server = PowerDns::start_with_api(KEY)?;
    let gate = PowerDnsGate::start(server.api(), true)?;
    let address = gate.address();
    let api = Api {
        server,
        address,
        is_write,
    };
    conformance::run(&api).await?;
    assert_eq!(api.server.txt()?, []);
    let patches = format!("{:?}", gate.patches());
    assert!(
        !patches.contains("REPLACE") && !patches.contains("DELETE"),
        "{patches}"
    );
    Ok(())
}
