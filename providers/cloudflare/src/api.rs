//! The API's calls that this provider needs, and their types.

use std::collections::HashSet;
use std::slice;

use acme_alias_core::name::DnsName;
use acme_alias_core::printable::{TEXT_MAX, shortened};
use acme_alias_core::provider::{BackendZone, Few, NAME_SERVERS_MAX, ProviderError};
use acme_alias_core::txt::quoting::{self, Digits};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::client::{Client, Envelope};
use crate::error::{RequestError, TokenState};
use crate::parameters::ZoneId;

/// Up to this many names are queried one by one. For more, the zone's TXT records are listed.
const SINGLE_QUERIES_MAX: usize = 3;
const RECORDS_PER_PAGE: &str = "1000";
/// Pages of a list that are read: 200,000 records. One without an end must not keep a run from its end.
const PAGES_MAX: u32 = 200;
/// Octets of TXT records that are kept, and as many again for each name. A value takes 300; a name server answers with
/// at most 1,100 of them at a name.
const RECORDS_MAX: usize = 512 * 1024;
const RECORDS_OF_A_NAME_MAX: usize = 1024;
/// Octets of zones that are kept. Each has about 200.
const ZONES_MAX: usize = 16 * 1024 * 1024;
/// The status of a zone that is delegated to Cloudflare
/// (<https://developers.cloudflare.com/dns/zone-setups/reference/domain-status/>).
const ACTIVE: &str = "active";
/// <https://developers.cloudflare.com/api/resources/zones/methods/list/>
const ZONES_PER_PAGE: &str = "50";
/// <https://developers.cloudflare.com/api/resources/user/subresources/tokens/methods/verify/>
const VERIFY: &str = "/user/tokens/verify";

/// A zone: <https://developers.cloudflare.com/api/resources/zones/methods/list/>.
#[derive(Debug, Deserialize)]
pub(crate) struct Zone {
    pub(crate) id: String,
    pub(crate) name: String,
    /// `active` if the zone is delegated to its servers at Cloudflare.
    #[serde(default)]
    pub(crate) status: Option<String>,
    /// The names of these servers.
    #[serde(default)]
    pub(crate) name_servers: Option<Few<String>>,
    /// Names in the owner's zones that may stand in place of these.
    #[serde(default)]
    pub(crate) vanity_name_servers: Option<Few<String>>,
}

impl Zone {
    /// Whether its servers are those that resolvers ask. A zone without a status counts as if they were.
    pub(crate) fn is_active(&self) -> bool {
        self.status.as_deref().is_none_or(|status| status == ACTIVE)
    }

    /// All names of its servers.
    pub(crate) fn servers(&self) -> Vec<DnsName> {
        let names = [&self.name_servers, &self.vanity_name_servers];
        let names = names.into_iter().flatten().flat_map(|few| few.iter());
        let names = names.filter_map(|name| name.parse().ok());
        names.take(NAME_SERVERS_MAX).collect()
    }

    /// Its id and the names of its servers.
    pub(crate) fn at_backend(&self) -> BackendZone {
        BackendZone {
            id: self.id.clone(),
            name_servers: self.servers(),
        }
    }
}

/// A record: <https://developers.cloudflare.com/api/resources/dns/subresources/records/>.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) content: String,
    #[serde(default)]
    pub(crate) ttl: Option<u32>,
}

/// What Cloudflare makes of the TTL 1, "automatic", in seconds:
/// <https://developers.cloudflare.com/dns/manage-dns-records/reference/ttl/>.
const AUTOMATIC_TTL: u32 = 300;

impl Record {
    /// How long resolvers may cache it, in seconds.
    pub(crate) fn cache_time(&self) -> Option<u32> {
        self.ttl
            .map(|ttl| if ttl == 1 { AUTOMATIC_TTL } else { ttl })
    }

    pub(crate) fn is_at(&self, name: &DnsName) -> bool {
        self.name
            .trim_end_matches('.')
            .eq_ignore_ascii_case(name.as_str())
    }

    /// The text of a TXT record, which may be in quotes or not:
    /// <https://developers.cloudflare.com/dns/manage-dns-records/reference/dns-record-types/#txt>.
    pub(crate) fn text(&self) -> String {
        quoting::unquoted(&self.content, Digits::Decimal)
    }
}

