//! Checks all delegations twice a day: a missing CNAME is found long before the renewal that needs it.

use std::collections::HashSet;
use std::sync::Arc;

use acme_alias_core::store::{CertificateId, Store};
use jiff::{SignedDuration, Timestamp};
use tokio_util::task::AbortOnDropHandle;

use super::configuration::{Configuration, Source};
use super::status::SharedStatus;
use crate::commands::check;
use crate::failure::Failure;
use crate::output::Output;
use crate::report::{Delegations, DelegationsSoFar};
use crate::setup::Setup;

/// The time between two checks.
const EVERY: SignedDuration = SignedDuration::from_hours(12);
/// The same after a check with errors, or one that failed: somebody may have repaired them.
const AFTER_ERRORS: SignedDuration = SignedDuration::from_hours(1);

/// The check that is running, and when the last one began. A running check ends when this is dropped.
#[derive(Debug, Default)]
pub(super) struct DelegationChecks {
    /// None if there are new settings since.
    began: Option<Timestamp>,
    running: Option<AbortOnDropHandle<()>>,
}

impl DelegationChecks {
    /// There are new settings, which may have other domains: another check is due. One that is running ends first, with
    /// the settings that it began with. Settings that change again and again would let none of them end.
    pub(super) fn settings_changed(&mut self) {
        self.began = None;
    }

    /// Starts a check in the background if one is due.
    pub(super) fn start_if_due(
        &mut self,
        configuration: &Configuration,
        status: &SharedStatus,
        output: Output,
    ) {
        let now = configuration.now();
        let is_running = self
            .running
            .as_ref()
            .is_some_and(|check| !check.is_finished());
        let pause = if status.has_good_delegations() {
            EVERY
        } else {
            AFTER_ERRORS
        };
        let is_recent = self
            .began
            .is_some_and(|began| now.duration_since(began).abs() < pause);
        if is_running || is_recent {
            return;
        }
        self.began = Some(now);
        let (source, status) = (Arc::clone(configuration.source()), status.clone());
        let check = tokio::spawn(async move {
            match check_all(&source).await {
                Ok(delegations) => {
                    let news = status.checked(delegations);
                    output.warn_findings(&news.findings);
                    if news.left_out > 0 {
                        output.warning(&format!(
                            "there are {} more findings about delegations; run `acme-alias check` to see all",
                            news.left_out
                        ));
                    }
                }
                // The next run reports what concerns certificates.
                Err(failure) => tracing::warn!(%failure, "could not check the delegations"),
            }
        });
        self.running = Some(AbortOnDropHandle::new(check));
    }
}

async fn check_all(source: &Source) -> Result<Delegations, Failure> {
    let (setup, _) = source.setup.clone().with_stored().await?;
    let environment = setup.environment()?;
    environment.dns().clear_cache();
    environment.checker().clear_cache();
    let mut delegations = DelegationsSoFar::new(setup.clock.now(), obtained(&setup).await?);
    check::all(&setup, &environment, |part| delegations.add(&part)).await?;
    Ok(delegations.ended())
}

/// The certificates that were obtained at some time.
async fn obtained(setup: &Setup) -> Result<HashSet<CertificateId>, Failure> {
    let Some((store, _)) = setup.existing_state().await? else {
        return Ok(HashSet::new());
    };
    let index = store.index().await?.into_iter();
    let obtained = index.filter(|entry| entry.current.is_some());
    Ok(obtained.map(|entry| entry.id).collect())
}
