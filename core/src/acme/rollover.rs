//! A change of the account's key that survives the end of the process at any moment: the new key is stored before the
//! CA hears of it, and stays beside the old one until it is known which of them the CA has.

use secrecy::{ExposeSecret, SecretString};

use super::account::{Account, key_of, url_of};
use super::ca_error::CaError;
use super::client::Client;
use super::error::AcmeError;
use super::key_change::with_fresh_key;
use crate::crash::{self, Point};
use crate::store::Store;

/// What the CA reports about a request that the key of another account, or an old one, has signed.
const NOT_THIS_KEY: [&str; 3] = ["malformed", "unauthorized", "accountDoesNotExist"];

/// Changes the key. The caller has the lease of the account.
pub(super) async fn roll_over(client: &Client, store: &dyn Store) -> Result<Account, CaError> {
    finish(client, store).await?;
    begin(client, store).await
}

/// The same, unless a change that was begun and had not ended can be finished: then no other one follows.
pub(super) async fn roll_over_once(client: &Client, store: &dyn Store) -> Result<(), CaError> {
    let directory = client.directory_url();
    let before = store.account(directory).await?;
    finish(client, store).await?;
    let text = |credentials: Option<&SecretString>| {
        credentials.map(|credentials| credentials.expose_secret().to_owned())
    };
    if text(before.as_ref()) == text(store.account(directory).await?.as_ref()) {
        begin(client, store).await?;
    }
    Ok(())
}

/// Changes the key while no other change is under way.
async fn begin(client: &Client, store: &dyn Store) -> Result<Account, CaError> {
    let directory = client.directory_url();
    let Some(current) = store.account(directory).await? else {
        let directory = directory.to_owned();
        return Err(AcmeError::NoAccount { directory }.into());
    };
    let pending = with_fresh_key(&current)?;
    store.put_pending_account(directory, Some(&pending)).await?;
    crash::point(Point::KeyPending);
    change(client, store, &current, &pending).await?;
    Ok(Account::restore(client, &pending).await?)
}

/// Finishes a change that was begun and has not ended. If the CA refuses it, the old key stays. The caller has the
/// lease of the account.
pub(super) async fn finish(client: &Client, store: &dyn Store) -> Result<(), CaError> {
    let directory = client.directory_url();
    let Some(pending) = store.pending_account(directory).await? else {
        return Ok(());
    };
    let current = store.account(directory).await?;
    let Some(current) = current.filter(|current| is_before(current, &pending)) else {
        return Ok(store.put_pending_account(directory, None).await?);
    };
    if knows(client, &pending).await? {
        return adopt(client, store, &pending).await;
    }
    match change(client, store, &current, &pending).await {
        Err(CaError::Acme(
            refusal @ (AcmeError::Problem { .. } | AcmeError::NotOffered { .. }),
        )) => {
            tracing::warn!(%refusal, "the account keeps its old key");
            Ok(())
        }
        changed => changed,
    }
}

/// Whether the pending credentials are those of the same account with another key. Otherwise the change has ended, or
/// another account has taken the place of this one.
fn is_before(current: &SecretString, pending: &SecretString) -> bool {
    let is_same = current.expose_secret() == pending.expose_secret();
    match (url_of(current), url_of(pending)) {
        (Ok(current), Ok(pending)) => current == pending && !is_same,
        // The request that needs it reports the damage.
        _ => false,
    }
}

/// Asks the CA for the change, and stores the new key in place of the old one.
async fn change(
    client: &Client,
    store: &dyn Store,
    current: &SecretString,
    pending: &SecretString,
) -> Result<(), CaError> {
    let account = Account::restore(client, current).await?;
    let changed = account.change_key(&key_of(pending)?).await;
    crash::point(Point::KeyChanged);
    match changed {
        Ok(()) => adopt(client, store, pending).await,
        Err(refusal @ (AcmeError::Problem { .. } | AcmeError::NotOffered { .. })) => {
            // The request of a killed process may have arrived meanwhile.
            if knows(client, pending).await? {
                return adopt(client, store, pending).await;
            }
            store
                .put_pending_account(client.directory_url(), None)
                .await?;
            Err(refusal.into())
        }
        // It may have arrived. Unless the CA says so, both keys stay.
        Err(error) => match knows(client, pending).await {
            Ok(true) => adopt(client, store, pending).await,
            _ => Err(error.into()),
        },
    }
}

async fn adopt(client: &Client, store: &dyn Store, pending: &SecretString) -> Result<(), CaError> {
    let directory = client.directory_url();
    store.put_account(directory, pending).await?;
    crash::point(Point::KeyStored);
    store.put_pending_account(directory, None).await?;
    Ok(())
}

/// Whether the CA has the key of these credentials for their account.
async fn knows(client: &Client, credentials: &SecretString) -> Result<bool, AcmeError> {
    let account = Account::restore(client, credentials).await?;
    match account.state().await {
        Ok(_) => Ok(true),
        Err(error)
            if error
                .problem()
                .is_some_and(|kind| NOT_THIS_KEY.contains(&kind)) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
