//! Reading a zone: of all its record sets, those at some names are kept. A set may take many times as much in memory as
//! in the answer.

use std::borrow::Cow;
use std::collections::BTreeSet;

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::for_each_item;
use serde::Deserialize;
use serde::de::Error;
use serde_json::value::RawValue;

use crate::api::Zone;
use crate::client::Client;
use crate::error::RequestError;

/// The kinds of sets that matter.
const KINDS: [&str; 2] = ["TXT", "CNAME"];
/// Octets of a name as PowerDNS writes it: each of 253 may be a backslash and three digits.
const NAME_MAX: usize = 4 * 254;

impl Client {
    /// The zone with its TXT and CNAME records at these names. All records are asked for, because PowerDNS leaves
    /// disabled ones out of an answer about some names, and they would be lost when their set is replaced.
    pub(crate) async fn zone(
        &self,
        zone: &DnsName,
        names: &BTreeSet<&DnsName>,
    ) -> Result<Zone, RequestError> {
        let path = self.zone_path(zone);
        self.get_with(&path, |octets| zone_with(octets, names))
            .await
    }
}

/// The record sets of a zone, not read yet.
#[derive(Deserialize)]
struct Sets<'a> {
    #[serde(borrow, default)]
    rrsets: Option<&'a RawValue>,
}

/// What tells whether a set matters.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    r#type: Cow<'a, str>,
}

impl Head<'_> {
    fn is_at(&self, names: &BTreeSet<&DnsName>) -> bool {
        KINDS.contains(&&*self.r#type)
            && self.name.len() <= NAME_MAX
            && self
                .name
                .parse()
                .is_ok_and(|name: DnsName| names.contains(&name))
    }
}

/// Reads a zone, with the TXT and CNAME records at these names.
fn zone_with(octets: &[u8], names: &BTreeSet<&DnsName>) -> serde_json::Result<Zone> {
    let mut zone: Zone = serde_json::from_slice(octets)?;
    let Sets { rrsets } = serde_json::from_slice(octets)?;
    let Some(list) = rrsets else {
        return Ok(zone);
    };
    let mut parser = serde_json::Deserializer::from_str(list.get());
    for_each_item(&mut parser, |set: &RawValue| {
        let head: Head<'_> = serde_json::from_str(set.get())?;
        if !head.is_at(names) {
            return Ok(());
        }
        if zone.rrsets.len() == KINDS.len() * names.len() {
            return Err(serde_json::Error::custom(
                "a name has several sets of one type",
            ));
        }
        zone.rrsets.push(serde_json::from_str(set.get())?);
        Ok(())
    })?;
    Ok(zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records that a set may have.
    const RECORDS_MAX: usize = 10_000;

    fn read(sets: &str) -> serde_json::Result<Zone> {
        let name: DnsName = "a.example".parse().unwrap();
        let zone = format!(r#"{{"name": "example.", "rrsets": {sets}, "kind": "Native"}}"#);
        zone_with(zone.as_bytes(), &BTreeSet::from([&name]))
    }

    fn set(name: &str, kind: &str, records: usize) -> String {
        let records = vec![r#"{"content": "\"v\""}"#; records].join(",");
        format!(r#"{{"name": "{name}", "type": "{kind}", "ttl": 60, "records": [{records}]}}"#)
    }

    #[test]
    fn txt_and_cname_records_at_the_names_are_kept() {
        let sets = [
            set("a.example.", "TXT", 2),
            set("A.example.", "CNAME", 1),
            set("a.example.", "A", 1),
            set("b.example.", "TXT", 1),
            set(&"x".repeat(2_000), "TXT", 1),
            r#"{"name": "c.example.", "type": "ENT"}"#.to_owned(),
        ];
        let zone = read(&format!("[{}]", sets.join(","))).unwrap();
        assert_eq!(
            (zone.name.as_str(), zone.kind.as_str()),
            ("example.", "Native")
        );
        let kept = zone.rrsets.iter();
        let kept: Vec<_> = kept
            .map(|set| (set.r#type.as_str(), set.records.len()))
            .collect();
        assert_eq!(kept, [("TXT", 2), ("CNAME", 1)]);
        assert_eq!(zone.rrsets[0].ttl, 60);
    }

    #[test]
    fn more_sets_or_records_than_a_name_can_have_are_an_error() {
        let three = vec![set("a.example.", "TXT", 1); 3].join(",");
        let error = read(&format!("[{three}]")).unwrap_err().to_string();
        assert!(error.contains("several sets"), "{error}");
        assert!(read(&format!("[{}]", set("a.example.", "TXT", RECORDS_MAX))).is_ok());
        let many = |name| format!("[{}]", set(name, "TXT", RECORDS_MAX + 1));
        let error = read(&many("a.example.")).unwrap_err().to_string();
        assert!(error.contains("more than 10000 items"), "{error}");
        // Those at other names are not read.
        assert!(read(&many("b.example.")).is_ok_and(|zone| zone.rrsets.is_empty()));
        assert!(read("7").is_err());
    }
}
