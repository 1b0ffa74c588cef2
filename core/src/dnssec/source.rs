//! Where hickory's validator gets its answers: from authoritative servers, through the cache of [`Dns`].

use std::pin::Pin;
use std::sync::Arc;

use futures_util::future::join;
use futures_util::{Stream, StreamExt, stream};
use hickory_net::NetError;
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_net::xfer::DnsHandle;
use hickory_proto::op::{DnsRequest, DnsResponse, Message};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::records::signatures;
use crate::dns::{ANCESTORS_AT_ONCE, Dns};
use crate::name::DnsName;

/// Records of one answer that are validated. hickory compares the name of each with those of all others, and does
/// nothing else meanwhile. Keys or a CNAME have fewer, with all signatures and proofs.
const RECORDS_MAX: usize = 128;

/// Answers with signatures.
#[derive(Clone)]
pub(super) struct Source(Arc<Dns>);

impl Source {
    pub(super) fn new(dns: Arc<Dns>) -> Self {
        Source(dns)
    }

    pub(super) fn dns(&self) -> &Dns {
        &self.0
    }

    /// The `kind` records of `name` with their signatures.
    pub(super) async fn ask(&self, name: &Name, kind: RecordType) -> Result<Message, String> {
        self.0.ask_signed(name, kind).await
    }

    /// Asks for all keys and delegations on the way from the root to `zone`, several at the same time, so that they
    /// are cached.
    pub(super) async fn fetch_chain(&self, zone: &DnsName) {
        let zones = zone
            .ancestors()
            .filter_map(|zone| Name::from_ascii(zone.fqdn()).ok());
        let asked = zones.chain([Name::root()]).map(|zone| async move {
            let delegation = async {
                if !zone.is_root() {
                    drop(self.ask(&zone, RecordType::DS).await);
                }
            };
            let keys = async { drop(self.ask(&zone, RecordType::DNSKEY).await) };
            join(keys, delegation).await;
        });
        let asked = stream::iter(asked).buffer_unordered(ANCESTORS_AT_ONCE);
        asked.collect::<()>().await;
    }

    /// Whether validation is possible at all; the error says why not. Many resolvers drop signatures, and
    /// without those of the root there is no chain of trust.
    pub(super) async fn has_signed_root(&self) -> Result<(), String> {
        let root = Name::root();
        let keys = self.ask(&root, RecordType::DNSKEY).await?;
        if signatures(&keys, &root, RecordType::DNSKEY)
            .next()
            .is_none()
        {
            return Err(
                "the resolver does not return the signatures of the root zone; configure one that does"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

/// Writes the target of a DNAME record in lower case, as signatures cover it (RFC 4034 §6.2): hickory does not
/// know the type. No length of a label is a letter.
fn in_canonical_form(record: &mut Record) {
    if let RData::Unknown {
        code: RecordType::DNAME,
        rdata,
    } = &mut record.data
    {
        rdata.anything.make_ascii_lowercase();
    }
}

impl DnsHandle for Source {
    type Response = Pin<Box<dyn Stream<Item = Result<DnsResponse, NetError>> + Send>>;
    type Runtime = TokioRuntimeProvider;

    fn send(&self, request: DnsRequest) -> Self::Response {
        let source = self.clone();
        let answer = async move {
            let query = request
                .queries
                .first()
                .ok_or_else(|| NetError::from("a request without a question"))?;
            let mut message = source.ask(query.name(), query.query_type()).await?;
            // Addresses of servers, which would be validated with chains of their own.
            message.additionals.clear();
            let records = message.answers.len() + message.authorities.len();
            if records > RECORDS_MAX {
                return Err(NetError::from(format!(
                    "the answer about {} records of {} has {records} records, more than {RECORDS_MAX}",
                    query.query_type(),
                    query.name().to_ascii()
                )));
            }
            message.answers.iter_mut().for_each(in_canonical_form);
            Ok(DnsResponse::from_message(message)?)
        };
        stream::once(answer).boxed()
    }
}
