//! The state of a run of the suite, and what all rules need.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::changes::{changes, value};
use super::fixture::Fixture;
use super::outcome::{Mismatch, Outcome};
use crate::name::DnsName;
use crate::provider::{Applied, Failure, ProviderError, TxtProvider};
use crate::txt::{Action, TxtChange, TxtSets};

/// One run of the suite.
pub(crate) struct Suite<'a> {
    pub(crate) fixture: &'a dyn Fixture,
    pub(crate) zone: DnsName,
    pub(crate) provider: Arc<dyn TxtProvider>,
    /// The text of every error so far; none may contain a secret.
    errors: Mutex<Vec<String>>,
}

impl<'a> Suite<'a> {
    pub(crate) async fn new(fixture: &'a dyn Fixture) -> Self {
        Suite {
            fixture,
            zone: fixture.zone(),
            provider: fixture.provider().await,
            errors: Mutex::default(),
        }
    }

    pub(crate) fn name(&self, label: &str) -> Result<DnsName, Mismatch> {
        let text = format!("conformance-{label}.{}", self.zone);
        text.parse()
            .map_err(|error| Mismatch::new(format!("{text}: {error}")))
    }

    /// Applies the changes with this provider, and waits until they are settled.
    pub(crate) async fn apply(
        &self,
        provider: &dyn TxtProvider,
        changes: &[TxtChange],
    ) -> Result<Applied, ProviderError> {
        let applied = async {
            let applied = provider.apply(&self.zone, changes).await?;
            provider.settle(&self.zone, &applied).await?;
            Ok(applied)
        };
        let applied: Result<_, ProviderError> = applied.await;
        applied.inspect_err(|error| self.note(error))
    }

    /// Applies the changes, which must succeed.
    pub(crate) async fn expect(&self, changes: &[TxtChange]) -> Result<Applied, Mismatch> {
        let applied = self.apply(&*self.provider, changes).await;
        applied.map_err(|error| Mismatch::new(format!("{:?}: {error}", error.failure)))
    }

    /// Removes these values, after which there must be none at the name.
    pub(crate) async fn clear(&self, name: &DnsName, texts: &[&str]) -> Outcome {
        self.expect(&changes(Action::Remove, name, texts)?).await?;
        self.has_exactly(name, &[]).await
    }

    async fn values(&self, names: &[DnsName]) -> Result<TxtSets, Mismatch> {
        let values = self.provider.values(&self.zone, names).await;
        values.map_err(|error| {
            self.note(&error);
            Mismatch::new(format!("reading: {:?}: {error}", error.failure))
        })
    }

    /// The name must have exactly these values.
    pub(crate) async fn has_exactly(&self, name: &DnsName, texts: &[&str]) -> Outcome {
        let found = self.values(std::slice::from_ref(name)).await?;
        let found = found.get(name).cloned().unwrap_or_default().values;
        let expected = texts
            .iter()
            .map(|text| value(text))
            .collect::<Result<BTreeSet<_>, Mismatch>>()?;
        if found == expected {
            return Ok(());
        }
        let observed = format!("{name} has {found:?} instead of {expected:?}");
        Err(Mismatch(observed))
    }

    /// How many of the changes' values exist.
    pub(crate) async fn count(&self, changes: &[TxtChange]) -> Result<usize, Mismatch> {
        let names: Vec<_> = changes.iter().map(|change| change.name.clone()).collect();
        let found = self.values(&names).await?;
        let exists = |change: &&TxtChange| {
            found
                .get(&change.name)
                .is_some_and(|values| values.contains(&change.value))
        };
        Ok(changes.iter().filter(exists).count())
    }

    /// All of the changes' values must exist, or none of them.
    pub(crate) async fn all_exist(&self, changes: &[TxtChange], exist: bool) -> Outcome {
        let expected = if exist { changes.len() } else { 0 };
        let count = self.count(changes).await?;
        if count == expected {
            return Ok(());
        }
        Err(Mismatch::new(format!(
            "{count} values exist instead of {expected}"
        )))
    }

    /// The call must have failed with an error that says that nothing was changed, and what to do.
    pub(crate) fn is_refused(&self, outcome: Result<Applied, ProviderError>) -> Outcome {
        let Err(error) = outcome else {
            return Err(Mismatch::new("success"));
        };
        self.note(&error);
        if !matches!(error.failure, Failure::Denied | Failure::Rejected) {
            return Err(Mismatch::new(format!("{:?}: {error}", error.failure)));
        }
        if error.remedy.is_empty() {
            return Err(Mismatch::new("an error without a remedy"));
        }
        Ok(())
    }

    fn note(&self, error: &ProviderError) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        errors.push(format!("{error:?} {error} {}", error.remedy));
    }

    /// Whether an error so far contains this text.
    pub(crate) fn errors_contain(&self, text: &str) -> bool {
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        errors.iter().any(|error| error.contains(text))
    }
}
