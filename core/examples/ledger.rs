//! How fast the ledger is. `cargo xtask bench` runs it.
//!
//! First intents, each on the disk before it counts. Then what a process does at its start, with
//! ledgers of different lengths: it must cost the same with an empty ledger and with a million lines.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::error::Error;
use std::future::Future;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use acme_alias_core::clock::Clock;
use acme_alias_core::ledger::{Entry, Event, FileLedger, Ledger, Origin, RunId};
use acme_alias_core::testkit::ManualClock;
use acme_alias_core::txt::Action;
use futures_util::future::try_join_all;
use jiff::SignedDuration;

/// Lines of each way to write.
const LINES: usize = 20_000;
/// Lengths of ledgers, in lines.
const LENGTHS: [usize; 3] = [0, 100_000, 1_000_000];
/// Values that are open in each of them.
const OPEN: usize = 10;
/// What becomes of a value, one line each.
const LIFE: [(Event, Action); 6] = [
    (Event::Intent, Action::Add),
    (Event::Acknowledged, Action::Add),
    (Event::Verified, Action::Add),
    (Event::Intent, Action::Remove),
    (Event::Acknowledged, Action::Remove),
    (Event::Withdrawn, Action::Remove),
];
/// How often the start of a process is measured; the median counts.
const STARTS: usize = 5;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    // With a folder it is one of the processes that are measured.
    if let Some(folder) = std::env::args_os().nth(1) {
        return start(Path::new(&folder)).await;
    }
    // On the disk of the other measurements: the usual folder for temporary files may be in memory.
    let folder = tempfile::tempdir_in("target")?;
    write(&folder.path().join("write")).await?;
    println!();
    starts(folder.path()).await
}

/// Prints how many lines per second are written.
async fn write(folder: &Path) -> Result<()> {
    println!("| intents, on the disk | lines/s |");
    println!("|---|---:|");
    let (ledger, run) = (FileLedger::open(folder, clock()?).await?, run()?);
    let intent = |number| entry(number, Event::Intent, Action::Add);
    row("one after the other", LINES / 10, async |lines| {
        for i in 0..lines {
            ledger.record(&run, vec![intent(i)?]).await?;
        }
        Ok(())
    })
    .await?;
    row("a hundred in one change", LINES, async |lines| {
        for i in (0..lines).step_by(100) {
            let change = (i..i + 100).map(intent).collect::<Result<_>>()?;
            ledger.record(&run, change).await?;
        }
        Ok(())
    })
    .await?;
    row(
        "each by a task of its own, all at once",
        LINES,
        async |lines| {
            let intents = (0..lines).map(intent).collect::<Result<Vec<_>>>()?;
            let records = intents.into_iter();
            try_join_all(records.map(|intent| ledger.record(&run, vec![intent]))).await?;
            Ok(())
        },
    )
    .await
}

async fn row<F: Future<Output = Result<()>>>(
    title: &str,
    lines: usize,
    write: impl FnOnce(usize) -> F,
) -> Result<()> {
    let started = Instant::now();
    write(lines).await?;
    let rate = lines as u128 * 1_000_000 / started.elapsed().as_micros();
    println!("| {title} | {rate} |");
    Ok(())
}

/// Prints what a process does at its start, with ledgers of all lengths.
async fn starts(folder: &Path) -> Result<()> {
    println!(
        "| lines | open | first record | open values at 10 names | peak memory | verify | peak memory |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|");
    let mut last = None;
    for length in LENGTHS {
        let ledger = folder.join(length.to_string());
        fill(&ledger, length).await?;
        println!("| {length} | {} |", measured(&ledger)?.join(" | "));
        last = Some(ledger);
    }
    if let Some(ledger) = last {
        std::fs::remove_file(ledger.join(".checkpoint"))?;
        let took = &measure(&ledger)?[2];
        println!("\nWithout a checkpoint every line is read once: {took:.0} ms.");
    }
    Ok(())
}

