//! Record sets: the difference between those that exist and those that are wanted.

use std::collections::{BTreeMap, BTreeSet};

use acme_alias_core::name::DnsName;
use acme_alias_core::txt::quoting::{self, Digits};
use acme_alias_core::txt::{Action, TxtChange, TxtValue};
use aws_sdk_route53::error::BuildError;
use aws_sdk_route53::types::{
    Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType,
};

/// `ResourceRecord` elements in one request:
/// <https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html>.
const RECORDS_PER_REQUEST: usize = 1_000;
/// Characters in all `Value` elements of one request.
const CHARACTERS_PER_REQUEST: usize = 32_000;
/// Changes that always fit into one request: a value of 255 octets has at most 512 characters in
/// quotes. If it is the second at its name, the first is sent, too, in the old and in the new set.
pub(crate) const CHANGES_PER_REQUEST: usize = CHARACTERS_PER_REQUEST / (3 * 512);

/// A TXT record set, as Route 53 has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TxtSet {
    pub(crate) ttl: i64,
    /// The values as Route 53 writes them, in quotes.
    pub(crate) values: Vec<String>,
}

/// The TXT record sets at some names.
pub(crate) type TxtRecordSets = BTreeMap<DnsName, TxtSet>;

/// The text of a value that Route 53 wrote.
pub(crate) fn text(element: &str) -> String {
    quoting::unquoted(element, Digits::Octal)
}

/// The replacement of one set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Swap {
    name: DnsName,
    old: Option<TxtSet>,
    new: Option<TxtSet>,
}

impl Swap {
    fn sets(&self) -> impl Iterator<Item = &TxtSet> {
        self.old.iter().chain(&self.new)
    }

    fn records(&self) -> usize {
        self.sets().map(|set| set.values.len()).sum()
    }

    fn characters(&self) -> usize {
        let values = self.sets().flat_map(|set| &set.values);
        values.map(|value| value.chars().count()).sum()
    }
}

/// The sets that differ from what `changes` want. The last change of a value counts.
pub(crate) fn swaps(changes: &[TxtChange], existing: &TxtRecordSets, ttl: i64) -> Vec<Swap> {
    let mut wanted: BTreeMap<&DnsName, BTreeMap<&TxtValue, Action>> = BTreeMap::new();
    for change in changes {
        let values = wanted.entry(&change.name).or_default();
        values.insert(&change.value, change.action);
    }
    let swap = |(name, values): (&DnsName, BTreeMap<&TxtValue, Action>)| {
        let old = existing.get(name);
        let mut elements: Vec<_> = old.map(|set| set.values.clone()).unwrap_or_default();
        for (value, action) in values {
            match action {
                Action::Remove => elements.retain(|element| text(element) != value.as_str()),
                Action::Add if elements.iter().any(|e| text(e) == value.as_str()) => {}
                Action::Add => elements.push(quoting::quoted(value)),
            }
        }
        let new = TxtSet {
            ttl: old.map_or(ttl, |set| set.ttl),
            values: elements,
        };
        let new = Some(new).filter(|set| !set.values.is_empty());
        (old != new.as_ref()).then(|| Swap {
            name: name.clone(),
            old: old.cloned(),
            new,
        })
    };
    wanted.into_iter().filter_map(swap).collect()
}

/// The first swaps that fit into one request; at least one.
pub(crate) fn first_request(swaps: &[Swap]) -> &[Swap] {
    let (mut records, mut characters) = (0, 0);
    let fitting = swaps.iter().take_while(|swap| {
        records += swap.records();
        characters += swap.characters();
        records <= RECORDS_PER_REQUEST && characters <= CHARACTERS_PER_REQUEST
    });
    let count = fitting.count().max(1).min(swaps.len());
    &swaps[..count]
}

/// The batch that deletes exactly what was read, and creates what is wanted.
pub(crate) fn batch(swaps: &[Swap]) -> Result<ChangeBatch, BuildError> {
    let mut changes = Vec::new();
    for Swap { name, old, new } in swaps {
        for (action, set) in [(ChangeAction::Delete, old), (ChangeAction::Create, new)] {
            if let Some(set) = set {
                let change = Change::builder().action(action);
                changes.push(change.resource_record_set(record_set(name, set)?).build()?);
            }
        }
    }
    ChangeBatch::builder().set_changes(Some(changes)).build()
}

fn record_set(name: &DnsName, set: &TxtSet) -> Result<ResourceRecordSet, BuildError> {
    let records = set
        .values
        .iter()
        .map(|value| ResourceRecord::builder().value(value).build())
        .collect::<Result<Vec<_>, _>>()?;
    ResourceRecordSet::builder()
        .name(name.fqdn())
        .r#type(RrType::Txt)
        .ttl(set.ttl)
        .set_resource_records(Some(records))
        .build()
}

/// The names, each once.
pub(crate) fn names(changes: &[TxtChange]) -> Vec<DnsName> {
    let names: BTreeSet<_> = changes.iter().map(|change| change.name.clone()).collect();
    names.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(action: Action, name: &str, value: &str) -> TxtChange {
        TxtChange {
            name: name.parse().unwrap(),
            value: value.parse().unwrap(),
            action,
            ttl: None,
        }
    }

    fn there(name: &str, ttl: i64, values: &[&str]) -> TxtRecordSets {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        TxtRecordSets::from([(name.parse().unwrap(), TxtSet { ttl, values })])
    }

    #[test]
    fn foreign_values_and_the_ttl_stay_as_they_are() {
        let there = there("a.example", 300, &["\"fo\" \"reign\"", "\"\\073\""]);
        let changes = [
            change(Action::Add, "a.example", "ours"),
            change(Action::Add, "a.example", "foreign"),
        ];
        let swaps = swaps(&changes, &there, 60);
        let new = swaps[0].new.as_ref().unwrap();
        assert_eq!(new.ttl, 300);
        assert_eq!(new.values, ["\"fo\" \"reign\"", "\"\\073\"", "\"ours\""]);
        let removal = [change(Action::Remove, "a.example", ";")];
        let swaps = super::swaps(&removal, &there, 60);
        assert_eq!(swaps[0].new.as_ref().unwrap().values, ["\"fo\" \"reign\""]);
    }

    #[test]
    fn a_set_that_is_as_wanted_is_not_sent() {
        let there = there("a.example", 60, &["\"v\""]);
        let changes = [
            change(Action::Add, "a.example", "v"),
            change(Action::Remove, "b.example", "v"),
        ];
        assert_eq!(swaps(&changes, &there, 60), []);
    }

    #[test]
    fn a_set_without_values_is_deleted() {
        let there = there("a.example", 60, &["\"v\""]);
        let removal = [change(Action::Remove, "a.example", "v")];
        let swaps = swaps(&removal, &there, 60);
        assert_eq!(swaps[0].new, None);
        assert_eq!(batch(&swaps).unwrap().changes().len(), 1);
    }

    #[test]
    fn requests_stay_below_both_limits() {
        let adds: Vec<_> = (0..300)
            .map(|i| change(Action::Add, &format!("n{i}.example"), &"\"".repeat(255)))
            .collect();
        let swaps = swaps(&adds, &TxtRecordSets::new(), 60);
        let mut rest = swaps.as_slice();
        while !rest.is_empty() {
            let request = first_request(rest);
            let characters: usize = request.iter().map(Swap::characters).sum();
            assert!(characters <= CHARACTERS_PER_REQUEST);
            assert!(request.len() >= CHANGES_PER_REQUEST.min(rest.len()));
            rest = &rest[request.len()..];
        }
    }
}
