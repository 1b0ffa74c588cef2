//! One signed exchange with one server, over TCP.
//!
//! The response code is read before the signature is checked, because an error of TSIG itself
//! comes unsigned (RFC 8945 §5.2) and says what is wrong; but only a signed *success* is believed.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::tsig::TsigError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

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

/// Signs `message`, sends it to `server` and returns the response, if that is a signed success
/// or the signed statement that a name does not exist.
pub(crate) async fn exchange(
    server: &Server,
    key: &Key,
    message: &Message,
    timeout: Duration,
) -> Result<Message, ExchangeError> {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_err(|_| ExchangeError::NotSent("this machine's clock is before 1970".to_owned()))?
        .as_secs();
    let not_sent = |error: String| ExchangeError::NotSent(error);
    let mut signed = message.clone();
    let verifier = signed
        .finalize(key.signer(), now)
        .map_err(|e| not_sent(e.to_string()))?;
    let mut verifier = verifier.ok_or_else(|| not_sent("it could not be signed".to_owned()))?;
    let request = signed
        .to_vec()
        .map_err(|error| not_sent(error.to_string()))?;

    let bytes = transfer(server, &request, Instant::now() + timeout, timeout).await?;
    let response = Message::from_vec(&bytes)
        .map_err(|error| ExchangeError::NoResponse(format!("it is malformed: {error}")))?;
    if response.metadata.id != signed.metadata.id
        || response.metadata.message_type != MessageType::Response
        || response.metadata.op_code != signed.metadata.op_code
    {
        return Err(ExchangeError::NoResponse(
            "it answers another request".to_owned(),
        ));
    }
    match response.metadata.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => match verifier.verify(&bytes) {
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

/// Sends `request` and receives the response, each with its length in front (RFC 1035 §4.2.2).
async fn transfer(
    server: &Server,
    request: &[u8],
    deadline: Instant,
    timeout: Duration,
) -> Result<Vec<u8>, ExchangeError> {
    let too_slow = || format!("no answer within {timeout:?}");
    let mut stream = match timeout_at(deadline, connect(server)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(ExchangeError::NotSent(error)),
        Err(_) => {
            return Err(ExchangeError::NotSent(format!(
                "no connection within {timeout:?}"
            )));
        }
    };
    let length = u16::try_from(request.len())
        .map_err(|_| ExchangeError::NotSent("the message is longer than 64 KiB".to_owned()))?;
    let framed = [&length.to_be_bytes(), request].concat();
    let conversation = async {
        stream.write_all(&framed).await?;
        let mut length = [0; 2];
        stream.read_exact(&mut length).await?;
        let mut response = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut response).await?;
        Ok(response)
    };
    match timeout_at(deadline, conversation).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(ExchangeError::NoResponse(in_words(&error))),
        Err(_) => Err(ExchangeError::NoResponse(too_slow())),
    }
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
