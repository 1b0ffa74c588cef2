//! The reports of zones that a process shares.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use super::zone_report::ZoneReport;
use crate::dns::{Cache, Dns};
use crate::dnssec::Validator;
use crate::name::DnsName;

/// Reports that are kept.
const ZONES_KEPT: usize = 2048;
/// How long a name waits for a report that another one makes. It takes some seconds if servers of the zone are dead.
const PATIENCE: Duration = Duration::from_secs(8);

/// What all checks share: the clients, and the reports of zones.
#[derive(Debug)]
pub(super) struct ZoneReports {
    pub(super) dns: Arc<Dns>,
    pub(super) validator: Validator,
    reports: Cache<DnsName, Arc<ZoneReport>, Infallible>,
}

impl ZoneReports {
    pub(super) fn new(dns: Arc<Dns>) -> Self {
        ZoneReports {
            validator: Validator::new(Arc::clone(&dns)),
            dns,
            reports: Cache::with_patience(ZONES_KEPT, PATIENCE),
        }
    }

    /// The report of the zone at `apex`: the one that is kept, or a new one, which concurrent callers share.
    pub(super) async fn get(&self, apex: &DnsName) -> Arc<ZoneReport> {
        let fetch = async { Ok(ZoneReport::of(&self.dns, &self.validator, apex).await) };
        match self.reports.get_or_fetch(apex, Box::pin(fetch)).await {
            Ok(report) => report.value,
            Err(never) => match never {},
        }
    }

    /// Forgets all reports and the records that they rest on.
    pub(super) fn clear(&self) {
        self.reports.remove(|_| true);
        self.dns.clear_cache();
    }
}
