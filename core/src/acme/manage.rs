//! Managing the account at a CA: what the CA has of it, its contacts, its key, and its end.

use super::account::{Account, url_of};
use super::account_lease::{AccountLease, under_lease};
use super::account_state::AccountState;
use super::ca::Ca;
use super::ca_error::CaError;
use super::error::AcmeError;
use super::rollover;
use crate::store::Store;

impl Ca {
    /// Returns the account in the store, and what the CA has of it. Fails if there is none.
    pub async fn account_state(
        &self,
        store: &dyn Store,
    ) -> Result<(Account, AccountState), CaError> {
        let account = self.needed_account(store).await?;
        let state = account.state().await?;
        Ok((account, state))
    }

    /// Sends the configured mail addresses to the CA.
    pub async fn update_contact(
        &self,
        store: &dyn Store,
    ) -> Result<(Account, AccountState), CaError> {
        let account = self.needed_account(store).await?;
        let state = self.update(store, &account).await?;
        Ok((account, state))
    }

    /// Gives the account another key. If the process ends meanwhile, the next use of the account finishes the change.
    ///
    /// This object continues with an account that it has used before; make another one afterwards.
    pub async fn roll_over(&self, store: &dyn Store) -> Result<Account, CaError> {
        let lease = AccountLease::new(self.directory()).acquire(store).await?;
        let changed = Box::pin(rollover::roll_over(self.client(), store));
        under_lease(store, lease, changed).await
    }

    /// Ends the account at the CA. Nothing can be ordered with it afterwards, and nothing revoked. Its credentials stay
    /// in the store.
    pub async fn deactivate_account(
        &self,
        store: &dyn Store,
    ) -> Result<(Account, AccountState), CaError> {
        let account = self.needed_account(store).await?;
        let state = account.deactivate().await?;
        Ok((account, state))
    }

    /// Creates an account in place of the one in the store, whose credentials stay in the store as those of a former
    /// account.
    ///
    /// This object continues with an account that it has used before; make another one afterwards.
    pub async fn new_account(&self, store: &dyn Store) -> Result<Account, CaError> {
        let lease = AccountLease::new(self.directory()).acquire(store).await?;
        let created = async {
            // The CA may have either key if a change has not ended: both are kept.
            store.keep_former_account(self.directory()).await?;
            let account = self.create_account(store).await?;
            // The change will not be finished any more.
            store.put_pending_account(self.directory(), None).await?;
            Ok(account)
        };
        under_lease(store, lease, Box::pin(created)).await
    }

    /// Returns the URLs of the former accounts, oldest first. The CA is not contacted.
    pub async fn former_accounts(&self, store: &dyn Store) -> Result<Vec<String>, CaError> {
        let former = store.former_accounts(self.directory()).await?;
        let urls = former.iter().map(url_of);
        let mut urls = urls.collect::<Result<Vec<_>, _>>()?;
        // Several keys of one account may have been kept.
        urls.dedup();
        Ok(urls)
    }

    /// Returns the URL of the CA's terms of service, if its directory has one.
    pub async fn terms_of_service(&self) -> Result<Option<String>, AcmeError> {
        let directory = self.client().directory().await?;
        Ok(directory.terms_of_service())
    }

    async fn needed_account(&self, store: &dyn Store) -> Result<Account, CaError> {
        let account = self.existing_account(store).await?;
        let missing = || AcmeError::NoAccount {
            directory: self.directory().to_owned(),
        };
        Ok(account.ok_or_else(missing)?)
    }
}
