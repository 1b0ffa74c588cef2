//! What all certificates of one CA share.

use std::sync::{Arc, OnceLock};

use jiff::Timestamp;

use super::account::{self, Account};
use super::account_lease::{AccountLease, under_lease};
use super::account_state::AccountState;
use super::ca_error::CaError;
use super::client::Client;
use super::config::CaConfig;
use super::directory::Directory;
use super::error::TransportError;
use super::renewal_info;
use super::rollover;
use super::single_flight::SingleFlight;
use crate::clock::Clock;
use crate::crash::{self, Point};
use crate::delegation::CaaIdentity;
use crate::name::DnsName;
use crate::renewal::Look;
use crate::store::{CaStatus, Store, StoreError, change_ca_status};

/// No CA has more domains in CAA records.
const CAA_ISSUERS_MAX: usize = 20;

/// A CA: the HTTPS client, and the account there. A process needs one for each CA.
#[derive(Debug)]
pub struct Ca {
    config: CaConfig,
    client: Client,
    account: SingleFlight<Account, CaError>,
    account_url: OnceLock<String>,
    /// The domains in its directory that name it in CAA records.
    caa_issuers: OnceLock<Vec<String>>,
}

impl Ca {
    /// A CA that nothing has been requested from yet.
    pub fn new(config: CaConfig, clock: Arc<dyn Clock>) -> Result<Self, TransportError> {
        let client = Client::new(&config, clock)?;
        Ok(Ca {
            config,
            client,
            account: SingleFlight::new(),
            account_url: OnceLock::new(),
            caa_issuers: OnceLock::new(),
        })
    }

    /// The configuration.
    pub fn config(&self) -> &CaConfig {
        &self.config
    }

    /// The URL of the directory.
    pub fn directory(&self) -> &str {
        &self.config.directory
    }

    /// Gets ready for an order with this many names, and returns at once: connects to the CA, reads its
    /// directory and fetches nonces in the background. Nothing changes at the CA. A failure is reported by
    /// the request that needs them. Call this in a tokio runtime, as often as you like.
    pub fn prepare(&self, names: usize) {
        self.client.prepare(names);
    }

    /// Returns the account. The first call takes it from the store, or creates it and stores it.
    ///
    /// There is one attempt at a time. If it fails, all calls that waited for it fail with the same
    /// error, and the next call tries again. While an account is created, its lease
    /// (`account/…`) keeps other processes from doing the same.
    pub async fn account(&self, store: &dyn Store) -> Result<&Account, CaError> {
        if let Some(account) = self.account.get() {
            return Ok(account);
        }
        // Boxed, so that the jobs that wait here stay small.
        let attempt = Box::pin(self.open(store));
        self.account.get_or_try(attempt).await
    }

    /// The time before which the CA takes no orders of the account, if it has refused several in a row with a time to
    /// wait.
    pub fn no_orders_before(&self) -> Option<Timestamp> {
        self.client.orders().closed_until(self.client.now())
    }

    /// Asks the CA when to renew the certificate with this identifier (RFC 9773 §4.1). `None` if the CA does not
    /// answer such questions.
    pub async fn renewal_info(&self, renewal_id: &str) -> Option<Look> {
        match renewal_info::ask(&self.client, renewal_id).await {
            Ok(suggestion) => suggestion.map(Look::Suggested),
            Err(error) => {
                tracing::info!(%error, "no renewal information");
                Some(renewal_info::failed(&error))
            }
        }
    }

    /// Returns the URL of the account if there is one in the store. The CA is not contacted.
    pub async fn account_url(&self, store: &dyn Store) -> Result<Option<String>, CaError> {
        if let Some(url) = self.account_url.get() {
            return Ok(Some(url.clone()));
        }
        let Some(credentials) = store.account(self.directory()).await? else {
            return Ok(None);
        };
        let url = account::url_of(&credentials)?;
        Ok(Some(self.account_url.get_or_init(|| url).clone()))
    }

