//! This program beside Debian's `lego` and the newest `certbot`, on loopback and with every server 40 ms away: medians,
//! as Markdown tables. `cargo xtask bench` runs it.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints its tables and reports its progress"
)]

mod case;
mod peers;

use std::time::Duration;

use acme_alias_tests::{
    ALIAS_ZONE, Far, Profile, Program, Result, Settings, TestBed, Usage, median,
};

use self::case::{Case, Contender};
use self::peers::{Certbot, Lego};

const CERTIFICATES: usize = 20;
const RTT: Duration = Duration::from_millis(40);
/// What takes longer than this is measured once.
const SLOW: Duration = Duration::from_secs(20);

/// What one run needed, and what the servers saw of it.
struct Sample {
    usage: Usage,
    updates: u32,
    requests: usize,
    txt_left: usize,
    /// DNS queries that passed the relays.
    queries: usize,
}

fn main() -> Result {
    let mut arguments = std::env::args().skip(1);
    // Runs of each case, of which the medians are shown.
    let runs: usize = arguments.next().map_or(Ok(5), |runs| runs.parse())?;
    // The titles of the cases; all if there are none.
    let titles: Vec<_> = arguments.collect();
    let mut cases = cases();
    cases.retain(|case| titles.is_empty() || titles.iter().any(|title| title == case.title));
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
    let place = Place {
        bed: &bed,
        settings: bed.settings(),
        far: None,
    };
    println!("| loopback | | wall | CPU | peak memory | UPDATEs | ACME requests | TXT left |");
    println!("|---|---|---:|---:|---:|---:|---:|---:|");
    place.measure(&cases, runs, |samples, _| near_row(samples))?;
    let far = bed.far(RTT)?;
    let place = Place {
        settings: far.settings(),
        far: Some(&far),
        ..place
    };
    println!(
        "\n| every server {} ms away | | wall | compared | round trips | DNS queries | CPU | UPDATEs | ACME requests |",
        RTT.as_millis()
    );
    println!("|---|---|---:|---:|---:|---:|---:|---:|---:|");
    place.measure(&cases, runs, far_row)?;
    println!(
        "\nMedians of {runs} runs, or one run if it took more than {} s, the account being there already. Round trips are the wall time divided by that of \
         one. lego's {CERTIFICATES} certificates are {CERTIFICATES} processes at once, certbot's are one after the \
         other; CPU and memory are those of all.",
        SLOW.as_secs()
    );
    Ok(())
}

/// The servers of a bed, near or far.
struct Place<'a> {
    bed: &'a TestBed,
    settings: Settings,
    far: Option<&'a Far>,
}

impl Place<'_> {
    /// Prints a row for each case and contender, made of its samples and the wall time of this program.
    fn measure(
        &self,
        cases: &[Case],
        runs: usize,
        row: impl Fn(&[Sample], Duration) -> String,
    ) -> Result {
        // All make their account first, so that no sample has it.
        let first = Case {
            title: "account",
            certificates: vec![cases[0].certificates[0][..1].to_vec()],
        };
        let own_cases = cases.iter().chain([&first]);
        let contenders: [&dyn Contender; 3] = [
            &AcmeAlias::new(self.bed, self.settings.clone(), own_cases)?,
            &Lego::new(self.bed, &self.settings),
            &Certbot::new(self.bed, &self.settings)?,
        ];
        for contender in contenders {
            contender.obtain(self.bed, &first)?;
        }
        for case in cases {
            let mut own = Duration::ZERO;
            for contender in contenders {
                eprintln!("{}: {}", contender.title(), case.title);
                let mut samples = Vec::with_capacity(runs);
                while samples.len() < runs {
                    let sample = self.sample(contender, case)?;
                    let is_slow = sample.usage.wall > SLOW;
                    samples.push(sample);
                    if is_slow {
                        break;
                    }
                }
                if own.is_zero() {
                    own = median(&samples, |sample| sample.usage.wall);
                }
                println!(
                    "| {} | {} | {} |",
                    case.title,
                    contender.title(),
                    row(&samples, own)
                );
            }
        }
        Ok(())
    }

    fn sample(&self, contender: &dyn Contender, case: &Case) -> Result<Sample> {
        let queries = || self.far.map_or(0, Far::dns_queries);
        let (serial, requests) = (self.bed.serial(ALIAS_ZONE)?, self.bed.acme_requests()?);
        let before = queries();
        let usage = contender.obtain(self.bed, case)?;
        Ok(Sample {
            usage,
            updates: self.bed.serial(ALIAS_ZONE)? - serial,
            requests: self.bed.acme_requests()? - requests,
            txt_left: self.bed.txt()?.len(),
            queries: queries() - before,
        })
    }
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

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

fn near_row(samples: &[Sample]) -> String {
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

/// `own` is the wall time of this program.
fn far_row(samples: &[Sample], own: Duration) -> String {
    let wall = median(samples, |sample| sample.usage.wall);
    [
        seconds(wall),
        format!("{:.1} ×", wall.as_secs_f64() / own.as_secs_f64()),
        format!("{:.0}", wall.as_secs_f64() / RTT.as_secs_f64()),
        median(samples, |sample| sample.queries).to_string(),
        seconds(median(samples, |sample| sample.usage.cpu)),
        median(samples, |sample| sample.updates).to_string(),
        median(samples, |sample| sample.requests).to_string(),
    ]
    .join(" | ")
}

/// This program: the settings define a certificate per certificate of every case.
struct AcmeAlias {
    program: Program,
}

impl AcmeAlias {
    fn new<'a>(
        bed: &TestBed,
        mut settings: Settings,
        cases: impl Iterator<Item = &'a Case>,
    ) -> Result<Self> {
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
