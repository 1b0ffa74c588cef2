//! The provider: what is there is read, and what differs is changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::{
    Applied, Failure, Identity, Limits, OptionError, ProviderError, TxtProvider, check_within,
};
use acme_alias_core::txt::quoting::{self, Digits};
use acme_alias_core::txt::{Action, TxtChange, TxtSets, TxtValue};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tracing::{debug, info};

use crate::client::{Client, Envelope, RequestError};
use crate::config::Config;
use crate::error::Token;

/// Up to this many names are asked for one by one; beyond, the zone's TXT records are listed.
const NAMES_ASKED_SINGLY: usize = 3;
const PER_PAGE: &str = "1000";
/// What the ledger keeps of an answer that says yes.
const OK: &str = "success";
/// <https://developers.cloudflare.com/api/resources/user/subresources/tokens/methods/verify/>
pub(crate) const VERIFY: &str = "/user/tokens/verify";
/// How often what was read may have changed before it could be changed.
const ATTEMPTS: usize = 5;

/// Writes TXT values through Cloudflare's API.
#[derive(Debug)]
pub struct Cloudflare {
    config: Config,
    client: Client,
    /// The ids of the zones met so far.
    zones: Mutex<HashMap<DnsName, String>>,
    /// Whether batches were refused here.
    singly: AtomicBool,
}

/// A zone: <https://developers.cloudflare.com/api/resources/zones/methods/list/>.
#[derive(Debug, Deserialize)]
pub(crate) struct Zone {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// A record: <https://developers.cloudflare.com/api/resources/dns/subresources/records/>.
#[derive(Clone, Debug, Deserialize)]
struct Record {
    id: String,
    name: String,
    content: String,
}

impl Record {
    fn is_at(&self, name: &DnsName) -> bool {
        self.name
            .trim_end_matches('.')
            .eq_ignore_ascii_case(name.as_str())
    }
}

/// A record to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Post {
    r#type: &'static str,
    name: String,
    content: String,
    ttl: u64,
}

/// A record to be removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Delete {
    id: String,
}

/// What differs between what is wanted and what is there; at the same time the body of a batch:
/// <https://developers.cloudflare.com/api/resources/dns/subresources/records/methods/batch/>.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Plan {
    deletes: Vec<Delete>,
    posts: Vec<Post>,
}

#[derive(Debug, Default, Deserialize)]
struct BatchResult {
    #[serde(default)]
    posts: Vec<Record>,
}

/// What is left of a record that was removed: its id, which we had.
#[derive(Debug, Deserialize)]
pub(crate) struct Deleted {}

#[derive(Debug, Deserialize)]
struct TokenStatus {
    status: String,
}

/// What shall be there, and what shall not: the last change of a value counts.
type Wanted<'a> = BTreeMap<(&'a DnsName, &'a TxtValue), Action>;

impl Plan {
    fn new(wanted: &Wanted<'_>, there: &[Record], ttl: u64) -> Self {
        let mut plan = Plan::default();
        for ((name, value), action) in wanted {
            let mut same = there
                .iter()
                .filter(|record| record.is_at(name))
                .filter(|record| value_of(record) == value.as_str())
                .peekable();
            match action {
                Action::Add if same.peek().is_none() => plan.posts.push(Post {
                    r#type: "TXT",
                    name: name.to_string(),
                    content: quoting::quoted(value),
                    ttl,
                }),
                Action::Add => {}
                Action::Remove => plan.deletes.extend(same.map(|record| Delete {
                    id: record.id.clone(),
                })),
            }
        }
        plan
    }

    fn is_empty(&self) -> bool {
        self.deletes.is_empty() && self.posts.is_empty()
    }

    /// Parts with at most `size` changes each.
    fn split(mut self, size: usize) -> Vec<Plan> {
        let mut parts = Vec::new();
        while !self.is_empty() {
            let deletes: Vec<_> = self.deletes.drain(..self.deletes.len().min(size)).collect();
            let room = size - deletes.len();
            let posts = self.posts.drain(..self.posts.len().min(room)).collect();
            parts.push(Plan { deletes, posts });
        }
        parts
    }
}

/// Why a plan was not carried out.
enum PlanError {
    Request(RequestError),
    /// The records went to another zone than the one of that name, and were removed again.
    WrongZone {
        made: String,
    },
}

impl From<RequestError> for PlanError {
    fn from(error: RequestError) -> Self {
        PlanError::Request(error)
    }
}

