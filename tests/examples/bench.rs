//! This program beside Debian's `lego` on loopback, and alone with every server 40 ms away: medians, as
//! Markdown tables. `cargo xtask bench` runs it.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints its tables and reports its progress"
)]

use std::path::PathBuf;
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use acme_alias_tests::{
    ALIAS_ZONE, Error, Far, Profile, Program, Result, Settings, TestBed, Usage, measure, median,
};

const CERTIFICATES: usize = 20;
const RTT: Duration = Duration::from_millis(40);

/// Something to obtain: certificates, each with its names.
struct Case {
    title: &'static str,
    certificates: Vec<Vec<String>>,
}

/// What one run needed, and what the servers saw of it.
struct Sample {
    usage: Usage,
    updates: u32,
    requests: usize,
    txt_left: usize,
}

/// A program that can be measured.
trait Contender {
    fn title(&self) -> &'static str;
    /// Obtains the certificates of a case.
    fn obtain(&self, bed: &TestBed, case: &Case) -> Result<Usage>;
}

fn main() -> Result {
    // Runs of each case, of which the medians are shown.
    let runs: usize = std::env::args().nth(1).map_or(Ok(5), |runs| runs.parse())?;
    let cases = cases();
    let names: Vec<_> = cases
        .iter()
        .flat_map(|case| case.certificates.concat())
        .collect();
    let mut delegated: Vec<_> = names
        .iter()
        .map(|name| name.trim_start_matches("*."))
        .collect();
    delegated.sort_unstable();
    delegated.dedup();
    let bed = TestBed::builder()
        .delegate_apart(&delegated)
        .profile(Profile::Release)
        .start()?;
    let contenders: [&dyn Contender; 2] = [
        &AcmeAlias::new(&bed, bed.settings(), &cases)?,
        &Lego {
            folder: bed.folder().join("lego"),
        },
    ];

    // Both make their account now, so that no sample has it.
    for contender in contenders {
        contender.obtain(&bed, &cases[0])?;
    }
    println!("| | | wall | CPU | peak memory | UPDATEs | ACME requests | TXT left |");
    println!("|---|---|---:|---:|---:|---:|---:|---:|");
    for case in &cases {
        for contender in contenders {
            eprintln!("{}: {}", contender.title(), case.title);
            let samples = (0..runs)
                .map(|_| sample(&bed, contender, case))
                .collect::<Result<Vec<_>>>()?;
            println!(
                "| {} | {} | {} |",
                case.title,
                contender.title(),
                row(&samples)
            );
        }
    }
    println!(
        "\nMedians of {runs} runs, the account being there already. lego's {CERTIFICATES} \
         certificates are {CERTIFICATES} processes at once; CPU and memory are those of all."
    );
    far(&bed, &cases, runs)
}

/// What one run needed with every server 40 ms away.
struct FarSample {
    sample: Sample,
    queries: usize,
}

/// The table with every server 40 ms away.
fn far(bed: &TestBed, cases: &[Case], runs: usize) -> Result {
    let far = bed.far(RTT)?;
    let program = AcmeAlias::new(bed, far.settings(), cases)?;
    program.obtain(bed, &cases[0])?;
    println!(
        "\n| every server {} ms away | wall | round trips | DNS queries | CPU | UPDATEs | ACME requests |",
        RTT.as_millis()
    );
    println!("|---|---:|---:|---:|---:|---:|---:|");
    for case in cases {
        eprintln!("{} ms away: {}", RTT.as_millis(), case.title);
        let samples = (0..runs)
            .map(|_| far_sample(bed, &far, &program, case))
            .collect::<Result<Vec<_>>>()?;
        let wall = median(&samples, |far| far.sample.usage.wall);
        println!(
            "| {} | {:.2} s | {:.0} | {} | {:.2} s | {} | {} |",
            case.title,
            wall.as_secs_f64(),
            wall.as_secs_f64() / RTT.as_secs_f64(),
            median(&samples, |far| far.queries),
            median(&samples, |far| far.sample.usage.cpu).as_secs_f64(),
            median(&samples, |far| far.sample.updates),
            median(&samples, |far| far.sample.requests),
        );
    }
    println!("\nRound trips are the wall time divided by that of one. Medians of {runs} runs.");
    Ok(())
}

fn far_sample(bed: &TestBed, far: &Far, program: &AcmeAlias, case: &Case) -> Result<FarSample> {
    let queries = far.dns_queries();
    let sample = sample(bed, program, case)?;
    Ok(FarSample {
        sample,
        queries: far.dns_queries() - queries,
    })
}

