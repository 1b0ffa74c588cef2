//! `acme-alias list`: the certificates of the settings and of the state folder.

use crate::cli::ListArgs;
use crate::failure::Failure;
use crate::output::{Format, Listing, Output, Report, Warn};
use crate::report::certificates;
use crate::setup::{Setup, state};

/// Lists what can be read. A damaged certificate is reported and does not hide the others.
pub(crate) async fn run(args: &ListArgs, setup: &Setup, output: Output) -> Result<Report, Failure> {
    let settings = &setup.settings;
    state::check_user(settings)?;
    if args.check {
        // A check that sees nothing must not pass.
        state::check_is_anything(settings)?;
    }
    let built = setup.looking_engine().await?;
    let mut all = certificates::all(setup, built.as_ref()).await?;
    if output.format == Format::Json {
        certificates::add_stored(&mut all, setup).await?;
        for listed in &all {
            if let Some(damage) = &listed.damage {
                let remedy = damage.remedy.as_deref().unwrap_or_default();
                output.warning(&format!("{}: {damage}; {remedy}", listed.overview.id));
            }
        }
    }
    let check = args.check.then_some(Warn { days: args.warn });
    let state = settings.state.clone();
    Ok(Report::List(Listing::new(
        all,
        setup.clock.now(),
        state,
        check,
    )))
}
