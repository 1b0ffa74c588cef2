//! Rules on failures: what an error may claim, and what it must not show.

use secrecy::ExposeSecret;

use super::changes::{change, reversed};
use super::fixture::Fault;
use super::outcome::{Mismatch, Outcome};
use super::suite::Suite;
use crate::provider::Failure;
use crate::txt::{Action, TxtChange};

impl Suite<'_> {
    pub(crate) async fn partial_failure(&self) -> Outcome {
        let adds = self.more_than_one_request().await?;
        let faulty = self.fixture.faulty_provider(Fault::GoneAfterFirst).await;
        match self.apply(&*faulty, &adds).await {
            Ok(_) => return Err(Mismatch::new("success")),
            Err(error) if error.remedy.is_empty() => {
                return Err(Mismatch::new("an error without a remedy"));
            }
            Err(_) => {}
        }
        let (count, all) = (self.count(&adds).await?, adds.len());
        if count == 0 || count == all {
            return Err(Mismatch::new(format!(
                "{count} of {all} changes were carried out, which is not a part of them"
            )));
        }
        // The caller removes everything, by value.
        self.expect(&reversed(&adds)).await?;
        self.all_exist(&adds, false).await
    }

    /// Changes that do not fit into one request. None of them is carried out.
    async fn more_than_one_request(&self) -> Result<Vec<TxtChange>, Mismatch> {
        let least = 2 * self.provider.limits().changes_per_request;
        // The limit is for the longest names and values; these may be shorter.
        for count in [least, 2 * least, 4 * least, 8 * least, 16 * least] {
            let add = |i| {
                let name = self.name(&format!("p{i}"))?;
                change(Action::Add, &name, &"y".repeat(255))
            };
            let adds = (0..count).map(add).collect::<Result<Vec<_>, Mismatch>>()?;
            let applied = self.expect(&adds).await?;
            self.expect(&reversed(&adds)).await?;
            if applied.requests > 1 {
                return Ok(adds);
            }
        }
        Err(Mismatch::new(format!(
            "{} changes in one request, far more than its limit",
            16 * least
        )))
    }

    pub(crate) async fn lost_reply(&self) -> Outcome {
        let name = self.name("lost")?;
        let add = [change(Action::Add, &name, "v")?];
        let faulty = self.fixture.faulty_provider(Fault::ReplyLost).await;
        match self.apply(&*faulty, &add).await {
            Ok(_) => {}
            Err(error) if error.failure == Failure::UnknownOutcome => {}
            Err(error) => {
                return Err(Mismatch::new(format!(
                    "{:?}, which means that nothing was changed: {error}",
                    error.failure
                )));
            }
        }
        self.has_exactly(&name, &["v"]).await?;
        self.expect(&add).await?;
        self.clear(&name, &["v"]).await
    }

    pub(crate) async fn foreign_zone(&self) -> Outcome {
        let zone = self.fixture.foreign_zone();
        let name = zone.child("conformance");
        let name = name.map_err(|error| Mismatch::new(error.to_string()))?;
        let add = [change(Action::Add, &name, "v")?];
        self.is_refused(self.provider.apply(&zone, &add).await)
    }

    pub(crate) async fn name_outside(&self) -> Outcome {
        let name = self.fixture.foreign_zone().child("conformance");
        let name = name.map_err(|error| Mismatch::new(error.to_string()))?;
        let inside = self.name("inside")?;
        let adds = [
            change(Action::Add, &inside, "v")?,
            change(Action::Add, &name, "v")?,
        ];
        let outcome = self.provider.apply(&self.zone, &adds).await;
        if let Err(error) = &outcome
            && error.failure != Failure::Rejected
        {
            return Err(Mismatch::new(format!("{:?}: {error}", error.failure)));
        }
        self.is_refused(outcome)?;
        self.has_exactly(&inside, &[]).await
    }

    pub(crate) fn secrets(&self, log: &str) -> Outcome {
        let debug = format!("{:?}", self.provider);
        for secret in self.fixture.secrets() {
            let secret = secret.expose_secret();
            for (is_shown, place) in [
                (debug.contains(secret), "the provider's `Debug`"),
                (log.contains(secret), "the log"),
                (self.errors_contain(secret), "an error"),
            ] {
                if is_shown {
                    return Err(Mismatch::new(format!("a secret is in {place}")));
                }
            }
        }
        Ok(())
    }
}
