//! One question to one server: over UDP, and over TCP where the answer was cut (RFC 7766 §5).

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use hickory_net::NetError;
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_net::tcp::TcpClientStream;
use hickory_net::udp::UdpClientStream;
use hickory_net::xfer::{DnsExchange, DnsHandle};
use hickory_proto::op::{DnsRequest, DnsRequestOptions, DnsResponse, Message, Query};
use hickory_proto::rr::{Name, RecordType};

/// The UDP payload that crosses every path unfragmented (DNS flag day 2020).
const UDP_PAYLOAD: u16 = 1232;

/// How a question is put.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// Whether the server is to find the answer elsewhere, as a resolver does (RD).
    pub(super) recursive: bool,
    /// Whether the answer is to have its signatures (DO, RFC 3225).
    pub(super) signed: bool,
    /// How long to wait for the answer.
    pub(super) timeout: Duration,
}

/// Asks `server` for the `kind` records of `name`; the error says in words what it did instead.
pub(super) async fn ask(
    server: SocketAddr,
    name: &Name,
    kind: RecordType,
    manner: Manner,
) -> Result<Message, String> {
    let timeout = manner.timeout;
    let mut query = Query::query(name.clone(), kind);
    query.set_query_class(hickory_proto::rr::DNSClass::IN);
    let mut options = DnsRequestOptions::default();
    options.use_edns = true;
    options.edns_payload_len = UDP_PAYLOAD;
    options.edns_set_dnssec_ok = manner.signed;
    options.recursion_desired = manner.recursive;
    let request = || {
        let mut request = DnsRequest::from_query(query.clone(), options);
        // What is wrong with signatures is judged here, with the reason. A resolver that judges says of a
        // zone that is bogus not even which servers it has (RFC 4035 §3.2.2).
        request.metadata.checking_disabled = manner.signed || manner.recursive;
        request
    };

    // The provider owns the tasks that carry the exchanges; they end with it.
    let runtime = TokioRuntimeProvider::new();
    let udp = UdpClientStream::builder(server, runtime.clone())
        .with_timeout(Some(timeout))
        .exchange();
    let mut response = first(udp, request(), timeout).await;
    if response
        .as_ref()
        .is_ok_and(|response| response.metadata.truncation)
    {
        let tcp = TcpClientStream::exchange(server, None, timeout, None, runtime.clone()).await;
        response = match tcp {
            Ok(tcp) => first(tcp, request(), timeout).await,
            Err(error) => Err(error),
        };
    }
    match response {
        Ok(response) => Ok(response.into_message()),
        Err(error) => Err(in_words(&error, timeout)),
    }
}

/// The response, within `timeout` in all: a server that drips must not hold the walk up.
async fn first(
    exchange: DnsExchange<TokioRuntimeProvider>,
    request: DnsRequest,
    timeout: Duration,
) -> Result<DnsResponse, NetError> {
    let mut responses = exchange.send(request);
    match tokio::time::timeout(timeout, responses.next()).await {
        Ok(Some(response)) => response,
        Ok(None) | Err(_) => Err(NetError::Timeout),
    }
}

fn in_words(error: &NetError, timeout: Duration) -> String {
    match error {
        NetError::Timeout | NetError::NoConnections => format!("no answer within {timeout:?}"),
        NetError::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}
