//! A look at all delegations now and then: a CNAME that has gone is found long before the renewal that needs it.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio_util::task::AbortOnDropHandle;

use super::configuration::{Configuration, Source};
use super::status::SharedStatus;
use crate::commands::check;
use crate::failure::Failure;
use crate::output::Output;
use crate::report::Delegations;

/// How often they are looked at.
const EVERY: SignedDuration = SignedDuration::from_hours(12);

/// The look under way or the last one. It ends when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Looks {
    began: Option<Timestamp>,
    look: Option<AbortOnDropHandle<()>>,
}

impl Looks {
    /// Looks in the background, unless that was done not long ago.
    pub(super) fn look(
        &mut self,
        configuration: &Configuration,
        status: &SharedStatus,
        output: Output,
    ) {
        let now = configuration.now();
        let is_under_way = self.look.as_ref().is_some_and(|look| !look.is_finished());
        let is_recent = self
            .began
            .is_some_and(|began| now.duration_since(began).abs() < EVERY);
        if is_under_way || is_recent {
            return;
        }
        self.began = Some(now);
        let (source, status) = (Arc::clone(configuration.source()), status.clone());
        let look = tokio::spawn(async move {
            match look(&source).await {
                Ok(delegations) => {
                    let new = status.looked(delegations);
                    output.warn_findings(&new);
                }
                // The next run reports it, if it concerns certificates.
                Err(failure) => tracing::warn!(%failure, "the delegations could not be looked at"),
            }
        });
        self.look = Some(AbortOnDropHandle::new(look));
    }
}

async fn look(source: &Source) -> Result<Delegations, Failure> {
    let (setup, _) = source.setup.clone().with_stored().await?;
    let environment = setup.environment()?;
    environment.dns().clear_cache();
    environment.checker().clear_cache();
    let checked = check::all(&setup, &environment).await?;
    Ok(Delegations::new(setup.clock.now(), &checked))
}
