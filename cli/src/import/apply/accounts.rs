//! The accounts of the other client, in the store.

use std::collections::BTreeSet;

use acme_alias_core::acme::Adoption;
use acme_alias_core::store::{CaStatus, Store, change_ca_status};

use super::outcome::{AccountOutcome, Applied};
use crate::failure::Failure;
use crate::import::draft::Draft;
use crate::import::existing::ca_of;
use crate::import::model::{FoundAccount, FoundCertificate, Problem};
use crate::setup::Environments;

/// Stores an account for each CA: the one that most certificates were ordered with.
pub(super) async fn store(
    mut accounts: Vec<FoundAccount>,
    certificates: &[FoundCertificate],
    draft: &Draft,
    environments: &Environments,
    store: &dyn Store,
    applied: &mut Applied,
) -> Result<(), Failure> {
    let uses = |account: &FoundAccount| {
        let certificates = certificates.iter();
        let of_it = certificates.filter(|one| one.account.as_ref() == Some(&account.url));
        of_it.count()
    };
    accounts.sort_by_key(|account| std::cmp::Reverse(uses(account)));
    let mut seen = BTreeSet::new();
    for account in accounts {
        let FoundAccount {
            file,
            directory,
            url,
            key,
            contact,
        } = account;
        let mut left = |reason: String| applied.problems.push(Problem::new(&file, reason));
        if !seen.insert(directory.clone()) {
            left(format!(
                "the account {url} is left out: there is one account for each CA, and another one has more certificates"
            ));
            applied
                .accounts
                .push((directory, url, AccountOutcome::Left));
            continue;
        }
        // The settings have all CAs of what was found.
        let Some((_, ca)) = ca_of(&draft.settings, &directory) else {
            continue;
        };
        let environment = environments.of_ca(&draft.settings, ca)?;
        let ca = environment.ca();
        let outcome = match ca.adopt_account(store, &url, &key).await? {
            Adoption::Stored => AccountOutcome::Stored,
            Adoption::NewKey => AccountOutcome::NewKey,
            Adoption::Known => AccountOutcome::Known,
            Adoption::Other(other) => {
                left(format!(
                    "the account {url} is left out: the state folder has another account at this CA, {other}"
                ));
                AccountOutcome::Left
            }
            Adoption::OldKey(error) => {
                let failure = Failure::from(error);
                left(old_key(&url, &failure));
                applied.failed = Some(failure.part);
                AccountOutcome::OldKey
            }
            _ => AccountOutcome::Left,
        };
        if matches!(outcome, AccountOutcome::Stored | AccountOutcome::NewKey) {
            // The CA has them: they need not be sent again.
            let sent = move |status: &mut CaStatus| status.contact = Some(contact.clone());
            change_ca_status(store, &directory, sent).await?;
        }
        applied.accounts.push((directory, url, outcome));
    }
    Ok(())
}

fn old_key(url: &str, failure: &Failure) -> String {
    format!(
        "the account {url} keeps its old key, which still works, because the CA did not take a new one: {failure}; run \
         `acme-alias account rollover`"
    )
}