impl Cloudflare {
    /// A provider with this configuration. Nothing is asked before the first call.
    pub fn new(config: Config) -> Result<Self, OptionError> {
        Ok(Cloudflare {
            client: Client::new(&config)?,
            config,
            zones: Mutex::default(),
            singly: AtomicBool::new(false),
        })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) async fn zone_id(&self, zone: &DnsName) -> Result<String, ProviderError> {
        let mut zones = self.zones.lock().await;
        if let Some(id) = zones.get(zone) {
            return Ok(id.clone());
        }
        let id = match &self.config.zone_id {
            Some(id) => {
                self.check_zone_id(zone, id).await?;
                id.clone()
            }
            None => self.look_up(zone).await?,
        };
        zones.insert(zone.clone(), id.clone());
        Ok(id)
    }

    /// Cloudflare takes a name outside a zone for one relative to it, so that a wrong `zone-id`
    /// would go unnoticed (`https://github.com/NewFuture/DDNS/issues/21` shows what comes of it).
    async fn check_zone_id(&self, zone: &DnsName, id: &str) -> Result<(), ProviderError> {
        let found = match self.client.get::<Zone>(&format!("/zones/{id}"), &[]).await {
            Ok(envelope) => envelope.result.map(|found| found.name),
            Err(error) if error.is_about_the_token() => {
                debug!(%zone, "the token may not ask for the zone's name");
                match self.zone_by_records(zone, id).await {
                    Ok(found) => found,
                    Err(error) => return Err(self.failed(error, zone).await.of_reading()),
                }
            }
            Err(error) => return Err(self.failed(error, zone).await.of_reading()),
        };
        match found {
            Some(found) if !found.eq_ignore_ascii_case(zone.as_str()) => {
                Err(wrong_zone(zone, &found))
            }
            _ => Ok(()),
        }
    }

    /// The zone, as its records tell it to a token without Zone:Read: a record elsewhere shows that
    /// it is another one; a zone without records has an export that is short, and begins with its
    /// name (<https://developers.cloudflare.com/api/resources/dns/subresources/records/methods/export/>).
    async fn zone_by_records(
        &self,
        zone: &DnsName,
        id: &str,
    ) -> Result<Option<String>, RequestError> {
        let path = format!("/zones/{id}/dns_records");
        let records: Envelope<Vec<Record>> = self.client.get(&path, &[("per_page", "1")]).await?;
        if let Some(record) = records.result.unwrap_or_default().into_iter().next() {
            let within = |name: DnsName| name.is_within(zone);
            return Ok(match record.name.parse().map(within) {
                Ok(true) => None,
                _ => Some(record.name),
            });
        }
        let export = self.client.get_text(&format!("{path}/export")).await?;
        let domain = export
            .lines()
            .find_map(|line| line.strip_prefix(";; Domain:"));
        Ok(domain.map(|domain| domain.trim().trim_end_matches('.').to_owned()))
    }

    async fn look_up(&self, zone: &DnsName) -> Result<String, ProviderError> {
        let query = [("name", zone.as_str())];
        let found = self.client.get::<Vec<Zone>>("/zones", &query).await;
        let found = match found {
            Ok(envelope) => envelope.result.unwrap_or_default(),
            Err(error) => return Err(self.failed(error, zone).await),
        };
        let exact: Vec<_> = found
            .into_iter()
            .filter(|found| found.name.eq_ignore_ascii_case(zone.as_str()))
            .collect();
        match exact.as_slice() {
            [only] => Ok(only.id.clone()),
            [] => Err(ProviderError::new(
                Failure::Rejected,
                format!("the token sees no zone {zone} at {}", self.client.host()),
                format!(
                    "correct `zone` under `[[alias-zones]]`, put {zone} among the token's zone \
                     resources, or give `zone-id`"
                ),
            )),
            several => {
                let ids: Vec<_> = several.iter().map(|zone| zone.id.as_str()).collect();
                Err(ProviderError::new(
                    Failure::Rejected,
                    format!(
                        "the token sees {} zones {zone}: {}",
                        ids.len(),
                        ids.join(", ")
                    ),
                    "say which of them by `zone-id`",
                ))
            }
        }
    }

