//! The difference between the values that are wanted and the record sets that exist.

use std::collections::{BTreeMap, BTreeSet};

use acme_alias_core::name::DnsName;
use acme_alias_core::txt::{Action, TxtChange, TxtValue, quoting};

use crate::api::{Change, ChangeType, Record, RrSet, Zone};

const TXT: &str = "TXT";
/// Records in one request. The longest values with the longest names take 900 kB, and PowerDNS accepts
/// 2 MB (<https://doc.powerdns.com/authoritative/settings.html#webserver-max-bodysize>).
const RECORDS_PER_REQUEST: usize = 500;
/// Changes that always fit into one request, if there are no more values of others at their names.
pub(crate) const CHANGES_PER_REQUEST: usize = RECORDS_PER_REQUEST / 2;

/// How values of a set are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// One by one, by the server: values that are added meanwhile stay.
    Single,
    /// The whole set is replaced.
    Whole,
}

/// Which values must exist and which must not, by name. The last change of a value counts.
pub(crate) struct Wanted<'a>(BTreeMap<&'a DnsName, BTreeMap<&'a TxtValue, &'a TxtChange>>);

impl<'a> Wanted<'a> {
    pub(crate) fn new(changes: &'a [TxtChange]) -> Self {
        let mut wanted: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for change in changes {
            let values = wanted.entry(&change.name).or_default();
            values.insert(&change.value, change);
        }
        Wanted(wanted)
    }

    /// The names of the values.
    pub(crate) fn names(&self) -> BTreeSet<&'a DnsName> {
        self.0.keys().copied().collect()
    }

    /// A name at which a value has to be added and a CNAME is. The server finds that only if a set is
    /// replaced (`applyPruneOrExtend` in `pdns/ws-auth.cc`).
    pub(crate) fn conflict(&self, zone: &Zone) -> Option<&DnsName> {
        let cnames = zone.rrsets.iter().filter(|set| set.r#type == "CNAME");
        let mut names = cnames.filter_map(|set| set.name.parse::<DnsName>().ok());
        names.find_map(|name| {
            let (name, values) = self.0.get_key_value(&name)?;
            let mut changes = values.values();
            changes
                .any(|change| change.action == Action::Add)
                .then_some(*name)
        })
    }

    /// What has to change in the zone; new sets get this time to live, in seconds.
    pub(crate) fn missing_from(&self, zone: &Zone, ttl: u32, manner: Manner) -> Vec<Change> {
        let existing = txt_sets(zone);
        let mut changes = Vec::new();
        for (name, values) in &self.0 {
            let set = existing.get(*name).copied();
            let old = set.map(|set| &*set.records).unwrap_or_default();
            let new = with_changes(old, values.values().copied());
            if old == new {
                continue;
            }
            let asked = values.values().find_map(|change| change.ttl);
            let ttl = set.map_or(asked.unwrap_or(ttl), |set| set.ttl);
            let change = |changetype, ttl, records| Change {
                name: name.fqdn(),
                r#type: TXT,
                changetype,
                ttl,
                records,
            };
            // Disabled records would be lost otherwise: the server looks up those that it shows.
            let has_disabled = old.iter().any(|record| record.disabled);
            if manner == Manner::Single && !has_disabled {
                let gone = old.iter().filter(|record| !new.contains(record));
                let added = new.iter().filter(|record| !old.contains(record));
                let one = |changetype| {
                    move |record: &Record| change(changetype, Some(ttl), vec![record.clone()])
                };
                changes.extend(gone.map(one(ChangeType::Prune)));
                changes.extend(added.map(one(ChangeType::Extend)));
            } else if new.is_empty() {
                changes.push(change(ChangeType::Delete, None, new));
            } else {
                changes.push(change(ChangeType::Replace, Some(ttl), new));
            }
        }
        changes
    }
}

/// The records after these changes.
fn with_changes<'a>(old: &[Record], changes: impl Iterator<Item = &'a TxtChange>) -> Vec<Record> {
    let mut records = old.to_vec();
    for change in changes {
        let is_it = |record: &Record| record.text() == change.value.as_str();
        match change.action {
            Action::Remove => records.retain(|record| !is_it(record)),
            Action::Add if records.iter().any(|r| is_it(r) && !r.disabled) => {}
            Action::Add => {
                // The server refuses the same content twice, also if one of them is disabled.
                records.retain(|record| !is_it(record));
                records.push(Record {
                    content: quoting::quoted(&change.value),
                    disabled: false,
                });
            }
        }
    }
    records
}

