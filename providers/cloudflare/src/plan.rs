//! The difference between the records that are wanted and those that exist.

use std::collections::BTreeMap;

use acme_alias_core::name::DnsName;
use acme_alias_core::txt::{Action, TxtChange, TxtValue, quoting};

use crate::api::{Batch, NewRecord, Record, RecordId};

/// Which values must exist and which must not. The last change of a value counts.
pub(crate) struct Wanted<'a>(BTreeMap<(&'a DnsName, &'a TxtValue), Action>);

impl<'a> Wanted<'a> {
    pub(crate) fn new(changes: &'a [TxtChange]) -> Self {
        let changes = changes.iter();
        let by_value = changes.map(|change| ((&change.name, &change.value), change.action));
        Wanted(by_value.collect())
    }

    /// The names, each once.
    pub(crate) fn names(&self) -> Vec<DnsName> {
        let mut names: Vec<_> = self.0.keys().map(|(name, _)| (*name).clone()).collect();
        names.dedup();
        names
    }

    /// What has to change in `existing`; new records get this time to live, in seconds.
    pub(crate) fn missing_from(&self, existing: &[Record], ttl: u32) -> Batch {
        let mut batch = Batch::default();
        for ((name, value), action) in &self.0 {
            let mut same = existing
                .iter()
                .filter(|record| record.is_at(name) && record.text() == value.as_str())
                .peekable();
            match action {
                Action::Add if same.peek().is_none() => batch.posts.push(NewRecord {
                    r#type: "TXT",
                    name: name.to_string(),
                    content: quoting::quoted(value),
                    ttl,
                }),
                Action::Add => {}
                Action::Remove => batch.deletes.extend(same.map(|record| RecordId {
                    id: record.id.clone(),
                })),
            }
        }
        batch
    }
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.deletes.is_empty() && self.posts.is_empty()
    }

    /// Batches with at most `size` changes each.
    pub(crate) fn split(mut self, size: usize) -> Vec<Batch> {
        let mut parts = Vec::new();
        while !self.is_empty() {
            let deletes: Vec<_> = self.deletes.drain(..self.deletes.len().min(size)).collect();
            let room = size - deletes.len();
            let posts = self.posts.drain(..self.posts.len().min(room)).collect();
            parts.push(Batch { deletes, posts });
        }
        parts
    }

    /// The records among `made` whose name is not one of those that were asked for.
    pub(crate) fn misplaced(&self, made: Vec<Record>) -> Vec<Record> {
        let is_asked_for = |record: &Record| {
            let mut posts = self.posts.iter();
            posts.any(|post| post.name.eq_ignore_ascii_case(&record.name))
        };
        let made = made.into_iter();
        made.filter(|record| !is_asked_for(record)).collect()
    }
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

    fn record(id: &str, name: &str, content: &str) -> Record {
        Record {
            id: id.to_owned(),
            name: name.to_owned(),
            content: content.to_owned(),
            ttl: None,
        }
    }

    #[test]
    fn only_what_differs_is_changed() {
        let existing = [
            record("1", "a.example", "\"there\""),
            record("2", "A.example.", "gone"),
            record("3", "a.example", "\"gone\""),
            record("4", "b.example", "\"gone\""),
        ];
        let changes = [
            change(Action::Add, "a.example", "there"),
            change(Action::Remove, "a.example", "gone"),
            change(Action::Remove, "a.example", "never"),
            change(Action::Add, "b.example", "new"),
        ];
        let wanted = Wanted::new(&changes);
        let batch = wanted.missing_from(&existing, 60);
        let deleted: Vec<_> = batch.deletes.iter().map(|one| one.id.as_str()).collect();
        assert_eq!(deleted, ["2", "3"]);
        let [post] = batch.posts.as_slice() else {
            panic!("{batch:?}");
        };
        assert_eq!((&*post.name, &*post.content), ("b.example", "\"new\""));
        assert_eq!(wanted.names().len(), 2);
    }

    #[test]
    fn the_last_change_of_a_value_counts() {
        let changes = [
            change(Action::Add, "a.example", "v"),
            change(Action::Remove, "a.example", "v"),
        ];
        assert!(Wanted::new(&changes).missing_from(&[], 60).is_empty());
    }

    #[test]
    fn a_split_keeps_all_changes() {
        let ids = (0..5).map(|id| RecordId { id: id.to_string() });
        let changes: Vec<_> = (0..4)
            .map(|i| change(Action::Add, &format!("n{i}.example"), "v"))
            .collect();
        let mut batch = Wanted::new(&changes).missing_from(&[], 60);
        batch.deletes = ids.collect();
        let sizes: Vec<_> = batch
            .split(3)
            .iter()
            .map(|part| (part.deletes.len(), part.posts.len()))
            .collect();
        assert_eq!(sizes, [(3, 0), (2, 1), (0, 3)]);
    }

    #[test]
    fn a_record_with_another_name_is_misplaced() {
        let changes = [change(Action::Add, "a.example", "v")];
        let batch = Wanted::new(&changes).missing_from(&[], 60);
        let made = vec![
            record("1", "A.example", "\"v\""),
            record("2", "a.example.example.org", "\"v\""),
        ];
        let misplaced: Vec<_> = batch.misplaced(made).into_iter().map(|r| r.id).collect();
        assert_eq!(misplaced, ["2"]);
    }
}
