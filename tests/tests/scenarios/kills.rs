//! A run is killed at any moment. A plain `renew` recovers: certificate, zone, ledger and hook.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use acme_alias_core::crash::Point;
use acme_alias_tests::{
    ALIAS_ZONE, BedServer, Error, Profile, Program, RecordingHook, Result, Settings, TestBed,
};
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};

const RTT: Duration = Duration::from_millis(40);
/// Kills at random moments: one in each first issuance, one in each forced renewal.
const PAIRS_OF_KILLS: usize = 25;
/// Pairs at a time. They spend most of their time waiting for servers.
const AT_ONCE: usize = 4;

/// How a run that is to be killed begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// There is no certificate and no account.
    First,
    /// The certificate is there, and not due.
    Forced,
}

/// A certificate in a state folder of its own, with an alias name of its own.
struct Fixture<'a> {
    bed: &'a TestBed,
    program: Program,
    name: String,
    hook: RecordingHook,
}

impl<'a> Fixture<'a> {
    /// The domain must be delegated apart.
    fn new(bed: &'a TestBed, mut settings: Settings, name: &str) -> Result<Fixture<'a>> {
        let hook = RecordingHook::new(&bed.folder().join(format!("{name}.deployed")));
        settings.state = bed.folder().join(name);
        let domain = domain(name);
        let file = bed.folder().join(format!("{name}.key"));
        let lines = format!(
            "domains = [\"{domain}\", \"*.{domain}\"]\n\
             deploy = [{{ kind = 'files', key = '{}' }}]\n{}",
            file.display(),
            hook.setting()
        );
        Ok(Fixture {
            bed,
            program: bed.program(settings.certificate("web", &lines))?,
            name: name.to_owned(),
            hook,
        })
    }

    /// Runs a plain `renew`, and checks that everything is as if no run had been killed.
    fn recover(&self) -> Result {
        let outcome = self.program.run(&["renew"])?;
        expect(outcome.code == Some(0), || outcome.to_string())?;
        let alias_name = format!("{}.{ALIAS_ZONE}", domain(&self.name));
        let txt = self.bed.txt()?;
        let left = txt.iter().filter(|txt| txt.name == alias_name).count();
        expect(left == 0, || format!("{left} TXT records left"))?;

        let certificate = self.bed.certificate_in(&self.name, "web")?;
        let names = [format!("*.{}", domain(&self.name)), domain(&self.name)];
        expect(certificate.names == names, || {
            format!("a certificate for {:?}", certificate.names)
        })?;
        let verified = self
            .program
            .run(&["ledger", "verify", "--output", "json"])?;
        expect(verified.code == Some(0), || verified.to_string())?;
        let open = &verified.json()?["open"];
        expect(open == 0, || format!("{open} values open in the ledger"))?;
        let deployed = self.hook.certificates()?;
        expect(deployed.last() == Some(&certificate.pem), || {
            let runs = deployed.len();
            format!("the hook ran {runs} times, the last time not for the stored version")
        })
    }
}

fn domain(name: &str) -> String {
    format!("{name}.example.com")
}

fn expect(holds: bool, otherwise: impl Fn() -> String) -> Result {
    if holds {
        return Ok(());
    }
    Err(Error::new(otherwise()))
}

/// Runs `renew` until it dies at this point. It must not end in another way.
fn crash(program: &Program, arguments: &[&str], point: Point) -> Result {
    let doomed = program
        .clone()
        .env("FAILPOINTS", format!("{}=return", point.name()));
    // Pebble reuses one authorization in a hundred, whatever it is told. A run for which it
    // reuses all of them writes no TXT, and does not pass some points.
    for _ in 0..3 {
        let outcome = doomed.run(arguments)?;
        if outcome.code != Some(0) {
            return expect(outcome.code.is_none(), || outcome.to_string());
        }
    }
    Err(Error::new("a run does not pass this point"))
}

/// The points that a run passes from such a start.
fn points(start: Start) -> impl Iterator<Item = Point> {
    // A forced renewal has its account already.
    Point::ALL.iter().copied().filter(move |point| {
        start == Start::First || !matches!(point, Point::AccountMade | Point::AccountKept)
    })
}

fn fixture_name(start: Start, point: Point) -> String {
    format!("{start:?}-{}", point.name()).to_lowercase()
}

fn recovers_from_a_crash(bed: &TestBed, start: Start, point: Point) -> Result {
    let fixture = Fixture::new(bed, bed.settings(), &fixture_name(start, point))?;
    match start {
        Start::First => crash(&fixture.program, &["renew"], point)?,
        Start::Forced => {
            fixture.recover()?;
            crash(&fixture.program, &["renew", "--force"], point)?;
        }
    }
    fixture.recover()
}

#[test]
fn renew_recovers_from_a_kill_at_any_failpoint() -> Result {
    let starts = [Start::First, Start::Forced];
    let cases = || {
        starts
            .into_iter()
            .flat_map(|start| points(start).map(move |p| (start, p)))
    };
    let domains: Vec<_> = cases()
        .map(|(start, point)| domain(&fixture_name(start, point)))
        .collect();
    let bed = TestBed::builder()
        .delegate_apart(&domains)
        .profile(Profile::Failpoints)
        .start()?;
    let failures = thread::scope(|scope| {
        let bed = &bed;
        let threads = starts.map(|start| {
            scope.spawn(move || {
                points(start)
                    .filter_map(|point| {
                        let failure = recovers_from_a_crash(bed, start, point).err()?;
                        Some(format!("{start:?}, {}: {failure}", point.name()))
                    })
                    .collect::<Vec<_>>()
            })
        });
        threads.map(|thread| thread.join().unwrap()).concat()
    });
    assert_none(&failures, cases().count());
    bed.assert_only_txt_was_touched(&[])
}

#[track_caller]
fn assert_none(failures: &[String], of: usize) {
    let count = failures.len();
    assert!(
        count == 0,
        "{count} of {of} failed:\n{}",
        failures.join("\n")
    );
}

/// Kills a run after this time, unless it has ended.
fn kill_after(program: &Program, arguments: &[&str], time: Duration) -> Result {
    let running = program.spawn(arguments)?;
    thread::sleep(time);
    running.kill()
}

/// A first issuance and a forced renewal.
const COMMANDS: [&[&str]; 2] = [&["renew"], &["renew", "--force"]];

/// Kills the commands at random moments within their lengths.
fn recovers_from_kills(fixture: &Fixture<'_>, seed: u64, lengths: [Duration; 2]) -> Vec<String> {
    let mut random = StdRng::seed_from_u64(seed);
    let kill_and_recover = |(arguments, length): (&[&str], Duration)| {
        let time = length.mul_f64(random.random());
        let recovered = kill_after(&fixture.program, arguments, time).and(fixture.recover());
        let failure = recovered.err()?;
        Some(format!(
            "{arguments:?}, seed {seed}, killed after {time:?}: {failure}"
        ))
    };
    let runs = COMMANDS.into_iter().zip(lengths);
    runs.filter_map(kill_and_recover).collect()
}

#[test]
fn renew_recovers_from_kill_9_at_random_moments() -> Result {
    let name = |pair: usize| format!("pair{pair}");
    let domains: Vec<_> = (0..=PAIRS_OF_KILLS)
        .map(|pair| domain(&name(pair)))
        .collect();
    let bed = TestBed::builder().delegate_apart(&domains).start()?;
    let far = bed.far(RTT)?;
    // The seed of a failed test can be given again.
    let seed = match std::env::var("ACME_ALIAS_TESTS_SEED") {
        Ok(seed) => seed.parse()?,
        Err(_) => rand::rng().next_u64() >> 16,
    };

    let first = Fixture::new(&bed, far.settings(), &name(0))?;
    let mut lengths = [Duration::ZERO; 2];
    for (command, length) in COMMANDS.into_iter().zip(&mut lengths) {
        *length = first.program.run(command)?.usage.wall;
    }
    let next = AtomicUsize::new(1);
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let pair = next.fetch_add(1, Ordering::Relaxed);
                    if pair > PAIRS_OF_KILLS {
                        break;
                    }
                    let fixture = Fixture::new(&bed, far.settings(), &name(pair)).unwrap();
                    let failed = recovers_from_kills(&fixture, seed + pair as u64, lengths);
                    let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
                    failures.extend(failed);
                }
            });
        }
    });
    let failures = failures
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    eprintln!("seed {seed}, lengths {lengths:?}");
    assert_none(&failures, PAIRS_OF_KILLS * 2);
    assert!(far.traffic().updates(BedServer::Primary) > PAIRS_OF_KILLS);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn renew_obtains_what_a_killed_issue_had_ordered_by_flags() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .profile(Profile::Failpoints)
        .start()?;
    // The CA can see the delegation, and the program cannot.
    let mut settings = bed.settings();
    let dead = bed.dead_port()?;
    settings.zones[0].1 = vec![dead.address()];
    let program = bed.program(settings)?;
    let issue = ["issue", "example.com", "--challenge-alias", ALIAS_ZONE];
    program.run(&issue)?.assert_failure(3, &["example.com"]);

    let issue = [
        &issue[..],
        &["--key-type", "ecdsa-p384", "--skip-preflight"],
    ]
    .concat();
    crash(&program, &issue, Point::OrderOpened)?;
    // The attempt before was a failure, after which a run waits for a minute.
    let later = program.clock("+61s");
    later.run(&["renew"])?.assert_success();
    assert_eq!(bed.certificate("example-com")?.names, ["example.com"]);
    bed.assert_only_txt_was_touched(&[])
}
