//! Judging what a CA hands out, and reading what is stored.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;

use crate::name::Identifier;

/// Clocks differ a little, and CAs date certificates back for that reason; one that begins
/// further in the future than this is not valid now.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CertificateInfo {
    /// The DNS names it holds for, in alphabetical order.
    pub names: Vec<String>,
    /// The first moment of its validity.
    pub not_before: Timestamp,
    /// The last moment of its validity.
    pub not_after: Timestamp,
    /// The serial number in hexadecimal.
    pub serial: String,
    /// The issuer's distinguished name.
    pub issuer: String,
}

/// A chain that was judged, in PEM that we encoded ourselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The certificate.
    pub certificate: String,
    /// The intermediate certificates, the certificate's issuer first.
    pub intermediates: String,
    /// What the certificate says of itself.
    pub info: CertificateInfo,
}

/// A chain that must not be stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // the messages are the documentation
pub enum CertificateError {
    #[error("it is no PEM chain: {0}")]
    Unreadable(String),
    #[error("there is no certificate in it")]
    Empty,
    #[error("the certificate is for another key than ours")]
    OtherKey,
    #[error("the certificate holds for {} instead of {}", .found.join(", "), .wanted.join(", "))]
    OtherNames {
        found: Vec<String>,
        wanted: Vec<String>,
    },
    #[error("the certificate is valid from {not_before} to {not_after}, and it is {now}")]
    NotValidNow {
        not_before: Timestamp,
        not_after: Timestamp,
        now: Timestamp,
    },
    #[error("certificate {position} of the chain did not sign the one before it ({issuer})")]
    ChainBroken { position: usize, issuer: String },
}

/// Reads the first certificate of a PEM text.
pub fn inspect(pem: &[u8]) -> Result<CertificateInfo, CertificateError> {
    let ders = decode(pem)?;
    let leaf = parse(ders.first().ok_or(CertificateError::Empty)?)?;
    info(&leaf)
}

/// The common name of the authority that signed the last certificate of a chain (PEM): the root that
/// the chain leads to.
pub fn root_name(pem: &str) -> Result<String, CertificateError> {
    let ders = decode(pem.as_bytes())?;
    let last = parse(ders.last().ok_or(CertificateError::Empty)?)?;
    let mut names = last.issuer().iter_common_name();
    let name = names.next().and_then(|name| name.as_str().ok());
    Ok(name.unwrap_or_default().to_owned())
}

/// Judges a chain (PEM, leaf first): it is for the key with this `SubjectPublicKeyInfo` (DER), for
/// exactly these names, valid now, and each certificate is signed by the next.
pub fn judge(
    pem: &str,
    public_key: &[u8],
    names: &[Identifier],
    now: Timestamp,
) -> Result<Chain, CertificateError> {
    let ders = decode(pem.as_bytes())?;
    let certificates = ders
        .iter()
        .map(|der| parse(der))
        .collect::<Result<Vec<_>, _>>()?;
    let leaf = certificates.first().ok_or(CertificateError::Empty)?;
    if leaf.public_key().raw != public_key {
        return Err(CertificateError::OtherKey);
    }
    let info = info(leaf)?;
    let wanted: BTreeSet<String> = names.iter().map(ToString::to_string).collect();
    if !wanted.iter().eq(info.names.iter()) {
        return Err(CertificateError::OtherNames {
            found: info.names,
            wanted: wanted.into_iter().collect(),
        });
    }
    if info.not_before > now + CLOCK_SKEW || info.not_after <= now {
        return Err(CertificateError::NotValidNow {
            not_before: info.not_before,
            not_after: info.not_after,
            now,
        });
    }
    for (position, pair) in certificates.windows(2).enumerate() {
        let named = pair[0].issuer() == pair[1].subject();
        if !named
            || pair[0]
                .verify_signature(Some(pair[1].public_key()))
                .is_err()
        {
            return Err(CertificateError::ChainBroken {
                position: position + 2,
                issuer: pair[0].issuer().to_string(),
            });
        }
    }
    Ok(Chain {
        certificate: encode(&ders[..1]),
        intermediates: encode(&ders[1..]),
        info,
    })
}

fn decode(pem: &[u8]) -> Result<Vec<Vec<u8>>, CertificateError> {
    Pem::iter_from_buffer(pem)
        .map(|block| match block {
            Ok(block) if block.label == "CERTIFICATE" => Ok(block.contents),
            Ok(block) => Err(CertificateError::Unreadable(format!(
                "a block `{}`",
                block.label.escape_debug()
            ))),
            Err(error) => Err(CertificateError::Unreadable(error.to_string())),
        })
        .collect()
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, CertificateError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err(CertificateError::Unreadable(
            "octets after a certificate".to_owned(),
        )),
        Err(error) => Err(CertificateError::Unreadable(error.to_string())),
    }
}

