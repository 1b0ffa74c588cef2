//! What the key can really do: it is asked for with changes that no server can carry out.

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::ProviderError;
use acme_alias_core::rights::{Audit, Grant, KeyRights, Policy, Right, Subject, Verdict, Weight};
use async_trait::async_trait;

use crate::api::{Change, ChangeType, Zone};
use crate::error::RequestError;
use crate::provider::PowerDns;

/// Other zones that are probed.
const ZONES_MAX: usize = 50;

impl PowerDns {
    /// Every right that matters, with the answers of the API, and what would narrow them.
    async fn audit_key(&self, subject: &Subject) -> Result<Audit, ProviderError> {
        let zone = &subject.zone;
        if let Err(error) = self.client().zone_alone(zone).await {
            return Err(self.client().provider_error(error, zone).await.of_reading());
        }
        let (verdict, evidence) = self.may_change(zone).await;
        let mut rights = vec![
            Right {
                right: format!("TXT in {zone}"),
                weight: Weight::Needed,
                verdict,
                evidence,
            },
            Right {
                right: format!("every other record of {zone}"),
                weight: Weight::Dangerous,
                verdict,
                evidence: "no key can be limited to types or names".to_owned(),
            },
        ];
        rights.extend(self.rights_in_other_zones(subject).await);
        rights.push(self.right_to_keys().await);
        let advice = if rights.iter().any(Right::is_too_much) {
            vec![narrower(zone)]
        } else {
            Vec::new()
        };
        Ok(Audit::new(rights, advice))
    }

    /// What the key can do in the other zones that the API lists.
    async fn rights_in_other_zones(&self, subject: &Subject) -> Vec<Right> {
        let unlisted = |evidence| Right {
            right: "every record of other zones".to_owned(),
            weight: Weight::Fatal,
            verdict: Verdict::CannotTell,
            evidence,
        };
        let listed = match self.client().zones().await {
            Ok(listed) => listed,
            Err(error) => {
                let why = in_words(&error);
                return vec![unlisted(format!("the zones could not be listed: {why}"))];
            }
        };
        let is_main = |zone: &DnsName| subject.main_zones.iter().any(|main| main.zone == *zone);
        let mut others: Vec<_> = listed.iter().filter_map(name_of).collect();
        others.retain(|zone| *zone != subject.zone);
        // Main zones first, so that they are among those that are probed.
        others.sort_by_key(|zone| !is_main(zone));
        let mut rights = Vec::new();
        for zone in others.iter().take(ZONES_MAX) {
            let (verdict, evidence) = self.may_change(zone).await;
            rights.push(Right {
                right: format!("every record of {zone}"),
                weight: if is_main(zone) {
                    Weight::Fatal
                } else {
                    Weight::Dangerous
                },
                verdict,
                evidence,
            });
        }
        let (probed, listed) = (rights.len(), listed.len());
        // Names of another form, such as those of views, cannot be probed. One zone is the alias zone.
        if listed > probed + 1 {
            rights.push(unlisted(format!(
                "the server has {listed} zones; {probed} others were probed"
            )));
        }
        rights
    }

    /// Whether the key may change a zone. PowerDNS checks the key, then the zone, then the change.
    async fn may_change(&self, zone: &DnsName) -> (Verdict, String) {
        let impossible = Change {
            name: zone.fqdn(),
            r#type: "TXT",
            changetype: ChangeType::None,
            ttl: None,
            records: Vec::new(),
        };
        match self.client().patch(zone, &[impossible]).await {
            Err(error) if error.is_about_the_change() => (
                Verdict::Allowed,
                "a change that is impossible is refused for that reason only".to_owned(),
            ),
            Err(error) if error.is_about_the_key() || error.is_not_found() => (
                Verdict::Denied,
                format!("a change is refused: {}", in_words(&error)),
            ),
            Err(error) => (Verdict::CannotTell, in_words(&error)),
            Ok(()) => (
                Verdict::CannotTell,
                "the API reports success for a change that is impossible".to_owned(),
            ),
        }
    }

    /// Whether the key can reach what is beyond zones.
    async fn right_to_keys(&self) -> Right {
        let (verdict, evidence) = match self.client().tsig_keys().await {
            Ok(count) => (
                Verdict::Allowed,
                format!("the TSIG keys of the server are listed ({count})"),
            ),
            Err(error) if error.is_about_the_key() || error.is_not_found() => (
                Verdict::Denied,
                format!("listing the TSIG keys is refused: {}", in_words(&error)),
            ),
            Err(error) => (Verdict::CannotTell, in_words(&error)),
        };
        Right {
            right: "TSIG keys, DNSSEC keys and metadata of all zones; creating and deleting zones"
                .to_owned(),
            weight: Weight::Dangerous,
            verdict,
            evidence,
        }
    }
}

fn name_of(zone: &Zone) -> Option<DnsName> {
    zone.name.parse().ok()
}

/// The settings of the server, and what the key still allows.
fn policy() -> Policy {
    Policy {
        title: "PowerDNS, pdns.conf".to_owned(),
        text: "webserver=yes\n\
               webserver-address=127.0.0.1\n\
               webserver-port=8081\n\
               webserver-allow-from=127.0.0.1,::1   # where acme-alias runs\n\
               api=yes\n\
               api-key=A-HASH   # printed by `pdnsutil hash-password`\n"
            .to_owned(),
        limits: Some(
            "the key may then change every record of every zone, and the keys of the server: PowerDNS has no \
             narrower API key"
                .to_owned(),
        ),
    }
}

/// What a narrower key needs: DNS UPDATE
/// (<https://doc.powerdns.com/authoritative/dnsupdate.html>).
fn narrower(zone: &DnsName) -> Policy {
    Policy {
        title: "PowerDNS, a TSIG key for a provider of kind `rfc2136`".to_owned(),
        text: format!(
            "# pdns.conf: dnsupdate=yes\n\
             pdnsutil generate-tsig-key acme-key hmac-sha256\n\
             pdnsutil set-meta {zone} TSIG-ALLOW-DNSUPDATE acme-key\n\
             pdnsutil set-meta {zone} ALLOW-DNSUPDATE-FROM 192.0.2.1/32   # where acme-alias runs\n"
        ),
        limits: Some(format!(
            "the TSIG key may then change every record of {zone}, and nothing else. With \
             `lua-dnsupdate-policy-script` it is limited to TXT at the alias names: `acme-alias key policy` \
             prints the script for a provider of kind `rfc2136`"
        )),
    }
}

fn in_words(error: &RequestError) -> String {
    match error {
        RequestError::Refused { status, .. } => status.to_string(),
        RequestError::NotSent(cause) | RequestError::NoAnswer(cause) => cause.to_string(),
    }
}

#[async_trait]
impl KeyRights for PowerDns {
    fn policies(&self, grant: &Grant) -> Vec<Policy> {
        vec![narrower(&grant.zone), policy()]
    }

    async fn audit(&self, subject: &Subject) -> Result<Audit, ProviderError> {
        self.audit_key(subject).await
    }
}