/// A record to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct NewRecord {
    pub(crate) r#type: &'static str,
    pub(crate) name: String,
    pub(crate) content: String,
    /// In seconds.
    pub(crate) ttl: u32,
}

/// A record to be removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RecordId {
    pub(crate) id: String,
}

/// The body of a batch, which is carried out in one transaction:
/// <https://developers.cloudflare.com/api/resources/dns/subresources/records/methods/batch/>.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Batch {
    pub(crate) deletes: Vec<RecordId>,
    pub(crate) posts: Vec<NewRecord>,
}

#[derive(Debug, Default, Deserialize)]
struct BatchResult {
    #[serde(default)]
    posts: Vec<Record>,
}

/// The result of a deletion: the record's id, which is known already.
#[derive(Debug, Deserialize)]
struct Deleted {}

/// A token's state and end, as the API reports them.
#[derive(Debug, Deserialize)]
pub(crate) struct Verification {
    pub(crate) status: String,
    pub(crate) expires_on: Option<String>,
}

impl Client {
    /// The zones of this name that the token may read.
    pub(crate) async fn zones_named(&self, name: &DnsName) -> Result<Vec<Zone>, RequestError> {
        let found: Envelope<Few<Zone>> = self.get("/zones", &[("name", name.as_str())]).await?;
        Ok(found.result.map(|Few(zones)| zones).unwrap_or_default())
    }

    /// All zones that the token may list, and why there may be more.
    pub(crate) async fn zones(&self) -> (Vec<Zone>, Result<(), RequestError>) {
        let octets = |zone: &Zone| {
            let servers = [&zone.name_servers, &zone.vanity_name_servers];
            let servers = servers.into_iter().flatten().flat_map(|few| few.iter());
            Some(zone.id.len() + zone.name.len() + servers.map(String::len).sum::<usize>())
        };
        let query = [("per_page", ZONES_PER_PAGE)];
        self.list("/zones", &query, ZONES_MAX, octets).await
    }

