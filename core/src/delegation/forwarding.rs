//! Updates that go to a secondary, which forwards them to the primary (RFC 2136 §6).

use std::net::SocketAddr;

use super::finding::{Finding, FindingKind, Severity};
use super::report::DelegationReport;
use crate::dns::{Dns, Server};
use crate::ledger::LateServer;
use crate::name::{DnsName, Identifier};

/// A secondary that updates are sent to, and the primary to which it forwards them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardedUpdates {
    zone: DnsName,
    late: LateServer,
    primary: DnsName,
}

impl ForwardedUpdates {
    /// What a server that was late with a change in `zone` is, if it is no other name or address of the primary that
    /// the SOA record of the zone names (MNAME, RFC 1035 §3.3.13). `None` if it is, or if that primary has no address.
    pub async fn of(dns: &Dns, zone: &DnsName, late: LateServer) -> Option<Self> {
        let server = parsed(&late.server)?;
        let primary = dns.primary(zone).await?;
        if server.name.as_ref() == primary.name.as_ref() {
            return None;
        }
        let has_address = !primary.addresses.is_empty() || primary.refused.is_some();
        let is_primary = |address: &SocketAddr| primary.addresses.contains(address);
        if !has_address || server.addresses.iter().any(is_primary) {
            return None;
        }
        Some(ForwardedUpdates {
            zone: zone.clone(),
            primary: primary.name?,
            late,
        })
    }

    fn finding(&self, identifiers: &[Identifier]) -> Finding {
        let LateServer { server, late } = &self.late;
        let (zone, primary) = (&self.zone, &self.primary);
        Finding {
            severity: Severity::Warning,
            kind: FindingKind::ForwardsUpdates,
            domains: identifiers.to_vec(),
            name: zone.clone(),
            server: None,
            answer: format!(
                "{server} is a secondary that forwards updates to the primary: it had the last value {:.1} s after it had \
                 accepted it",
                late.as_secs_f32()
            ),
            remedy: format!(
                "send updates to the primary, which is {primary} by the SOA record of {zone}"
            ),
            record: None,
        }
    }
}

impl DelegationReport {
    /// Adds a finding if the alias name of these identifiers is in a zone of which updates are forwarded.
    pub fn note_forwarded(&mut self, identifiers: &[Identifier], forwarded: &[ForwardedUpdates]) {
        let zone = self.alias.as_ref().map(|alias| &alias.zone);
        let found = forwarded.iter().find(|one| Some(&one.zone) == zone);
        if let Some(forwarded) = found {
            self.add(forwarded.finding(identifiers));
        }
    }
}

/// A server that is an address with a port, or a name with one.
fn parsed(server: &str) -> Option<Server> {
    if let Ok(address) = server.parse() {
        return Some(Server {
            addresses: vec![address],
            ..Server::default()
        });
    }
    let (name, _port) = server.rsplit_once(':')?;
    Some(Server {
        name: Some(name.parse().ok()?),
        ..Server::default()
    })
}
