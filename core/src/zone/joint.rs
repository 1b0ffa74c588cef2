//! The values of several jobs: written in one change per zone, awaited together, and removed together.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::slice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, join_all, select};
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::error::{WriteError, ZoneError, ZoneFailure};
use super::lag_cause::LagCause;
use super::propagation::{self, Propagation};
use super::publication::{Publication, Published};
use super::recorder::Requested;
use super::writer::{Write, ZoneWriter};
use crate::dns::{Dns, Server};
use crate::name::DnsName;
use crate::provider::{Applied, ProviderError};
use crate::txt::{Action, TxtRecord};

/// A server that has the values at so many names of a certificate has all that came in the same version of the
/// zone. More than one is asked for, because several machines may answer at one address.
const SAMPLE: usize = 8;

/// What one of several publications has in one zone.
#[derive(Clone, Copy)]
struct Part<'a> {
    /// Which publication.
    index: usize,
    publication: &'a Publication,
    records: &'a [TxtRecord],
}

impl<'a> Part<'a> {
    /// The failure of what it has in the zone.
    fn failed(self, error: ZoneError) -> ZoneFailure {
        ZoneFailure::at(self.records.iter().map(|record| &record.name), error)
    }

    /// The records at the first names.
    fn sample(self, names: usize) -> impl Iterator<Item = &'a TxtRecord> {
        let all: BTreeSet<_> = self.records.iter().map(|record| &record.name).collect();
        let sample: BTreeSet<_> = all.into_iter().take(names).collect();
        let records = self.records.iter();
        records.filter(move |record| sample.contains(&record.name))
    }
}

impl Publication {
    /// Writes all values, in all zones at once, and returns when every authoritative server that answers has
    /// them. The first error ends the wait; any value may be there then: withdraw. It is for values that no CA
    /// looks at; those of certificates take part in a [`Round`](super::Round).
    pub async fn publish(&self) -> Result<Vec<Published>, ZoneFailure> {
        let mut outcome = Ok(Vec::new());
        publish(slice::from_ref(self), |_, decided| {
            outcome = decided;
            ControlFlow::Break(())
        })
        .await;
        outcome
    }

    /// Removes all values, by value, whether or not they were ever written. Returns an error for each zone
    /// that may still have some.
    pub async fn withdraw(&self) -> Vec<ZoneError> {
        let mut outcome = Vec::new();
        withdraw(slice::from_ref(self), |_, left_behind| {
            outcome = left_behind;
        })
        .await;
        outcome
    }
}

/// Writes the values of all publications, in all zones at once, and calls `decide` for each as soon as every
/// server that counts has its values, or something failed, until that says that it is enough. Any value may
/// be there then: withdraw.
pub(super) async fn publish(
    publications: &[Publication],
    mut decide: impl FnMut(usize, Result<Vec<Published>, ZoneFailure>) -> ControlFlow<()>,
) {
    let mut zones = FuturesUnordered::new();
    for (writer, parts) in by_writer(publications) {
        zones.push(in_zone(writer, parts));
    }
    let mut waiting: Vec<_> = publications
        .iter()
        .map(|publication| Some((publication.zones.len(), Vec::new())))
        .collect();
    for (index, publication) in publications.iter().enumerate() {
        // The CA has validated all its names before.
        if publication.zones.is_empty() && decide(index, Ok(Vec::new())).is_break() {
            return;
        }
    }
    while let Some(outcomes) = zones.next().await {
        for (index, outcome) in outcomes {
            let Some((open, published)) = &mut waiting[index] else {
                continue;
            };
            let decided = match outcome {
                Ok(zone) => {
                    published.push(zone);
                    *open -= 1;
                    if *open > 0 {
                        continue;
                    }
                    Ok(std::mem::take(published))
                }
                Err(error) => Err(error),
            };
            waiting[index] = None;
            if decide(index, decided).is_break() {
                return;
            }
        }
    }
}

