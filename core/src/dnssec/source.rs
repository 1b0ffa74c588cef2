//! Where hickory's validator gets its answers: authoritative servers, each asked once about a zone.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{Stream, StreamExt, stream};
use hickory_net::NetError;
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_net::xfer::DnsHandle;
use hickory_proto::op::{DnsRequest, DnsResponse, Message};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::sync::OnceCell;

use super::fault::signatures;
use crate::dns::Dns;

type Answer = Result<Message, String>;

type Cell = Arc<OnceCell<Answer>>;

/// Answers, kept where more than one name needs them.
#[derive(Clone)]
pub(super) struct Source(Arc<Kept>);

struct Kept {
    dns: Arc<Dns>,
    answers: Mutex<HashMap<(Name, RecordType), Cell>>,
}

impl Source {
    pub(super) fn new(dns: Arc<Dns>) -> Self {
        Source(Arc::new(Kept {
            dns,
            answers: Mutex::default(),
        }))
    }

    pub(super) fn dns(&self) -> &Dns {
        &self.0.dns
    }

    /// The answer to a question, with signatures.
    pub(super) async fn ask(&self, name: &Name, kind: RecordType) -> Answer {
        let of_a_zone = matches!(
            kind,
            RecordType::DNSKEY | RecordType::DS | RecordType::NS | RecordType::SOA
        );
        if !of_a_zone {
            return self.0.dns.ask_signed(name, kind).await;
        }
        let key = (name.to_lowercase(), kind);
        let cell = {
            let mut answers = self
                .0
                .answers
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            Arc::clone(answers.entry(key).or_default())
        };
        cell.get_or_init(|| self.0.dns.ask_signed(name, kind))
            .await
            .clone()
    }

    /// Whether validation is possible at all; the error says what is in the way. Many a resolver drops the
    /// signatures, and without those of the root there is no chain.
    pub(super) async fn passes_signatures_on(&self) -> Result<(), String> {
        let root = Name::root();
        let keys = self.ask(&root, RecordType::DNSKEY).await?;
        if signatures(&keys, &root, RecordType::DNSKEY)
            .next()
            .is_none()
        {
            return Err(
                "the resolver does not pass on the signed keys of the root zone; name one that does \
                 in `dns.resolver`"
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
            message.answers.iter_mut().for_each(in_canonical_form);
            Ok(DnsResponse::from_message(message)?)
        };
        stream::once(answer).boxed()
    }
}
