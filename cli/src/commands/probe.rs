//! `acme-alias check --write`: a probe at each alias name, timed to each server, and withdrawn.

use std::collections::{BTreeMap, BTreeSet};

use acme_alias_core::ledger::Origin;
use acme_alias_core::name::DnsName;
use acme_alias_core::store::FileStore;
use acme_alias_core::txt::TxtRecord;
use acme_alias_core::zone::{AliasZones, Published};

use crate::failure::{Failure, Part, in_words};
use crate::run::Run;
use crate::settings::Settings;
use crate::workshop::{self, Workshop};

/// Writes at these names; where they lie in no alias zone, through the provider beside them.
pub(super) async fn write(
    run: &Run,
    settings: &Settings,
    alias_names: BTreeMap<Option<&str>, BTreeSet<DnsName>>,
) -> Result<Vec<Published>, Failure> {
    let workshop = Workshop::new(FileStore::open(&settings.state)?, run, 0)?;
    let dns = workshop::dns(settings)?;
    let mut published = Vec::new();
    for (provider, names) in alias_names {
        let zones = workshop.zones(settings, &dns, provider).await?;
        run.reconcile(&workshop, &zones).await;
        published.extend(write_in(run, &zones, names).await?);
    }
    Ok(published)
}

async fn write_in(
    run: &Run,
    zones: &AliasZones,
    names: BTreeSet<DnsName>,
) -> Result<Vec<Published>, Failure> {
    let in_dns = |error| Failure::new(Part::Dns, &in_words(&error), None);
    let names: Vec<_> = names.into_iter().collect();
    run.looking(async { zones.check(&names).await.map_err(in_dns) })
        .await?;
    let probes = names.into_iter().map(|name| {
        let value = format!("acme-alias-probe-{:016x}", rand::random::<u64>());
        let value = value
            .parse()
            .map_err(|error| Failure::new(Part::Unexpected, &error, None))?;
        Ok(TxtRecord { name, value })
    });
    let probes = probes.collect::<Result<Vec<_>, Failure>>()?;
    let publication = zones
        .publication(probes, Origin::default())
        .map_err(in_dns)?;
    let published = run
        .looking(async { publication.publish().await.map_err(in_dns) })
        .await;
    match (published, publication.withdraw().await) {
        (Err(failure), Err(error)) => Err(Failure {
            left_behind: Some(in_words(&error)),
            ..failure
        }),
        (Ok(_), Err(error)) => Err(in_dns(error)),
        (published, Ok(())) => published,
    }
}
