//! The first phase of a run: values that ended or killed jobs left in zones are removed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use rand::seq::SliceRandom;
use tokio::time::{Instant, timeout_at};

use super::core::Engine;
use super::left_values::LeftReason;
use super::leftover_clients::LeftoverClients;
use super::providers::is_of_kind;
use super::report::{Reconciliation, RunError};
use crate::dns::Dns;
use crate::ledger::{OpenValue, Origin, RunId};
use crate::name::DnsName;
use crate::store::CertificateId;
use crate::zone::{ChangeContext, CleanUp, ConfiguredProvider, WriteError};

/// How long one zone may take. A dead zone must not hold up those that can be cleaned, nor the certificates.
const ZONE_TIMEOUT: Duration = Duration::from_secs(20);

/// So many values of a zone are removed together. More would need memory for all of them at once.
const PORTION: usize = if cfg!(test) { 10 } else { 1000 };

/// Values in one zone that one provider wrote.
struct Leftovers {
    zone: DnsName,
    provider: Arc<ConfiguredProvider>,
    /// Finds the servers of the zone.
    dns: Arc<Dns>,
    values: Vec<Arc<OpenValue>>,
}

/// The zone, the provider's credentials, and the address of the client, which is kept meanwhile.
type Key = (DnsName, String, usize);

impl Engine {
    /// Removes those of the values that are meant and whose job's lease is over, in all zones at once. What cannot be
    /// removed is returned with the reason, and stays in the ledger.
    pub(super) async fn reconcile(
        &self,
        run: &RunId,
        is_meant: impl Fn(&OpenValue) -> bool,
    ) -> Result<Reconciliation, RunError> {
        let abandoned = self.abandoned(is_meant).await?;
        let mut reconciliation = Reconciliation::default();
        let mut leftovers: BTreeMap<Key, Leftovers> = BTreeMap::new();
        let mut clients = LeftoverClients::of(self);
        for value in abandoned {
            if let Some(reason) = distrust(&value) {
                reconciliation.left.add(&value, &reason);
                continue;
            }
            let Some(provider) = self.writer_of(&value).await else {
                reconciliation.left.add(&value, &LeftReason::NoProvider);
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
            reconciliation.left.append(outcome.left);
        }
        Ok(reconciliation)
    }

    /// Those of the open values that are meant and whose job is over.
    pub(super) async fn abandoned(
        &self,
        is_meant: impl Fn(&OpenValue) -> bool,
    ) -> Result<Vec<Arc<OpenValue>>, RunError> {
        // In this order: a job takes its lease before it writes, so that a value which is open now and
        // has no lease afterwards is nobody's.
        let mut open = self.parts.ledger.open_values().await?;
        open.retain(|value| is_meant(value));
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
    async fn still_open(
        &self,
        values: &[Arc<OpenValue>],
    ) -> Result<Vec<Arc<OpenValue>>, WriteError> {
        let names: Vec<_> = values.iter().map(|value| value.name.clone()).collect();
        let open = self.parts.ledger.open_values_at(&names).await?;
        let open: HashMap<_, _> = open
            .iter()
            .map(|open| ((&open.zone, &open.name, &open.value), &open.origin.lease))
            .collect();
        let is_same = |value: &&Arc<OpenValue>| {
            let known = open.get(&(&value.zone, &value.name, &value.value));
            known.is_some_and(|lease| **lease == value.origin.lease)
        };
        Ok(values.iter().filter(is_same).cloned().collect())
    }

    /// Removes the values of one group, in portions. It ends with a portion that cannot be removed, so that a zone which
    /// keeps its values gets few requests, and few lines in the ledger.
    async fn clean_up(&self, run: &RunId, mut group: Leftovers) -> Reconciliation {
        let until = Instant::now() + ZONE_TIMEOUT;
        let mut values = mem::take(&mut group.values);
        if values.len() > PORTION {
            take_turns(&mut values);
        }
        let mut done = Reconciliation::default();
        let mut portions = values.chunks(PORTION);
        for portion in portions.by_ref() {
            let cleaned = timeout_at(until, self.clean_up_portion(run, &group, portion)).await;
            let limit = ZONE_TIMEOUT;
            match cleaned.unwrap_or(Err(LeftReason::Timeout { limit })) {
                Ok(cleaned) => {
                    let is_stuck = cleaned.is_stuck();
                    done.removed.extend(cleaned.removed);
                    done.gone += cleaned.gone;
                    for (values, error) in cleaned.left {
                        done.left.add_all(&values, &error.into());
                    }
                    if is_stuck {
                        break;
                    }
                }
                Err(reason) => {
                    done.left.add_all(portion, &reason);
                    break;
                }
            }
        }
        let rest = portions.map(<[_]>::len).sum();
        done.left.count_others(&group.zone, rest);
        done
    }

    async fn clean_up_portion(
        &self,
        run: &RunId,
        group: &Leftovers,
        values: &[Arc<OpenValue>],
    ) -> Result<CleanUp, LeftReason> {
        let Leftovers {
            zone,
            provider,
            dns,
            ..
        } = group;
        let writer = self.parts.writers.get(zone, provider, dns).await?;
        let context = ChangeContext {
            run: run.clone(),
            origin: Origin::default(),
        };
        let still = self.still_open(values).await?;
        Ok(writer.clean_up(&still, &context).await?)
    }
}

/// Sorts values so that the first ones are of as many names as possible, and others in each run: one that cannot be removed
/// keeps no other from being tried.
fn take_turns(values: &mut [Arc<OpenValue>]) {
    values.shuffle(&mut rand::rng());
    let mut at_name: HashMap<DnsName, usize> = HashMap::new();
    values.sort_by_cached_key(|value| {
        let turn = at_name.entry(value.name.clone()).or_default();
        *turn += 1;
        *turn
    });
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