    /// Returns what CAA records must contain for this CA and account to issue. `None` if the CA's domain is neither
    /// configured nor known, and not in its directory. The directory is read for that once, and what it says is stored:
    /// later runs do not wait for it.
    pub async fn caa_identity(&self, store: &dyn Store) -> Result<Option<CaaIdentity>, CaError> {
        let issuers = match self.known_caa_issuers(store).await? {
            Some(issuers) => issuers,
            None => match self.client.directory().await {
                Ok(directory) => {
                    let issuers = issuers_of(directory);
                    if self.caa_issuers.set(issuers.clone()).is_ok() {
                        let set =
                            |status: &mut CaStatus| status.caa_issuers = Some(issuers.clone());
                        change_ca_status(store, self.directory(), set).await?;
                    }
                    issuers
                }
                // The order that follows reports the failure.
                Err(_) => return Ok(None),
            },
        };
        self.named(issuers, store).await
    }

    /// The same without a request to the CA: `None` if only its directory could tell.
    pub async fn known_caa_identity(
        &self,
        store: &dyn Store,
    ) -> Result<Option<CaaIdentity>, CaError> {
        let issuers = self.known_caa_issuers(store).await?;
        self.named(issuers.unwrap_or_default(), store).await
    }

    /// Returns the domains that name this CA in CAA records: the one that is configured or known for its directory,
    /// or else those in the directory (RFC 8555 §9.7.6). None if it cannot be read.
    pub async fn caa_issuers(&self) -> Vec<String> {
        if let Some(issuer) = self.config.caa_issuer() {
            return vec![issuer.to_owned()];
        }
        match self.client.directory().await {
            Ok(directory) => issuers_of(directory),
            Err(error) => {
                tracing::info!(%error, "the domains of the CA in CAA records are not known");
                Vec::new()
            }
        }
    }

    async fn known_caa_issuers(&self, store: &dyn Store) -> Result<Option<Vec<String>>, CaError> {
        if let Some(issuer) = self.config.caa_issuer() {
            return Ok(Some(vec![issuer.to_owned()]));
        }
        if let Some(issuers) = self.caa_issuers.get() {
            return Ok(Some(issuers.clone()));
        }
        let stored = store.ca_status(self.directory()).await?.caa_issuers;
        Ok(stored.map(|issuers| self.caa_issuers.get_or_init(|| issuers).clone()))
    }

    async fn named(
        &self,
        names: Vec<String>,
        store: &dyn Store,
    ) -> Result<Option<CaaIdentity>, CaError> {
        let mut names = names.into_iter();
        let Some(issuer) = names.next() else {
            return Ok(None);
        };
        Ok(Some(CaaIdentity {
            issuer,
            others: names.collect(),
            account: self.account_url(store).await?,
        }))
    }

    /// Returns the account if there is one in the store; unlike [`Ca::account`], creates none.
    pub(super) async fn existing_account(
        &self,
        store: &dyn Store,
    ) -> Result<Option<Account>, CaError> {
        if store.account(self.directory()).await?.is_none() {
            return Ok(None);
        }
        let account = Box::pin(self.restore_or_create(store));
        Ok(Some(account.await?))
    }

