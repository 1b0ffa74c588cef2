//! The calls to Route 53 that this provider needs.

use std::collections::BTreeSet;

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::NAME_SERVERS_MAX;
use aws_sdk_route53::Client as Api;
use aws_sdk_route53::types::{
    ChangeBatch, ChangeStatus, HostedZone, HostedZoneConfig, ResourceRecordSet, RrType,
};

use crate::client::Client;
use crate::error::CallError;
use crate::parameters::HostedZoneId;

/// Up to this many names are queried one by one. For more, the zone is listed.
const SINGLE_QUERIES_MAX: usize = 4;
const SETS_PER_PAGE: i32 = 300;
/// Pages of a list that are read: 60,000 sets. One without an end must not keep a run from its end.
const PAGES_MAX: usize = 200;
/// Octets of the sets that are kept, and as many again for each name. A set with one value takes 500; one with 400
/// values, the most that there can be, 40,000.
const SETS_MAX: usize = 512 * 1024;
const SETS_OF_A_NAME_MAX: usize = 4 * 1024;
/// Hosted zones of one name that are kept. More than one are a mistake.
const ZONES_MAX: usize = 16;

/// The TXT sets at some names.
struct Found<'a> {
    names: BTreeSet<&'a DnsName>,
    sets: Vec<ResourceRecordSet>,
    octets: usize,
}

impl<'a> Found<'a> {
    fn new(names: &'a [DnsName]) -> Self {
        Found {
            names: names.iter().collect(),
            sets: Vec::new(),
            octets: 0,
        }
    }

    /// Takes those at the names from a page.
    fn add(&mut self, page: Vec<ResourceRecordSet>) -> Result<(), CallError> {
        for set in page {
            let is_at_names = || {
                let name = set.name().parse::<DnsName>();
                name.is_ok_and(|name| self.names.contains(&name))
            };
            if *set.r#type() != RrType::Txt || !is_at_names() {
                continue;
            }
            let records = set.resource_records().iter();
            let records: usize = records
                .map(|record| size_of_val(record) + record.value().len())
                .sum();
            self.octets += size_of_val(&set) + records;
            let max = SETS_MAX + self.names.len() * SETS_OF_A_NAME_MAX;
            if self.octets > max {
                let problem = format!("the sets at these names take more than {max} octets");
                return Err(CallError::NoAnswer(problem));
            }
            self.sets.push(set);
        }
        Ok(())
    }
}

/// The hosted zones of one name.
#[derive(Debug, Default)]
pub(crate) struct HostedZones {
    pub(crate) public: Vec<HostedZoneId>,
    /// The private ones, which are not visible outside their networks.
    pub(crate) private: Vec<HostedZoneId>,
}

impl Client {
    /// The name of the first set of a zone, which is that of the zone: sets are listed by name with
    /// the labels in reverse, and NS and SOA always exist
    /// (<https://docs.aws.amazon.com/Route53/latest/APIReference/API_ListResourceRecordSets.html>).
    pub(crate) async fn first_name(
        &self,
        zone: &HostedZoneId,
    ) -> Result<Option<String>, CallError> {
        let send = |api: &Api| {
            api.list_resource_record_sets()
                .hosted_zone_id(zone.as_str())
                .max_items(1)
                .send()
        };
        let listed = self.call(send, CallError::new).await?;
        let mut sets = listed.resource_record_sets().iter();
        Ok(sets.next().map(|set| set.name().to_owned()))
    }

    /// The names in the NS records of a zone; none if the zone has another name.
    pub(crate) async fn name_servers(
        &self,
        zone: &HostedZoneId,
        name: &DnsName,
    ) -> Result<Vec<DnsName>, CallError> {
        let sets = self.list_from(zone, name, RrType::Ns).await?;
        let is_apex = |set: &&ResourceRecordSet| {
            *set.r#type() == RrType::Ns && set.name().eq_ignore_ascii_case(&name.fqdn())
        };
        let records = sets.iter().filter(is_apex);
        let records = records.flat_map(ResourceRecordSet::resource_records);
        let names = records.filter_map(|record| record.value().parse().ok());
        Ok(names.take(NAME_SERVERS_MAX).collect())
    }

