//! Entry points for `crate::fuzzing`.

use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::csr::{self, CertificationRequest};
use super::info::read;
use super::pem::encode;
use super::verify::verify;
use crate::name::Identifier;

/// What is shown of a certification request, and of one (DER) whose signature does not matter.
pub(crate) fn request(data: &[u8]) -> Vec<String> {
    let parsed = CertificationRequest::parse(data).map(|request| request.names().to_vec());
    let mut shown = Vec::new();
    for names in [parsed, csr::unsigned_names(data)] {
        match names {
            Ok(names) => shown.extend(names.iter().map(ToString::to_string)),
            Err(error) => shown.push(error.to_string()),
        }
    }
    shown
}

/// What is shown of a chain, which is given as certificates (DER) one after the other. The first one is for the key and
/// for the names that were asked for, if they are names.
pub(crate) fn chain(data: &[u8]) -> Vec<String> {
    let (mut ders, mut rest) = (Vec::new(), data);
    while let Ok((more, _)) = X509Certificate::from_der(rest) {
        ders.push(rest[..rest.len() - more.len()].to_vec());
        rest = more;
    }
    let first = ders.first().map(|der| X509Certificate::from_der(der));
    let Some(Ok((_, first))) = first else {
        return Vec::new();
    };
    let info = match read(&first) {
        Ok(info) => info,
        Err(error) => return vec![error.to_string()],
    };
    let names = info.names.iter().filter_map(|name| name.parse().ok());
    let names: Vec<Identifier> = names.collect();
    match verify(
        &encode(&ders),
        first.public_key().raw,
        &names,
        info.not_before,
    ) {
        Ok(chain) => chain.doubts,
        Err(error) => vec![error.to_string()],
    }
}
