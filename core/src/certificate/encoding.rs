//! Whether a certificate is encoded by the rules. The parser that reads certificates accepts more than OpenSSL does, on
//! which most servers are built.

use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::asn1::{AnyRef, BitString, OctetString};
use x509_cert::der::{Decode, Encode, Tag, Tagged};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{
    AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints, CertificatePolicies,
    CrlDistributionPoints, ExtendedKeyUsage, NameConstraints, SubjectAltName,
};

/// Levels of values inside others. Certificates have about ten.
const LEVELS_MAX: usize = 32;

/// Whether a certificate (DER) and the extensions that servers read are encoded by the rules of DER (X.690 §10, §11), with
/// nothing that occurs twice and nothing left over.
pub(super) fn is_strict(der: &[u8]) -> bool {
    let Ok(certificate) = CertificateInner::<Raw>::from_der(der) else {
        return false;
    };
    let content = certificate.tbs_certificate();
    let extensions = content.extensions().map_or(&[][..], Vec::as_slice);
    let is_repeated = |(place, extension): (usize, &Extension)| {
        let mut before = extensions[..place].iter();
        before.any(|other| other.extn_id == extension.extn_id)
    };
    is_same(&certificate, der)
        && has_strict_identifiers(der, LEVELS_MAX)
        && content.signature() == certificate.signature_algorithm()
        && !extensions.iter().enumerate().any(is_repeated)
        && extensions.iter().all(is_strict_extension)
}

fn is_strict_extension(extension: &Extension) -> bool {
    let content = extension.extn_value.as_bytes();
    let is_well_formed = match extension.extn_id.to_string().as_str() {
        "2.5.29.14" => is::<OctetString>(content),
        // The key usage, and the Netscape certificate type.
        "2.5.29.15" | "2.16.840.1.113730.1.1" => is::<BitString>(content),
        "2.5.29.17" => is::<SubjectAltName>(content),
        "2.5.29.19" => is::<BasicConstraints>(content),
        "2.5.29.30" => is::<NameConstraints>(content),
        "2.5.29.31" => is::<CrlDistributionPoints>(content),
        "2.5.29.32" => is::<CertificatePolicies>(content),
        "2.5.29.35" => is::<AuthorityKeyIdentifier>(content),
        "2.5.29.37" => is::<ExtendedKeyUsage>(content),
        "1.3.6.1.5.5.7.1.1" => is::<AuthorityInfoAccessSyntax>(content),
        // Servers do not look into others.
        _ => return true,
    };
    is_well_formed && has_strict_identifiers(content, LEVELS_MAX)
}

/// Whether this is a value of the type, in the only form that it can have.
fn is<'a, T: Decode<'a> + Encode>(der: &'a [u8]) -> bool {
    T::from_der(der).is_ok_and(|value| is_same(&value, der))
}

fn is_same(value: &impl Encode, der: &[u8]) -> bool {
    value.to_der().is_ok_and(|again| again == der)
}

/// Whether all object identifiers have their shortest form (X.690 §8.19.2), which the decoder does not check. Values may be
/// inside others, so many levels deep.
fn has_strict_identifiers(mut der: &[u8], levels: usize) -> bool {
    while !der.is_empty() {
        let Ok((value, rest)) = AnyRef::from_der_partial(der) else {
            return false;
        };
        der = rest;
        let is_strict = match value.tag() {
            Tag::ObjectIdentifier => has_short_arcs(value.value()),
            tag if tag.is_constructed() => {
                levels > 0 && has_strict_identifiers(value.value(), levels - 1)
            }
            _ => true,
        };
        if !is_strict {
            return false;
        }
    }
    true
}

fn has_short_arcs(octets: &[u8]) -> bool {
    let is_last = |octet: &u8| octet & 0x80 == 0;
    let mut arcs = octets.split_inclusive(is_last);
    octets.last().is_some_and(is_last) && !arcs.any(|arc| arc.starts_with(&[0x80]))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair};

    use super::*;

    /// A certificate with this extension more.
    fn with(oid: &[u64], content: &[u8]) -> Vec<u8> {
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::new(CertificateParams::default(), KeyPair::generate().unwrap());
        let mut params = CertificateParams::new(["a.example.com".to_owned()]).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, "a.example.com");
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        let extension = CustomExtension::from_oid_content(oid, content.to_vec());
        params.custom_extensions.push(extension);
        params.signed_by(&key, &issuer).unwrap().der().to_vec()
    }

    #[test]
    fn usual_certificates_are_strict() {
        // An extension that nobody knows may have any content.
        assert!(is_strict(&with(&[1, 2, 3], b"no DER")));
        // Bits that are zero at the end are left in by some CAs.
        assert!(is_strict(&with(&[2, 5, 29, 15], &[3, 2, 0, 0x80])));
    }

    #[test]
    fn what_openssl_does_not_read_is_not_strict() {
        let twice = [0x30, 0];
        let left_over = [3, 2, 0, 0x80, 0];
        let wrong = [0x30, 3, 4, 1, 7];
        let long_arc = [0x30, 6, 6, 4, 0x2a, 0x80, 0x03, 0x04];
        for (oid, content) in [
            (&[2, 5, 29, 19], &twice[..]),
            (&[2, 5, 29, 15], &left_over),
            (&[2, 5, 29, 30], &wrong),
            (&[2, 5, 29, 37], &long_arc),
        ] {
            assert!(!is_strict(&with(oid, content)), "{content:?}");
        }
    }

    #[test]
    fn values_that_are_nested_without_end_are_not_strict() {
        let mut value = vec![5, 0];
        while value.len() < 100_000 {
            let length = u32::try_from(value.len()).unwrap().to_be_bytes();
            value = [&[0x30, 0x84][..], &length, &value].concat();
        }
        assert!(!has_strict_identifiers(&value, LEVELS_MAX));
    }

    #[test]
    fn a_set_that_is_called_a_sequence_is_found() {
        let der = with(&[1, 2, 3], b"no DER");
        // In a name, each set has one sequence.
        let is_set =
            |four: &[u8]| four[0] == 0x31 && four[2] == 0x30 && four[1].wrapping_sub(2) == four[3];
        let sets: Vec<_> = der.windows(4).map(is_set).collect();
        assert!(sets.contains(&true));
        for (place, _) in sets.iter().enumerate().filter(|(_, is_set)| **is_set) {
            let mut changed = der.clone();
            changed[place] = 0x30;
            assert!(!is_strict(&changed), "at {place}");
        }
        assert!(!is_strict(&[&der[..], &[0]].concat()));
    }
}