/// The TXT record sets of a zone, by name.
pub(crate) fn txt_sets(zone: &Zone) -> BTreeMap<DnsName, &RrSet> {
    let sets = zone.rrsets.iter().filter(|set| set.r#type == TXT);
    sets.filter_map(|set| Some((set.name.parse().ok()?, set)))
        .collect()
}

/// The first changes that fit into one request; at least one.
pub(crate) fn first_request(changes: &[Change]) -> &[Change] {
    let mut records = 0;
    let fitting = changes.iter().take_while(|change| {
        records += change.records.len().max(1);
        records <= RECORDS_PER_REQUEST
    });
    let count = fitting.count().max(1).min(changes.len());
    &changes[..count]
}

#[cfg(test)]
mod tests {
    use acme_alias_core::provider::Limited;

    use super::*;

    fn change(action: Action, name: &str, value: &str) -> TxtChange {
        TxtChange {
            name: name.parse().unwrap(),
            value: value.parse().unwrap(),
            action,
            ttl: None,
        }
    }

    fn record(content: &str, disabled: bool) -> Record {
        Record {
            content: content.to_owned(),
            disabled,
        }
    }

    fn zone(r#type: &str, records: &[Record]) -> Zone {
        Zone {
            rrsets: vec![RrSet {
                name: "a.example.".to_owned(),
                r#type: r#type.to_owned(),
                ttl: 300,
                records: Limited(records.to_vec()),
            }],
            ..Zone::default()
        }
    }

    fn foreign() -> Zone {
        zone(
            TXT,
            &[
                record("\"fo\" \"reign\"", false),
                record("\"\\059\"", false),
            ],
        )
    }

    #[test]
    fn values_of_others_and_the_ttl_stay_as_they_are() {
        let changes = [
            change(Action::Add, "a.example", "ours"),
            change(Action::Add, "a.example", "foreign"),
            change(Action::Remove, "a.example", ";"),
            change(Action::Remove, "a.example", "never"),
        ];
        let wanted = Wanted::new(&changes);
        let whole = wanted.missing_from(&foreign(), 0, Manner::Whole);
        let [set] = whole.as_slice() else {
            panic!("{whole:?}");
        };
        assert_eq!((set.changetype, set.ttl), (ChangeType::Replace, Some(300)));
        let kept = [record("\"fo\" \"reign\"", false), record("\"ours\"", false)];
        assert_eq!(set.records, kept);

        let single = wanted.missing_from(&foreign(), 0, Manner::Single);
        let single = single
            .iter()
            .map(|c| (c.changetype, &*c.records[0].content, c.ttl));
        let expected = [
            (ChangeType::Prune, "\"\\059\"", Some(300)),
            (ChangeType::Extend, "\"ours\"", Some(300)),
        ];
        assert_eq!(single.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_set_without_records_is_deleted_and_one_as_wanted_is_not_sent() {
        let only = zone(TXT, &[record("\"v\"", false)]);
        let removal = [change(Action::Remove, "a.example", "v")];
        let deleted = Wanted::new(&removal).missing_from(&only, 0, Manner::Whole);
        assert_eq!(deleted[0].changetype, ChangeType::Delete);
        assert_eq!((deleted[0].ttl, deleted[0].records.len()), (None, 0));
        let addition = [
            change(Action::Remove, "a.example", "v"),
            change(Action::Add, "a.example", "v"),
        ];
        for manner in [Manner::Whole, Manner::Single] {
            assert_eq!(Wanted::new(&addition).missing_from(&only, 0, manner), []);
        }
    }

    #[test]
    fn disabled_records_stay_and_do_not_count() {
        let disabled = zone(TXT, &[record("\"v\"", true), record("\"w\"", true)]);
        let addition = [change(Action::Add, "a.example", "v")];
        let changes = Wanted::new(&addition).missing_from(&disabled, 0, Manner::Single);
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].changetype, ChangeType::Replace);
        let expected = [record("\"w\"", true), record("\"v\"", false)];
        assert_eq!(changes[0].records, expected);
    }

    #[test]
    fn a_cname_conflicts_with_additions_only() {
        let zone = zone("CNAME", &[record("x.example.", false)]);
        let addition = [change(Action::Add, "a.example", "v")];
        assert!(Wanted::new(&addition).conflict(&zone).is_some());
        let others = [
            change(Action::Remove, "a.example", "v"),
            change(Action::Add, "b.example", "v"),
        ];
        assert!(Wanted::new(&others).conflict(&zone).is_none());
    }

    #[test]
    fn requests_have_as_many_records_as_allowed() {
        let changes: Vec<_> = (0..1_200)
            .map(|i| change(Action::Add, &format!("n{i}.example"), "v"))
            .collect();
        let changes = Wanted::new(&changes).missing_from(&Zone::default(), 0, Manner::Whole);
        let (mut rest, mut sizes) = (changes.as_slice(), Vec::new());
        while !rest.is_empty() {
            let size = first_request(rest).len();
            sizes.push(size);
            rest = &rest[size..];
        }
        assert_eq!(sizes, [500, 500, 200]);
    }
}
