//! One `renew` over many certificates with one name each, near and 40 ms away, as a Markdown table.
//! `cargo xtask bench` runs it. Arguments are the numbers of certificates.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints its table and reports its progress"
)]

use std::time::Duration;

use acme_alias_tests::{
    BedServer, Far, Fault, Profile, Program, Result, SimulatedCa, TestBed, Usage, Validation,
};

/// Certificates in a run by default.
const NUMBERS: [u32; 2] = [1_000, 10_000];
/// With more certificates than this, Pebble stops answering: it locks itself up when many orders are opened at once.
const PEBBLE_MAX: u32 = 100;
const DISTANCES: [(&str, Duration); 2] = [
    ("near", Duration::ZERO),
    ("40 ms away", Duration::from_millis(40)),
];
/// This argument lets the simulated CA serve any number: the difference to Pebble is the share of the CA.
const SIMULATED: &str = "simulated";
/// A run that takes longer than this hangs.
const LIMIT: Duration = Duration::from_hours(1);

fn main() -> Result {
    let (words, numbers): (Vec<_>, Vec<_>) = std::env::args()
        .skip(1)
        .partition(|argument| argument == SIMULATED);
    let pebble_max = if words.is_empty() { PEBBLE_MAX } else { 0 };
    let numbers = numbers.iter().map(|number| Ok(number.parse()?));
    let mut numbers = numbers.collect::<Result<Vec<u32>>>()?;
    if numbers.is_empty() {
        numbers.extend(NUMBERS);
    }
    println!(
        "\n| `renew`, one name each | CA | servers | wall | per second | own CPU per certificate \
         | peak memory | DNS queries per certificate | UPDATEs | exit code | orders \
         | TXT left |"
    );
    println!("|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    // A file system is slow to create files for minutes after many were removed (ext4 looks at each
    // inode that was freed a short time ago), so the beds are removed at the end.
    let mut beds = Vec::new();
    for number in numbers {
        for (distance, rtt) in DISTANCES {
            beds.push(measure(number, distance, rtt, pebble_max)?);
        }
        beds.push(recover(number)?);
    }
    println!(
        "\nOne run each. The account does not exist before. DNS queries are those of the program, \
         without the CA's."
    );
    Ok(())
}

/// Prints a row for a run that obtains all certificates, and one for a run in which none is due.
fn measure(number: u32, distance: &str, rtt: Duration, pebble_max: u32) -> Result<TestBed> {
    let hosts: Vec<_> = (1..=number).map(|i| format!("h{i}.example.com")).collect();
    let bed = TestBed::builder()
        .delegate_apart(&hosts)
        .profile(Profile::Release)
        .start()?;
    let simulated = if number > pebble_max {
        Some(SimulatedCa::start(Validation::At(bed.ca_resolver()))?)
    } else {
        None
    };
    let far = match &simulated {
        Some(ca) => bed.far_with(rtt, ca)?,
        None => bed.far(rtt)?,
    };
    let settings = far.settings().certificates(&hosts);
    let run = Run {
        bed: &bed,
        ca: simulated.as_ref(),
        program: bed.program(settings)?.limit(LIMIT),
        far: &far,
        number,
        distance,
    };
    run.row("all due")?;
    run.row("none due")?;
    Ok(bed)
}

/// How far a run has come when it is killed.
const KILLED_AFTER: Duration = Duration::from_secs(3);

/// Prints a row for the `renew` that follows a `kill -9` in the middle of a run. All servers are 40 ms away, one
/// more name server of the alias zone is dead, and the CA's resolver caches.
fn recover(number: u32) -> Result<TestBed> {
    let hosts: Vec<_> = (1..=number).map(|i| format!("h{i}.example.com")).collect();
    let bed = TestBed::builder()
        .delegate_apart(&hosts)
        .faulty_server(Fault::Dead)
        .profile(Profile::Release)
        .start()?;
    let ca = SimulatedCa::start(Validation::At(bed.ca_resolver()))?;
    let far = bed.far_with(DISTANCES[1].1, &ca)?;
    let program = bed
        .program(far.settings().certificates(&hosts))?
        .limit(LIMIT);
    let killed = program.spawn(&["renew"])?;
    // The moment is arbitrary: somewhere in the middle.
    std::thread::sleep(KILLED_AFTER);
    killed.kill()?;
    eprintln!(
        "killed: {} TXT records left, {} orders",
        bed.txt()?.len(),
        ca.orders()
    );
    let run = Run {
        bed: &bed,
        ca: Some(&ca),
        program,
        far: &far,
        number,
        distance: "40 ms away, one more is dead",
    };
    run.row("after `kill -9`")?;
    run.row("none due")?;
    Ok(bed)
}

/// What is measured.
struct Run<'a> {
    bed: &'a TestBed,
    ca: Option<&'a SimulatedCa>,
    program: Program,
    far: &'a Far,
    number: u32,
    distance: &'a str,
}

impl Run<'_> {
    fn row(&self, title: &str) -> Result {
        let Run {
            number, distance, ..
        } = self;
        eprintln!("{number} certificates, {title}, {distance}");
        let (traffic, orders) = (self.far.traffic(), self.orders()?);
        let outcome = self.program.run(&["renew"])?;
        let traffic = self.far.traffic().since(&traffic);
        let code = outcome
            .code
            .map_or("none".to_owned(), |code| code.to_string());
        if outcome.code != Some(0) {
            let words: Vec<_> = outcome.stderr.lines().rev().take(20).collect();
            eprintln!("{}", words.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
        println!(
            "| {number}, {title} | {} | {distance} | {} | {:.2} | {} | {code} | {} | {} |",
            self.ca.map_or("Pebble", |_| "simulated"),
            self.usage(&outcome.usage),
            f64::from(u32::try_from(traffic.dns_queries())?) / f64::from(*number),
            traffic.updates(BedServer::Primary),
            self.orders()? - orders,
            self.bed.txt()?.len(),
        );
        eprintln!("queries by type: {:?}", traffic.queries_by_type());
        for server in [
            BedServer::Main,
            BedServer::Primary,
            BedServer::Secondary,
            BedServer::Ca,
        ] {
            eprintln!("{server:?}: {:?}", traffic.volume(server));
        }
        Ok(())
    }

    /// Wall time, certificates per second, CPU per certificate and memory.
    fn usage(&self, usage: &Usage) -> String {
        let wall = usage.wall.as_secs_f64();
        format!(
            "{wall:.2} s | {:.0} | {:.2} ms | {} MB",
            f64::from(self.number) / wall,
            usage.cpu.as_secs_f64() * 1000.0 / f64::from(self.number),
            usage.peak_memory / 1_000_000,
        )
    }

    /// Orders at the CA.
    fn orders(&self) -> Result<usize> {
        match self.ca {
            Some(ca) => Ok(ca.orders()),
            None => self.bed.orders(),
        }
    }
}
