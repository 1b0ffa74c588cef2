//! Route 53, on moto.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::{Guarantees, TxtProvider};
use acme_alias_core::testkit::provider::{self as conformance, Fault, Fixture};
use acme_alias_core::txt::{Action, TxtChange, TxtValue};
use acme_alias_tests::{ALIAS_ZONE, FaultyProxy, Moto, Result};
use async_trait::async_trait;
use secrecy::SecretString;

use crate::route53::{SECRET_KEY, provider_at};

/// A moto with the alias zone.
struct Account {
    moto: Moto,
}

impl Account {
    fn provider_at(address: SocketAddr) -> Arc<dyn TxtProvider> {
        let pace = NonZeroU32::new(1_000).unwrap();
        Arc::new(provider_at(address).with_requests_per_second(pace))
    }
}

fn is_change(request: &[u8]) -> bool {
    request.starts_with(b"POST ")
}

#[async_trait]
impl Fixture for Account {
    fn guarantees(&self) -> Guarantees {
        acme_alias_route53::GUARANTEES
    }

    fn zone(&self) -> DnsName {
        ALIAS_ZONE.parse().unwrap()
    }

    fn foreign_zone(&self) -> DnsName {
        "example.org".parse().unwrap()
    }

    async fn provider(&self) -> Arc<dyn TxtProvider> {
        Account::provider_at(self.moto.address())
    }

    async fn faulty_provider(&self, fault: Fault) -> Arc<dyn TxtProvider> {
        let proxy = FaultyProxy::start(self.moto.address(), fault, is_change).unwrap();
        Account::provider_at(proxy.address())
    }

    // By another provider: whoever else writes there must swap whole sets as well.
    async fn put(&self, name: &DnsName, value: &TxtValue) {
        let change = TxtChange {
            name: name.clone(),
            value: value.clone(),
            action: Action::Add,
            ttl: None,
        };
        let other = self.provider().await;
        other.apply(&self.zone(), &[change]).await.unwrap();
    }

    fn secrets(&self) -> Vec<SecretString> {
        vec![SECRET_KEY.into()]
    }
}

#[tokio::test]
async fn route53_conforms() -> Result {
    let moto = Moto::start()?;
    let zone = moto.add_zone(ALIAS_ZONE, false)?;
    let account = Account { moto };
    conformance::run(&account).await?;
    let sets = account.moto.sets(&zone)?;
    assert!(!sets.contains("<Type>TXT</Type>"), "{sets}");
    Ok(())
}