fn info(certificate: &X509Certificate<'_>) -> Result<CertificateInfo, CertificateError> {
    let unreadable = |error: String| CertificateError::Unreadable(error);
    let names: BTreeSet<String> = certificate
        .subject_alternative_name()
        .map_err(|error| unreadable(error.to_string()))?
        .map(|extension| &extension.value.general_names)
        .into_iter()
        .flatten()
        .map(|name| match name {
            GeneralName::DNSName(name) => name.to_ascii_lowercase(),
            other => other.to_string(),
        })
        .collect();
    let time = |seconds| Timestamp::from_second(seconds).map_err(|e| unreadable(e.to_string()));
    Ok(CertificateInfo {
        names: names.into_iter().collect(),
        not_before: time(certificate.validity().not_before.timestamp())?,
        not_after: time(certificate.validity().not_after.timestamp())?,
        serial: certificate
            .raw_serial()
            .iter()
            .fold(String::new(), |mut text, octet| {
                let _ = write!(text, "{octet:02x}");
                text
            }),
        issuer: certificate.issuer().to_string(),
    })
}

/// PEM as RFC 7468 wants it, whatever the server sent between its blocks.
fn encode(ders: &[Vec<u8>]) -> String {
    let mut pem = String::new();
    for der in ders {
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        let text = BASE64_STANDARD.encode(der);
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (line, more) = rest.split_at(rest.len().min(64));
            pem.push_str(line);
            pem.push('\n');
            rest = more;
        }
        pem.push_str("-----END CERTIFICATE-----\n");
    }
    pem
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    use super::*;

    struct Made {
        key: KeyPair,
        pem: String,
    }

    fn ca(name: &str) -> (CertificateParams, KeyPair, String) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        (params, key, pem)
    }

    /// A certificate for `names`, valid for `days` from now, followed by its issuer.
    fn made(names: &[&str], days: (i64, i64)) -> Made {
        let (ca_params, ca_key, ca_pem) = ca("issuer");
        let mut params =
            CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>())
                .unwrap();
        let now = std::time::SystemTime::now();
        let at = |days: i64| {
            let shift = std::time::Duration::from_secs(days.unsigned_abs() * 86400);
            if days < 0 { now - shift } else { now + shift }
        };
        params.not_before = at(days.0).into();
        params.not_after = at(days.1).into();
        let key = KeyPair::generate().unwrap();
        let leaf = params
            .signed_by(&key, &Issuer::from_params(&ca_params, &ca_key))
            .unwrap();
        Made {
            key,
            pem: format!("{}{ca_pem}", leaf.pem()),
        }
    }

    fn judged(made: &Made, names: &[&str]) -> Result<Chain, CertificateError> {
        let names: Vec<_> = names.iter().map(|name| name.parse().unwrap()).collect();
        let public = rcgen::PublicKeyData::subject_public_key_info(&made.key);
        judge(&made.pem, &public, &names, Timestamp::now())
    }

    const NAMES: [&str; 2] = ["example.com", "*.example.com"];

    #[test]
    fn a_chain_for_our_key_and_names_that_is_valid_now_is_good() {
        let chain = judged(&made(&NAMES, (-1, 90)), &NAMES).unwrap();
        assert_eq!(chain.info.names, ["*.example.com", "example.com"]);
        assert_eq!(chain.certificate.matches("BEGIN").count(), 1);
        assert_eq!(chain.intermediates.matches("BEGIN").count(), 1);
        assert_eq!(inspect(chain.certificate.as_bytes()).unwrap(), chain.info);
    }

    #[test]
    fn another_key_is_refused() {
        let mut made = made(&NAMES, (-1, 90));
        made.key = KeyPair::generate().unwrap();
        assert_eq!(
            judged(&made, &NAMES).unwrap_err(),
            CertificateError::OtherKey
        );
    }

    #[test]
    fn a_missing_or_additional_name_is_refused() {
        for given in [
            &NAMES[..1],
            &["example.com", "*.example.com", "example.org"],
        ] {
            let error = judged(&made(given, (-1, 90)), &NAMES).unwrap_err();
            assert!(
                matches!(error, CertificateError::OtherNames { .. }),
                "{error}"
            );
        }
    }

    #[test]
    fn a_certificate_of_yesterday_or_tomorrow_is_refused() {
        for days in [(-90, -1), (1, 90)] {
            let error = judged(&made(&NAMES, days), &NAMES).unwrap_err();
            assert!(
                matches!(error, CertificateError::NotValidNow { .. }),
                "{error}"
            );
        }
    }

    #[test]
    fn a_chain_whose_next_certificate_did_not_sign_is_refused() {
        let mut made = made(&NAMES, (-1, 90));
        let leaf = made
            .pem
            .split_inclusive("-----END CERTIFICATE-----\n")
            .next()
            .unwrap();
        // The same name as the real issuer, and another key.
        made.pem = format!("{leaf}{}", ca("issuer").2);
        let error = judged(&made, &NAMES).unwrap_err();
        assert!(
            matches!(error, CertificateError::ChainBroken { position: 2, .. }),
            "{error}"
        );
    }

    #[test]
    fn what_is_no_chain_is_refused() {
        let key = made(&NAMES, (-1, 90)).key;
        for pem in ["", "<html>", &key.serialize_pem()] {
            assert!(judge(pem, b"", &[], Timestamp::now()).is_err());
        }
    }
}