/// Writes a ledger of so many lines, over several years.
async fn fill(folder: &Path, lines: usize) -> Result<()> {
    let (clock, run) = (clock()?, run()?);
    let ledger = FileLedger::open(folder, Arc::clone(&clock) as Arc<dyn Clock>).await?;
    // From now on it keeps the open values up to date.
    ledger.open_values().await?;
    let mut entries = Vec::new();
    let closed = lines.saturating_sub(OPEN) / LIFE.len();
    let values = if lines == 0 { 0 } else { closed + OPEN };
    for number in 0..values {
        let life = if number < closed { LIFE.len() } else { 1 };
        for (event, action) in &LIFE[..life] {
            entries.push(entry(number, *event, *action)?);
        }
        if entries.len() >= 5000 || number + 1 == values {
            ledger.record(&run, std::mem::take(&mut entries)).await?;
            clock.advance(SignedDuration::from_hours(5 * 24));
        }
    }
    ledger.checkpoint().await;
    Ok(())
}

/// The medians of several processes, with their units.
fn measured(folder: &Path) -> Result<Vec<String>> {
    let all = (0..STARTS).map(|_| measure(folder));
    let all = all.collect::<Result<Vec<_>>>()?;
    let units = ["ms", "ms", "ms", "MB", "ms", "MB"];
    let columns = units.iter().enumerate().map(|(column, unit)| {
        let mut figures: Vec<_> = all.iter().map(|figures| figures[column]).collect();
        figures.sort_by(f64::total_cmp);
        format!("{:.2} {unit}", figures[STARTS / 2])
    });
    Ok(columns.collect())
}

/// Starts a process with this ledger; returns what it measured.
fn measure(folder: &Path) -> Result<Vec<f64>> {
    let output = Command::new(std::env::current_exe()?)
        .arg(folder)
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let figures = text
        .split_whitespace()
        .map(str::parse)
        .collect::<std::result::Result<Vec<_>, _>>()?;
    if output.status.success() && figures.len() == 6 {
        return Ok(figures);
    }
    Err(String::from_utf8_lossy(&output.stderr).into())
}

/// What a process does at its start. It prints milliseconds, and megabytes of memory.
async fn start(folder: &Path) -> Result<()> {
    let (mut laps, run) = (Laps(Instant::now()), run()?);
    let ledger = FileLedger::open(folder, clock()?).await?;
    let opened = laps.next();
    ledger
        .record(&run, vec![entry(0, Event::Intent, Action::Add)?])
        .await?;
    let recorded = laps.next();
    let names = (0..10).map(|number| Ok(entry(number, Event::Intent, Action::Add)?.name));
    let names = names.collect::<Result<Vec<_>>>()?;
    laps.next();
    ledger.open_values_at(&names).await?;
    let looked_up = laps.next();
    let memory = peak_memory()?;
    laps.next();
    let found = ledger.verify().await?;
    if let Some(damage) = found.damage.first() {
        return Err(damage.to_string().into());
    }
    let (verified, all_memory) = (laps.next(), peak_memory()?);
    println!("{opened} {recorded} {looked_up} {memory} {verified} {all_memory}");
    Ok(())
}

struct Laps(Instant);

impl Laps {
    /// Milliseconds since the last call.
    fn next(&mut self) -> f64 {
        let lap = self.0.elapsed();
        self.0 = Instant::now();
        lap.as_secs_f64() * 1000.0
    }
}

/// The most memory that this process had, in megabytes.
fn peak_memory() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes: f64 = line
        .unwrap_or_default()
        .trim()
        .trim_end_matches(" kB")
        .parse()?;
    Ok(kilobytes / 1024.0)
}

fn clock() -> Result<Arc<ManualClock>> {
    Ok(Arc::new(ManualClock::new("2024-01-01T00:00:00Z".parse()?)))
}

fn run() -> Result<RunId> {
    Ok("20240101t000000z-00000000".parse()?)
}

fn entry(number: usize, event: Event, action: Action) -> Result<Entry> {
    Ok(Entry {
        event,
        action,
        origin: Origin {
            certificate: Some(format!("host{number}")),
            order: Some("https://ca.example/order/0123456789".to_owned()),
            lease: Some("0123456789abcdef".parse()?),
        },
        zone: "auth.example.net".parse()?,
        provider: "rfc2136".to_owned(),
        provider_id: Some("dns".to_owned()),
        key: Some("acme-key".to_owned()),
        credentials: None,
        name: format!("host{number}.auth.example.net").parse()?,
        value: "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0".parse()?,
        ttl: Some(60),
        server: Some("192.0.2.53:53".to_owned()),
        response: None,
        serial: None,
    })
}
