//! What several languages write alike.

use acme_alias_core::delegation::{RecordData, ZoneRecord};
use acme_alias_core::dns::Caa;

/// A line of comment for each record that has to go.
pub(super) fn replaced<'a>(
    records: impl IntoIterator<Item = &'a ZoneRecord>,
    comment: &str,
) -> String {
    let replaced = records.into_iter().flat_map(|record| &record.replaces);
    let lines = replaced.map(|there| format!("{comment} in place of {there}\n"));
    lines.collect()
}

/// All CAA records of a name, for languages that know sets only. The set includes records that are there and
/// not asked for, because a set that leaves them out would delete them.
pub(super) fn caa_set<'a>(records: &[&'a ZoneRecord]) -> Vec<&'a Caa> {
    let mut set: Vec<&Caa> = Vec::new();
    let wanted = records.iter().filter_map(|record| match &record.data {
        RecordData::Caa(caa) => Some(caa),
        RecordData::Cname { .. } => None,
    });
    let beside = records.iter().flat_map(|record| &record.beside);
    for caa in wanted.chain(beside) {
        if !set.contains(&caa) {
            set.push(caa);
        }
    }
    set
}

/// Octets as a string in double quotes, as JSON, YAML and JavaScript read it.
pub(super) fn literal(octets: &[u8]) -> String {
    let mut text = String::from("\"");
    for &octet in octets {
        match octet {
            b'"' | b'\\' => text.extend(['\\', char::from(octet)]),
            b' '..=b'~' => text.push(char::from(octet)),
            other => text.push_str(&format!("\\u{other:04x}")),
        }
    }
    text + "\""
}
