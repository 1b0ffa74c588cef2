//! Reading a zone: of all its record sets, those at some names are kept. A set may take many times as much in memory as
//! in the answer.

use std::collections::BTreeSet;
use std::fmt;

use acme_alias_core::name::DnsName;
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::api::{RrSet, Zone};
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

/// Reads a zone, with the TXT and CNAME records at these names.
fn zone_with(octets: &[u8], names: &BTreeSet<&DnsName>) -> serde_json::Result<Zone> {
    let mut zone: Zone = serde_json::from_slice(octets)?;
    let mut parser = serde_json::Deserializer::from_slice(octets);
    zone.rrsets = InZone(names).deserialize(&mut parser)?;
    Ok(zone)
}

/// Reads a zone, and keeps its sets at these names.
struct InZone<'a>(&'a BTreeSet<&'a DnsName>);

impl<'de> DeserializeSeed<'de> for InZone<'_> {
    type Value = Vec<RrSet>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for InZone<'_> {
    type Value = Vec<RrSet>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a zone")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut zone: A) -> Result<Self::Value, A::Error> {
        let mut sets = Vec::new();
        while let Some(key) = zone.next_key::<String>()? {
            if key == "rrsets" {
                sets = zone.next_value_seed(InList(self.0))?;
            } else {
                zone.next_value::<IgnoredAny>()?;
            }
        }
        Ok(sets)
    }
}

/// Reads a list of sets, and keeps those at these names.
struct InList<'a>(&'a BTreeSet<&'a DnsName>);

impl InList<'_> {
    fn has(&self, set: &RrSet) -> bool {
        KINDS.contains(&set.r#type.as_str())
            && set.name.len() <= NAME_MAX
            && set
                .name
                .parse()
                .is_ok_and(|name: DnsName| self.0.contains(&name))
    }
}

impl<'de> DeserializeSeed<'de> for InList<'_> {
    type Value = Vec<RrSet>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for InList<'_> {
    type Value = Vec<RrSet>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of record sets")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut sets = Vec::new();
        while let Some(set) = list.next_element()? {
            if !self.has(&set) {
                continue;
            }
            if sets.len() == KINDS.len() * self.0.len() {
                return Err(Error::custom("a name has several sets of one type"));
            }
            sets.push(set);
        }
        Ok(sets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limited::RECORDS_MAX;

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
        let many = set("b.example.", "TXT", RECORDS_MAX + 1);
        let error = read(&format!("[{many}]")).unwrap_err().to_string();
        assert!(error.contains("more than 10000 records"), "{error}");
        assert!(read("7").is_err());
    }
}
