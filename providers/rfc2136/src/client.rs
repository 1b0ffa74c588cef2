//! Signed exchanges with one server, on one TCP connection.
//!
//! The response code is read before the signature is checked, because an error of TSIG itself
//! comes unsigned (RFC 8945 §5.2) and says what is wrong; but only a signed *success* is believed.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::TSigVerifier;
use hickory_proto::rr::rdata::tsig::TsigError;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::config::{Host, Server};
use crate::key::Key;

/// An exchange that did not end with a success that can be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExchangeError {
    /// Nothing was sent.
    NotSent(String),
    /// The request was sent, and no whole response came.
    NoResponse(String),
    /// The response says success, and is not signed by somebody who has our key.
    Untrusted(String),
    /// The response says no.
    Answered(Refusal),
}

/// A response that says no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ResponseCode,
    /// What the server did not like about the signature.
    pub(crate) tsig: Option<TsigError>,
    /// Seconds by which the server's clock is ahead of ours, where it said so.
    pub(crate) clock_ahead: Option<i64>,
}

/// Signs `messages`, sends them to `server` on one connection, and returns the responses, each of
/// them a signed success or the signed statement that a name does not exist.
///
/// The ids of the messages differ, because the responses come in any order. Where the server ends
/// the connection after some of them, those are returned.
pub(crate) async fn exchange(
    server: &Server,
    key: &Key,
    messages: &[Message],
    timeout: Duration,
) -> Result<Vec<Message>, ExchangeError> {
    let now = now().map_err(ExchangeError::NotSent)?;
    let mut requests = Vec::new();
    let mut waiting = HashMap::new();
    for message in messages {
        let (request, open) = sign(message, key, now)?;
        requests.extend(request);
        waiting.insert(message.metadata.id, open);
    }
    let mut stream = match tokio::time::timeout(timeout, connect(server)).await {
        Ok(connected) => connected.map_err(ExchangeError::NotSent)?,
        Err(_) => {
            let cause = format!("no connection within {timeout:?}");
            return Err(ExchangeError::NotSent(cause));
        }
    };
    let (mut reader, mut writer) = stream.split();
    // Both at once: a server may wait for us to read before it reads on itself.
    tokio::select! {
        responses = receive(&mut reader, waiting, now, timeout) => responses,
        never = send(&mut writer, &requests) => match never {},
    }
}

/// The Unix time, in seconds.
pub(crate) fn now() -> Result<u64, String> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let since = since.map_err(|_| "this machine's clock is before 1970".to_owned())?;
    Ok(since.as_secs())
}

/// Sends a message as it is. The response is nothing to be trusted: it proves no key.
pub(crate) async fn unproven(
    server: &Server,
    message: &Message,
    timeout: Duration,
) -> Result<Message, String> {
    let asked = async {
        let mut stream = connect(server).await?;
        let bytes = message.to_vec().map_err(|error| error.to_string())?;
        let length = u16::try_from(bytes.len()).map_err(|error| error.to_string())?;
        let request = [&length.to_be_bytes()[..], &bytes].concat();
        let written = stream.write_all(&request).await;
        written.map_err(|error| in_words(&error))?;
        let response = read_message(&mut stream).await;
        let response = response.map_err(|error| in_words(&error))?;
        Message::from_vec(&response).map_err(|error| error.to_string())
    };
    match tokio::time::timeout(timeout, asked).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!("no answer within {timeout:?}")),
    }
}

/// Sends everything and never returns; where that fails, reading fails as well, and says more.
async fn send(writer: &mut (impl AsyncWrite + Unpin), requests: &[u8]) -> Infallible {
    let _ = writer.write_all(requests).await;
    std::future::pending().await
}

/// Receives the response to each request in `waiting`, each within `timeout` after the last.
async fn receive(
    reader: &mut (impl AsyncRead + Unpin),
    mut waiting: HashMap<u16, Open>,
    now: u64,
    timeout: Duration,
) -> Result<Vec<Message>, ExchangeError> {
    let mut responses = Vec::new();
    while !waiting.is_empty() {
        match tokio::time::timeout(timeout, read_message(reader)).await {
            Ok(Ok(bytes)) => responses.push(accept(&bytes, &mut waiting, now)?),
            _ if !responses.is_empty() => break,
            Ok(Err(error)) => return Err(ExchangeError::NoResponse(in_words(&error))),
            Err(_) => {
                let cause = format!("no answer within {timeout:?}");
                return Err(ExchangeError::NoResponse(cause));
            }
        }
    }
    Ok(responses)
}

