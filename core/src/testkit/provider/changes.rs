//! Changes for the rules.

use super::outcome::Mismatch;
use crate::name::DnsName;
use crate::txt::{Action, TxtChange, TxtValue};

pub(crate) fn value(text: &str) -> Result<TxtValue, Mismatch> {
    text.parse()
        .map_err(|error| Mismatch::new(format!("{text}: {error}")))
}

pub(crate) fn change(action: Action, name: &DnsName, text: &str) -> Result<TxtChange, Mismatch> {
    Ok(TxtChange {
        name: name.clone(),
        value: value(text)?,
        action,
        ttl: None,
    })
}

pub(crate) fn changes(
    action: Action,
    name: &DnsName,
    texts: &[&str],
) -> Result<Vec<TxtChange>, Mismatch> {
    texts
        .iter()
        .map(|text| change(action, name, text))
        .collect()
}

/// The removals of what was added.
pub(crate) fn reversed(adds: &[TxtChange]) -> Vec<TxtChange> {
    let removal = |add: &TxtChange| TxtChange {
        action: Action::Remove,
        ..add.clone()
    };
    adds.iter().map(removal).collect()
}
