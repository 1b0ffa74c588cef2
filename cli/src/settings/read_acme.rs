//! The certification authorities in the settings.

use std::collections::BTreeMap;
use std::path::PathBuf;

use acme_alias_core::acme::Timeouts;
use acme_alias_core::name::DnsName;

use super::known_cas::DIRECTORIES;
use super::model::{AcmeSettings, Eab, LimitSettings};
use super::nearest::nearest;
use super::reader::Reader;

/// The scheme of mail addresses.
const MAILTO: &str = "mailto:";
/// The table of the usual CA.
pub(crate) const USUAL: &str = "acme";

/// The usual CA.
pub(super) fn acme(reader: &mut Reader<'_>) -> AcmeSettings {
    AcmeSettings {
        contact: contact(reader, "acme.contact"),
        agree_tos: reader.truth("acme.agree-tos").unwrap_or_default(),
        timeouts: Timeouts {
            request: reader.duration("acme.timeout").unwrap_or_default(),
            order: reader.duration("acme.order-timeout").unwrap_or_default(),
        },
        ..special(reader, USUAL)
    }
}

/// Mail addresses, also with the scheme that the CA gets them with, and several in one text.
fn contact(reader: &mut Reader<'_>, path: &str) -> Vec<String> {
    let texts = reader.texts(path);
    let words = texts.iter().flat_map(|text| text.split([',', ';', ' ']));
    let addresses = words.map(str::trim).filter(|word| !word.is_empty());
    let addresses = addresses.map(|word| {
        let scheme = word.get(..MAILTO.len());
        let has_scheme = scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(MAILTO));
        if has_scheme {
            &word[MAILTO.len()..]
        } else {
            word
        }
        .to_owned()
    });
    let addresses: Vec<_> = addresses.collect();
    let is_address = |address: &String| {
        let parts = address.split_once('@');
        parts.is_some_and(|(user, host)| !user.is_empty() && host.parse::<DnsName>().is_ok())
    };
    for address in addresses.iter().filter(|address| !is_address(address)) {
        let problem = format!("has no mail address: `{}`", address.escape_debug());
        let help = "such as admin@example.com".to_owned();
        reader.wrong(path, problem, Some(help));
    }
    addresses
}

/// The other CAs, by id. They have contacts and time limits in common with the usual one, unless they say otherwise.
pub(super) fn cas(reader: &mut Reader<'_>, usual: &AcmeSettings) -> BTreeMap<String, AcmeSettings> {
    let mut cas = BTreeMap::new();
    for id in reader.tree.keys("cas") {
        let table = format!("cas.{id}");
        if id == USUAL {
            let help = "choose another id".to_owned();
            reader.wrong(&table, "is the id of the usual CA, in `[acme]`", Some(help));
        }
        if reader.tree.at(&format!("{table}.directory")).is_none() {
            reader.wrong(&table, "needs `directory`", None);
        }
        let contact = contact(reader, &format!("{table}.contact"));
        let time = |reader: &mut Reader<'_>, key, usual| {
            reader.duration(&format!("{table}.{key}")).unwrap_or(usual)
        };
        let ca = AcmeSettings {
            contact: if contact.is_empty() {
                usual.contact.clone()
            } else {
                contact
            },
            agree_tos: reader
                .truth(&format!("{table}.agree-tos"))
                .unwrap_or_default(),
            timeouts: Timeouts {
                request: time(reader, "timeout", usual.timeouts.request),
                order: time(reader, "order-timeout", usual.timeouts.order),
            },
            ..special(reader, &table)
        };
        cas.insert(id, ca);
    }
    cas
}

/// What a CA has in common with no other.
fn special(reader: &mut Reader<'_>, table: &str) -> AcmeSettings {
    AcmeSettings {
        directory: directory(reader, &format!("{table}.directory")).unwrap_or_default(),
        contact: Vec::new(),
        agree_tos: false,
        ca_file: reader.text(&format!("{table}.ca-file")).map(PathBuf::from),
        caa_issuer: reader.text(&format!("{table}.caa-issuer")),
        timeouts: Timeouts::default(),
        eab: eab(reader, table),
        limits: LimitSettings {
            orders: reader.parsed(&format!("{table}.limits.orders")),
            orders_per: reader.duration(&format!("{table}.limits.orders-per")),
            identical: reader.parsed(&format!("{table}.limits.identical")),
            identical_per: reader.duration(&format!("{table}.limits.identical-per")),
            failed_validations: reader.parsed(&format!("{table}.limits.failed-validations")),
            failed_validations_per: reader
                .duration(&format!("{table}.limits.failed-validations-per")),
        },
        table: table.to_owned(),
    }
}

fn eab(reader: &mut Reader<'_>, table: &str) -> Option<Eab> {
    let (kid, key) = (format!("{table}.eab-kid"), format!("{table}.eab-hmac-key"));
    match (reader.text(&kid), reader.secret(&key)) {
        (Some(kid), Some(hmac_key)) => Some(Eab { kid, hmac_key }),
        (None, None) => None,
        (Some(_), None) => {
            reader.wrong(&kid, "needs `eab-hmac-key` beside it", None);
            None
        }
        (None, Some(_)) => {
            reader.wrong(&key, "needs `eab-kid` beside it", None);
            None
        }
    }
}

fn directory(reader: &mut Reader<'_>, path: &str) -> Option<String> {
    let text = reader.text(path)?;
    if let Some((_, url)) = DIRECTORIES.iter().find(|(word, _)| *word == text) {
        return Some((*url).to_owned());
    }
    if text.starts_with("https://") {
        return Some(text);
    }
    if text.contains("://") {
        reader.wrong(path, "takes an https:// URL, and no other", None);
    } else {
        let help = nearest(&text, DIRECTORIES.iter().map(|(word, _)| *word));
        let problem = format!("names no directory: `{}`", text.escape_debug());
        reader.wrong(path, problem, Some(help));
    }
    None
}
