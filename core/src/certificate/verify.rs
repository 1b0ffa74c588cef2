//! Verifying the chain that a CA sent.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;

use super::error::CertificateError;
use super::info::{CertificateInfo, read};
use super::loadable::{refusal, refusal_of_issuer};
use super::pem::{decode, encode, parse};
use crate::name::Identifier;
use crate::printable::{TEXT_MAX, few, shortened};

/// The tolerance for clocks that differ. CAs backdate certificates for the same reason.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);
/// With a clock that is further off, nothing is ordered.
const EARLY_MAX: SignedDuration = SignedDuration::from_hours(24);

/// More certificates are in no chain, even with some that do not belong to it: most have two or three. Each may have to be
/// checked against each, which takes long with large keys.
const CERTIFICATES_MAX: usize = 10;

/// The octets of DER of all certificates of a chain. With a hundred long names, or signatures that withstand quantum computers,
/// one has some tens of kilobytes. Files of many certificates are written at a time, in several formats.
const OCTETS_MAX: usize = 256 << 10;

/// A verified chain, in PEM that we encoded ourselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The certificate.
    pub certificate: String,
    /// The intermediate certificates, the certificate's issuer first.
    pub intermediates: String,
    /// The content of the certificate.
    pub info: CertificateInfo,
    /// What could not be verified and does not prevent its use, a sentence each.
    pub doubts: Vec<String>,
}

/// Verifies a chain (PEM): there is a certificate for the key with this `SubjectPublicKeyInfo` (DER), for exactly these
/// names and valid now, or soon, which servers load. The order of the certificates does not matter. Those that do not belong
/// to the chain, or that servers do not load, are left out.
pub fn verify(
    pem: &str,
    public_key: &[u8],
    names: &[Identifier],
    now: Timestamp,
) -> Result<Chain, CertificateError> {
    let ders = decode(pem.as_bytes())?;
    if ders.len() > CERTIFICATES_MAX {
        return Err(CertificateError::TooMany { count: ders.len() });
    }
    let octets = ders.iter().map(Vec::len).sum();
    if octets > OCTETS_MAX {
        let limit = OCTETS_MAX;
        return Err(CertificateError::TooLarge { octets, limit });
    }
    let certificates = ders
        .iter()
        .map(|der| parse(der))
        .collect::<Result<Vec<_>, _>>()?;
    if certificates.is_empty() {
        return Err(CertificateError::Empty);
    }
    let is_ours = |certificate: &X509Certificate<'_>| certificate.public_key().raw == public_key;
    let Some(first) = certificates.iter().position(is_ours) else {
        return Err(CertificateError::OtherKey);
    };
    let info = read(&certificates[first])?;
    check_names(&info, names)?;
    check_validity(&info, now)?;
    if let Some(reason) = refusal(&certificates[first]) {
        return Err(CertificateError::NotLoadable { reason });
    }
    let (path, mut doubts) = path(&certificates, first);
    doubts.extend(early(&info, now));
    let issuers: Vec<_> = path[1..].iter().map(|place| ders[*place].clone()).collect();
    Ok(Chain {
        certificate: encode(&ders[first..=first]),
        intermediates: encode(&issuers),
        info,
        doubts,
    })
}

