//! Zones as text.

use std::fmt;

/// The serial number that every zone begins with.
pub(crate) const FIRST_SERIAL: u32 = 1;

/// A zone and what is in it when the bed starts.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    /// Its name, without the final dot: the root has an empty one.
    pub(crate) apex: String,
    records: Vec<String>,
    /// Whether its file has an error, so that the server answers SERVFAIL.
    pub(crate) broken: bool,
    /// How long the absence of records may be cached, in seconds (RFC 2308 §4).
    pub(crate) negative_ttl: u32,
}

impl Zone {
    pub(crate) fn new(apex: &str) -> Self {
        Zone {
            apex: apex.to_owned(),
            records: Vec::new(),
            broken: false,
            // The CA is asked once more when it may have cached that there is nothing.
            negative_ttl: 1,
        }
    }

    /// A zone that cannot be loaded.
    pub(crate) fn broken(apex: &str) -> Self {
        Zone {
            broken: true,
            ..Zone::new(apex)
        }
    }

    /// Delegates a zone below this one to its `ns1`, which is on this machine.
    pub(crate) fn delegate(&mut self, child: &str) {
        self.add(format!("{child}. 600 IN NS ns1.{child}."));
        self.add(format!("ns1.{child}. 600 IN A 127.0.0.1"));
    }

    /// Takes a delegation away.
    pub(crate) fn undelegate(&mut self, child: &str) {
        let (set, glue) = (format!("{child}. "), format!("ns1.{child}. "));
        self.records
            .retain(|record| !record.starts_with(&set) && !record.starts_with(&glue));
    }

    /// The name with this label below the apex, with the final dot.
    fn child(&self, label: &str) -> String {
        match self.apex.as_str() {
            "" => format!("{label}."),
            apex => format!("{label}.{apex}."),
        }
    }

    /// Its name server, its contact, and whether the server's address belongs in the zone. No host has a name with
    /// an underscore, so the zone of a challenge name has those of the domain.
    fn host_and_contact(&self) -> (String, String, bool) {
        match self.apex.strip_prefix("_acme-challenge.") {
            Some(domain) => (
                format!("ns1.{domain}."),
                format!("hostmaster.{domain}."),
                false,
            ),
            None => (self.child("ns1"), self.child("hostmaster"), true),
        }
    }

    /// Adds a line of a zone file; its owner is absolute.
    pub(crate) fn add(&mut self, line: String) {
        self.records.push(line);
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        name.strip_suffix(&self.apex)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

/// The zone file (RFC 1035 §5).
impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Zone {
            apex,
            broken,
            negative_ttl,
            ..
        } = self;
        if *broken {
            return writeln!(f, "; no SOA record, no NS record");
        }
        let (host, contact, has_address) = self.host_and_contact();
        writeln!(
            f,
            "{apex}. 600 IN SOA {host} {contact} {FIRST_SERIAL} 3600 600 86400 {negative_ttl}"
        )?;
        writeln!(f, "{apex}. 600 IN NS {host}")?;
        if has_address {
            writeln!(f, "{host} 600 IN A 127.0.0.1")?;
        }
        for record in &self.records {
            writeln!(f, "{record}")?;
        }
        Ok(())
    }
}
