//! Queries over TCP. A large answer can take long to decode: its names can be behind thousands of pointers, and a set of
//! types can have all of them. So large answers are decoded one at a time, in a thread of their own. Huge ones have
//! another thread, so that they do not hold up those of zones in order.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use futures_util::StreamExt;
use hickory_net::NetError;
use hickory_net::runtime::RuntimeProvider;
use hickory_net::tcp::TcpClientStream;
use hickory_net::xfer::DnsStreamHandle;
use hickory_proto::op::{DnsRequest, Message, SerialMessage};

use super::turns::{Turns, Usage};

/// Octets of an answer that is decoded at once.
const SMALL: usize = 4 * 1024;
/// Octets of an answer that is larger than those of zones in order. The time to decode one grows with their square.
const HUGE: usize = 16 * 1024;

static LARGE_ANSWERS: LazyLock<Arc<Turns>> = LazyLock::new(|| Arc::new(Turns::new(1)));
static HUGE_ANSWERS: LazyLock<Arc<Turns>> = LazyLock::new(|| Arc::new(Turns::new(1)));

/// The answer to a request. `usage` is that of the name that it is for.
pub(super) async fn ask(
    runtime: impl RuntimeProvider,
    server: SocketAddr,
    request: DnsRequest,
    timeout: Duration,
    usage: Option<Arc<Usage>>,
) -> Result<Message, NetError> {
    let (connecting, mut sender) = TcpClientStream::new(server, None, Some(timeout), runtime);
    let mut connection = connecting.await?;
    let (mut request, _) = request.into_parts();
    request.metadata.id = rand::random();
    let id = request.metadata.id.to_be_bytes();
    sender.send(SerialMessage::new(request.to_vec()?, server))?;
    while let Some(received) = connection.next().await {
        let (octets, _) = received?.into_parts();
        if octets.starts_with(&id) {
            return decode(octets, usage.unwrap_or_default()).await;
        }
    }
    Err(NetError::NoConnections)
}

async fn decode(octets: Vec<u8>, usage: Arc<Usage>) -> Result<Message, NetError> {
    if octets.len() <= SMALL {
        return Ok(Message::from_vec(&octets)?);
    }
    let turns = if octets.len() <= HUGE {
        &LARGE_ANSWERS
    } else {
        &HUGE_ANSWERS
    };
    let turn = turns.take(usage).await;
    let decoded = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        Message::from_vec(&octets)
    });
    match decoded.await {
        Ok(decoded) => Ok(decoded?),
        Err(error) => Err(NetError::from(error.to_string())),
    }
}