fn cases() -> Vec<Case> {
    let hosts = |count: usize| (1..=count).map(|i| format!("host{i:02}.example.com"));
    vec![
        Case {
            title: "1 name",
            certificates: vec![vec!["example.com".to_owned()]],
        },
        Case {
            title: "apex + wildcard",
            certificates: vec![vec!["example.com".to_owned(), "*.example.com".to_owned()]],
        },
        Case {
            title: "50 names in one certificate",
            certificates: vec![hosts(50).collect()],
        },
        Case {
            title: "20 certificates",
            certificates: hosts(CERTIFICATES).map(|host| vec![host]).collect(),
        },
    ]
}

fn sample(bed: &TestBed, contender: &dyn Contender, case: &Case) -> Result<Sample> {
    let (serial, requests) = (bed.serial(ALIAS_ZONE)?, bed.acme_requests()?);
    let usage = contender.obtain(bed, case)?;
    Ok(Sample {
        usage,
        updates: bed.serial(ALIAS_ZONE)? - serial,
        requests: bed.acme_requests()? - requests,
        txt_left: bed.txt()?.len(),
    })
}

fn row(samples: &[Sample]) -> String {
    let seconds = |duration: Duration| format!("{:.2} s", duration.as_secs_f64());
    [
        seconds(median(samples, |sample| sample.usage.wall)),
        seconds(median(samples, |sample| sample.usage.cpu)),
        format!(
            "{} MB",
            median(samples, |sample| sample.usage.peak_memory) / 1_000_000
        ),
        median(samples, |sample| sample.updates).to_string(),
        median(samples, |sample| sample.requests).to_string(),
        median(samples, |sample| sample.txt_left).to_string(),
    ]
    .join(" | ")
}

/// This program: the settings define a certificate per certificate of every case.
struct AcmeAlias {
    program: Program,
}

impl AcmeAlias {
    fn new(bed: &TestBed, mut settings: Settings, cases: &[Case]) -> Result<Self> {
        for case in cases {
            for (id, names) in ids(case).iter().zip(&case.certificates) {
                settings = settings.certificate(id, &format!("domains = {names:?}"));
            }
        }
        Ok(AcmeAlias {
            program: bed.program(settings)?,
        })
    }
}

fn ids(case: &Case) -> Vec<String> {
    let title = case.title.replace(" + ", "-").replace(' ', "-");
    (1..=case.certificates.len())
        .map(|i| format!("{title}-{i}"))
        .collect()
}

impl Contender for AcmeAlias {
    fn title(&self) -> &'static str {
        "acme-alias"
    }

    fn obtain(&self, _: &TestBed, case: &Case) -> Result<Usage> {
        let mut arguments = vec!["renew".to_owned(), "--force".to_owned()];
        arguments.extend(ids(case));
        let outcome = self.program.run(&arguments)?;
        outcome.assert_success();
        Ok(outcome.usage)
    }
}

/// Debian's `lego` with the least waiting that works: its pauses are whole seconds, and without
/// any it asks the CA before the secondary has the value.
struct Lego {
    folder: PathBuf,
}

impl Contender for Lego {
    fn title(&self) -> &'static str {
        "lego"
    }

    fn obtain(&self, bed: &TestBed, case: &Case) -> Result<Usage> {
        let started = Instant::now();
        let usages: Vec<_> = thread::scope(|scope| {
            let runs: Vec<_> = case
                .certificates
                .iter()
                .map(|names| scope.spawn(|| self.obtain_one(bed, names)))
                .collect();
            runs.into_iter().map(ScopedJoinHandle::join).collect()
        });
        let mut total = Usage::default();
        for usage in usages {
            let usage = usage.map_err(|_| Error::new("a thread that ran lego panicked"))??;
            total.cpu += usage.cpu;
            total.peak_memory += usage.peak_memory;
        }
        total.wall = started.elapsed();
        Ok(total)
    }
}

impl Lego {
    fn obtain_one(&self, bed: &TestBed, names: &[String]) -> Result<Usage> {
        let key = bed.key(ALIAS_ZONE)?;
        measure("lego", |command| {
            command
                .args(["--accept-tos", "--email", "admin@example.com"])
                .args(["--server", &bed.directory()])
                .arg("--path")
                .arg(&self.folder)
                .args(["--dns", "rfc2136", "--dns.disable-cp"])
                .args(["--dns.resolvers", &bed.resolver().to_string()])
                .args(names.iter().flat_map(|name| ["--domains", name]))
                .arg("run")
                .env("LEGO_CA_CERTIFICATES", bed.ca_file())
                .env("LEGO_EXPERIMENTAL_CNAME_SUPPORT", "true")
                .env("RFC2136_NAMESERVER", bed.primary().to_string())
                .env("RFC2136_TSIG_KEY", &key.name)
                .env("RFC2136_TSIG_SECRET", &key.secret)
                .env("RFC2136_TSIG_ALGORITHM", format!("{}.", key.algorithm))
                // Else the CA has cached the values of the run before.
                .env("RFC2136_TTL", "0")
                .env("RFC2136_POLLING_INTERVAL", "1")
                .env("RFC2136_SEQUENCE_INTERVAL", "0")
        })
    }
}
