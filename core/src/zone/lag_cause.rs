//! Why a server may never have what the server has that took the change.

use std::fmt;

use hickory_proto::rr::RecordType;

use crate::dns::{Dns, Lagging};
use crate::name::DnsName;

/// Why a server may never have the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LagCause {
    /// It is the server that took the change, and it answers differently to those without the key.
    View,
    /// It has the version of the zone with this serial, as the server that took the change: that did not raise it.
    SameSerial(u32),
}

impl fmt::Display for LagCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LagCause::View => f.write_str(
                "that server took the change itself, and answers differently to those without the key, as with views",
            ),
            LagCause::SameSerial(serial) => write!(
                f,
                "it has the version {serial} of the zone, as the server that took the change and did not raise the \
                 serial"
            ),
        }
    }
}

impl LagCause {
    /// Looks for the cause. `took` is the server that took the change, and `serial` returns that of its version of the
    /// zone.
    pub(super) async fn find(
        dns: &Dns,
        zone: &DnsName,
        (took, serial): (&str, impl Future<Output = Option<u32>>),
        lagging: &[Lagging],
    ) -> Option<Self> {
        let first = lagging.first()?;
        let is_same = |lagging: &Lagging| {
            let mut addresses = lagging.server.addresses.iter();
            addresses.any(|address| address.to_string() == took)
        };
        if lagging.iter().any(is_same) {
            return Some(LagCause::View);
        }
        let ours = serial.await?;
        let answer = dns.ask_server(&first.server, zone, RecordType::SOA);
        let theirs = answer.await.ok()?.soa()?.serial;
        (ours == theirs).then_some(LagCause::SameSerial(ours))
    }
}
