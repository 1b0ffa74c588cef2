//! What the rules are made of: entries, readings and comparisons.

use std::fmt;
use std::sync::Arc;

use futures_util::stream::TryStreamExt;

use crate::lease::LeaseId;
use crate::ledger::{Entry, Event, Ledger, LedgerError, Line, OpenValue, Origin, RunId};
use crate::name::DnsName;
use crate::txt::{Action, TxtValue};

/// What was found in place of what the rule says.
pub(super) struct Found(pub(super) String);

pub(super) type Outcome = Result<(), Found>;

impl From<LedgerError> for Found {
    fn from(error: LedgerError) -> Self {
        Found(format!("an error: {error}"))
    }
}

pub(super) async fn lines(ledger: &dyn Ledger) -> Result<Vec<Line>, Found> {
    Ok(ledger.lines().try_collect().await?)
}

/// Exactly these values are open, in this order.
pub(super) async fn expect_open(ledger: &dyn Ledger, values: &[(&str, &str)]) -> Outcome {
    equal(&shown(&ledger.open_values().await?), &expected(values)?)
}

pub(super) fn shown(open: &[Arc<OpenValue>]) -> Vec<(DnsName, TxtValue)> {
    let shown = open
        .iter()
        .map(|open| (open.name.clone(), open.value.clone()));
    shown.collect()
}

pub(super) fn expected(values: &[(&str, &str)]) -> Result<Vec<(DnsName, TxtValue)>, Found> {
    let pair = |(label, text): &(&str, &str)| Ok((name(label)?, parsed(text)?));
    values.iter().map(pair).collect()
}

pub(super) fn intent(label: &str, value: &str) -> Result<Entry, Found> {
    with(Event::Intent, Action::Add, label, value)
}

pub(super) fn with(event: Event, action: Action, label: &str, value: &str) -> Result<Entry, Found> {
    Ok(Entry {
        event,
        action,
        origin: Origin::default(),
        zone: parsed("example.net")?,
        provider: "memory".to_owned(),
        provider_id: None,
        key: None,
        credentials: None,
        name: name(label)?,
        value: parsed(value)?,
        ttl: None,
        server: None,
        response: None,
        serial: None,
    })
}

pub(super) fn name(label: &str) -> Result<DnsName, Found> {
    parsed(&format!("{label}.example.net"))
}

pub(super) fn new_run(number: &str) -> Result<RunId, Found> {
    parsed(&format!("20261125t060000z-{number}"))
}

pub(super) fn lease(text: &str) -> Result<LeaseId, Found> {
    parsed(text)
}

pub(super) fn parsed<T: std::str::FromStr<Err: fmt::Display>>(text: &str) -> Result<T, Found> {
    text.parse()
        .map_err(|error: T::Err| Found(format!("{text}: {error}")))
}

pub(super) fn equal<T: fmt::Debug + PartialEq<U>, U: fmt::Debug + ?Sized>(
    found: &T,
    expected: &U,
) -> Outcome {
    if found == expected {
        return Ok(());
    }
    let mut text = format!("{found:?} instead of {expected:?}");
    if text.len() > 2000 {
        let end = (0..=2000).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or_default());
        text.push('…');
    }
    Err(Found(text))
}
