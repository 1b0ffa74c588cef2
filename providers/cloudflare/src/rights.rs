//! What the token can really do: probed by deleting records that do not exist, which changes nothing
//! and is refused if the token may not edit the zone.

use acme_alias_core::dns::Server;
use acme_alias_core::name::DnsName;
use acme_alias_core::printable::{TEXT_MAX, shortened};
use acme_alias_core::provider::ProviderError;
use acme_alias_core::rights::{Audit, Grant, KeyRights, Policy, Right, Subject, Verdict, Weight};
use async_trait::async_trait;
use reqwest::StatusCode;

use crate::api::Verification;
use crate::error::RequestError;
use crate::parameters::ZoneId;
use crate::provider::Cloudflare;

/// Other zones that are probed. Each costs a request of the budget that certificates need.
const ZONES_MAX: usize = 50;

impl Cloudflare {
    /// Every right that matters, with the API's answers, and what would narrow them.
    async fn audit_token(&self, subject: &Subject) -> Result<Audit, ProviderError> {
        let zone = &subject.zone;
        let id = self.zone_id(zone).await?;
        let (verdict, evidence) = self.may_edit(&id.to_string()).await;
        let mut rights = vec![
            Right {
                right: format!("TXT in {zone}"),
                weight: Weight::Needed,
                verdict,
                evidence: format!("{evidence}; {}", self.token_in_words().await),
            },
            // As useful to a thief as other rights, but no token can be narrower.
            Right {
                right: format!("every other record of {zone}"),
                weight: Weight::Wide,
                verdict,
                evidence: "no token can be limited to types or names".to_owned(),
            },
        ];
        let others = self.rights_in_other_zones(&id, subject).await;
        let advice = if others.iter().any(Right::is_too_much) {
            vec![policy(zone)]
        } else {
            Vec::new()
        };
        rights.extend(others);
        Ok(Audit::new(rights, advice))
    }

    /// What the token can do in the other zones that it may list. Nothing is known of the rest.
    async fn rights_in_other_zones(&self, id: &ZoneId, subject: &Subject) -> Vec<Right> {
        let weight = |name: &str| {
            let mut main_zones = subject.main_zones.iter();
            if main_zones.any(|main| main.zone.as_str().eq_ignore_ascii_case(name)) {
                Weight::Fatal
            } else {
                Weight::Dangerous
            }
        };
        let id = id.to_string();
        let mut rights = Vec::new();
        let (zones, listed) = self.client().zones().await;
        for zone in zones.iter().filter(|zone| zone.id != id).take(ZONES_MAX) {
            let (verdict, evidence) = self.may_edit(&zone.id).await;
            rights.push(Right {
                right: format!("every record of {}", shortened(&zone.name, TEXT_MAX)),
                weight: weight(&zone.name),
                verdict,
                evidence,
            });
        }
        let sees_its_own = zones.iter().any(|zone| zone.id == id);
        let why = if let Err(error) = listed {
            format!(
                "the zones of the token could not be listed: {}",
                in_words(&error)
            )
        } else if !sees_its_own {
            "the token may not list its zones; add Zone, Zone, Read for this zone to see them"
                .to_owned()
        } else if zones.len() > ZONES_MAX {
            format!(
                "the token sees {} zones; {ZONES_MAX} were probed",
                zones.len()
            )
        } else {
            return rights;
        };
        rights.push(Right {
            right: "every record of other zones".to_owned(),
            weight: weight_of_unlisted_zones(subject),
            verdict: Verdict::CannotTell,
            evidence: why,
        });
        rights
    }

    /// Whether the token may edit the records of a zone. No record has an id of 128 random bits.
    async fn may_edit(&self, zone: &str) -> (Verdict, String) {
        let record = format!("{:032x}", rand::random::<u128>());
        match self.client().remove(zone, &record).await {
            Err(error) if error.is_stale() => (
                Verdict::Allowed,
                "deleting a record that does not exist is not refused".to_owned(),
            ),
            Err(error) if error.is_about_the_token() => {
                (Verdict::Denied, "deleting a record is refused".to_owned())
            }
            Err(error) => (Verdict::CannotTell, in_words(&error)),
            Ok(()) => (
                Verdict::CannotTell,
                "the API reports success, which is impossible".to_owned(),
            ),
        }
    }

    async fn token_in_words(&self) -> String {
        match self.client().verify_token().await {
            Ok(Some(Verification { status, expires_on })) => {
                let status = shortened(&status, TEXT_MAX);
                match expires_on {
                    Some(end) => {
                        format!("the token is {status} until {}", shortened(&end, TEXT_MAX))
                    }
                    None => format!("the token is {status} and never expires"),
                }
            }
            _ => "the end of the token is unknown".to_owned(),
        }
    }
}

/// How bad rights in zones that the token may not list would be: they may be main zones.
fn weight_of_unlisted_zones(subject: &Subject) -> Weight {
    let is_of_cloudflare = |server: &Server| {
        let name = server.name.as_ref();
        name.is_some_and(|name| name.as_str().ends_with(".ns.cloudflare.com"))
    };
    let mut main_zones = subject.main_zones.iter();
    let at_cloudflare = main_zones.any(|zone| match &zone.servers {
        Ok(servers) => servers.iter().any(is_of_cloudflare),
        Err(_) => true,
    });
    if at_cloudflare {
        Weight::Fatal
    } else {
        Weight::Dangerous
    }
}

/// The narrowest token, and what it still allows.
fn policy(zone: &DnsName) -> Policy {
    Policy {
        title: "Cloudflare, a custom API token".to_owned(),
        text: format!(
            "permissions: Zone, DNS, Edit; and Zone, Zone, Read, without which `zone-id` must be set, and an \
             audit cannot tell which zones the token has\n\
             zone resources: Include, Specific zone, {zone}\n"
        ),
        limits: Some(format!(
            "the token may then change every record of {zone}: keep nothing else in the alias zone"
        )),
    }
}

fn in_words(error: &RequestError) -> String {
    match error {
        RequestError::Refused { status, .. } => {
            let status = StatusCode::from_u16(*status).map(|status| status.to_string());
            status.unwrap_or_default()
        }
        RequestError::NotSent(cause) | RequestError::NoAnswer(cause) => cause.to_string(),
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
