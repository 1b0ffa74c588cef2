//! Which zones may be written in, and by whom.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::configured_provider::ConfiguredProvider;
use crate::name::DnsName;

/// A zone that a provider may write in.
#[derive(Clone, Debug)]
pub struct AliasZone {
    /// The apex.
    pub zone: DnsName,
    /// Who writes there.
    pub provider: Arc<ConfiguredProvider>,
}

/// The alias zones of a configuration.
#[derive(Debug, Default)]
pub struct AliasZones {
    apexes: BTreeSet<DnsName>,
    by_apex: HashMap<DnsName, Arc<ConfiguredProvider>>,
}

impl AliasZones {
    /// These zones. Of two entries with one apex the last counts.
    pub fn new(zones: impl IntoIterator<Item = AliasZone>) -> Self {
        let mut all = AliasZones::default();
        for AliasZone { zone, provider } in zones {
            all.by_apex.insert(zone.clone(), provider);
            all.apexes.insert(zone);
        }
        all
    }

    /// The apexes.
    pub fn apexes(&self) -> &BTreeSet<DnsName> {
        &self.apexes
    }

    /// Each zone with its provider.
    pub fn iter(&self) -> impl Iterator<Item = (&DnsName, &Arc<ConfiguredProvider>)> {
        let zones = self.apexes.iter();
        zones.filter_map(|apex| Some((apex, self.by_apex.get(apex)?)))
    }

    /// The longest alias zone that contains `name`, with its provider.
    pub fn closest(&self, name: &DnsName) -> Option<(DnsName, &Arc<ConfiguredProvider>)> {
        let mut candidates = name.ancestors();
        candidates.find_map(|apex| {
            let provider = self.by_apex.get(&apex)?;
            Some((apex, provider))
        })
    }
}
