//! One of several zones of one name.

use std::fmt;

use crate::name::DnsName;
use crate::printable::printable;

/// Names of the servers of a zone that a provider returns; a backend has two to eight. The others add nothing to the
/// comparison with the delegation.
pub const NAME_SERVERS_MAX: usize = 16;

/// One of several zones of one name at a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendZone {
    /// What the backend calls it.
    pub id: String,
    /// The names of the servers that serve it; empty if they are unknown.
    pub name_servers: Vec<DnsName>,
}

/// The id, and the servers if they are known.
impl fmt::Display for BackendZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.id))?;
        if self.name_servers.is_empty() {
            return Ok(());
        }
        let servers: Vec<_> = self.name_servers.iter().map(DnsName::to_string).collect();
        write!(f, " (at {})", servers.join(" and "))
    }
}
