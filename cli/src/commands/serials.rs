//! `acme-alias ledger diff-serial`: changes of alias zones that nobody explains.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;
use std::{fs, io};

use acme_alias_core::engine::{Engine, Environment, RunError};
use acme_alias_core::ledger::{self, FileLedger, Ledger, OtherHosts, ZoneSerials};
use acme_alias_core::name::DnsName;
use acme_alias_core::printable::few;
use acme_alias_core::txt::TxtValue;
use acme_alias_core::zone::ConfiguredProvider;
use futures_util::stream::{self, StreamExt};
use tokio_util::sync::CancellationToken;

use super::outcome;
use crate::cli::DiffSerialArgs;
use crate::failure::{Failure, Part};
use crate::output::{Output, Report};
use crate::setup::Setup;

/// Zones whose serials are read at a time.
const AT_ONCE: usize = 32;

/// How the serials of the alias zones moved, and where no change of ours or of other hosts explains it. With a
/// note, the movements that were found count as explained from now on.
pub(crate) async fn compare(
    setup: &Setup,
    args: &DiffSerialArgs,
    output: Output,
    cancel: &CancellationToken,
) -> Result<Report, Failure> {
    let Some((_, ledger)) = setup.existing_state().await? else {
        return Ok(match args.acknowledge {
            Some(_) => Report::SerialsExplained(Vec::new()),
            None => Report::Serials {
                zones: Vec::new(),
                unread: Vec::new(),
            },
        });
    };
    let environment = setup.environment()?;
    let mut zones = ledger::serials(&*ledger).await?;
    if let Some(only) = &args.zone
        && !zones.contains_key(only)
        && !environment.alias_zones().apexes().contains(only)
    {
        return Err(unknown_zone(only, environment.alias_zones().apexes()));
    }
    zones.retain(|zone, _| args.zone.as_ref().is_none_or(|only| only == zone));
    let (mut compared, mut unread) = (Vec::new(), Vec::new());
    for (zone, mut serials, current) in current_serials(&environment, zones).await {
        let current = current.unwrap_or_else(|failure| {
            let remedy = failure.remedy.as_deref().unwrap_or_default();
            output.warning(&format!(
                "could not read the serial of {zone}: {failure}; {remedy}"
            ));
            unread.push(zone.clone());
            None
        });
        if let Some(current) = current {
            serials.compare(current);
        }
        compared.push((zone, serials, current));
    }
    let moved = compared.iter().map(|(zone, serials, _)| (zone, serials));
    let others = other_hosts(setup, moved).await?;
    for (zone, serials, _) in &mut compared {
        others.explain(zone, serials);
    }
    if let Some(note) = &args.acknowledge {
        compared.retain(|(_, serials, _)| !serials.foreign.is_empty());
        if !compared.is_empty() {
            let engine = setup.engine(output.observer()).await?.engine;
            acknowledge(&engine, &compared, note, output, cancel).await?;
        }
    }
    let compared = compared.into_iter();
    let zones = compared.map(|(zone, serials, _)| (zone, serials)).collect();
    Ok(match args.acknowledge {
        Some(_) => Report::SerialsExplained(zones),
        None => Report::Serials { zones, unread },
    })
}

fn unknown_zone(zone: &DnsName, known: &BTreeSet<DnsName>) -> Failure {
    let known: Vec<_> = known.iter().map(DnsName::as_str).collect();
    let remedy = match known.as_slice() {
        [] => "add `[[alias-zones]]` to the settings".to_owned(),
        known => format!("name one of these: {}", few(known, ", ")),
    };
    let message =
        format!("{zone} is no alias zone of the settings, and the ledger has no change there");
    Failure::new(Part::Settings, &message, remedy)
}

/// Records the note for each zone.
async fn acknowledge(
    engine: &Engine,
    zones: &[(DnsName, ZoneSerials, Option<u32>)],
    note: &TxtValue,
    output: Output,
    cancel: &CancellationToken,
) -> Result<(), Failure> {
    let begun = cancel.run_until_cancelled(engine.begin()).await;
    let run = begun.unwrap_or(Err(RunError::Interrupted))?;
    let mut recorded = Ok(());
    for (zone, serials, current) in zones {
        let current = current.unwrap_or(serials.last);
        recorded = run
            .explain_serial(zone, serials, current, note.clone())
            .await;
        if recorded.is_err() {
            break;
        }
    }
    let exported = run.end(cancel).await;
    outcome::warn_of_export(exported.as_ref(), output);
    Ok(recorded?)
}

/// What the hosts whose ledgers are in the settings changed in these zones when their serials moved.
async fn other_hosts(
    setup: &Setup,
    zones: impl IntoIterator<Item = (&DnsName, &ZoneSerials)>,
) -> Result<OtherHosts, Failure> {
    let mut ledgers = Vec::new();
    for folder in &setup.settings.other_ledgers {
        check_copy(folder)?;
        ledgers.push(FileLedger::open_read_only(folder));
    }
    let ledgers = ledgers.iter().map(|ledger| ledger as &dyn Ledger);
    Ok(OtherHosts::read(ledgers, zones).await?)
}

/// Fails if a folder has no ledger: without its lines, every change of that host would look foreign.
pub(super) fn check_copy(folder: &Path) -> Result<(), Failure> {
    has_lines(folder).map_err(|error| {
        let message = format!(
            "`other-ledgers`: {} is no ledger of another host: {error}",
            folder.display()
        );
        let remedy =
            "copy the folder `ledger` of that host's state folder there, or correct the path";
        Failure::new(Part::Settings, &message, remedy.to_owned())
    })
}

/// Fails if a folder has no file of a ledger.
fn has_lines(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        if Path::new(&entry?.file_name()).extension() == Some(OsStr::new("jsonl")) {
            return Ok(());
        }
    }
    Err(io::Error::other("no `.jsonl` file is in this folder"))
}

/// Reads the current serials of the zones, many at a time.
async fn current_serials(
    environment: &Environment,
    zones: BTreeMap<DnsName, ZoneSerials>,
) -> Vec<(DnsName, ZoneSerials, Result<Option<u32>, Failure>)> {
    let providers: BTreeMap<_, _> = environment.alias_zones().iter().collect();
    let read = stream::iter(zones).map(|(zone, serials)| {
        let provider = providers.get(&zone).copied();
        async move {
            let current = match provider {
                Some(provider) => current_serial(provider, &zone).await,
                None => Ok(None),
            };
            (zone, serials, current)
        }
    });
    read.buffered(AT_ONCE).collect().await
}

async fn current_serial(
    provider: &ConfiguredProvider,
    zone: &DnsName,
) -> Result<Option<u32>, Failure> {
    let opened = provider.open().await?;
    opened.txt.serial(zone).await.map_err(|error| {
        let remedy = error.remedy.clone();
        Failure::new(Part::Dns, &error, remedy)
    })
}
