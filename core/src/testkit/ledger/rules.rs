//! The rules.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::{join_all, poll_immediate};
use futures_util::stream::{StreamExt, TryStreamExt};
use jiff::{Timestamp, ToSpan};

use super::parts::{
    Found, Outcome, equal, expect_open, expected, intent, lease, lines, name, new_run, parsed,
    shown, with,
};
use crate::ledger::{Entry, Event, Ledger, LedgerError, Line, OpenValue, Origin, SerialStep};
use crate::testkit::suite::{Violation, Violations};
use crate::txt::Action;

/// Calls that are made at the same time.
const CALLS: usize = 200;
/// Entries of each of them.
const ENTRIES: usize = 3;

/// Where the ledgers to check are kept.
#[async_trait]
pub trait Fixture: Sync {
    /// An empty ledger, apart from all others. Each rule gets its own.
    async fn empty(&self) -> Box<dyn Place>;
}

/// Where one ledger is kept.
#[async_trait]
pub trait Place: Send + Sync {
    /// The ledger with connections of its own, as another process would open it.
    async fn open(&self) -> Result<Arc<dyn Ledger>, LedgerError>;
}

/// Checks every rule.
pub async fn run(fixture: &dyn Fixture) -> Result<(), Violations> {
    let mut violations = one_process(fixture).await;
    violations.extend(several(fixture).await);
    if violations.is_empty() {
        Ok(())
    } else {
        Err(Violations(violations))
    }
}

/// The rules that need one ledger and one call at a time.
async fn one_process(fixture: &dyn Fixture) -> Vec<Violation> {
    let place = || async { fixture.empty().await };
    let outcomes = [
        ("a new ledger is empty", new_ledger(&*place().await).await),
        (
            "entries are read back as they were recorded",
            read_back(&*place().await).await,
        ),
        (
            "lines are numbered and chained",
            numbered(&*place().await).await,
        ),
        (
            "only withdrawn and forgotten close a value",
            life_of_a_value(&*place().await).await,
        ),
        (
            "a value belongs to the newest intent",
            newest_intent(&*place().await).await,
        ),
        (
            "zone, name and value tell values apart",
            told_apart(&*place().await).await,
        ),
        (
            "open values are found by name",
            found_by_name(&*place().await).await,
        ),
        (
            "lines since a time leave older ones out",
            since(&*place().await).await,
        ),
        (
            "an empty call writes nothing",
            empty_call(&*place().await).await,
        ),
    ];
    violations(outcomes)
}

/// The rules about several processes and calls.
async fn several(fixture: &dyn Fixture) -> Vec<Violation> {
    let place = || async { fixture.empty().await };
    let outcomes = [
        (
            "other processes see what was recorded",
            other_processes(&*place().await).await,
        ),
        (
            "open values survive a restart",
            restart(&*place().await).await,
        ),
        (
            "concurrent calls lose nothing",
            same_time(&*place().await).await,
        ),
        (
            "a dropped call does no harm",
            dropped_call(&*place().await).await,
        ),
    ];
    violations(outcomes)
}

