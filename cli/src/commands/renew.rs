//! `acme-alias renew`: every certificate that is due.

use acme_alias_core::engine::{RunOptions, Selection};
use tokio_util::sync::CancellationToken;

use super::outcome;
use crate::cli::RenewArgs;
use crate::failure::Failure;
use crate::output::{Output, Report};
use crate::setup::{Setup, state};

pub(crate) async fn run(
    args: &RenewArgs,
    setup: &Setup,
    output: Output,
    cancel: &CancellationToken,
) -> Result<Report, Failure> {
    state::check_user(&setup.settings)?;
    state::check_is_anything(&setup.settings)?;
    let mut built = setup.engine(output.observer()).await?;
    let selection = if args.ids.is_empty() {
        Selection::All
    } else {
        let ids = args.ids.iter();
        built.unusable.retain(|id, _| args.ids.contains(id));
        let usable = ids.filter(|id| !built.unusable.contains_key(id));
        Selection::Ids(usable.cloned().collect())
    };
    let options = RunOptions {
        selection,
        except: built.unusable.keys().cloned().collect(),
        force: args.force,
        wait: args.wait,
        rehearse: args.dry_run,
        cancel: cancel.clone(),
    };
    let report = built.engine.run(&options).await?;
    Ok(outcome::of_many(
        report,
        built.unusable,
        args.dry_run,
        output,
    ))
}