    /// The hosted zones of this name.
    pub(crate) async fn hosted_zones(&self, name: &DnsName) -> Result<HostedZones, CallError> {
        let send = |api: &Api| api.list_hosted_zones_by_name().dns_name(name.fqdn()).send();
        let listed = self.call(send, CallError::new).await?;
        let is_private =
            |found: &HostedZone| found.config().is_some_and(HostedZoneConfig::private_zone);
        let mut zones = HostedZones::default();
        for found in listed.hosted_zones() {
            if !found.name().eq_ignore_ascii_case(&name.fqdn()) {
                continue;
            }
            let of_its_kind = if is_private(found) {
                &mut zones.private
            } else {
                &mut zones.public
            };
            if of_its_kind.len() < ZONES_MAX {
                of_its_kind.extend(found.id().parse::<HostedZoneId>());
            }
        }
        Ok(zones)
    }

    /// The TXT sets at `names`.
    pub(crate) async fn record_sets(
        &self,
        zone: &HostedZoneId,
        names: &[DnsName],
    ) -> Result<Vec<ResourceRecordSet>, CallError> {
        let mut found = Found::new(names);
        if names.len() > SINGLE_QUERIES_MAX {
            self.list(zone, &mut found).await?;
        } else {
            for name in names {
                found.add(self.list_from(zone, name, RrType::Txt).await?)?;
            }
        }
        Ok(found.sets)
    }

    /// The set of this type at `name`, or the set that follows.
    async fn list_from(
        &self,
        zone: &HostedZoneId,
        name: &DnsName,
        kind: RrType,
    ) -> Result<Vec<ResourceRecordSet>, CallError> {
        let send = |api: &Api| {
            api.list_resource_record_sets()
                .hosted_zone_id(zone.as_str())
                .start_record_name(name.fqdn())
                .start_record_type(kind.clone())
                .max_items(1)
                .send()
        };
        let listed = self.call(send, CallError::new).await?;
        Ok(listed.resource_record_sets)
    }

    /// Searches all sets of the zone.
    async fn list(&self, zone: &HostedZoneId, found: &mut Found<'_>) -> Result<(), CallError> {
        let mut next = (None, None, None);
        for _ in 0..PAGES_MAX {
            let send = |api: &Api| {
                let (name, kind, identifier) = next.clone();
                api.list_resource_record_sets()
                    .hosted_zone_id(zone.as_str())
                    .max_items(SETS_PER_PAGE)
                    .set_start_record_name(name)
                    .set_start_record_type(kind)
                    .set_start_record_identifier(identifier)
                    .send()
            };
            let page = self.call(send, CallError::new).await?;
            found.add(page.resource_record_sets)?;
            if !page.is_truncated {
                return Ok(());
            }
            next = (
                page.next_record_name,
                page.next_record_type,
                page.next_record_identifier,
            );
        }
        let problem = format!("the list of {zone} has more than {PAGES_MAX} pages");
        Err(CallError::NoAnswer(problem))
    }

    /// Sends a batch; returns the id of the change.
    pub(crate) async fn change(
        &self,
        zone: &HostedZoneId,
        batch: ChangeBatch,
    ) -> Result<String, CallError> {
        let send = |api: &Api| {
            api.change_resource_record_sets()
                .hosted_zone_id(zone.as_str())
                .change_batch(batch.clone())
                .send()
        };
        let changed = self.call(send, CallError::new).await?;
        let info = changed.change_info();
        Ok(info.map(|info| info.id().to_owned()).unwrap_or_default())
    }

    /// Whether a change is on all servers of Route 53.
    pub(crate) async fn is_in_sync(&self, change: &str) -> Result<bool, CallError> {
        let send = |api: &Api| api.get_change().id(change).send();
        let found = self.call(send, CallError::new).await?;
        let info = found.change_info();
        Ok(info.is_some_and(|info| *info.status() == ChangeStatus::Insync))
    }
}