/// Removes all values, by value, whether or not they were ever written. Calls `report` for each publication as soon as its
/// own zones are done, with an error for each zone that may still have some.
pub(super) async fn withdraw(
    publications: &[Publication],
    mut report: impl FnMut(usize, Vec<ZoneError>),
) {
    let mut zones = FuturesUnordered::new();
    for (writer, parts) in by_writer(publications) {
        zones.push(out_of_zone(writer, parts));
    }
    let mut waiting = Vec::with_capacity(publications.len());
    for (index, publication) in publications.iter().enumerate() {
        let open = publication.zones.len();
        if open == 0 {
            report(index, Vec::new());
        }
        waiting.push((open, Vec::new()));
    }
    while let Some(outcomes) = zones.next().await {
        for (index, error) in outcomes {
            let (open, left_behind) = &mut waiting[index];
            left_behind.extend(error);
            *open -= 1;
            if *open == 0 {
                report(index, std::mem::take(left_behind));
            }
        }
    }
}

/// Removes what the publications have in one zone.
async fn out_of_zone(writer: &ZoneWriter, parts: Vec<Part<'_>>) -> Vec<(usize, Option<ZoneError>)> {
    let written = writer.write_together(changes(&parts, Action::Remove)).await;
    // Nothing waits until the servers no longer have a value.
    let outcomes = parts.into_iter().zip(written);
    let outcomes = outcomes.map(|(part, outcome)| {
        let failed = |source| ZoneError::Write {
            zone: writer.zone().clone(),
            source,
        };
        (part.index, outcome.err().map(failed))
    });
    outcomes.collect()
}

