//! What a response says of the TXT records at a name.

use std::collections::BTreeSet;

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::{Failure, ProviderError};
use acme_alias_core::txt::TxtSets;
use hickory_proto::op::Message;
use hickory_proto::rr::{RData, RecordType};

use crate::server::ServerAddress;

/// The values in a response at names that were asked for. They take much less memory than all of it.
#[derive(Debug)]
pub(crate) struct Found {
    /// The id of the query.
    pub(crate) id: u16,
    sets: TxtSets,
    cname: Option<DnsName>,
}

impl Found {
    pub(crate) fn in_response(response: &Message, asked: &BTreeSet<DnsName>) -> Self {
        let mut found = Found {
            id: response.metadata.id,
            sets: TxtSets::new(),
            cname: None,
        };
        for record in &response.answers {
            let name = record.name.to_ascii().parse::<DnsName>();
            let Some(name) = name.ok().filter(|name| asked.contains(name)) else {
                continue;
            };
            match &record.data {
                RData::TXT(txt) => {
                    let text = txt.txt_data.concat();
                    let value = std::str::from_utf8(&text).ok().and_then(|t| t.parse().ok());
                    let set = found.sets.entry(name).or_default();
                    set.add(Some(record.ttl), value);
                }
                _ if record.record_type() == RecordType::CNAME => {
                    found.cname.get_or_insert(name);
                }
                _ => {}
            }
        }
        found
    }

    /// Adds the values to `sets`.
    pub(crate) fn add_to(
        self,
        sets: &mut TxtSets,
        server: &ServerAddress,
    ) -> Result<(), ProviderError> {
        if let Some(name) = self.cname {
            return Err(ProviderError::new(
                Failure::Conflict,
                format!("{server} has a CNAME at {name}, where no TXT record can be added"),
                format!("remove the CNAME at {name}, or use its target as the alias name"),
            ));
        }
        for (name, found) in self.sets {
            let set = sets.entry(name).or_default();
            set.ttl = set.ttl.max(found.ttl);
            set.values.extend(found.values);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{MessageType, OpCode};
    use hickory_proto::rr::rdata::TXT;
    use hickory_proto::rr::{Name, Record};

    use super::*;

    #[test]
    fn only_values_at_names_that_were_asked_for_are_kept() {
        let mut response = Message::new(1, MessageType::Response, OpCode::Query);
        for (name, text) in [("a", "one"), ("a", "two"), ("a", "one"), ("b", "three")] {
            let name = Name::from_ascii(format!("{name}.example.")).unwrap();
            let data = RData::TXT(TXT::new(vec![text.to_owned()]));
            response.add_answer(Record::from_rdata(name, 60, data));
        }
        let asked: DnsName = "a.example".parse().unwrap();
        let found = Found::in_response(&response, &BTreeSet::from([asked.clone()]));
        let mut sets = TxtSets::new();
        let server = "192.0.2.1".parse().unwrap();
        found.add_to(&mut sets, &server).unwrap();
        assert_eq!(sets.len(), 1);
        let set = &sets[&asked];
        assert_eq!((set.values.len(), set.ttl), (2, Some(60)));
    }
}
