//! A certificate with its key, from the files of another client.

use std::path::Path;

use acme_alias_core::certificate::{CertificateError, ForeignKey, inspect, verify};
use acme_alias_core::name::Identifier;

use super::model::Version;
use super::reader::Reader;

/// The beginning and the end of a certificate in PEM.
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// What the next run does about a certificate that is not taken over.
const NEXT: &str = "the first `acme-alias renew` obtains a new one";

impl Reader {
    /// Reads a certificate, its intermediate certificates and its key; the paths are in the folder. `None` if they do
    /// not exist, or cannot be used, which is reported.
    pub(super) fn version(&mut self, key: &Path, chain: &[&Path]) -> Option<Version> {
        let texts = chain.iter().filter_map(|path| self.text(path));
        let texts: String = texts.collect::<Vec<_>>().join("\n");
        let pem = certificates(&texts);
        let first = self.folder.path(chain.first()?);
        if pem.is_empty() {
            self.problem(&first, format!("there is no certificate in it; {NEXT}"));
            return None;
        }
        let path = self.folder.path(key);
        let Some(text) = self.text(key) else {
            self.problem(&path, format!("there is no private key; {NEXT}"));
            return None;
        };
        let key = ForeignKey::from_pem(&text);
        let key = key.and_then(|key| Ok((key.to_certificate_key()?, key.to_pem()?)));
        let (key, key_pem) = match key {
            Ok(key) => key,
            Err(error) => {
                self.problem(&path, format!("{error}; {NEXT}"));
                return None;
            }
        };
        let names = match names(&pem) {
            Ok(names) => names,
            Err(reason) => {
                self.problem(&first, format!("{reason}; {NEXT}"));
                return None;
            }
        };
        match verify(&pem, &key.public(), &names, self.now) {
            Ok(chain) => Some(Version {
                key: key_pem,
                chain,
            }),
            Err(error) => {
                let reason = match error {
                    CertificateError::OtherKey => {
                        format!("the certificate is not for the key in {}", path.display())
                    }
                    error => error.to_string(),
                };
                self.problem(&first, format!("{reason}; {NEXT}"));
                None
            }
        }
    }
}

/// The certificates of a text, without anything else.
fn certificates(text: &str) -> String {
    let after = text.split(BEGIN).skip(1);
    let bodies = after.filter_map(|text| text.split_once(END));
    let blocks = bodies.map(|(body, _)| format!("{BEGIN}{body}{END}\n"));
    blocks.collect::<Vec<_>>().concat()
}

/// The names of the first certificate.
fn names(pem: &str) -> Result<Vec<Identifier>, String> {
    let info = inspect(pem.as_bytes()).map_err(|error| error.to_string())?;
    let names = info.names.iter().map(|name| name.parse::<Identifier>());
    names
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}
