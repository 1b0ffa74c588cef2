//! A certificate whose delegations are in order, before the CA is asked for anything.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::certificates::CertificateConfig;
use super::context::JobContext;
use super::core::Engine;
use super::report::{JobError, JobOutcome};
use crate::acme::{AcmeError, ValidationFailure};
use crate::issue::{CheckedDelegations, IssueError, IssueFailure, Plan};
use crate::name::{DnsName, Identifier};
use crate::store::CertificateId;
use crate::zone::cache_time;

/// A certificate and its plan.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub(super) certificate: Arc<CertificateConfig>,
    pub(super) plan: Arc<Plan>,
    /// How long its earlier orders in this run took.
    pub(super) took: Duration,
    /// Whether the CA may have opened one of them.
    pub(super) ordered: bool,
}

impl Prepared {
    pub(super) fn id(&self) -> &CertificateId {
        self.certificate.id()
    }

    pub(super) fn identifiers(&self) -> BTreeSet<Identifier> {
        let names = self.certificate.request.names.iter();
        names.map(|name| name.identifier.clone()).collect()
    }

    /// Whether its earlier orders took so long that another one would hold up the next run.
    pub(super) fn took_long(&self) -> bool {
        let environment = &self.certificate.environment;
        self.took > environment.ca().config().timeouts.order / 2
    }

    pub(super) fn alias_names(&self) -> BTreeSet<DnsName> {
        self.plan.aliases.names().into_iter().collect()
    }
}

impl Engine {
    /// Follows the delegations of a certificate. `given` is the certificate, if it is not to be looked up.
    pub(super) async fn prepare(
        &self,
        id: CertificateId,
        given: Option<Arc<CertificateConfig>>,
        context: &JobContext,
    ) -> Result<Prepared, JobError> {
        let certificate = match given {
            Some(certificate) => certificate,
            None => self.certificate(&id).await?,
        };
        let certificate = self.at_ca_to_ask(certificate).await?;
        let mut certificate = self.as_ordered(certificate).await?;
        // The way to the CA is made ready meanwhile. Nothing is asked of it that changes anything.
        let names = certificate.request.names.len();
        certificate.environment.ca().prepare(names);
        let mut seen = CheckedDelegations::default();
        loop {
            let followed = self.follow(Arc::clone(&certificate), &mut seen, context);
            certificate = match followed.await {
                Ok(prepared) => return Ok(prepared),
                Err(failure) => {
                    let without = self.without_failed(&certificate, failure, context.urgency);
                    without.await?
                }
            };
        }
    }

    /// Follows the delegations of a certificate that is configured so, except those that were seen in order.
    async fn follow(
        &self,
        certificate: Arc<CertificateConfig>,
        seen: &mut CheckedDelegations,
        context: &JobContext,
    ) -> Result<Prepared, IssueFailure> {
        let issuer = self.issuer(&certificate, context, &context.run_lease, &context.cancel);
        let plan = Arc::new(issuer.prepare(&certificate.request, seen).await?);
        Ok(Prepared {
            certificate,
            plan,
            took: Duration::ZERO,
            ordered: false,
        })
    }

    /// A certificate that failed, without the names that did, if it is to be obtained without them now.
    pub(super) async fn prepare_without_failed(
        &self,
        failed: &Prepared,
        failure: IssueFailure,
        context: &JobContext,
    ) -> Result<Prepared, IssueFailure> {
        if failed.took_long() {
            return Err(failure);
        }
        let without = self.without_failed(&failed.certificate, failure.clone(), context.urgency);
        let certificate = without.await?;
        if !self.may_order_again(&certificate, context, true).await {
            return Err(failure);
        }
        let plan = Arc::new(failed.plan.only_for(&certificate.request));
        Ok(Prepared {
            certificate,
            plan,
            took: failed.took,
            ordered: failed.ordered,
        })
    }

