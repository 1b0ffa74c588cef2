//! The API's calls that this provider needs, and their types:
//! <https://doc.powerdns.com/authoritative/http-api/zone.html>.

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::{Limited, ProviderError};
use acme_alias_core::txt::quoting::{self, Digits};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use tracing::debug;

use crate::client::Client;
use crate::error::{RequestError, ServerState};

/// A zone: <https://doc.powerdns.com/authoritative/http-api/zone.html#zone>.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Zone {
    /// With a final dot. In a list of zones; otherwise it is known.
    #[serde(default)]
    pub(crate) name: String,
    /// `Native`, `Master`, `Slave`, `Producer` or `Consumer`; newer names are accepted, too.
    #[serde(default)]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) serial: u32,
    /// The serial as name servers show it.
    #[serde(default)]
    pub(crate) edited_serial: Option<u32>,
    /// How the serial changes with each write.
    #[serde(default)]
    pub(crate) soa_edit_api: String,
    /// Those at the names that it was asked for.
    #[serde(skip)]
    pub(crate) rrsets: Vec<RrSet>,
}

impl Zone {
    /// Whether the zone is a copy, which the next transfer overwrites.
    pub(crate) fn is_secondary(&self) -> bool {
        self.is_one_of(&["slave", "secondary", "consumer"])
    }

    /// Whether the zone has secondaries that wait for a NOTIFY.
    pub(crate) fn is_primary(&self) -> bool {
        self.is_one_of(&["master", "primary", "producer"])
    }

    fn is_one_of(&self, kinds: &[&str]) -> bool {
        kinds
            .iter()
            .any(|kind| self.kind.eq_ignore_ascii_case(kind))
    }

    /// The serial, if it increases with every write
    /// (<https://doc.powerdns.com/authoritative/domainmetadata.html#soa-edit-api>) and name servers show
    /// it unchanged.
    pub(crate) fn increasing_serial(&self) -> Option<u32> {
        let increases = ["DEFAULT", "INCREASE"]
            .iter()
            .any(|manner| self.soa_edit_api.eq_ignore_ascii_case(manner));
        let is_shown = self.edited_serial.is_none_or(|shown| shown == self.serial);
        (increases && is_shown).then_some(self.serial)
    }
}

/// A record set: <https://doc.powerdns.com/authoritative/http-api/zone.html#rrset>.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RrSet {
    pub(crate) name: String,
    pub(crate) r#type: String,
    #[serde(default)]
    pub(crate) ttl: u32,
    #[serde(default)]
    pub(crate) records: Limited<Record>,
}

/// A record: <https://doc.powerdns.com/authoritative/http-api/zone.html#record>.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Record {
    /// As in a zone file: a TXT value in quotes.
    pub(crate) content: String,
    /// Whether name servers do not show it.
    #[serde(default)]
    pub(crate) disabled: bool,
}

impl Record {
    /// The text of a TXT record.
    pub(crate) fn text(&self) -> String {
        quoting::unquoted(&self.content, Digits::Decimal)
    }
}

/// A change of one record set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    pub(crate) name: String,
    pub(crate) r#type: &'static str,
    pub(crate) changetype: ChangeType,
    /// In seconds; none if the set is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ttl: Option<u32>,
    pub(crate) records: Vec<Record>,
}

/// What a change does. Comments of the set stay as long as it has records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum ChangeType {
    /// Deletes the set.
    Delete,
    /// Replaces all records.
    Replace,
    /// Adds one record, unless it exists. New in 4.9.12 and 5.0.2
    /// (<https://doc.powerdns.com/authoritative/changelog/5.0.html>).
    Extend,
    /// Removes one record, if it exists. New in 4.9.12 and 5.0.2.
    Prune,
    /// What no server can carry out: the question whether a key may change a zone.
    None,
}

/// The body of a `PATCH`, which is carried out in one transaction.
#[derive(Debug, Serialize)]
struct Changes<'a> {
    rrsets: &'a [Change],
}

/// A TSIG key, of which nothing is needed but that it is listed.
#[derive(Debug, Deserialize)]
struct TsigKey {}

