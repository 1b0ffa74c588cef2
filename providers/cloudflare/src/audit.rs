//! What the token can really do: asked by deleting records that are not there, which changes nothing, and
//! is refused where the token may not.

use acme_alias_core::provider::{ProviderError, Right, Subject, Verdict, Weight};
use reqwest::StatusCode;
use serde::Deserialize;

use crate::backend::{Cloudflare, Deleted, VERIFY, Zone};
use crate::client::{Envelope, RequestError};

/// Zones to a page (<https://developers.cloudflare.com/api/resources/zones/methods/list/>).
const PER_PAGE: &str = "50";

#[derive(Deserialize)]
struct Verified {
    status: String,
    expires_on: Option<String>,
}

impl Cloudflare {
    /// Every right that matters, with what the API said.
    pub(crate) async fn rights(&self, subject: &Subject) -> Result<Vec<Right>, ProviderError> {
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
            Right {
                right: format!("every other record of {zone}"),
                weight: Weight::Wide,
                verdict,
                evidence: "no token can be limited to types or names".to_owned(),
            },
        ];
        for other in self.visible_zones().await {
            if other.id == id {
                continue;
            }
            let (verdict, evidence) = self.may_edit(&other.id).await;
            let mut main_zones = subject.main_zones.iter();
            let is_main =
                main_zones.any(|(name, _)| name.as_str().eq_ignore_ascii_case(&other.name));
            rights.push(Right {
                right: format!("every record of {}", other.name.escape_debug()),
                weight: if is_main {
                    Weight::Fatal
                } else {
                    Weight::Dangerous
                },
                verdict,
                evidence,
            });
        }
        Ok(rights)
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
            Err(RequestError::Refused { status, .. }) => {
                let status = StatusCode::from_u16(status).map(|status| status.to_string());
                (Verdict::CannotTell, status.unwrap_or_default())
            }
            Err(RequestError::NotSent(cause) | RequestError::NoAnswer(cause)) => {
                (Verdict::CannotTell, cause)
            }
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

    /// The zones that the token may list; none where it may list none.
    async fn visible_zones(&self) -> Vec<Zone> {
        let mut zones = Vec::new();
        for page in 1.. {
            let number = page.to_string();
            let query = [("per_page", PER_PAGE), ("page", number.as_str())];
            let Ok(envelope) = self.client().get::<Vec<Zone>>("/zones", &query).await else {
                break;
            };
            zones.extend(envelope.result.unwrap_or_default());
            if envelope
                .result_info
                .is_none_or(|info| info.total_pages <= page)
            {
                break;
            }
        }
        zones
    }
}