fn by_writer(publications: &[Publication]) -> Vec<(&ZoneWriter, Vec<Part<'_>>)> {
    let mut zones: Vec<(&ZoneWriter, Vec<Part<'_>>)> = Vec::new();
    let mut positions: BTreeMap<*const ZoneWriter, usize> = BTreeMap::new();
    for (index, publication) in publications.iter().enumerate() {
        for (writer, records) in publication.zones.iter() {
            let position = *positions.entry(Arc::as_ptr(writer)).or_insert(zones.len());
            if position == zones.len() {
                zones.push((writer, Vec::new()));
            }
            zones[position].1.push(Part {
                index,
                publication,
                records,
            });
        }
    }
    zones
}

fn changes(parts: &[Part<'_>], action: Action) -> Vec<Vec<Requested>> {
    let changes = parts
        .iter()
        .map(|part| part.publication.changes(action, part.records));
    changes.collect()
}

type Outcomes = Vec<(usize, Result<Published, ZoneFailure>)>;

fn all_failed(parts: &[Part<'_>], error: &ZoneError) -> Outcomes {
    let failed = parts
        .iter()
        .map(|part| (part.index, Err(part.failed(error.clone()))));
    failed.collect()
}

/// Writes what the publications have in one zone, and waits until its servers have it. The servers are asked
/// while the changes are read back at the one that made them.
async fn in_zone(writer: &ZoneWriter, parts: Vec<Part<'_>>) -> Outcomes {
    let zone = writer.zone();
    let Some(first) = parts.first() else {
        return Vec::new();
    };
    // The others have the same one: a writer is for one client.
    let dns = &first.publication.dns;
    // The servers are found first: without them nothing is written.
    let servers = match dns.propagation_servers(zone).await {
        Ok(servers) => servers,
        Err(source) => {
            let zone = zone.clone();
            return all_failed(&parts, &ZoneError::Servers { zone, source });
        }
    };
    let failed = |source: WriteError| ZoneError::Write {
        zone: zone.clone(),
        source,
    };
    let mut writes = writer.begin_together(changes(&parts, Action::Add));
    let (acknowledged, applied) = acknowledged(&parts, &mut writes).await;
    let since = Instant::now();
    let limit = first.publication.propagation_timeout;
    let of_several_requests = Applied {
        one_version: false,
        ..applied.clone()
    };
    let wait = |parts, applied| visible(writer, dns, &servers, parts, applied, limit);
    let mut waiting = wait(acknowledged.clone(), &applied);
    let confirmed = join_all(writes.into_iter().map(Write::done));
    let (confirmed, seen) = match select(Box::pin(confirmed), &mut waiting).await {
        Either::Left((confirmed, _)) => (confirmed, None),
        Either::Right((seen, confirmed)) => (confirmed.await, Some(seen)),
    };
    let (mut outcomes, mut written) = (Vec::new(), Vec::new());
    for (part, outcome) in parts.iter().zip(confirmed) {
        match outcome {
            Ok(_) => written.push(*part),
            Err(error) => outcomes.push((part.index, Err(part.failed(failed(error))))),
        }
    }
    if written.is_empty() {
        return outcomes;
    }
    let seen = match seen {
        // What was acknowledged and what was carried out differ only after a fault.
        _ if indices(&written) != indices(&acknowledged) => {
            wait(written.clone(), &of_several_requests).await
        }
        Some(seen) => seen,
        None => waiting.await,
    };
    match seen {
        Ok(seen) => outcomes.extend(published(&written, zone, &seen, since.elapsed(), limit)),
        Err(error) => outcomes.extend(all_failed(&written, &failed(error.into()))),
    }
    outcomes
}

fn indices(parts: &[Part<'_>]) -> Vec<usize> {
    parts.iter().map(|part| part.index).collect()
}

/// The parts whose changes the backend has acknowledged, and what to settle for them.
async fn acknowledged<'a>(parts: &[Part<'a>], writes: &mut [Write]) -> (Vec<Part<'a>>, Applied) {
    let (mut acknowledged, mut applied) = (Vec::new(), Applied::default());
    applied.one_version = true;
    let answers = join_all(writes.iter_mut().map(Write::acknowledged)).await;
    for (part, answer) in parts.iter().zip(answers) {
        let Some(answer) = answer else {
            continue;
        };
        acknowledged.push(*part);
        applied.server = answer.server;
        applied.one_version &= answer.one_version;
        for id in answer.pending {
            if !applied.pending.contains(&id) {
                applied.pending.push(id);
            }
        }
    }
    (acknowledged, applied)
}

/// Waits until the servers have what these parts have, outside the writer's queue, so that others need not wait
/// for it.
fn visible<'a>(
    writer: &'a ZoneWriter,
    dns: &'a Dns,
    servers: &'a [Server],
    parts: Vec<Part<'a>>,
    applied: &'a Applied,
    limit: Duration,
) -> BoxFuture<'a, Result<Propagation, ProviderError>> {
    let visible = async move {
        writer.settle(applied).await?;
        // Resolvers can have older answers about each name in their caches.
        let is_sample = applied.one_version && dns.propagation().resolvers.is_empty();
        let names = if is_sample { SAMPLE } else { usize::MAX };
        let records = parts.iter().flat_map(|part| part.sample(names));
        let mut seen = propagation::wait(dns, writer.zone(), servers, records, limit).await;
        let serial = async { writer.serial().await.ok().flatten() };
        let took = (applied.server.as_str(), serial);
        seen.cause = LagCause::find(dns, writer.zone(), took, &seen.lagging).await;
        Ok(seen)
    };
    visible.boxed()
}

/// The outcomes of the parts that were written, by what the servers have.
fn published(
    parts: &[Part<'_>],
    zone: &DnsName,
    seen: &Propagation,
    propagation: Duration,
    limit: Duration,
) -> Outcomes {
    let outcomes = parts.iter().map(|part| {
        let outcome = published_part(part, zone, seen, propagation, limit);
        (part.index, outcome)
    });
    outcomes.collect()
}

fn published_part(
    part: &Part<'_>,
    zone: &DnsName,
    seen: &Propagation,
    propagation: Duration,
    limit: Duration,
) -> Result<Published, ZoneFailure> {
    let concerns = |name: &DnsName| part.records.iter().any(|record| record.name == *name);
    let lagging = seen.lagging.iter();
    let lagging: Vec<_> = lagging
        .filter(|lagging| concerns(&lagging.name))
        .cloned()
        .collect();
    let zone = zone.clone();
    if lagging.is_empty() {
        return Ok(Published {
            zone,
            servers: seen.reached.clone(),
            silent: seen.silent.clone(),
            propagation,
        });
    }
    let source = propagation::PropagationError {
        waited: limit,
        lagging,
        cause: seen.cause,
    };
    Err(part.failed(ZoneError::Propagation { zone, source }))
}