    /// Sends the configured mail addresses, and records that.
    pub(super) async fn update(
        &self,
        store: &dyn Store,
        account: &Account,
    ) -> Result<AccountState, CaError> {
        let state = account.update(&self.config.contact).await?;
        self.record_contact(store).await?;
        Ok(state)
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Whether there is an account, and the configured mail addresses, if there are any, are not known to be those that
    /// the CA got last.
    pub async fn is_contact_changed(&self, store: &dyn Store) -> Result<bool, StoreError> {
        let status = store.ca_status(self.directory()).await?;
        let wanted = &self.config.contact;
        if wanted.is_empty() || status.contact.as_ref() == Some(wanted) {
            return Ok(false);
        }
        Ok(store.account(self.directory()).await?.is_some())
    }

    async fn record_contact(&self, store: &dyn Store) -> Result<(), StoreError> {
        let set = |status: &mut CaStatus| status.contact = Some(self.config.contact.clone());
        change_ca_status(store, self.directory(), set).await
    }

    /// Opens the account for use.
    async fn open(&self, store: &dyn Store) -> Result<Account, CaError> {
        let account = self.restore_or_create(store).await?;
        if self.is_contact_changed(store).await?
            && let Err(error) = self.update(store, &account).await
        {
            // Nothing depends on it. The next use tries again.
            tracing::warn!(%error, "the CA did not accept the contacts");
        }
        Ok(account)
    }

    async fn restore_or_create(&self, store: &dyn Store) -> Result<Account, CaError> {
        let mut lease = AccountLease::new(self.directory());
        loop {
            let is_changing = store.pending_account(self.directory()).await?.is_some();
            if !is_changing && let Some(account) = self.restore(store).await? {
                return Ok(account);
            }
            // Another process may be at it.
            if let Some(lease) = lease.request(store).await? {
                return under_lease(store, lease, self.settle(store)).await;
            }
        }
    }

    async fn restore(&self, store: &dyn Store) -> Result<Option<Account>, CaError> {
        let Some(credentials) = store.account(self.directory()).await? else {
            return Ok(None);
        };
        Ok(Some(Account::restore(&self.client, &credentials).await?))
    }

    /// Finishes a change of the account's key, or creates the account, unless another process did so before this one
    /// acquired the lease.
    async fn settle(&self, store: &dyn Store) -> Result<Account, CaError> {
        Box::pin(rollover::finish(&self.client, store)).await?;
        if let Some(account) = self.restore(store).await? {
            return Ok(account);
        }
        self.create_account(store).await
    }

    /// Creates an account. The caller has its lease.
    pub(super) async fn create_account(&self, store: &dyn Store) -> Result<Account, CaError> {
        let (account, credentials) = Account::create(&self.client, &self.config).await?;
        crash::point(Point::AccountMade);
        store.put_account(self.directory(), &credentials).await?;
        crash::point(Point::AccountKept);
        self.record_contact(store).await?;
        Ok(account)
    }
}

/// The domains of the CA in CAA records that its directory has. What is no domain name names nobody.
fn issuers_of(directory: &Directory) -> Vec<String> {
    let names = directory.caa_identities().iter();
    let names = names.filter_map(|name| name.parse::<DnsName>().ok());
    let names = names.take(CAA_ISSUERS_MAX).map(|name| name.to_string());
    names.collect()
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use jiff::SignedDuration;

    use super::*;
    use crate::acme::AcmeError;
    use crate::clock::SystemClock;
    use crate::lease::{JobName, Lease};
    use crate::testkit::MemoryStore;

    /// Fails at once, because the URL is not HTTPS.
    const DIRECTORY: &str = "http://ca.example/directory";

    fn ca(config: CaConfig) -> Ca {
        Ca::new(config, Arc::new(SystemClock)).unwrap()
    }

    async fn lease(store: &MemoryStore) -> Lease {
        let job = JobName::account(DIRECTORY);
        let minute = SignedDuration::from_mins(1);
        store.acquire_lease(&job, minute).await.unwrap()
    }

    #[tokio::test]
    async fn an_account_is_not_created_while_another_process_holds_the_lease() {
        let store = MemoryStore::new(Arc::new(SystemClock));
        let ca = ca(CaConfig::new(DIRECTORY));
        let lease = lease(&store).await;
        assert!(ca.account(&store).now_or_never().is_none());
        store.release_lease(&lease).await.unwrap();
        let error = ca.account(&store).await.unwrap_err();
        let CaError::Acme(AcmeError::Transport(TransportError::NotHttps { .. })) = error else {
            panic!("{error}");
        };
        assert_eq!(store.live_leases().await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_failed_preparation_is_reported_by_the_call_that_needs_it() {
        let store = MemoryStore::new(Arc::new(SystemClock));
        let ca = ca(CaConfig::new(DIRECTORY));
        ca.prepare(3);
        let error = ca.account(&store).await.unwrap_err();
        let CaError::Acme(AcmeError::Transport(TransportError::NotHttps { .. })) = error else {
            panic!("{error}");
        };
    }

    #[tokio::test]
    async fn the_caa_identity_contains_the_account_in_the_store() {
        let store = MemoryStore::new(Arc::new(SystemClock));
        let ca = ca(CaConfig::new(DIRECTORY).with_caa_issuer("ca.example"));
        let mut identity = CaaIdentity {
            issuer: "ca.example".to_owned(),
            others: Vec::new(),
            account: None,
        };
        let found = ca.caa_identity(&store).await.unwrap();
        assert_eq!(found, Some(identity.clone()));
        let credentials = r#"{"id":"https://ca.example/account/1"}"#.into();
        store.put_account(DIRECTORY, &credentials).await.unwrap();
        identity.account = Some("https://ca.example/account/1".to_owned());
        assert_eq!(ca.caa_identity(&store).await.unwrap(), Some(identity));
    }
}
