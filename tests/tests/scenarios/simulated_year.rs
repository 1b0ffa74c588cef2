//! A year of renewals twice a day, on a clock that the test moves.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use acme_alias_core::acme::CaConfig;
use acme_alias_core::clock::Clock;
use acme_alias_core::dns;
use acme_alias_core::engine::{Engine, JobOutcome, RunOptions, RunReport, Selection};
use acme_alias_core::issue::CertificateRequest;
use acme_alias_core::ledger::FileLedger;
use acme_alias_core::store::{FileStore, FileStoreOptions, Store};
use acme_alias_core::testkit::ManualClock;
use acme_alias_rfc2136::{Rfc2136, TsigKey};
use acme_alias_tests::{ALIAS_ZONE, IssuedByCa, Result, SimulatedCa, TestBed, Validation};
use jiff::{SignedDuration, Timestamp};

const HALF_A_DAY: SignedDuration = SignedDuration::from_hours(12);
/// The certificates, each with its profile and the days that are always left of it.
const CERTIFICATES: [(&str, &str, i64); 3] = [
    ("classic", "classic", 27),
    ("tlsserver", "tlsserver", 13),
    ("short", "shortlived", 2),
];
/// On these days the CA does not work.
const DOWN: [std::ops::Range<i64>; 2] = [100..101, 200..201];

struct Year {
    bed: TestBed,
    ca: SimulatedCa,
    clock: Arc<ManualClock>,
    begun: Timestamp,
    store: Arc<FileStore>,
    ledger: Arc<FileLedger>,
    engine: Engine,
}

impl Year {
    async fn start(has_renewal_info: bool) -> Result<Year> {
        let hosts = CERTIFICATES.map(|(id, ..)| format!("{id}.example.com"));
        let bed = TestBed::builder().delegate_apart(&hosts).start()?;
        let begun = Timestamp::now();
        let clock = Arc::new(ManualClock::new(begun));
        let shared: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let validation = Validation::At(bed.ca_resolver());
        let ca = SimulatedCa::start_at(validation, Arc::clone(&shared), has_renewal_info)?;
        let settings = bed.settings_with(&ca);
        let options = FileStoreOptions {
            clock: Arc::clone(&shared),
            ..FileStoreOptions::default()
        };
        let store = Arc::new(FileStore::open(&settings.state, options).await?);
        let ledger = settings.state.join("ledger");
        let ledger = Arc::new(FileLedger::open(&ledger, Arc::clone(&shared)).await?);
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
        let config = CaConfig::new(ca.directory())
            .with_extra_root(fs::read(ca.root())?)
            .with_agree_tos(true);
        let (kept, log) = (Arc::clone(&store), Arc::clone(&ledger));
        let mut builder = Engine::builder(kept, log)
            .clock(shared)
            .ca(config)
            .dns(dns)
            .runs_every(HALF_A_DAY)
            .alias_zone(ALIAS_ZONE.parse()?, Rfc2136::new(bed.primary().into(), key));
        for (id, profile, _) in CERTIFICATES {
            let name = format!("{id}.example.com").parse()?;
            let mut request = CertificateRequest::new(id.parse()?, [name]);
            request.chosen.profile = Some(profile.to_owned());
            builder = builder.certificate(request);
        }
        Ok(Year {
            engine: builder.build()?,
            bed,
            ca,
            clock,
            begun,
            store,
            ledger,
        })
    }

    fn day(&self) -> i64 {
        self.clock.now().duration_since(self.begun).as_hours() / 24
    }

    async fn run(&self) -> Result<RunReport> {
        let options = RunOptions {
            selection: Selection::All,
            ..RunOptions::default()
        };
        let report = self.engine.run(&options).await?;
        let (now, next) = (
            self.clock.now(),
            self.engine.next_run(&report, &options).await?,
        );
        let usual = now + HALF_A_DAY;
        let soonest = dues(&report).chain([usual]).min();
        if report.jobs.iter().all(|job| job.outcome.is_ok()) {
            assert_eq!(Some(next), soonest, "day {}: {report:?}", self.day());
        } else {
            // A process that waits for it tries again, and not at once.
            assert!(next > now && next <= usual, "day {}: {next}", self.day());
        }
        Ok(report)
    }

    /// Runs twice a day, and looks at every certificate after each run.
    async fn pass(&self) -> Result {
        for _ in 0..2 * 365 {
            let is_down = DOWN.iter().any(|days| days.contains(&self.day()));
            self.ca.set_down(is_down);
            let report = self.run().await?;
            let failed = report
                .jobs
                .iter()
                .filter(|job| job.outcome.is_err())
                .count();
            assert!(failed == 0 || is_down, "day {}: {report:?}", self.day());
            for (id, _, days) in CERTIFICATES {
                let stored = self.store.certificate(&id.parse()?).await?;
                let left =
                    stored.map(|stored| stored.info.not_after.duration_since(self.clock.now()));
                let left = left.map_or(-1, |left| left.as_hours() / 24);
                // The CA cannot be blamed for what it could not do.
                let days = if is_down { days - 1 } else { days };
                assert!(
                    left >= days,
                    "day {}: {id} has {left} days left",
                    self.day()
                );
            }
            self.clock.advance(HALF_A_DAY);
        }
        self.ca.set_down(false);
        Ok(())
    }
}

/// The times at which the certificates are due.
fn dues(report: &RunReport) -> impl Iterator<Item = Timestamp> {
    let obtained = report.jobs.iter().filter_map(|job| match &job.outcome {
        Ok(JobOutcome::Issued { due, .. }) => Some(due.at),
        _ => None,
    });
    obtained.chain(report.not_due.iter().map(|one| one.due))
}

/// The certificates for a name, oldest first.
fn of_each(issued: Vec<IssuedByCa>) -> BTreeMap<String, Vec<IssuedByCa>> {
    let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for one in issued {
        all.entry(one.names.join(" ")).or_default().push(one);
    }
    all
}

fn year(has_renewal_info: bool) -> Result {
    let runtime = tokio::runtime::Runtime::new()?;
    let year = runtime.block_on(Year::start(has_renewal_info))?;
    runtime.block_on(year.pass())?;
    let of_each = of_each(year.ca.issued());
    let mut renewals = 0;
    for (id, profile, _) in CERTIFICATES {
        let issued = &of_each[&format!("{id}.example.com")];
        let lifetime = issued[0].not_after.duration_since(issued[0].not_before);
        // Nothing is renewed for nothing: at the earliest in the last run before half of the lifetime is over.
        let shortest = lifetime / 2 - HALF_A_DAY;
        let most = usize::try_from(365 * 24 / shortest.as_hours() + 2)?;
        assert!(
            issued.len() <= most,
            "{id}: {} certificates of {lifetime}",
            issued.len()
        );
        assert!(profile != "classic" || issued.len() >= 6);
        renewals += issued.len() - 1;
    }
    assert!(renewals > 100, "{renewals} renewals");
    // All that the CA has opened was obtained: nothing was refused for its limits, and nothing paid for was lost.
    assert_eq!(year.ca.orders(), year.ca.certificates());
    let verified = runtime.block_on(year.ledger.verify())?;
    assert_eq!(
        (verified.damage_count, verified.open),
        (0, 0),
        "{verified:?}"
    );
    year.bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_year_without_renewal_information() -> Result {
    year(false)
}

#[test]
fn a_year_with_renewal_information() -> Result {
    year(true)
}