    /// The items of a list on several pages, and why there may be more. `octets` are those of an item, at most `max`
    /// together; an item without is left out.
    async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        max: usize,
        octets: impl Fn(&T) -> Option<usize>,
    ) -> (Vec<T>, Result<(), RequestError>) {
        let (mut items, mut kept) = (Vec::new(), 0);
        for page in 1..=PAGES_MAX {
            let number = page.to_string();
            let query = [query, &[("page", number.as_str())]].concat();
            let envelope = match self.get::<Vec<T>>(path, &query).await {
                Ok(envelope) => envelope,
                Err(error) => return (items, Err(error)),
            };
            let is_last = envelope.is_last(page);
            let found = envelope.result.unwrap_or_default();
            let is_empty = found.is_empty();
            for item in found {
                let Some(octets) = octets(&item) else {
                    continue;
                };
                kept += octets + size_of::<T>();
                if kept > max {
                    let problem = format!("the list has more than {max} octets");
                    return (items, Err(RequestError::NoAnswer(problem.into())));
                }
                items.push(item);
            }
            if is_last || is_empty {
                return (items, Ok(()));
            }
        }
        let problem = format!("the list has more than {PAGES_MAX} pages");
        (items, Err(RequestError::NoAnswer(problem.into())))
    }

    /// A zone. The token needs Zone:Read.
    pub(crate) async fn zone(&self, id: &ZoneId) -> Result<Option<Zone>, RequestError> {
        let found: Envelope<Zone> = self.get(&format!("/zones/{id}"), &[]).await?;
        Ok(found.result)
    }

    /// Any one record of the zone.
    pub(crate) async fn any_record(&self, zone: &ZoneId) -> Result<Option<Record>, RequestError> {
        let path = records_path(zone);
        let records: Envelope<Vec<Record>> = self.get(&path, &[("per_page", "1")]).await?;
        Ok(records.result.unwrap_or_default().into_iter().next())
    }

    /// The zone's name in the head of its export
    /// (<https://developers.cloudflare.com/api/resources/dns/subresources/records/methods/export/>).
    pub(crate) async fn exported_name(
        &self,
        zone: &ZoneId,
    ) -> Result<Option<String>, RequestError> {
        let path = format!("{}/export", records_path(zone));
        let export = self.get_text(&path).await?;
        let domain = export
            .lines()
            .find_map(|line| line.strip_prefix(";; Domain:"));
        Ok(domain.map(|domain| domain.trim().trim_end_matches('.').to_owned()))
    }

    /// The TXT records at `names`.
    pub(crate) async fn txt_records(
        &self,
        zone: &ZoneId,
        names: &[DnsName],
    ) -> Result<Vec<Record>, RequestError> {
        if names.len() > SINGLE_QUERIES_MAX {
            return self.list_txt_records(zone, names).await;
        }
        let mut records = Vec::new();
        for name in names {
            let at_name = self.list_txt_records(zone, slice::from_ref(name)).await?;
            records.extend(at_name);
        }
        Ok(records)
    }

    /// Lists the records at one name, or all of the zone for several names, and keeps those at the names.
    async fn list_txt_records(
        &self,
        zone: &ZoneId,
        names: &[DnsName],
    ) -> Result<Vec<Record>, RequestError> {
        let mut query = vec![("type", "TXT"), ("per_page", RECORDS_PER_PAGE)];
        if let [only] = names {
            query.push(("name.exact", only.as_str()));
        }
        let max = RECORDS_MAX + names.len() * RECORDS_OF_A_NAME_MAX;
        let names: HashSet<_> = names.iter().map(DnsName::as_str).collect();
        let octets = |record: &Record| {
            let name = record.name.trim_end_matches('.').to_ascii_lowercase();
            let octets = record.id.len() + record.name.len() + record.content.len();
            names.contains(name.as_str()).then_some(octets)
        };
        let path = records_path(zone);
        let (records, all) = self.list(&path, &query, max, octets).await;
        all.map(|()| records)
    }

    /// Carries out a batch; returns the records that were made.
    pub(crate) async fn batch(
        &self,
        zone: &ZoneId,
        batch: &Batch,
    ) -> Result<Vec<Record>, RequestError> {
        let path = format!("{}/batch", records_path(zone));
        let envelope: Envelope<BatchResult> = self.post(&path, batch).await?;
        Ok(envelope.result.unwrap_or_default().posts)
    }

    /// Makes one record; returns it.
    pub(crate) async fn create(
        &self,
        zone: &ZoneId,
        record: &NewRecord,
    ) -> Result<Option<Record>, RequestError> {
        let envelope: Envelope<Record> = self.post(&records_path(zone), record).await?;
        Ok(envelope.result)
    }

    /// Removes one record. `zone` may be the id of any zone.
    pub(crate) async fn remove(&self, zone: &str, record: &str) -> Result<(), RequestError> {
        let path = format!("/zones/{zone}/dns_records/{record}");
        self.delete::<Deleted>(&path).await.map(drop)
    }

    /// The state and the end of the token.
    pub(crate) async fn verify_token(&self) -> Result<Option<Verification>, RequestError> {
        let verified: Envelope<Verification> = self.get(VERIFY, &[]).await?;
        Ok(verified.result)
    }

    /// The failure in the terms of the provider contract. If the token was refused, the API is asked
    /// for its state.
    pub(crate) async fn provider_error(
        &self,
        error: RequestError,
        zone: &DnsName,
    ) -> ProviderError {
        let token = if error.is_about_the_token() {
            self.token_state().await
        } else {
            TokenState::NotChecked
        };
        error.into_provider_error(self.host(), zone, &token)
    }

    async fn token_state(&self) -> TokenState {
        if self.config().api_token.is_account_token() {
            return TokenState::NotChecked;
        }
        match self.verify_token().await {
            Ok(Some(Verification { status, .. })) if status == "active" => TokenState::Active,
            Ok(Some(Verification { status, .. })) => {
                TokenState::Inactive(shortened(&status, TEXT_MAX))
            }
            Err(error) if error.is_unknown_token() => TokenState::Unknown,
            _ => TokenState::NotChecked,
        }
    }
}

fn records_path(zone: &ZoneId) -> String {
    format!("/zones/{zone}/dns_records")
}
