//! Contacts that have changed in the configuration are sent to the CAs, whether anything is due there or not.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::core::Engine;
use crate::acme::{Ca, CaError};

/// How long all CAs together may take. The end of the run waits for them, and the next run sends the contacts again.
const LIMIT: Duration = Duration::from_secs(30);

impl Engine {
    /// Sends the contacts of the configured certificates' CAs, where they are not those that were sent last, to all of
    /// them at once. Nothing depends on it.
    pub(super) async fn send_contacts(&self) {
        let configured = self.certificates().iter();
        let cas = configured.map(|certificate| certificate.environment.ca());
        let cas: BTreeMap<_, _> = cas.map(|ca| (ca.directory(), ca)).collect();
        join_all(cas.into_values().map(|ca| self.send_contacts_to(ca))).await;
    }

    async fn send_contacts_to(&self, ca: &Ca) {
        let store = &*self.parts.store;
        let sent = async {
            if ca.is_contact_changed(store).await? {
                ca.account(store).await?;
            }
            Ok::<_, CaError>(())
        };
        let ca = ca.directory();
        match timeout(LIMIT, sent).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(ca, %error, "the contacts were not sent"),
            Err(_) => tracing::warn!(ca, limit = ?LIMIT, "the contacts were not sent in time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::SignedDuration;
    use tokio::time::Instant;

    use super::*;
    use crate::acme::CaConfig;
    use crate::clock::{Clock, SystemClock};
    use crate::engine::{CertificateConfig, Environment, EnvironmentConfig};
    use crate::issue::CertificateRequest;
    use crate::lease::JobName;
    use crate::store::Store;
    use crate::testkit::{MemoryLedger, MemoryStore};

    #[tokio::test(start_paused = true)]
    async fn cas_that_do_not_take_contacts_delay_the_end_of_a_run_by_one_time_limit() {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = Arc::new(MemoryStore::new(Arc::clone(&clock)));
        let mut certificates = Vec::new();
        for number in 0..5 {
            let directory = format!("https://ca{number}.example/directory");
            // Another process changes each account, and does not end.
            let secret = "{}".into();
            store.put_account(&directory, &secret).await.unwrap();
            store
                .put_pending_account(&directory, Some(&secret))
                .await
                .unwrap();
            let job = JobName::account(&directory);
            let hour = SignedDuration::from_hours(1);
            store.acquire_lease(&job, hour).await.unwrap();
            let ca = CaConfig::new(directory).with_contact(vec!["new@example.com".to_owned()]);
            let environment = Environment::new(EnvironmentConfig::new(ca), &clock).unwrap();
            let id = format!("c{number}").parse().unwrap();
            let request = CertificateRequest::new(id, ["example.com".parse().unwrap()]);
            let certificate = CertificateConfig::new(request, Arc::new(environment));
            certificates.push(Arc::new(certificate));
        }
        let ledger = Arc::new(MemoryLedger::new(clock));
        let engine = Engine::builder(store, ledger).certificates(certificates);
        let engine = engine.build().unwrap();
        let begun = Instant::now();
        let sent = timeout(2 * LIMIT, engine.send_contacts()).await;
        assert!(sent.is_ok());
        let took = begun.elapsed();
        assert!(
            took >= LIMIT && took < LIMIT + Duration::from_secs(1),
            "{took:?}"
        );
    }
}
