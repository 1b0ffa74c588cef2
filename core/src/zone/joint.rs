//! The values of several jobs: written in one change per zone, awaited together, and removed together.

use std::collections::BTreeMap;
use std::slice;
use std::sync::Arc;
use std::time::Instant;

use std::ops::ControlFlow;

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::error::{WriteError, ZoneError};
use super::propagation;
use super::publication::{Publication, Published};
use super::writer::ZoneWriter;
use crate::name::DnsName;
use crate::provider::Applied;
use crate::txt::{Action, TxtRecord};

/// What one of several publications has in one zone.
#[derive(Clone, Copy)]
struct Part<'a> {
    /// Which publication.
    index: usize,
    publication: &'a Publication,
    records: &'a [TxtRecord],
}

impl Publication {
    /// Writes all values, in all zones at once, and returns when every authoritative server that answers has
    /// them. The first error ends the wait; any value may be there then: withdraw. It is for values that no CA
    /// looks at; those of certificates take part in a [`Round`](super::Round).
    pub async fn publish(&self) -> Result<Vec<Published>, ZoneError> {
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
        withdraw(slice::from_ref(self)).await.remove(0)
    }
}

/// Writes the values of all publications, in all zones at once, and calls `decide` for each as soon as every
/// server that counts has its values, or something failed, until that says that it is enough. Any value may
/// be there then: withdraw.
pub(super) async fn publish(
    publications: &[Publication],
    mut decide: impl FnMut(usize, Result<Vec<Published>, ZoneError>) -> ControlFlow<()>,
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

/// Removes all values, by value, whether or not they were ever written. Returns, for each publication, an
/// error for each zone that may still have some.
pub(super) async fn withdraw(publications: &[Publication]) -> Vec<Vec<ZoneError>> {
    let mut zones = Vec::new();
    for (writer, parts) in by_writer(publications) {
        zones.push(out_of_zone(writer, parts));
    }
    let mut left_behind = vec![Vec::new(); publications.len()];
    for (index, error) in join_all(zones).await.into_iter().flatten() {
        left_behind[index].push(error);
    }
    left_behind
}

/// Removes what the publications have in one zone.
async fn out_of_zone(writer: &ZoneWriter, parts: Vec<Part<'_>>) -> Vec<(usize, ZoneError)> {
    let written = write(writer, &parts, Action::Remove).await;
    // Nothing waits until the servers no longer have a value.
    let outcomes = parts.into_iter().zip(written);
    let failed = outcomes.filter_map(|(part, outcome)| {
        let source = outcome.err()?;
        let zone = writer.zone().clone();
        Some((part.index, ZoneError::Write { zone, source }))
    });
    failed.collect()
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

async fn write(
    writer: &ZoneWriter,
    parts: &[Part<'_>],
    action: Action,
) -> Vec<Result<Applied, WriteError>> {
    let changes = parts
        .iter()
        .map(|part| part.publication.changes(action, part.records));
    writer.write_together(changes.collect()).await
}

type Outcomes = Vec<(usize, Result<Published, ZoneError>)>;

/// Writes what the publications have in one zone, and waits until its servers have it.
async fn in_zone(writer: &ZoneWriter, parts: Vec<Part<'_>>) -> Outcomes {
    let zone = writer.zone();
    let Some(first) = parts.first() else {
        return Vec::new();
    };
    let Publication {
        dns,
        propagation_timeout: limit,
        ..
    } = first.publication;
    // The servers are found first: without them nothing is written.
    let servers = match dns.servers(zone).await {
        Ok(servers) => servers,
        Err(source) => {
            let zone = zone.clone();
            return all_failed(&parts, &ZoneError::Servers { zone, source });
        }
    };
    let (written, applied, mut outcomes) = add(writer, &parts).await;
    if written.is_empty() {
        return outcomes;
    }
    let acknowledged = Instant::now();
    // Outside the writer's queue, so that others need not wait for it.
    if let Err(error) = writer.settle(&applied).await {
        let (zone, source) = (zone.clone(), error.into());
        outcomes.extend(all_failed(&written, &ZoneError::Write { zone, source }));
        return outcomes;
    }
    let records = written.iter().flat_map(|part| part.records);
    let seen = propagation::wait(dns, &servers, records, *limit).await;
    let published = Published {
        zone: zone.clone(),
        servers: seen.reached,
        silent: seen.silent,
        propagation: acknowledged.elapsed(),
    };
    for part in written {
        let concerns = |name: &DnsName| part.records.iter().any(|record| record.name == *name);
        let mut lagging = seen.lagging.clone();
        lagging.retain(|lagging| concerns(&lagging.name));
        let outcome = if lagging.is_empty() {
            Ok(published.clone())
        } else {
            Err(ZoneError::Propagation {
                zone: zone.clone(),
                source: propagation::PropagationError {
                    waited: *limit,
                    lagging,
                },
            })
        };
        outcomes.push((part.index, outcome));
    }
    outcomes
}

/// Adds the values of all parts. Returns the parts that were written, what the backend reported of them, and
/// the outcomes of the others.
async fn add<'a>(writer: &ZoneWriter, parts: &[Part<'a>]) -> (Vec<Part<'a>>, Applied, Outcomes) {
    let (mut written, mut applied, mut outcomes) = (Vec::new(), Applied::default(), Vec::new());
    for (part, outcome) in parts.iter().zip(write(writer, parts, Action::Add).await) {
        match outcome {
            Ok(done) => {
                for id in done.pending {
                    if !applied.pending.contains(&id) {
                        applied.pending.push(id);
                    }
                }
                written.push(*part);
            }
            Err(source) => {
                let zone = writer.zone().clone();
                outcomes.push((part.index, Err(ZoneError::Write { zone, source })));
            }
        }
    }
    (written, applied, outcomes)
}

fn all_failed(parts: &[Part<'_>], error: &ZoneError) -> Outcomes {
    let failed = parts.iter().map(|part| (part.index, Err(error.clone())));
    failed.collect()
}
