//! What a `named`'s log says about dynamic updates.

/// One change, as the server logged it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The name of the key that signed the request.
    pub key: String,
    /// The zone.
    pub zone: String,
    /// What was done there.
    pub change: Change,
}

/// What was done in a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// One TXT record was added.
    TxtAdded {
        /// Its owner.
        name: String,
        /// Its value.
        value: String,
    },
    /// One TXT record was removed by its value, which BIND does not log.
    TxtRemoved {
        /// Its owner.
        name: String,
    },
    /// Anything else, in the server's words.
    Other(String),
}

impl Change {
    /// Whether the server did not carry it out, as it does with the questions of an audit and with more records
    /// than a name may have.
    pub fn was_in_vain(&self) -> bool {
        let Change::Other(what) = self else {
            return false;
        };
        [
            "unsuccessful",
            "REFUSED",
            "denied",
            "RR failed",
            "than permitted by policy",
        ]
        .iter()
        .any(|word| what.contains(word))
    }
}

/// The updates in a log, in order. A refused one is [`Change::Other`].
pub(crate) fn parse(log: &str) -> Vec<Update> {
    log.lines().filter_map(line).collect()
}

fn line(line: &str) -> Option<Update> {
    let (client, rest) = line.split_once(": updating zone '")?;
    let (_, key) = client.rsplit_once("/key ").unwrap_or(("", ""));
    let (zone, what) = rest.split_once("': ")?;
    Some(Update {
        key: key.to_owned(),
        zone: zone.trim_end_matches("/IN").to_owned(),
        change: added(what)
            .or_else(|| removed(what))
            .unwrap_or_else(|| Change::Other(what.to_owned())),
    })
}

fn added(what: &str) -> Option<Change> {
    let (name, value) = what
        .strip_prefix("adding an RR at '")?
        .split_once("' TXT ")?;
    Some(Change::TxtAdded {
        name: name.to_owned(),
        value: value.trim_matches('"').to_owned(),
    })
}

fn removed(what: &str) -> Option<Change> {
    let name = what
        .strip_prefix("deleting an RR at ")?
        .strip_suffix(" TXT")?;
    Some(Change::TxtRemoved {
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: &str = "23-Nov-2026 23:33:44.213 client @0x7f3c84cd7c98 127.0.0.1#38061";

    fn one(what: &str) -> Update {
        let log = format!(
            "23-Nov-2026 23:33:43.277 running\n\
             {CLIENT}/key acme-key: updating zone 'auth.example.net/IN': {what}\n"
        );
        let mut updates = parse(&log);
        assert_eq!(updates.len(), 1);
        updates.remove(0)
    }

    #[test]
    fn changes_of_single_txt_records_are_told_from_all_others() {
        let name = "_acme-challenge.auth.example.net".to_owned();
        let added = one("adding an RR at '_acme-challenge.auth.example.net' TXT \"abc\"");
        assert_eq!(
            (added.key.as_str(), added.zone.as_str()),
            ("acme-key", "auth.example.net")
        );
        assert_eq!(
            added.change,
            Change::TxtAdded {
                name: name.clone(),
                value: "abc".into()
            }
        );
        let removed = one("deleting an RR at _acme-challenge.auth.example.net TXT");
        assert_eq!(removed.change, Change::TxtRemoved { name });
        for other in [
            "adding an RR at 'x.auth.example.net' A 192.0.2.1",
            "deleting rrset at '_acme-challenge.auth.example.net' TXT",
            "delete all rrsets from name '_acme-challenge.auth.example.net'",
            "update failed: rejected by secure update (REFUSED)",
        ] {
            assert_eq!(one(other).change, Change::Other(other.to_owned()));
        }
    }
}
