//! The first phase of a run: values that ended or killed jobs left in zones are removed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::core::Engine;
use super::leftover_clients::LeftoverClients;
use super::providers::is_of_kind;
use super::report::{LeftReason, LeftValue, Reconciliation, RunError};
use crate::dns::Dns;
use crate::ledger::{OpenValue, Origin, RunId};
use crate::name::DnsName;
use crate::store::CertificateId;
use crate::zone::{ChangeContext, ConfiguredProvider, WriteError};

/// How long one zone may take. A dead zone must not hold up those that can be cleaned, nor the certificates.
const ZONE_TIMEOUT: Duration = Duration::from_secs(20);

/// Values in one zone that one provider wrote.
struct Leftovers {
    zone: DnsName,
    provider: Arc<ConfiguredProvider>,
    /// Finds the servers of the zone.
    dns: Arc<Dns>,
    values: Vec<OpenValue>,
}

/// The zone, the provider's credentials, and the address of the client, which is kept meanwhile.
type Key = (DnsName, String, usize);

impl Engine {
    /// Removes the values of jobs whose lease is over, in all zones at once. What cannot be removed is
    /// returned with the reason, and stays in the ledger.
    pub(super) async fn reconcile(&self, run: &RunId) -> Result<Reconciliation, RunError> {
        let abandoned = self.abandoned().await?;
        let mut reconciliation = Reconciliation::default();
        let mut leftovers: BTreeMap<Key, Leftovers> = BTreeMap::new();
        let mut clients = LeftoverClients::of(self);
        for value in abandoned {
            if let Some(reason) = distrust(&value) {
                reconciliation.left.push(LeftValue { value, reason });
                continue;
            }
            let Some(provider) = self.writer_of(&value).await else {
                let reason = LeftReason::NoProvider;
                reconciliation.left.push(LeftValue { value, reason });
                continue;
            };
            let dns = clients.of_value(&value).await;
            let credentials = provider.credentials().to_owned();
            let key = (value.zone.clone(), credentials, Arc::as_ptr(&dns).addr());
            let group = leftovers.entry(key).or_insert_with(|| Leftovers {
                zone: value.zone.clone(),
                provider,
                dns,
                values: Vec::new(),
            });
            group.values.push(value);
        }
        let cleaned = leftovers
            .into_values()
            .map(|group| self.clean_up(run, group));
        for outcome in join_all(cleaned).await {
            reconciliation.removed.extend(outcome.removed);
            reconciliation.gone += outcome.gone;
            reconciliation.left.extend(outcome.left);
        }
        Ok(reconciliation)
    }

    /// The open values whose job is over.
    pub(super) async fn abandoned(&self) -> Result<Vec<OpenValue>, RunError> {
        // In this order: a job takes its lease before it writes, so that a value which is open now and
        // has no lease afterwards is nobody's.
        let mut open = self.parts.ledger.open_values().await?;
        if open.is_empty() {
            return Ok(open);
        }
        let leases = self.parts.store.live_leases().await?;
        let live: HashSet<_> = leases.into_iter().map(|lease| lease.id).collect();
        open.retain(|value| {
            let lease = value.origin.lease.as_ref();
            !lease.is_some_and(|lease| live.contains(lease))
        });
        Ok(open)
    }

    /// The provider that wrote the value, if it is configured or stored with the value's certificate.
    async fn writer_of(&self, value: &OpenValue) -> Option<Arc<ConfiguredProvider>> {
        let providers = &self.parts.providers;
        if let Some(provider) = providers.same_credentials(value) {
            return Some(provider);
        }
        let id = value.origin.certificate.as_ref();
        let id: Option<CertificateId> = id.and_then(|id| id.parse().ok());
        if let Some(id) = id
            && let Ok(certificate) = self.certificate(&id).await
        {
            let with = |credentials: bool| {
                let mut own = certificate.providers();
                own.find(|provider| {
                    is_of_kind(provider, value)
                        && if credentials {
                            Some(provider.credentials()) == value.credentials.as_deref()
                        } else {
                            Some(provider.id()) == value.provider_id.as_deref()
                        }
                })
            };
            if let Some(provider) = with(true).or_else(|| with(false)) {
                return Some(Arc::clone(provider));
            }
        }
        match providers.same_id(value) {
            None => providers.same_key(value).await,
            known => known,
        }
    }

    /// Those of the values that are still open and of the same job: another process may have removed them, or
    /// resumed their order and written the same values again.
    async fn still_open(&self, values: &[OpenValue]) -> Result<Vec<OpenValue>, WriteError> {
        let names: Vec<_> = values.iter().map(|value| value.name.clone()).collect();
        let open = self.parts.ledger.open_values_at(&names).await?;
        let open: HashMap<_, _> = open
            .iter()
            .map(|open| ((&open.zone, &open.name, &open.value), &open.origin.lease))
            .collect();
        let is_same = |value: &&OpenValue| {
            let known = open.get(&(&value.zone, &value.name, &value.value));
            known.is_some_and(|lease| **lease == value.origin.lease)
        };
        Ok(values.iter().filter(is_same).cloned().collect())
    }

    /// Removes the values of one group.
    async fn clean_up(&self, run: &RunId, group: Leftovers) -> Reconciliation {
        let Leftovers {
            zone,
            provider,
            dns,
            values,
        } = group;
        let work = async {
            let writer = self.parts.writers.get(&zone, &provider, &dns).await?;
            let context = ChangeContext {
                run: run.clone(),
                origin: Origin::default(),
            };
            let still = self.still_open(&values).await?;
            Ok::<_, LeftReason>(writer.clean_up(&still, &context).await?)
        };
        let timeout = || {
            Err(LeftReason::Timeout {
                limit: ZONE_TIMEOUT,
            })
        };
        let cleaned = tokio::time::timeout(ZONE_TIMEOUT, work).await;
        match cleaned.unwrap_or_else(|_| timeout()) {
            Ok(cleaned) => Reconciliation {
                gone: cleaned.gone,
                removed: cleaned.removed,
                left: cleaned
                    .left
                    .into_iter()
                    .map(|(value, error)| LeftValue {
                        value,
                        reason: error.into(),
                    })
                    .collect(),
            },
            Err(reason) => {
                let left = values.into_iter().map(|value| LeftValue {
                    value,
                    reason: reason.clone(),
                });
                Reconciliation {
                    left: left.collect(),
                    ..Reconciliation::default()
                }
            }
        }
    }
}

/// Why the ledger is not believed that a value is ours. A forged line must not remove the records of others.
fn distrust(value: &OpenValue) -> Option<LeftReason> {
    let is_ours = value.value.is_challenge() || value.value.is_probe();
    if value.is_doubtful {
        Some(LeftReason::Doubtful)
    } else if is_ours && value.name.is_within(&value.zone) {
        None
    } else {
        Some(LeftReason::Foreign)
    }
}
