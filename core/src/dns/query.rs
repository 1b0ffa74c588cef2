//! One query to one server: over UDP, and over TCP if the answer was truncated (RFC 7766 §5).

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use hickory_net::NetError;
use hickory_net::runtime::RuntimeProvider;
use hickory_net::udp::UdpClientStream;
use hickory_net::xfer::{DnsExchange, DnsHandle};
use hickory_proto::op::{DnsRequest, DnsRequestOptions, DnsResponse, Message, Query};
use hickory_proto::rr::{DNSClass, Name, RecordType};
use tokio::time::{Instant, timeout_at};

use super::budget::{AddressQuestion, Budget};
use super::connected::Connected;
use super::counter::QueryCounter;
use super::over_tcp;
#[cfg(any(test, fuzzing))]
use super::scripted;
use super::sockets;

/// How often a query is sent over UDP to a server that does not answer.
pub(super) const SENT_MAX: u8 = 3;
/// The UDP payload that crosses every path unfragmented (DNS flag day 2020).
const UDP_PAYLOAD: u16 = 1232;

/// What a query asks, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    pub(super) name: &'a Name,
    pub(super) kind: RecordType,
    /// Whether the server must find the answer elsewhere, as a resolver does (RD).
    pub(super) recursive: bool,
    /// Whether the answer must have its signatures (DO, RFC 3225).
    pub(super) signed: bool,
}

impl Question<'_> {
    /// The question at this address.
    pub(super) fn at(&self, address: SocketAddr) -> AddressQuestion {
        AddressQuestion {
            address,
            name: self.name.clone(),
            kind: self.kind,
            recursive: self.recursive,
            signed: self.signed,
        }
    }

    fn request(&self) -> DnsRequest {
        let mut query = Query::query(self.name.clone(), self.kind);
        query.set_query_class(DNSClass::IN);
        let mut options = DnsRequestOptions::default();
        options.use_edns = true;
        options.edns_payload_len = UDP_PAYLOAD;
        options.edns_set_dnssec_ok = self.signed;
        options.recursion_desired = self.recursive;
        let mut request = DnsRequest::from_query(query, options);
        // Signatures are validated here, where the reason for a failure is known. A validating resolver does
        // not even return the NS set of a zone that is bogus (RFC 4035 §3.2.2).
        request.metadata.checking_disabled = self.signed || self.recursive;
        request
    }
}

/// Sends the question to `server`. The error says in words what the server did instead of answering, with
/// `timeout` as the time limit that passed.
pub(super) async fn send(
    server: SocketAddr,
    question: Question<'_>,
    deadline: Instant,
    timeout: Duration,
    counter: &QueryCounter,
    budget: Option<&Budget>,
) -> Result<Message, String> {
    #[cfg(any(test, fuzzing))]
    if let Some(network) = scripted::network_for(server) {
        return exchange(
            network, server, question, deadline, timeout, counter, budget,
        )
        .await;
    }
    // The provider owns the tasks that carry the exchanges; they end with it.
    let runtime = Connected::default();
    exchange(
        runtime, server, question, deadline, timeout, counter, budget,
    )
    .await
}

async fn exchange(
    runtime: impl RuntimeProvider,
    server: SocketAddr,
    question: Question<'_>,
    deadline: Instant,
    timeout: Duration,
    counter: &QueryCounter,
    budget: Option<&Budget>,
) -> Result<Message, String> {
    let left = deadline.saturating_duration_since(Instant::now());
    let udp = UdpClientStream::builder(server, runtime.clone())
        .with_timeout(Some(left))
        .with_max_retries(SENT_MAX)
        // Nobody else can answer for a server of this machine, so the range of the kernel is large enough. It does
        // not have the ports on which services listen, which may be about to start.
        .with_os_port_selection(server.ip().is_loopback())
        .exchange();
    counter.count(question.kind);
    let response = first(udp, question.request(), deadline).await;
    if response
        .as_ref()
        .is_ok_and(|response| response.metadata.truncation)
    {
        counter.count(question.kind);
        if let Some(budget) = budget {
            budget.charge_again(1);
        }
        let usage = budget.map(|budget| Arc::clone(&budget.usage));
        let answer = async {
            let _turn = sockets::tcp_permit(usage.clone()).await;
            over_tcp::ask(runtime, server, question.request(), timeout, usage).await
        };
        let answer = timeout_at(deadline, answer).await;
        let answer = answer.unwrap_or(Err(NetError::Timeout));
        return answer.map_err(|error| in_words(&error, timeout));
    }
    match response {
        Ok(response) => Ok(response.into_message()),
        Err(error) => Err(in_words(&error, timeout)),
    }
}

/// The response, before `deadline`: a server that sends it octet by octet does not delay the caller.
async fn first(
    exchange: DnsExchange<impl RuntimeProvider>,
    request: DnsRequest,
    deadline: Instant,
) -> Result<DnsResponse, NetError> {
    let mut responses = exchange.send(request);
    match timeout_at(deadline, responses.next()).await {
        Ok(Some(response)) => response,
        Ok(None) | Err(_) => Err(NetError::Timeout),
    }
}

fn in_words(error: &NetError, timeout: Duration) -> String {
    match error {
        NetError::Timeout | NetError::NoConnections => format!("no answer within {timeout:?}"),
        NetError::Io(error) if error.kind() == ErrorKind::ConnectionRefused => {
            "connection refused".to_owned()
        }
        NetError::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}