fn violations(outcomes: impl IntoIterator<Item = (&'static str, Outcome)>) -> Vec<Violation> {
    let broken = outcomes.into_iter().filter_map(|(rule, outcome)| {
        let Found(observed) = outcome.err()?;
        Some(Violation { rule, observed })
    });
    broken.collect()
}

async fn new_ledger(place: &dyn Place) -> Outcome {
    let ledger = place.open().await?;
    equal(&lines(&*ledger).await?, &[])?;
    equal(&ledger.open_values().await?, &[])?;
    equal(&ledger.open_values_at(&[name("a")?]).await?, &[])
}

async fn read_back(place: &dyn Place) -> Outcome {
    let ledger = place.open().await?;
    let run = new_run("1")?;
    let strange = "\"quoted\" \\ {\"sequence\":1} \n\r\t\u{0} \u{1f980} \u{2028}";
    let full = Entry {
        origin: Origin {
            certificate: Some(strange.to_owned()),
            order: Some("https://ca.example/order/1".to_owned()),
            lease: Some(lease("0123456789abcdef")?),
        },
        provider: strange.to_owned(),
        provider_id: Some("dns".to_owned()),
        key: Some(strange.to_owned()),
        credentials: Some("sha256:ab".to_owned()),
        server: Some("[2001:db8::53]:53".to_owned()),
        response: Some(format!("{strange}{}", "x".repeat(100_000))),
        serial: Some(SerialStep {
            before: u32::MAX,
            after: 0,
        }),
        ..intent("a", &"v".repeat(255))?
    };
    let mut entries = vec![full];
    for event in EVENTS {
        entries.push(with(event, Action::Remove, "a", "v")?);
    }
    ledger.record(&run, entries.clone()).await?;
    let there = lines(&*place.open().await?).await?;
    let (runs, there): (BTreeSet<_>, Vec<_>) =
        there.into_iter().map(|line| (line.run, line.entry)).unzip();
    equal(&there, &entries)?;
    equal(&runs, &BTreeSet::from([run]))
}

async fn numbered(place: &dyn Place) -> Outcome {
    let ledgers = [place.open().await?, place.open().await?];
    for round in 0..6 {
        let run = new_run(&format!("{}", round % 2))?;
        let values = [format!("a{round}"), format!("b{round}")];
        let entries = vec![intent("a", &values[0])?, intent("a", &values[1])?];
        ledgers[round % 2].record(&run, entries).await?;
    }
    let lines = lines(&*ledgers[0]).await?;
    let numbers: Vec<_> = lines.iter().map(|line| line.sequence).collect();
    equal(&numbers, &(1..=12).collect::<Vec<_>>())?;
    let mut previous = "";
    for line in &lines {
        equal(&line.previous.as_str(), &previous)?;
        let hash = line
            .expected_hash()
            .map_err(|error| Found(error.to_string()))?;
        equal(&line.hash, &hash)?;
        previous = &line.hash;
    }
    Ok(())
}

async fn life_of_a_value(place: &dyn Place) -> Outcome {
    let ledger = place.open().await?;
    let run = new_run("1")?;
    for event in EVENTS {
        let value = event.to_string();
        ledger.record(&run, vec![intent("a", &value)?]).await?;
        ledger
            .record(
                &run,
                vec![with(Event::Intent, Action::Remove, "a", &value)?],
            )
            .await?;
        expect_open(&*ledger, &[("a", &value)]).await?;
        ledger
            .record(&run, vec![with(event, Action::Remove, "a", &value)?])
            .await?;
        if matches!(event, Event::Withdrawn | Event::Forgotten) {
            expect_open(&*ledger, &[]).await?;
        } else {
            expect_open(&*ledger, &[("a", &value)]).await?;
            let withdrawn = with(Event::Withdrawn, Action::Remove, "a", &value)?;
            ledger.record(&run, vec![withdrawn]).await?;
        }
        // What was never added cannot be open.
        ledger
            .record(&run, vec![with(event, Action::Remove, "b", &value)?])
            .await?;
        expect_open(&*ledger, &[]).await?;
    }
    let both = vec![
        intent("a", "v")?,
        with(Event::Withdrawn, Action::Remove, "a", "v")?,
        intent("a", "v")?,
    ];
    ledger.record(&run, both).await?;
    expect_open(&*ledger, &[("a", "v")]).await
}

async fn newest_intent(place: &dyn Place) -> Outcome {
    let ledger = place.open().await?;
    let entry = |id: &str| -> Result<Entry, Found> {
        let origin = Origin {
            certificate: Some(id.to_owned()),
            order: None,
            lease: Some(lease(id)?),
        };
        Ok(Entry {
            origin,
            provider_id: Some(id.to_owned()),
            credentials: Some(id.to_owned()),
            ..intent("a", "v")?
        })
    };
    ledger.record(&new_run("1")?, vec![entry("one")?]).await?;
    ledger.record(&new_run("2")?, vec![entry("two")?]).await?;
    // Whoever cleans up after the first closes nothing of the second.
    let withdrawn = Entry {
        event: Event::Withdrawn,
        action: Action::Remove,
        ..entry("one")?
    };
    ledger.record(&new_run("3")?, vec![withdrawn]).await?;
    let newest = entry("two")?;
    let expected = OpenValue {
        run: new_run("2")?,
        origin: newest.origin,
        zone: newest.zone,
        provider: newest.provider,
        provider_id: newest.provider_id,
        key: newest.key,
        credentials: newest.credentials,
        name: newest.name,
        value: newest.value,
        is_doubtful: false,
    };
    equal(&ledger.open_values().await?, &[expected.into()])
}

async fn told_apart(place: &dyn Place) -> Outcome {
    let ledger = place.open().await?;
    let elsewhere = |entry: Entry| -> Result<Entry, Found> {
        Ok(Entry {
            zone: parsed("example.org")?,
            ..entry
        })
    };
    let entries = vec![
        intent("b", "v")?,
        intent("a", "w")?,
        intent("a", "V")?,
        intent("a", "v")?,
        elsewhere(intent("a", "v")?)?,
    ];
    let run = new_run("1")?;
    ledger.record(&run, entries).await?;
    let all = [("a", "V"), ("a", "v"), ("a", "w"), ("a", "v"), ("b", "v")];
    expect_open(&*ledger, &all).await?;
    let gone = vec![with(Event::Withdrawn, Action::Remove, "a", "v")?];
    ledger.record(&run, gone).await?;
    let left = [("a", "V"), ("a", "w"), ("a", "v"), ("b", "v")];
    expect_open(&*ledger, &left).await
}

async fn found_by_name(place: &dyn Place) -> Outcome {
    let ledger = place.open().await?;
    let run = new_run("1")?;
    let entries = vec![
        intent("b", "v")?,
        intent("a", "w")?,
        intent("a", "v")?,
        intent("c", "v")?,
    ];
    ledger.record(&run, entries).await?;
    let names = [name("d")?, name("b")?, name("a")?, name("b")?];
    let found = ledger.open_values_at(&names).await?;
    equal(
        &shown(&found),
        &expected(&[("a", "v"), ("a", "w"), ("b", "v")])?,
    )?;
    equal(&ledger.open_values_at(&[]).await?, &[])
}

async fn other_processes(place: &dyn Place) -> Outcome {
    let (one, other) = (place.open().await?, place.open().await?);
    let run = new_run("1")?;
    let mut open = Vec::new();
    for round in 0..10 {
        let (ours, theirs) = if round % 2 == 0 {
            (&one, &other)
        } else {
            (&other, &one)
        };
        let value = format!("{round}");
        ours.record(&run, vec![intent("a", &value)?]).await?;
        open.push(value);
        let all: Vec<_> = open.iter().map(|value| ("a", value.as_str())).collect();
        expect_open(&**theirs, &all).await?;
        expect_open(&**ours, &all).await?;
    }
    for value in open {
        let gone = vec![with(Event::Withdrawn, Action::Remove, "a", &value)?];
        one.record(&run, gone).await?;
    }
    expect_open(&*other, &[]).await
}

async fn restart(place: &dyn Place) -> Outcome {
    let run = new_run("1")?;
    for value in ["v", "w", "x"] {
        let ledger = place.open().await?;
        ledger.record(&run, vec![intent("a", value)?]).await?;
    }
    let ledger = place.open().await?;
    let gone = vec![with(Event::Withdrawn, Action::Remove, "a", "w")?];
    ledger.record(&run, gone).await?;
    drop(ledger);
    expect_open(&*place.open().await?, &[("a", "v"), ("a", "x")]).await
}

async fn same_time(place: &dyn Place) -> Outcome {
    let ledgers = [place.open().await?, place.open().await?];
    let run = new_run("1")?;
    let calls = (0..CALLS).map(async |call| {
        let entry = |i| intent("a", &format!("{call}-{i}"));
        let entries = (0..ENTRIES).map(entry).collect::<Result<_, Found>>()?;
        Ok::<_, Found>(ledgers[call % 2].record(&run, entries).await?)
    });
    join_all(calls).await.into_iter().collect::<Outcome>()?;
    let mut next = vec![0; CALLS];
    let lines = lines(&*ledgers[0]).await?;
    for line in &lines {
        let value = line.entry.value.as_str();
        let (call, i) = value.split_once('-').unwrap_or_default();
        match call.parse().ok().and_then(|call: usize| next.get_mut(call)) {
            Some(next) if next.to_string() == i => *next += 1,
            _ => return Err(Found(format!("{value} out of order, or twice"))),
        }
    }
    equal(&next, &vec![ENTRIES; CALLS])?;
    for ledger in ledgers {
        equal(&ledger.open_values().await?.len(), &(CALLS * ENTRIES))?;
    }
    Ok(())
}

async fn dropped_call(place: &dyn Place) -> Outcome {
    let (one, other) = (place.open().await?, place.open().await?);
    let run = new_run("1")?;
    for round in 0..20 {
        let pair = [format!("a{round}"), format!("b{round}")];
        let entries = vec![intent("a", &pair[0])?, intent("a", &pair[1])?];
        let ledger = if round % 2 == 0 { &one } else { &other };
        poll_immediate(ledger.record(&run, entries)).await;
        poll_immediate(ledger.open_values()).await;
        poll_immediate(ledger.lines().next()).await;
    }
    one.record(&run, vec![intent("a", "last")?]).await?;
    other.record(&run, vec![intent("a", "last")?]).await?;
    let lines = lines(&*other).await?;
    let count = |value: &str| {
        let same = lines
            .iter()
            .filter(|line| line.entry.value.as_str() == value);
        same.count()
    };
    equal(&count("last"), &2)?;
    for round in 0..20 {
        let (a, b) = (count(&format!("a{round}")), count(&format!("b{round}")));
        if a != b || a > 1 {
            return Err(Found(format!("a call wrote {a} and {b} of its entries")));
        }
    }
    equal(&one.open_values().await?, &other.open_values().await?)
}

async fn since(place: &dyn Place) -> Outcome {
    let ledger = place.open().await?;
    let run = new_run("1")?;
    for value in ["v", "w"] {
        ledger.record(&run, vec![intent("a", value)?]).await?;
    }
    let all = lines(&*ledger).await?;
    let last = all.last().map_or(Timestamp::MIN, |line| line.time);
    let recent: Vec<Line> = ledger.lines_since(last).try_collect().await?;
    let expected: Vec<_> = all.into_iter().filter(|line| line.time >= last).collect();
    equal(&recent, &expected)?;
    let later = last + 40.hours();
    equal(
        &ledger.lines_since(later).try_collect::<Vec<_>>().await?,
        &[],
    )
}

async fn empty_call(place: &dyn Place) -> Outcome {
    let ledger = place.open().await?;
    ledger.record(&new_run("1")?, Vec::new()).await?;
    equal(&lines(&*ledger).await?, &[])
}

/// All events; an intent to remove is among them.
const EVENTS: [Event; 8] = [
    Event::Intent,
    Event::Acknowledged,
    Event::Failed,
    Event::Unknown,
    Event::Verified,
    Event::Withdrawn,
    Event::Forgotten,
    Event::SerialExplained,
];