/// A request whose response has not come.
struct Open {
    op_code: OpCode,
    verifier: TSigVerifier,
}

/// The signed message with its length in front (RFC 1035 §4.2.2).
fn sign(message: &Message, key: &Key, now: u64) -> Result<(Vec<u8>, Open), ExchangeError> {
    let not_sent = ExchangeError::NotSent;
    let mut signed = message.clone();
    let verifier = signed
        .finalize(key.signer(), now)
        .map_err(|error| not_sent(error.to_string()))?
        .ok_or_else(|| not_sent("it could not be signed".to_owned()))?;
    let bytes = signed
        .to_vec()
        .map_err(|error| not_sent(error.to_string()))?;
    let length = u16::try_from(bytes.len())
        .map_err(|_| not_sent("the message is longer than 64 KiB".to_owned()))?;
    let open = Open {
        op_code: message.metadata.op_code,
        verifier,
    };
    Ok(([&length.to_be_bytes()[..], &bytes].concat(), open))
}

/// The message in `bytes`, if it is the response to a request in `waiting`, and to be believed.
fn accept(
    bytes: &[u8],
    waiting: &mut HashMap<u16, Open>,
    now: u64,
) -> Result<Message, ExchangeError> {
    let response = Message::from_vec(bytes)
        .map_err(|error| ExchangeError::NoResponse(format!("it is malformed: {error}")))?;
    let request = waiting
        .remove(&response.metadata.id)
        .filter(|request| request.op_code == response.metadata.op_code)
        .filter(|_| response.metadata.message_type == MessageType::Response);
    let Some(mut request) = request else {
        let cause = "it answers another request".to_owned();
        return Err(ExchangeError::NoResponse(cause));
    };
    match response.metadata.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => match request.verifier.verify(bytes) {
            Ok(_) => Ok(response),
            Err(_) if response.signature().is_none() => {
                Err(ExchangeError::Untrusted("it is not signed".to_owned()))
            }
            Err(error) => Err(ExchangeError::Untrusted(format!(
                "its signature does not hold: {error}"
            ))),
        },
        code => Err(ExchangeError::Answered(refusal(code, &response, now))),
    }
}

fn refusal(code: ResponseCode, response: &Message, now: u64) -> Refusal {
    let tsig = response.signature().map(|record| &record.data);
    // 48 bits of seconds since 1970 (RFC 8945 §5.2.3).
    let server_time = tsig.filter(|tsig| tsig.other.len() == 6).map(|tsig| {
        tsig.other
            .iter()
            .fold(0, |time, octet| (time << 8) | i64::from(*octet))
    });
    Refusal {
        code,
        tsig: tsig.and_then(|tsig| tsig.error),
        clock_ahead: server_time
            .zip(i64::try_from(now).ok())
            .map(|(theirs, ours)| theirs - ours),
    }
}

/// The next message, without the length in front of it.
async fn read_message(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let length = reader.read_u16().await?;
    let mut message = vec![0; usize::from(length)];
    reader.read_exact(&mut message).await?;
    Ok(message)
}

async fn connect(server: &Server) -> Result<TcpStream, String> {
    let addresses: Vec<SocketAddr> = match &server.host {
        Host::Address(address) => vec![SocketAddr::new(*address, server.port)],
        Host::Name(name) => tokio::net::lookup_host((name.as_str(), server.port))
            .await
            .map_err(|error| format!("its name does not resolve: {error}"))?
            .collect(),
    };
    let mut failure = "its name has no address".to_owned();
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // A request is one write; there is nothing to gather.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => failure = in_words(&error),
        }
    }
    Err(failure)
}

fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "it closed the connection".to_owned(),
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        _ => error.to_string(),
    }
}
