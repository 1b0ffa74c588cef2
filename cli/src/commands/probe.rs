//! `acme-alias check --write`: a probe at each alias name, timed to each server, and withdrawn.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use acme_alias_core::engine::{Run, RunError};
use acme_alias_core::name::DnsName;
use acme_alias_core::txt::{TxtRecord, TxtValue};
use acme_alias_core::zone::{Published, ZoneError, Zones};
use tokio_util::sync::CancellationToken;

use super::outcome;
use super::stop::stoppable;
use crate::failure::{Failure, zone_in_words};
use crate::output::Output;
use crate::setup::Setup;

/// Writes at these names; where they are in no alias zone, through the provider beside them.
pub(super) async fn write(
    setup: &Setup,
    alias_names: BTreeMap<Option<&str>, BTreeSet<DnsName>>,
    output: Output,
    cancel: &CancellationToken,
) -> Result<Vec<Published>, Failure> {
    let engine = setup.engine(output.observer()).await?.engine;
    let environment = setup.environment()?;
    let begun = cancel.run_until_cancelled(engine.begin()).await;
    let run = begun.unwrap_or(Err(RunError::Interrupted))?;
    let reconciled = cancel.run_until_cancelled(run.reconcile()).await;
    let reconciliation = reconciled.unwrap_or(Err(RunError::Interrupted))?;
    outcome::reconciled(&reconciliation, output);
    let mut published = Vec::new();
    let mut failed = None;
    for (provider, names) in alias_names {
        let fallback = match provider {
            Some(id) => Some(setup.environments.provider(&setup.settings, id)?),
            None => None,
        };
        let zones = environment.zones(engine.writers(), fallback.as_ref());
        match write_in(&zones, &run, names, cancel).await {
            Ok(zones) => published.extend(zones),
            Err(failure) => failed = Some(failed.unwrap_or(failure)),
        }
    }
    let exported = run.end(cancel).await;
    outcome::warn_of_export(exported.as_ref(), output);
    match failed {
        Some(failure) => Err(failure),
        None => Ok(published),
    }
}

async fn write_in(
    zones: &Zones,
    run: &Run,
    names: BTreeSet<DnsName>,
    cancel: &CancellationToken,
) -> Result<Vec<Published>, Failure> {
    let names: Vec<_> = names.into_iter().collect();
    let existing = async { Ok(zones.existing_where_delegated(&names).await?) };
    let existing = stoppable(cancel, existing).await?;
    let probes = names.into_iter().map(|name| TxtRecord {
        name,
        value: TxtValue::probe(),
    });
    let publication = zones
        .publication(probes.collect(), Arc::new(existing), run.context())
        .await?;
    let published = stoppable(cancel, async { Ok(publication.publish().await?) }).await;
    let left: Vec<ZoneError> = publication.withdraw().await;
    let left_behind = || {
        left.iter()
            .map(zone_in_words)
            .collect::<Vec<_>>()
            .join("; ")
    };
    match published {
        Err(failure) if !left.is_empty() => Err(Failure {
            left_behind: Some(left_behind().into()),
            ..failure
        }),
        Ok(_) if !left.is_empty() => Err(left[0].clone().into()),
        published => published,
    }
}
