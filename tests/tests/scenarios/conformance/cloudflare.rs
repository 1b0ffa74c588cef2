//! Cloudflare, on the fake of its API.

use std::net::SocketAddr;
use std::sync::Arc;

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::{Guarantees, OptionValue, Options, TxtProvider};
use acme_alias_core::registry::find;
use acme_alias_core::testkit::provider::{self as conformance, Fault, Fixture};
use acme_alias_core::txt::TxtValue;
use acme_alias_tests::{ALIAS_ZONE, CloudflareFake, FaultyProxy, Injected, Result, Token};
use async_trait::async_trait;
use secrecy::SecretString;

const TOKEN: &str = "a-token-that-nobody-shall-see";

/// The fake with one zone, and a token for it.
struct Api {
    fake: CloudflareFake,
    zone_id: String,
    is_write: fn(&[u8]) -> bool,
}

impl Api {
    fn start(is_write: fn(&[u8]) -> bool) -> Result<Api> {
        let fake = CloudflareFake::start()?;
        let zone_id = fake.add_zone(ALIAS_ZONE);
        let may = Token {
            status: "active",
            dns_read: vec![zone_id.clone()],
            dns_edit: vec![zone_id.clone()],
            zone_read: true,
            expires_on: None,
        };
        fake.add_token(TOKEN, may);
        Ok(Api {
            fake,
            zone_id,
            is_write,
        })
    }
}

fn provider_at(address: SocketAddr) -> Arc<dyn TxtProvider> {
    let kind = find("cloudflare").unwrap();
    let base_url = format!("http://{address}/client/v4");
    let values = [
        ("api-token", OptionValue::Secret(TOKEN.into())),
        ("base-url", OptionValue::Text(base_url)),
    ];
    let values = values.map(|(name, value)| (name.to_owned(), value));
    (kind.build)(&Options::new(kind.options, values).unwrap())
        .unwrap()
        .txt
}

fn is_write(request: &[u8]) -> bool {
    [&b"POST "[..], b"DELETE "]
        .iter()
        .any(|method| request.starts_with(method))
}

/// A write that is not a batch, where those are refused.
fn is_single_write(request: &[u8]) -> bool {
    let line = request.split(|octet| *octet == b'\n').next();
    is_write(request) && !String::from_utf8_lossy(line.unwrap_or_default()).contains("/batch ")
}

#[async_trait]
impl Fixture for Api {
    fn guarantees(&self) -> Guarantees {
        acme_alias_cloudflare::GUARANTEES
    }

    fn zone(&self) -> DnsName {
        ALIAS_ZONE.parse().unwrap()
    }

    fn foreign_zone(&self) -> DnsName {
        "example.org".parse().unwrap()
    }

    async fn provider(&self) -> Arc<dyn TxtProvider> {
        provider_at(self.fake.address())
    }

    async fn faulty_provider(&self, fault: Fault) -> Arc<dyn TxtProvider> {
        let proxy = FaultyProxy::start(self.fake.address(), fault, self.is_write).unwrap();
        provider_at(proxy.address())
    }

    // Without quotes, as people type it into the dashboard.
    async fn put(&self, name: &DnsName, value: &TxtValue) {
        self.fake
            .add_record(&self.zone_id, "TXT", name.as_str(), value.as_str());
    }

    fn secrets(&self) -> Vec<SecretString> {
        vec![TOKEN.into()]
    }
}

#[tokio::test]
async fn cloudflare_conforms() -> Result {
    let api = Api::start(is_write)?;
    conformance::run(&api).await?;
    assert_eq!(api.fake.records(&api.zone_id), []);
    Ok(())
}

#[tokio::test]
async fn cloudflare_conforms_where_batches_are_refused() -> Result {
    let api = Api::start(is_single_write)?;
    api.fake.inject(|_, path| {
        let errors = r#"{"success":false,"errors":[{"code":7000,"message":"No route for that URI"}],"result":null}"#;
        path.ends_with("/batch")
            .then(|| Injected::Answer(404, Vec::new(), errors.to_owned()))
    });
    conformance::run(&api).await?;
    assert_eq!(api.fake.records(&api.zone_id), []);
    Ok(())
}
