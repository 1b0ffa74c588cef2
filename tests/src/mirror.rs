//! The name servers of a backend that has none in the bed: a zone of the primary that follows it.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::dns;
use crate::error::Result;
use crate::nsupdate;
use crate::tsig::Key;

/// An alias zone of the primary, kept as a backend is.
#[derive(Clone, Debug)]
pub struct Mirror {
    pub(crate) folder: PathBuf,
    pub(crate) server: SocketAddr,
    pub(crate) key: Key,
    pub(crate) zone: String,
    /// The time to live of the records, in seconds.
    pub(crate) ttl: u32,
}

impl Mirror {
    /// Lets the zone have exactly these TXT records: owners and values.
    pub fn show(&self, wanted: &[(String, String)]) -> Result {
        let there = dns::txt(self.server, &self.zone)?;
        let (ttl, mut lines) = (self.ttl, String::new());
        for (name, value) in there.iter().filter(|record| !wanted.contains(record)) {
            lines.push_str(&format!("update delete {name} TXT \"{value}\"\n"));
        }
        for (name, value) in wanted.iter().filter(|record| !there.contains(record)) {
            lines.push_str(&format!("update add {name} {ttl} TXT \"{value}\"\n"));
        }
        if lines.is_empty() {
            return Ok(());
        }
        nsupdate::run(&self.folder, self.server, &self.key, &self.zone, &lines)
    }
}