    /// What the CA may have seen instead of the values of a certificate that failed; `None` if that is not why.
    pub(super) async fn seen_instead(
        &self,
        prepared: &Prepared,
        outcome: &Result<JobOutcome, JobError>,
    ) -> Option<SeenInstead> {
        let Err(JobError::Issue(failure)) = outcome else {
            return None;
        };
        let IssueError::Acme(AcmeError::Validation(failures)) = &failure.error else {
            return None;
        };
        // The CA found other values, or none (RFC 8555 §6.7). We saw ours on every server that answers.
        let is_value = |failure: &ValidationFailure| {
            matches!(
                failure.kind.as_str(),
                "unauthorized" | "incorrectResponse" | "dns"
            )
        };
        if !failures.iter().any(is_value) {
            return None;
        }
        let certificate = &prepared.certificate;
        let status = self.parts.store.status(certificate.id()).await.ok()?;
        let until = status.no_validations_before;
        if until.is_some_and(|until| until > self.parts.clock.now()) {
            // Another failure would be one too many for the CA.
            return None;
        }
        let environment = &certificate.environment;
        let zones = environment.zones(&self.parts.writers, certificate.provider.as_ref());
        let names = prepared.plan.aliases.names();
        let now = zones.existing(&names).await.unwrap_or_default();
        let before = &prepared.plan.existing;
        let sets = before.sets.values().chain(now.sets.values());
        let cached = sets.filter_map(|set| set.ttl).map(cache_time).max();
        // Another host may have written here as this one does, and withdrawn it again.
        let own = Some(zones.longest_ttl(&names).await).filter(|ttl| *ttl > 0);
        // Anybody can make the CA ask for a name before our values are there, by an order of their own.
        let is_empty = |name: &DnsName| !before.sets.contains_key(name);
        let empty: Vec<_> = names.into_iter().filter(is_empty).collect();
        let absence = zones.absence_cached(&empty).await;
        Some(SeenInstead {
            cached: cached.max(own.map(cache_time)).max(absence)?,
            has_others: cached.is_some(),
        })
    }
}

/// What the CA may have seen instead of our values.
#[derive(Clone, Copy, Debug)]
pub(super) struct SeenInstead {
    /// How long it may stay in the cache of the CA's resolver.
    pub(super) cached: Duration,
    /// Whether values of others are, or were, at the alias names.
    pub(super) has_others: bool,
}

#[cfg(test)]
impl Prepared {
    /// A certificate with these alias names.
    pub(super) fn for_test(id: &str, alias_names: &[&str]) -> Self {
        let aliases = alias_names.iter().map(|name| {
            let name: DnsName = name.parse().unwrap();
            (name.challenge_name().unwrap(), name)
        });
        Self::of_request(id, Vec::new(), aliases.collect())
    }

    /// A certificate with so many names that lead to one alias name.
    pub(super) fn with_names(id: &str, names: usize) -> Self {
        let names = (0..names).map(|n| format!("n{n}.{id}.example"));
        let names: Vec<Identifier> = names.map(|name| name.parse().unwrap()).collect();
        let alias: DnsName = "auth.example".parse().unwrap();
        let aliases = names
            .iter()
            .map(|name| (name.challenge_name().clone(), alias.clone()));
        let aliases = aliases.collect();
        Self::of_request(id, names, aliases)
    }

    fn of_request(id: &str, names: Vec<Identifier>, aliases: crate::issue::Aliases) -> Self {
        use super::environment::{Environment, EnvironmentConfig};
        use crate::acme::CaConfig;
        use crate::clock::{Clock, SystemClock};
        use crate::issue::CertificateRequest;

        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let config = EnvironmentConfig::new(CaConfig::lets_encrypt_staging());
        let environment = Environment::new(config, &clock).unwrap();
        let request = CertificateRequest::new(id.parse().unwrap(), names);
        Prepared {
            certificate: Arc::new(CertificateConfig::new(request, Arc::new(environment))),
            plan: Arc::new(Plan {
                aliases,
                chains: Vec::new(),
                warnings: Vec::new(),
                existing: Arc::default(),
            }),
            took: Duration::ZERO,
            ordered: false,
        }
    }
}