impl Client {
    /// The zone without its records.
    pub(crate) async fn zone_alone(&self, zone: &DnsName) -> Result<Zone, RequestError> {
        self.get(&format!("{}?rrsets=false", self.zone_path(zone)))
            .await
    }

    /// All zones of the server, without their records.
    pub(crate) async fn zones(&self) -> Result<Vec<Zone>, RequestError> {
        self.get(&format!("{}/zones", self.server_path())).await
    }

    /// Carries out these changes, all or none.
    pub(crate) async fn patch(
        &self,
        zone: &DnsName,
        changes: &[Change],
    ) -> Result<(), RequestError> {
        let body = Changes { rrsets: changes };
        let path = self.zone_path(zone);
        self.send(Method::PATCH, &path, Some(&body)).await.map(drop)
    }

    /// Asks for a NOTIFY to all secondaries. Without it, PowerDNS looks for changed zones once per
    /// `xfr-cycle-interval`, which is a minute
    /// (<https://doc.powerdns.com/authoritative/settings.html#xfr-cycle-interval>).
    pub(crate) async fn notify(&self, zone: &DnsName) {
        let path = format!("{}/notify", self.zone_path(zone));
        let sent = self.send(Method::PUT, &path, None::<&()>).await;
        if let Err(error) = sent {
            debug!(%zone, ?error, "the secondaries were not notified");
        }
    }

    /// How many TSIG keys the server has.
    pub(crate) async fn tsig_keys(&self) -> Result<usize, RequestError> {
        let path = format!("{}/tsigkeys", self.server_path());
        let keys: Vec<TsigKey> = self.get(&path).await?;
        Ok(keys.len())
    }

    /// The failure in the terms of the provider contract. If nothing was found, the API is asked whether
    /// it has the server.
    pub(crate) async fn provider_error(
        &self,
        error: RequestError,
        zone: &DnsName,
    ) -> ProviderError {
        let state = if error.is_not_found() {
            match self.get::<serde::de::IgnoredAny>(&self.server_path()).await {
                Ok(_) => ServerState::Found,
                Err(error) if error.is_not_found() => ServerState::NotFound,
                Err(_) => ServerState::NotChecked,
            }
        } else {
            ServerState::NotChecked
        };
        error.into_provider_error(&self.config().url.to_string(), zone, state)
    }

    fn server_path(&self) -> String {
        format!("/servers/{}", self.config().server_id)
    }

    pub(crate) fn zone_path(&self, zone: &DnsName) -> String {
        format!("{}/zones/{}", self.server_path(), zone_id(zone))
    }
}

/// The id of a zone: its name with a final dot, in which other characters than letters, digits, `-` and `.`
/// are `=` and two hexadecimal digits (`apiZoneNameToId` in `pdns/ws-api.cc`).
fn zone_id(zone: &DnsName) -> String {
    let mut id = String::new();
    for octet in zone.fqdn().bytes() {
        if octet.is_ascii_alphanumeric() || b"-.".contains(&octet) {
            id.push(char::from(octet));
        } else {
            id.push_str(&format!("={octet:02X}"));
        }
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_zone_is_safe_in_a_path() {
        let id = |name: &str| zone_id(&name.parse().unwrap());
        assert_eq!(id("auth.example.net"), "auth.example.net.");
        assert_eq!(id("_acme.example.net"), "=5Facme.example.net.");
    }

    #[test]
    fn a_serial_counts_if_it_increases_and_is_shown() {
        let serial = |soa_edit_api: &str, edited_serial| {
            let zone = Zone {
                serial: 7,
                edited_serial,
                soa_edit_api: soa_edit_api.to_owned(),
                ..Zone::default()
            };
            zone.increasing_serial()
        };
        assert_eq!(serial("DEFAULT", Some(7)), Some(7));
        assert_eq!(serial("INCREASE", None), Some(7));
        assert_eq!(serial("", Some(7)), None);
        assert_eq!(serial("EPOCH", Some(7)), None);
        assert_eq!(serial("DEFAULT", Some(8)), None);
    }
}
