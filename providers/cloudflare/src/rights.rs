//! What the token can really do: asked by deleting records that are not there, which changes nothing, and
//! is refused where the token may not.

use acme_alias_core::dns::Server;
use acme_alias_core::name::DnsName;
use acme_alias_core::provider::ProviderError;
use acme_alias_core::rights::{Audit, Grant, KeyRights, Policy, Right, Subject, Verdict, Weight};
use async_trait::async_trait;
use reqwest::StatusCode;
use serde::Deserialize;

use crate::client::{Envelope, RequestError};
use crate::provider::{Cloudflare, Deleted, VERIFY, Zone};

/// Zones to a page (<https://developers.cloudflare.com/api/resources/zones/methods/list/>).
const PER_PAGE: &str = "50";
/// Other zones that are asked about: each costs a request, of those that certificates need.
const ZONES_MAX: usize = 50;

#[derive(Deserialize)]
struct Verified {
    status: String,
    expires_on: Option<String>,
}

impl Cloudflare {
    /// Every right that matters, with what the API said, and what would narrow them.
    pub(crate) async fn audit_token(&self, subject: &Subject) -> Result<Audit, ProviderError> {
        let zone = &subject.zone;
        let id = self.zone_id(zone).await?;
        let (verdict, evidence) = self.may_edit(&id).await;
        let mut rights = vec![
            Right {
                right: format!("TXT in {zone}"),
                weight: Weight::Needed,
                verdict,
                evidence: format!("{evidence}; {}", self.token_in_words().await),
            },
            // Worth as much to a thief as with the others, but there is no narrower token.
            Right {
                right: format!("every other record of {zone}"),
                weight: Weight::Wide,
                verdict,
                evidence: "no token can be limited to types or names".to_owned(),
            },
        ];
        let others = self.in_other_zones(&id, subject).await;
        let advice = if others.iter().any(Right::is_too_much) {
            vec![policy(zone)]
        } else {
            Vec::new()
        };
        rights.extend(others);
        Ok(Audit::new(rights, advice))
    }

    /// What the token can do in the zones that it may list; of those that it may not list nothing is known.
    async fn in_other_zones(&self, id: &str, subject: &Subject) -> Vec<Right> {
        let weight = |name: &str| {
            let mut main_zones = subject.main_zones.iter();
            if main_zones.any(|main| main.zone.as_str().eq_ignore_ascii_case(name)) {
                Weight::Fatal
            } else {
                Weight::Dangerous
            }
        };
        let mut rights = Vec::new();
        let (zones, end) = self.visible_zones().await;
        for zone in zones.iter().filter(|zone| zone.id != id).take(ZONES_MAX) {
            let (verdict, evidence) = self.may_edit(&zone.id).await;
            rights.push(Right {
                right: format!("every record of {}", zone.name.escape_debug()),
                weight: weight(&zone.name),
                verdict,
                evidence,
            });
        }
        let sees_its_own = zones.iter().any(|zone| zone.id == id);
        let why = if let Err(cause) = end {
            format!("the zones of the token could not be listed: {cause}")
        } else if !sees_its_own {
            "the token may not list zones; with Zone, Zone, Read for this zone it shows which it has"
                .to_owned()
        } else if zones.len() > ZONES_MAX {
            format!(
                "it sees {} zones, of which {ZONES_MAX} were asked about",
                zones.len()
            )
        } else {
            return rights;
        };
        rights.push(Right {
            right: "every record of other zones".to_owned(),
            weight: weight_of_the_rest(subject),
            verdict: Verdict::CannotTell,
            evidence: why,
        });
        rights
    }

    /// Whether the token may edit the records of a zone. An id of 128 random bits is nobody's.
    async fn may_edit(&self, zone: &str) -> (Verdict, String) {
        let record = rand::random::<u128>();
        let path = format!("/zones/{zone}/dns_records/{record:032x}");
        match self.client().delete::<Deleted>(&path).await {
            Err(error) if error.is_stale() => (
                Verdict::Allowed,
                "deleting a record that is not there is not refused".to_owned(),
            ),
            Err(error) if error.is_about_the_token() => {
                (Verdict::Denied, "deleting a record is refused".to_owned())
            }
            Err(error) => (Verdict::CannotTell, in_words(&error)),
            Ok(_) => (Verdict::CannotTell, "a success that cannot be".to_owned()),
        }
    }

    async fn token_in_words(&self) -> String {
        let verified: Result<Envelope<Verified>, _> = self.client().get(VERIFY, &[]).await;
        match verified.map(|envelope| envelope.result) {
            Ok(Some(Verified { status, expires_on })) => {
                let status = status.escape_debug();
                match expires_on {
                    Some(end) => format!("the token is {status} until {}", end.escape_debug()),
                    None => format!("the token is {status} and never expires"),
                }
            }
            _ => "when the token expires is not known".to_owned(),
        }
    }

    /// The zones that the token may list, and why there may be more.
    async fn visible_zones(&self) -> (Vec<Zone>, Result<(), String>) {
        let mut zones = Vec::new();
        for page in 1.. {
            let number = page.to_string();
            let query = [("per_page", PER_PAGE), ("page", number.as_str())];
            let envelope = match self.client().get::<Vec<Zone>>("/zones", &query).await {
                Ok(envelope) => envelope,
                Err(error) => return (zones, Err(in_words(&error))),
            };
            zones.extend(envelope.result.unwrap_or_default());
            if envelope
                .result_info
                .is_none_or(|info| info.total_pages <= page)
            {
                break;
            }
        }
        (zones, Ok(()))
    }
}

/// Zones that are not seen may be those that certificates are for.
fn weight_of_the_rest(subject: &Subject) -> Weight {
    let is_cloudflares = |server: &Server| {
        let name = server.name.as_ref();
        name.is_some_and(|name| name.as_str().ends_with(".ns.cloudflare.com"))
    };
    let mut main_zones = subject.main_zones.iter();
    let at_cloudflare = main_zones.any(|zone| match &zone.servers {
        Ok(servers) => servers.iter().any(is_cloudflares),
        Err(_) => true,
    });
    if at_cloudflare {
        Weight::Fatal
    } else {
        Weight::Dangerous
    }
}

/// The token that is needed, and what cannot be narrowed of it.
fn policy(zone: &DnsName) -> Policy {
    Policy {
        title: "Cloudflare, a custom API token".to_owned(),
        text: format!(
            "permissions: Zone, DNS, Edit; and Zone, Zone, Read, without which `zone-id` has to be set, and \
             an audit cannot tell which zones the token has\n\
             zone resources: Include, Specific zone, {zone}\n"
        ),
        limits: Some(format!(
            "the token may then change every record of {zone}: give the alias zone nothing else to hold"
        )),
    }
}

fn in_words(error: &RequestError) -> String {
    match error {
        RequestError::Refused { status, .. } => {
            let status = StatusCode::from_u16(*status).map(|status| status.to_string());
            status.unwrap_or_default()
        }
        RequestError::NotSent(cause) | RequestError::NoAnswer(cause) => cause.clone(),
    }
}

#[async_trait]
impl KeyRights for Cloudflare {
    fn policies(&self, grant: &Grant) -> Vec<Policy> {
        vec![policy(&grant.zone)]
    }

    async fn audit(&self, subject: &Subject) -> Result<Audit, ProviderError> {
        self.audit_token(subject).await
    }
}
