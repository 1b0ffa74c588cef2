//! The library without the program: its example, and a run whose future is dropped.

use std::fs;
use std::sync::Arc;

use acme_alias_core::acme::CaConfig;
use acme_alias_core::clock::SystemClock;
use acme_alias_core::dns;
use acme_alias_core::engine::{Engine, RunOptions, RunReport, Selection};
use acme_alias_core::issue::CertificateRequest;
use acme_alias_core::ledger::FileLedger;
use acme_alias_core::store::{FileStore, FileStoreOptions};
use acme_alias_rfc2136::{Rfc2136, TsigKey};
use acme_alias_tests::{ALIAS_NAME, ALIAS_ZONE, Example, Result, Settings, TestBed};

/// Waits until the primary has the TXT value of a run.
fn wait_for_value(bed: &TestBed) -> Result {
    bed.wait_until("the primary has the value", |bed| {
        Ok(bed.txt()?.iter().any(|txt| txt.name == ALIAS_NAME))
    })
}

/// Checks that the certificate of the example is stored, and that nothing is left in the alias zone.
fn assert_issued(bed: &TestBed) -> Result {
    assert_eq!(bed.certificate("example")?.names, ["example.com"]);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn the_example_obtains_a_certificate() -> Result {
    let bed = TestBed::start()?;
    let outcome = Example::build(&bed)?.run("example.com")?;
    outcome.assert_success();
    let folder = bed.certificate("example")?.folder.display().to_string();
    assert!(outcome.stdout.contains(&folder), "{outcome}");
    assert_issued(&bed)
}

#[test]
fn the_example_removes_what_a_killed_run_left() -> Result {
    let bed = TestBed::start()?;
    let example = Example::build(&bed)?;
    let stuck = bed.stuck_server()?;
    let mut waiting = example.clone();
    waiting.settings.alias_zones[0]
        .servers
        .push(stuck.address());

    let running = waiting.spawn("example.com")?;
    wait_for_value(&bed)?;
    running.kill()?;
    assert_eq!(bed.txt()?.len(), 1);

    example.run("example.com")?.assert_success();
    // The order of the killed run is resumed.
    assert_eq!(bed.orders()?, 1);
    assert_issued(&bed)
}

/// An engine with a store and a ledger in the state folder of a bed.
async fn engine(bed: &TestBed, settings: &Settings) -> Result<Engine> {
    let clock = Arc::new(SystemClock);
    let store = FileStore::open(&settings.state, FileStoreOptions::default()).await?;
    let ledger = FileLedger::open(&settings.state.join("ledger"), clock).await?;
    let ca = CaConfig::new(bed.directory())
        .with_extra_root(fs::read(bed.ca_file())?)
        .with_agree_tos(true);
    let mut dns = dns::Config {
        resolvers: vec![settings.resolver],
        ..dns::Config::default()
    };
    let alias_zones = settings.alias_zones.iter();
    let alias_zones = alias_zones.map(|zone| (&zone.zone, &zone.servers));
    let zones = settings.zones.iter().map(|(zone, servers)| (zone, servers));
    for (zone, servers) in zones.chain(alias_zones) {
        dns.zones.push(dns::ZoneServers {
            zone: zone.parse()?,
            servers: servers.clone(),
        });
    }
    let key = TsigKey::from_text(bed.key(ALIAS_ZONE)?.to_string())?;
    let certificate = CertificateRequest::new("example".parse()?, ["example.com".parse()?]);
    let builder = Engine::builder(Arc::new(store), Arc::new(ledger))
        .ca(ca)
        .dns(dns)
        .alias_zone(ALIAS_ZONE.parse()?, Rfc2136::new(bed.primary().into(), key))
        .certificate(certificate);
    Ok(builder.build()?)
}

/// Obtains what is due.
async fn run(engine: Engine) -> Result<RunReport> {
    let options = RunOptions {
        selection: Selection::All,
        // The lease of a dropped job ends a moment after its future.
        wait: true,
        ..RunOptions::default()
    };
    Ok(engine.run(&options).await?)
}

#[test]
fn a_run_whose_future_is_dropped_leaves_nothing_that_the_next_run_does_not_remove() -> Result {
    let bed = TestBed::start()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let stuck = bed.stuck_server()?;
    let mut settings = bed.settings();
    settings.alias_zones[0].servers.push(stuck.address());

    // The future is dropped, and the process and its runtime go on.
    let dropped = runtime.spawn(run(runtime.block_on(engine(&bed, &settings))?));
    wait_for_value(&bed)?;
    dropped.abort();
    assert!(
        runtime
            .block_on(dropped)
            .is_err_and(|error| error.is_cancelled())
    );

    let next = runtime.block_on(engine(&bed, &bed.settings()))?;
    let report = runtime.block_on(run(next))?;
    assert!(report.reconciliation.left.is_empty(), "{report:?}");
    assert!(
        report.jobs.iter().all(|job| job.outcome.is_ok()),
        "{report:?}"
    );
    assert_issued(&bed)
}