/// The places of the certificates from this one on, each followed by its issuer, as far as they are there; and what
/// could not be verified.
fn path(certificates: &[X509Certificate<'_>], first: usize) -> (Vec<usize>, Vec<String>) {
    let (mut path, mut doubts) = (vec![first], Vec::new());
    let mut place = first;
    loop {
        let certificate = &certificates[place];
        if is_self_issued(certificate) {
            break;
        }
        let named = certificates.iter().enumerate().filter(|(other, issuer)| {
            !path.contains(other) && certificate.issuer() == issuer.subject()
        });
        let (loadable, others): (Vec<_>, Vec<_>) =
            named.partition(|(_, issuer)| refusal_of_issuer(issuer).is_none());
        let mut signed: Vec<_> = loadable
            .into_iter()
            .map(|(other, issuer)| (signature(certificate, issuer), other))
            .collect();
        signed.sort_by_key(|(signature, other)| (*signature, *other));
        let issuer = shortened(&certificate.issuer().to_string(), TEXT_MAX);
        let Some((signature, other)) = signed.first() else {
            doubts.extend(left_out(&others, path.len() > 1));
            break;
        };
        match signature {
            Signature::Good => {}
            Signature::Unknown => doubts.push(format!(
                "the signature of `{issuer}` was not checked, because its algorithm is not supported"
            )),
            Signature::Bad => doubts.push(format!(
                "the certificate that the CA sent for `{issuer}` did not sign: clients may not trust the chain"
            )),
        }
        path.push(*other);
        place = *other;
    }
    if path.len() == 1 && doubts.is_empty() && !is_self_issued(&certificates[first]) {
        let issuer = shortened(&certificates[first].issuer().to_string(), TEXT_MAX);
        doubts.push(format!(
            "the CA sent no certificate of its issuer `{issuer}`: clients may not trust it"
        ));
    }
    (path, doubts)
}

/// What is said of issuers that are left out. Servers need no root.
fn left_out(issuers: &[(usize, &X509Certificate<'_>)], may_be_root: bool) -> Option<String> {
    let mut needed = issuers.iter().map(|(_, issuer)| *issuer);
    let issuer = needed.find(|issuer| !may_be_root || !is_self_issued(issuer))?;
    let (name, reason) = (issuer.subject().to_string(), refusal_of_issuer(issuer)?);
    Some(format!(
        "the certificate that the CA sent for `{}` is left out, because servers with OpenSSL would not load it: {reason}",
        shortened(&name, TEXT_MAX)
    ))
}

fn is_self_issued(certificate: &X509Certificate<'_>) -> bool {
    certificate.issuer() == certificate.subject()
}

/// What became of the check of a signature, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Signature {
    Good,
    /// The algorithm is not supported here.
    Unknown,
    Bad,
}

fn signature(certificate: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> Signature {
    match certificate.verify_signature(Some(issuer.public_key())) {
        Ok(()) => Signature::Good,
        Err(X509Error::SignatureUnsupportedAlgorithm) => Signature::Unknown,
        Err(_) => Signature::Bad,
    }
}

fn check_names(info: &CertificateInfo, names: &[Identifier]) -> Result<(), CertificateError> {
    let wanted: BTreeSet<String> = names.iter().map(ToString::to_string).collect();
    let found: BTreeSet<String> = info.names.iter().cloned().collect();
    if wanted == found {
        return Ok(());
    }
    let shown = |names: BTreeSet<String>| few(&names.into_iter().collect::<Vec<_>>(), ", ");
    Err(CertificateError::OtherNames {
        found: shown(found),
        wanted: shown(wanted),
    })
}

/// A certificate that is not valid yet is kept: it is most likely our clock that is slow.
fn early(info: &CertificateInfo, now: Timestamp) -> Option<String> {
    let CertificateInfo { not_before, .. } = info;
    (*not_before > now + CLOCK_SKEW).then(|| {
        format!("it is valid from {not_before} on, but the clock of this host shows {now}: set it by NTP")
    })
}

fn check_validity(info: &CertificateInfo, now: Timestamp) -> Result<(), CertificateError> {
    if info.not_before <= now + EARLY_MAX && info.not_after > now {
        return Ok(());
    }
    Err(CertificateError::NotValidNow {
        not_before: info.not_before,
        not_after: info.not_after,
        now,
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CustomExtension, IsCa, Issuer, KeyPair};

    use super::*;
    use crate::certificate::inspect;

    /// A chain, and the key that its certificate is for.
    struct Fixture {
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

    /// A certificate for `names`, valid between these days from now, followed by its issuer.
    fn fixture(names: &[&str], days: (i64, i64)) -> Fixture {
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
        Fixture {
            key,
            pem: format!("{}{ca_pem}", leaf.pem()),
        }
    }

    fn verified(fixture: &Fixture, names: &[&str]) -> Result<Chain, CertificateError> {
        let names: Vec<_> = names.iter().map(|name| name.parse().unwrap()).collect();
        let public = rcgen::PublicKeyData::subject_public_key_info(&fixture.key);
        verify(&fixture.pem, &public, &names, Timestamp::now())
    }

    const NAMES: [&str; 2] = ["example.com", "*.example.com"];

    #[test]
    fn a_valid_chain_for_our_key_and_names_is_accepted() {
        let chain = verified(&fixture(&NAMES, (-1, 90)), &NAMES).unwrap();
        assert_eq!(chain.info.names, ["example.com", "*.example.com"]);
        assert_eq!(chain.certificate.matches("BEGIN").count(), 1);
        assert_eq!(chain.intermediates.matches("BEGIN").count(), 1);
        assert_eq!(inspect(chain.certificate.as_bytes()).unwrap(), chain.info);
    }

    #[test]
    fn another_key_is_refused() {
        let mut fixture = fixture(&NAMES, (-1, 90));
        fixture.key = KeyPair::generate().unwrap();
        let error = verified(&fixture, &NAMES).unwrap_err();
        assert!(matches!(error, CertificateError::OtherKey), "{error}");
    }

    #[test]
    fn a_missing_or_additional_name_is_refused() {
        for given in [
            &NAMES[..1],
            &["example.com", "*.example.com", "example.org"],
        ] {
            let error = verified(&fixture(given, (-1, 90)), &NAMES).unwrap_err();
            assert!(
                matches!(error, CertificateError::OtherNames { .. }),
                "{error}"
            );
        }
    }

    #[test]
    fn thousands_of_names_are_shown_in_part() {
        let names: Vec<_> = (0..5_000).map(|n| format!("n{n}.example.com")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let error = verified(&fixture(&names, (-1, 90)), &NAMES).unwrap_err();
        let shown = error.to_string();
        assert!(shown.contains("4,997 more"), "{shown}");
        assert!(shown.len() < 1_000, "{shown}");
    }

    #[test]
    fn a_certificate_that_expired_or_starts_after_tomorrow_is_refused() {
        for days in [(-90, -1), (2, 90)] {
            let error = verified(&fixture(&NAMES, days), &NAMES).unwrap_err();
            assert!(
                matches!(error, CertificateError::NotValidNow { .. }),
                "{error}"
            );
        }
    }

    #[test]
    fn a_certificate_that_is_not_valid_yet_is_kept_with_a_doubt() {
        let early = fixture(&NAMES, (-1, 90));
        let names: Vec<_> = NAMES.iter().map(|name| name.parse().unwrap()).collect();
        let public = rcgen::PublicKeyData::subject_public_key_info(&early.key);
        // It began a day ago. For a slow clock that is in ten minutes.
        let slow =
            Timestamp::now() - SignedDuration::from_hours(24) - SignedDuration::from_mins(10);
        let chain = verify(&early.pem, &public, &names, slow).unwrap();
        assert!(
            chain.doubts[0].contains("set it by NTP"),
            "{:?}",
            chain.doubts
        );
    }

    #[test]
    fn a_chain_whose_next_certificate_did_not_sign_is_kept_with_a_doubt() {
        let mut fixture = fixture(&NAMES, (-1, 90));
        let leaf = fixture
            .pem
            .split_inclusive("-----END CERTIFICATE-----\n")
            .next()
            .unwrap();
        // The same name as the real issuer, and another key.
        fixture.pem = format!("{leaf}{}", ca("issuer").2);
        let chain = verified(&fixture, &NAMES).unwrap();
        assert_eq!(chain.intermediates.matches("BEGIN").count(), 1);
        assert!(
            chain.doubts[0].contains("did not sign"),
            "{:?}",
            chain.doubts
        );
    }

    #[test]
    fn the_order_of_the_chain_does_not_matter_nor_what_else_is_in_it() {
        let fixture = fixture(&NAMES, (-1, 90));
        let end = "-----END CERTIFICATE-----\n";
        let (leaf, issuer) = fixture.pem.split_once(end).unwrap();
        let leaf = format!("{leaf}{end}");
        let usual = verified(&fixture, &NAMES).unwrap();
        assert_eq!(usual.doubts, [""; 0]);
        for pem in [
            format!("{issuer}{leaf}"),
            format!("{leaf}{issuer}{issuer}"),
            format!("{}{leaf}{issuer}", ca("another").2),
            format!("{leaf}{}{issuer}", ca("issuer").2),
        ] {
            let key = KeyPair::from_pem(&fixture.key.serialize_pem()).unwrap();
            let other = Fixture { key, pem };
            assert_eq!(verified(&other, &NAMES).unwrap(), usual);
        }
        let key = KeyPair::from_pem(&fixture.key.serialize_pem()).unwrap();
        let alone = verified(&Fixture { key, pem: leaf }, &NAMES).unwrap();
        assert_eq!(alone.intermediates, "");
        assert!(alone.doubts[0].contains("CN=issuer"), "{:?}", alone.doubts);
    }

    #[test]
    fn a_chain_of_thousands_is_refused_before_any_signature_is_checked() {
        let mut fixture = fixture(&NAMES, (-1, 90));
        fixture.pem += &ca("issuer").2.repeat(2_000);
        let before = std::time::Instant::now();
        let error = verified(&fixture, &NAMES).unwrap_err();
        assert!(before.elapsed().as_secs() < 2);
        assert!(
            matches!(error, CertificateError::TooMany { count: 2_002 }),
            "{error}"
        );
    }

    #[test]
    fn a_chain_of_half_a_megabyte_is_refused() {
        let mut fixture = fixture(&NAMES, (-1, 90));
        let (mut params, key, _) = ca("issuer");
        let large = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![7; 500_000]);
        params.custom_extensions.push(large);
        fixture.pem += &params.self_signed(&key).unwrap().pem();
        let error = verified(&fixture, &NAMES).unwrap_err();
        assert!(
            matches!(error, CertificateError::TooLarge { .. }),
            "{error}"
        );
    }

    #[test]
    fn a_text_that_is_not_a_chain_is_refused() {
        let key = fixture(&NAMES, (-1, 90)).key;
        for pem in ["", "<html>", &key.serialize_pem()] {
            assert!(verify(pem, b"", &[], Timestamp::now()).is_err());
        }
    }
}
