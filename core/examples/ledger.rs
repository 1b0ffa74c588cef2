//! How fast the ledger is: intents, each on the disk before it counts. `cargo xtask bench` runs it.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::error::Error;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use acme_alias_core::ledger::{self, Entry, Event, Ledger, Origin, RunId};
use acme_alias_core::txt::Action;
use futures_util::future::try_join_all;

/// Lines of each way to write.
const LINES: usize = 20_000;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    // Where the other measurements are: not in memory, as the usual place for what is temporary may be.
    let folder = tempfile::tempdir_in("target")?;
    println!("| intents, on the disk | lines/s |");
    println!("|---|---:|");
    let ledger = Arc::new(Ledger::open(folder.path(), RunId::new())?);
    row("one after the other", LINES / 10, async |lines| {
        for i in 0..lines {
            ledger.record(vec![intent(i)?]).await?;
        }
        Ok(())
    })
    .await?;
    row("a hundred in one change", LINES, async |lines| {
        for i in (0..lines).step_by(100) {
            let change = (i..i + 100).map(intent).collect::<Result<_>>()?;
            ledger.record(change).await?;
        }
        Ok(())
    })
    .await?;
    row(
        "each by a task of its own, all at once",
        LINES,
        async |lines| {
            let intents = (0..lines).map(intent).collect::<Result<Vec<_>>>()?;
            try_join_all(
                intents
                    .into_iter()
                    .map(|intent| ledger.record(vec![intent])),
            )
            .await?;
            Ok(())
        },
    )
    .await?;
    drop(ledger);
    let (reading, took) = read(folder.path())?;
    println!(
        "\nReading and verifying {reading} lines: {} ms.",
        took.as_millis()
    );
    Ok(())
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

fn read(folder: &Path) -> Result<(usize, Duration)> {
    let started = Instant::now();
    let reading = ledger::read(folder)?;
    if let Some(damage) = reading.damage.first() {
        return Err(damage.to_string().into());
    }
    Ok((reading.lines.len(), started.elapsed()))
}

fn intent(number: usize) -> Result<Entry> {
    Ok(Entry {
        event: Event::Intent,
        action: Action::Add,
        origin: Origin {
            certificate: Some(format!("host{number}")),
            order: Some("https://ca.example/order/0123456789".to_owned()),
        },
        zone: "auth.example.net".parse()?,
        provider: "rfc2136".to_owned(),
        key: Some("acme-key".to_owned()),
        name: format!("host{number}.auth.example.net").parse()?,
        value: "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0".parse()?,
        ttl: Some(60),
        server: None,
        response: None,
        serial: None,
    })
}
