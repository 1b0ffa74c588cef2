//! A certificate that is wanted.

use std::sync::Arc;

use super::error::IssueError;
use crate::certificate::{CertificationRequest, KeyType};
use crate::name::{DnsName, Identifier};
use crate::renewal::{Chosen, Terms};
use crate::store::{CertificateId, KeyAccess};

/// A certificate that is wanted.
#[derive(Clone, Debug)]
pub struct CertificateRequest {
    /// The id under which it is stored.
    pub id: CertificateId,
    /// The names in it, each with the alias name that the configuration gives it.
    pub names: Vec<RequestedName>,
    /// The kind of its key.
    pub key_type: KeyType,
    /// Use the key of the current version again, if it has this type, and if the version was not revoked.
    pub reuse_key: bool,
    /// The certification request of others that is sent, in place of one for a key of ours. The names are those in it.
    /// What is said here of the key has no effect then.
    pub csr: Option<Arc<CertificationRequest>>,
    /// What else to ask for: a profile, and the chain if the CA offers several.
    pub chosen: Chosen,
    /// Who may read its key.
    pub key_access: KeyAccess,
    /// Use the alias names of the configuration without looking at the delegations.
    pub skip_preflight: bool,
    /// Obtain it without the names that fail, if some do.
    pub partial: bool,
    /// The names that this request leaves out, and why.
    pub left_out: Vec<LeftOut>,
    /// What to store before the order is opened, so that a later run can renew the certificate: the
    /// settings that describe it, if nothing else does.
    pub settings: Option<String>,
}

/// A name for a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedName {
    /// The name.
    pub identifier: Identifier,
    /// The alias name to write at. Without one, the CNAME is followed.
    pub alias: Option<DnsName>,
}

/// Names that a certificate is obtained without.
#[derive(Clone, Debug)]
pub struct LeftOut {
    /// The names.
    pub names: Vec<Identifier>,
    /// Why: the error that would have prevented the certificate with these names.
    pub error: IssueError,
}

impl CertificateRequest {
    /// A request for these names. Their CNAMEs are followed.
    pub fn new(id: CertificateId, names: impl IntoIterator<Item = Identifier>) -> Self {
        let name = |identifier| RequestedName {
            identifier,
            alias: None,
        };
        CertificateRequest {
            id,
            names: names.into_iter().map(name).collect(),
            key_type: KeyType::default(),
            reuse_key: false,
            csr: None,
            chosen: Chosen::default(),
            key_access: KeyAccess::default(),
            skip_preflight: false,
            partial: false,
            left_out: Vec::new(),
            settings: None,
        }
    }

    /// What the certificate is ordered with, at the CA with this directory URL. Names that are left out are wanted all
    /// the same.
    pub fn terms(&self, directory: &str) -> Terms {
        let names = self.names.iter().map(|name| &name.identifier);
        Terms {
            names: names
                .chain(self.left_out.iter().flat_map(|left_out| &left_out.names))
                .map(ToString::to_string)
                .collect(),
            key_type: self.csr.is_none().then_some(self.key_type),
            directory: Some(directory.to_owned()),
            chosen: Some(self.chosen.clone()),
            external_key: self.external_key(),
        }
    }

    /// The fingerprint of the key in the certification request of others.
    pub(super) fn external_key(&self) -> Option<String> {
        let csr = self.csr.as_ref();
        csr.map(|csr| csr.fingerprint().to_owned())
    }

    /// The names alone.
    pub fn identifiers(&self) -> Vec<Identifier> {
        let names = self.names.iter();
        names.map(|name| name.identifier.clone()).collect()
    }
}
