//! The validator.

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

use super::records::signatures;
use super::security::Security;
use super::source::Source;
use crate::dns::{Dns, TrustAnchors, while_running};
use crate::name::DnsName;

/// The time limit of one verdict, in time limits of one answer: a chain from the root has that many links.
const ANSWERS_MAX: u32 = 10;
/// Results of validation that are kept.
const RESULTS_KEPT: usize = 4096;
/// The longest time for which a result is kept.
const RESULT_LIFETIME_MAX: Duration = Duration::from_hours(1);
/// An RRSIG record without the labels of the signer's name and the signature (RFC 4034 §3.1): a pointer to the
/// owner, the fixed fields of any record and of this one, and the root label.
const RRSIG_OVERHEAD: usize = 12 + 18 + 1;

/// Validates records. One validator serves a whole process: [`Dns`] caches what concerns zones.
pub(crate) struct Validator {
    pub(super) source: Source,
    handle: DnssecDnsHandle<Source>,
    pub(super) anchors: TrustAnchors,
    limit: Duration,
}

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Validator")
            .field("anchors", &self.anchors)
            .finish_non_exhaustive()
    }
}

impl Validator {
    /// A validator that asks through `dns`.
    pub(crate) fn new(dns: Arc<Dns>) -> Self {
        let anchors = dns.trust_anchors().clone();
        let limit = dns.timeout() * ANSWERS_MAX;
        let source = Source::new(dns);
        // hickory keeps results by the contents of the records. A result that may not last is not kept.
        let handle = DnssecDnsHandle::with_trust_anchor(source.clone(), anchors.shared())
            .validation_cache_size(RESULTS_KEPT)
            .positive_validation_ttl(Duration::ZERO..=RESULT_LIFETIME_MAX)
            .negative_validation_ttl(Duration::ZERO..=Duration::ZERO);
        Validator {
            source,
            handle,
            anchors,
            limit,
        }
    }

    /// Whether the `kind` records of `name` are valid. It always ends, with a verdict.
    pub(crate) async fn verdict(&self, name: &DnsName, kind: RecordType) -> Security {
        let verdict = tokio::time::timeout(self.limit, self.validate(name, kind));
        let verdict = verdict.await.unwrap_or_else(|_| {
            Security::Unknown(format!("validation timed out after {:?}", self.limit))
        });
        if matches!(verdict, Security::Bogus(_)) {
            // The zone is being repaired, so that the next verdict must not rest on cached records.
            self.source.dns().forget_signed(name);
        }
        verdict
    }

    /// Whether the zone at `apex` is valid, by its SOA record.
    pub(crate) async fn zone_verdict(&self, apex: &DnsName) -> Security {
        // hickory asks for one link of the chain after the other. They are cached by the time it does.
        let chain = self.source.fetch_chain(apex);
        while_running(self.verdict(apex, RecordType::SOA), chain).await
    }

    /// The octets that the signatures of one `RRset` of `zone` take in an answer, by those of its SOA record.
    pub(crate) async fn signature_octets(&self, zone: &DnsName) -> usize {
        let Ok(name) = Name::from_ascii(zone.fqdn()) else {
            return 0;
        };
        let Ok(message) = self.source.ask(&name, RecordType::SOA).await else {
            return 0;
        };
        let octets = signatures(&message, &name, RecordType::SOA).map(|signature| {
            RRSIG_OVERHEAD + signature.input().signer_name.len() + signature.sig().len()
        });
        octets.sum()
    }

    async fn validate(&self, name: &DnsName, kind: RecordType) -> Security {
        if let Err(reason) = self.source.has_signed_root().await {
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

    /// hickory's result for the `kind` records of `name`, or for their absence.
    pub(super) async fn proof(&self, name: &Name, kind: RecordType) -> Result<Proof, String> {
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

/// The weakest proof of the records asked for, or of those that prove their absence.
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
