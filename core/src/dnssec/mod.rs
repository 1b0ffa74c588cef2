//! Whether records can be trusted (DNSSEC, RFC 4033 §5), as a validating resolver sees them: every CA has one.
//!
//! hickory validates; here is what it needs for that ([`source`]), and the reason that it does not give where
//! something is wrong ([`fault`]).

mod fault;
mod source;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use hickory_net::dnssec::DnssecDnsHandle;
use hickory_net::xfer::DnsHandle;
use hickory_net::{DnsError, NetError};
use hickory_proto::dnssec::Proof;
use hickory_proto::op::{DnsRequestOptions, Message, Query};
use hickory_proto::rr::{Name, Record, RecordType};
use serde::Serialize;

use self::source::Source;
use crate::dns::{Dns, TrustAnchors};
use crate::name::DnsName;

/// How long one verdict may take, in answers that are waited for: a chain from the root has that many links.
const ANSWERS_MAX: u32 = 10;
/// An RRSIG record beside the labels of the signer's name and the signature (RFC 4034 §3.1): a pointer to the
/// owner, the fixed fields of any record and of this one, and the root label.
const RRSIG_OVERHEAD: usize = 12 + 18 + 1;

/// What validation says of records (RFC 4033 §5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", content = "reason", rename_all = "lowercase")]
pub enum Security {
    /// Signed, and every signature from the root down to them holds.
    Secure,
    /// Not signed, which a zone above them proves.
    Insecure,
    /// Signed in a way that does not hold, or without an answer that the chain of trust needs: a validating
    /// resolver refuses them. With the reason.
    Bogus(String),
    /// There is no verdict from here. With the reason.
    Unknown(String),
}

impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Security::Secure => f.write_str("secure"),
            Security::Insecure => f.write_str("insecure (not signed)"),
            Security::Bogus(reason) => write!(f, "bogus: {reason}"),
            Security::Unknown(reason) => write!(f, "not known: {reason}"),
        }
    }
}

/// Validates records. What concerns a zone (keys, DS) is asked once.
pub(crate) struct Validator {
    source: Source,
    handle: DnssecDnsHandle<Source>,
    anchors: TrustAnchors,
    patience: Duration,
}

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Validator")
            .field("anchors", &self.anchors)
            .finish_non_exhaustive()
    }
}

impl Validator {
    /// A validator that has asked nothing yet.
    pub(crate) fn new(dns: Arc<Dns>) -> Self {
        let anchors = dns.trust_anchors().clone();
        let patience = dns.timeout() * ANSWERS_MAX;
        let source = Source::new(dns);
        Validator {
            handle: DnssecDnsHandle::with_trust_anchor(source.clone(), anchors.shared()),
            source,
            anchors,
            patience,
        }
    }

    /// What holds of the `kind` records of `name`. It always ends, with a verdict.
    pub(crate) async fn verdict(&self, name: &DnsName, kind: RecordType) -> Security {
        let verdict = tokio::time::timeout(self.patience, self.judge(name, kind));
        verdict.await.unwrap_or_else(|_| {
            Security::Unknown(format!("validation took longer than {:?}", self.patience))
        })
    }

    /// The octets that the signatures of one set of records of `zone` take in an answer, by those of its SOA
    /// record.
    pub(crate) async fn signature_octets(&self, zone: &DnsName) -> usize {
        let Ok(name) = Name::from_ascii(zone.fqdn()) else {
            return 0;
        };
        let Ok(message) = self.source.ask(&name, RecordType::SOA).await else {
            return 0;
        };
        let octets = fault::signatures(&message, &name, RecordType::SOA).map(|signature| {
            RRSIG_OVERHEAD + signature.input().signer_name.len() + signature.sig().len()
        });
        octets.sum()
    }

    async fn judge(&self, name: &DnsName, kind: RecordType) -> Security {
        if let Err(reason) = self.source.passes_signatures_on().await {
            return Security::Unknown(reason);
        }
        let Ok(name) = Name::from_ascii(name.fqdn()) else {
            return Security::Unknown(format!("{name} is not a usable name"));
        };
        match self.proof(&name, kind).await {
            Ok(Proof::Secure) => Security::Secure,
            Ok(Proof::Insecure) => Security::Insecure,
            Ok(Proof::Bogus) => self.fault(&name, kind).await,
            Ok(Proof::Indeterminate) => {
                Security::Unknown(format!("no trust anchor leads to {name}"))
            }
            Err(error) => Security::Unknown(error),
        }
    }

    /// hickory's word on the `kind` records of `name`, or on their absence.
    async fn proof(&self, name: &Name, kind: RecordType) -> Result<Proof, String> {
        let mut options = DnsRequestOptions::default();
        options.use_edns = true;
        options.edns_set_dnssec_ok = true;
        let query = Query::query(name.clone(), kind);
        match self.handle.lookup(query, options).next().await {
            Some(Ok(response)) => Ok(proof_in(&response, name, kind)),
            Some(Err(NetError::Dns(DnsError::Nsec { proof, .. }))) => Ok(proof),
            Some(Err(error)) => Err(error.to_string()),
            None => Err(format!("no answer about {name}")),
        }
    }
}

/// The weakest proof of the records asked for; where there are none, of what says so.
fn proof_in(message: &Message, name: &Name, kind: RecordType) -> Proof {
    let proofs = |records: &[Record], wanted: &dyn Fn(&Record) -> bool| {
        let wanted = records.iter().filter(|record| wanted(record));
        wanted
            .map(|record| record.proof)
            .max_by_key(|proof| weakness(*proof))
    };
    let asked_for = |record: &Record| record.record_type() == kind && record.name == *name;
    proofs(&message.answers, &asked_for)
        .or_else(|| proofs(&message.authorities, &|_| true))
        .unwrap_or(Proof::Indeterminate)
}

fn weakness(proof: Proof) -> u8 {
    match proof {
        Proof::Secure => 0,
        Proof::Insecure => 1,
        Proof::Indeterminate => 2,
        Proof::Bogus => 3,
    }
}
