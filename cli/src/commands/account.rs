//! `acme-alias account`: the account at a CA.

use acme_alias_core::acme::{Account, AccountState, AcmeError, Ca, CaError};
use acme_alias_core::store::{FileStore, Store};

use crate::cli::{AccountArgs, AccountCommand, DeactivateArgs};
use crate::failure::{Failure, Part};
use crate::output::{AccountAction, Report, ShownAccount};
use crate::setup::{Setup, state};

pub(crate) async fn run(command: &AccountCommand, setup: &Setup) -> Result<Report, Failure> {
    let (AccountCommand::Show(args)
    | AccountCommand::Update(args)
    | AccountCommand::Rollover(args)
    | AccountCommand::New(args)
    | AccountCommand::Deactivate(DeactivateArgs { account: args, .. })) = command;
    let environment = setup.environment_of_ca(args.ca.as_deref())?;
    let ca = environment.ca();
    if let AccountCommand::New(_) = command {
        let (store, _) = state::open(&setup.settings, &setup.clock).await?;
        let account = ca.new_account(&*store).await?;
        let state = read(setup, args, &*store).await?.1;
        return shown(AccountAction::Created, ca, &store, account, state).await;
    }
    let Some((store, _)) = setup.existing_state().await? else {
        let directory = ca.directory().to_owned();
        return Err(AcmeError::NoAccount { directory }.into());
    };
    let (action, (account, state)) = match command {
        AccountCommand::Show(_) => (AccountAction::None, ca.account_state(&*store).await?),
        AccountCommand::Update(_) => (AccountAction::Updated, ca.update_contact(&*store).await?),
        AccountCommand::Deactivate(args) => {
            if !args.yes {
                return Err(confirm(ca, &store).await?);
            }
            let deactivated = ca.deactivate_account(&*store).await?;
            (AccountAction::Deactivated, deactivated)
        }
        AccountCommand::Rollover(_) | AccountCommand::New(_) => {
            let account = ca.roll_over(&*store).await?;
            let state = read(setup, args, &*store).await?.1;
            (AccountAction::RolledOver, (account, state))
        }
    };
    shown(action, ca, &store, account, state).await
}

/// What the CA has of the account now, after it was replaced or got another key.
async fn read(
    setup: &Setup,
    args: &AccountArgs,
    store: &dyn Store,
) -> Result<(Account, AccountState), Failure> {
    let environment = setup.environment_of_ca(args.ca.as_deref())?;
    Ok(environment.ca().account_state(store).await?)
}

async fn confirm(ca: &Ca, store: &FileStore) -> Result<Failure, CaError> {
    let account = ca.account_url(store).await?;
    let directory = ca.directory().to_owned();
    let account = account.ok_or(AcmeError::NoAccount { directory })?;
    Ok(Failure::new(
        Part::Settings,
        &format!(
            "a deactivated account cannot be used again: nothing can be ordered or revoked with {account}"
        ),
        "run the same command with `--yes` to deactivate it".to_owned(),
    ))
}

async fn shown(
    action: AccountAction,
    ca: &Ca,
    store: &FileStore,
    account: Account,
    state: AccountState,
) -> Result<Report, Failure> {
    Ok(Report::Account(Box::new(ShownAccount {
        action,
        configured: ca.config().contact.clone(),
        terms: ca.terms_of_service().await?,
        former: ca.former_accounts(store).await?,
        account,
        state,
    })))
}