    /// The TXT records at `names`, and perhaps others.
    async fn records(&self, id: &str, names: &[DnsName]) -> Result<Vec<Record>, RequestError> {
        if names.len() > NAMES_ASKED_SINGLY {
            return self.list(id, None).await;
        }
        let mut records = Vec::new();
        for name in names {
            records.extend(self.list(id, Some(name)).await?);
        }
        Ok(records)
    }

    async fn list(&self, id: &str, name: Option<&DnsName>) -> Result<Vec<Record>, RequestError> {
        let path = format!("/zones/{id}/dns_records");
        let mut records = Vec::new();
        for page in 1.. {
            let number = page.to_string();
            let mut query = vec![("type", "TXT"), ("per_page", PER_PAGE), ("page", &number)];
            query.extend(name.map(|name| ("name.exact", name.as_str())));
            let envelope: Envelope<Vec<Record>> = self.client.get(&path, &query).await?;
            records.extend(envelope.result.unwrap_or_default());
            if envelope
                .result_info
                .is_none_or(|info| info.total_pages <= page)
            {
                break;
            }
        }
        Ok(records)
    }

    async fn carry_out(
        &self,
        id: &str,
        plan: Plan,
        applied: &mut Applied,
    ) -> Result<(), PlanError> {
        let mut parts = plan.split(self.config.batch_size).into_iter();
        if !self.singly.load(Ordering::Relaxed) {
            for part in parts.by_ref() {
                match self.batch(id, &part).await {
                    Ok(made) => {
                        applied.requests += 1;
                        OK.clone_into(&mut applied.response);
                        self.check_names(id, &part, made).await?;
                    }
                    Err(error) if error.refuses_batches() => {
                        info!("batches are refused; changes are made one by one");
                        self.singly.store(true, Ordering::Relaxed);
                        self.one_by_one(id, part, applied).await?;
                        break;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        for part in parts {
            self.one_by_one(id, part, applied).await?;
        }
        Ok(())
    }

    async fn batch(&self, id: &str, plan: &Plan) -> Result<Vec<Record>, RequestError> {
        let path = format!("/zones/{id}/dns_records/batch");
        let envelope: Envelope<BatchResult> = self.client.post(&path, plan).await?;
        Ok(envelope.result.unwrap_or_default().posts)
    }

    async fn one_by_one(
        &self,
        id: &str,
        plan: Plan,
        applied: &mut Applied,
    ) -> Result<(), PlanError> {
        let path = format!("/zones/{id}/dns_records");
        for Delete { id } in &plan.deletes {
            applied.requests += 1;
            let deleted = self.client.delete::<Deleted>(&format!("{path}/{id}")).await;
            match deleted {
                Err(error) if !error.is_stale() => return Err(error.into()),
                _ => OK.clone_into(&mut applied.response),
            }
        }
        for post in &plan.posts {
            applied.requests += 1;
            match self.client.post::<Record>(&path, post).await {
                Ok(envelope) => {
                    OK.clone_into(&mut applied.response);
                    let made = envelope.result.into_iter().collect();
                    self.check_names(id, &plan, made).await?;
                }
                Err(error) if error.is_stale() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Removes what was made under another name than asked for.
    async fn check_names(&self, id: &str, plan: &Plan, made: Vec<Record>) -> Result<(), PlanError> {
        let asked: BTreeSet<_> = plan.posts.iter().map(|post| post.name.as_str()).collect();
        let strays: Vec<_> = made
            .into_iter()
            .filter(|record| !asked.contains(record.name.to_ascii_lowercase().as_str()))
            .collect();
        let Some(first) = strays.first() else {
            return Ok(());
        };
        let made = first.name.clone();
        let deletes = strays.into_iter().map(|record| Delete { id: record.id });
        let undo = Plan {
            deletes: deletes.collect(),
            posts: Vec::new(),
        };
        self.batch(id, &undo).await?;
        Err(PlanError::WrongZone { made })
    }

    /// The error for people; the API is asked about the token where that is what it refused.
    async fn failed(&self, error: RequestError, zone: &DnsName) -> ProviderError {
        let token = if error.is_about_the_token() {
            self.token().await
        } else {
            Token::NotAsked
        };
        error.into_provider_error(self.client.host(), zone, &token)
    }

    /// What the API says of the token.
    async fn token(&self) -> Token {
        if self.config.is_an_accounts_token() {
            return Token::NotAsked;
        }
        let verified = self.client.get::<TokenStatus>(VERIFY, &[]).await;
        match verified.map(|envelope| envelope.result) {
            Ok(Some(TokenStatus { status })) if status == "active" => Token::Active,
            Ok(Some(TokenStatus { status })) => Token::Inactive(status.escape_debug().to_string()),
            Err(error) if error.is_unknown_token() => Token::Unknown,
            _ => Token::NotAsked,
        }
    }

    /// What is wanted and not so yet.
    async fn open(
        &self,
        id: &str,
        names: &[DnsName],
        wanted: &Wanted<'_>,
    ) -> Result<Plan, RequestError> {
        let there = self.records(id, names).await?;
        Ok(Plan::new(wanted, &there, self.config.ttl))
    }
}

#[async_trait]
impl TxtProvider for Cloudflare {
    async fn apply(&self, zone: &DnsName, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        check_within(zone, changes)?;
        let wanted: Wanted<'_> = changes
            .iter()
            .map(|change| ((&change.name, &change.value), change.action))
            .collect();
        let names: BTreeSet<_> = changes.iter().map(|change| change.name.clone()).collect();
        let names: Vec<_> = names.into_iter().collect();
        let id = self.zone_id(zone).await?;
        let mut applied = Applied {
            server: self.client.host().to_owned(),
            ..Applied::default()
        };
        for _ in 0..ATTEMPTS {
            let plan = match self.open(&id, &names, &wanted).await {
                Ok(plan) => plan,
                // Nothing was changed yet, whatever the answer was.
                Err(error) => return Err(self.failed(error, zone).await.of_reading()),
            };
            match self.carry_out(&id, plan, &mut applied).await {
                Ok(()) => return Ok(applied),
                Err(PlanError::WrongZone { made }) => {
                    self.zones.lock().await.remove(zone);
                    return Err(wrong_zone(zone, &made));
                }
                // Somebody else was faster: look again.
                Err(PlanError::Request(error)) if error.is_stale() => {}
                Err(PlanError::Request(error)) if error.is_unknown() => {
                    let open = self.open(&id, &names, &wanted).await;
                    return match open {
                        Ok(plan) if plan.is_empty() => Ok(applied),
                        _ => Err(self.failed(error, zone).await),
                    };
                }
                Err(PlanError::Request(error)) => return Err(self.failed(error, zone).await),
            }
        }
        Err(ProviderError::new(
            Failure::Conflict,
            format!("the records in {zone} changed {ATTEMPTS} times while they were being changed"),
            "see what else writes at these names in Cloudflare's audit log, and try again",
        ))
    }

    async fn values(&self, zone: &DnsName, names: &[DnsName]) -> Result<TxtSets, ProviderError> {
        let id = self.zone_id(zone).await?;
        let records = match self.records(&id, names).await {
            Ok(records) => records,
            Err(error) => return Err(self.failed(error, zone).await.of_reading()),
        };
        let asked: BTreeSet<_> = names.iter().collect();
        let mut sets = TxtSets::new();
        for record in records {
            let Ok(name) = record.name.parse::<DnsName>() else {
                continue;
            };
            if asked.contains(&name) {
                // What is no value of a challenge is somebody else's record.
                let value = value_of(&record).parse().ok();
                sets.entry(name).or_default().extend(value);
            }
        }
        Ok(sets)
    }

    /// Cloudflare does not tell which of its servers have a change.
    async fn settle(&self, _: &DnsName, _: &Applied) -> Result<(), ProviderError> {
        Ok(())
    }

    fn limits(&self) -> Limits {
        Limits {
            changes_per_request: if self.singly.load(Ordering::Relaxed) {
                1
            } else {
                self.config.batch_size
            },
        }
    }

    /// A token has no name that it would tell.
    fn identity(&self) -> Identity {
        Identity {
            kind: crate::KIND,
            key: None,
            ttl: u32::try_from(self.config.ttl).ok(),
        }
    }
}

/// The text of a TXT record, which may be in quotes or bare:
/// <https://developers.cloudflare.com/dns/manage-dns-records/reference/dns-record-types/#txt>.
fn value_of(record: &Record) -> String {
    quoting::unquoted(&record.content, Digits::Decimal)
}

fn wrong_zone(zone: &DnsName, found: &str) -> ProviderError {
    let found = found.escape_debug();
    ProviderError::new(
        Failure::Rejected,
        format!("`zone-id` is not that of {zone}: there is {found}"),
        format!("take the id from the overview page of {zone}, or leave `zone-id` out"),
    )
}
