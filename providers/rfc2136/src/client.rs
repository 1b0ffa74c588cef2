//! Exchanges with one server over TCP, signed with TSIG.
//!
//! The response code is read before the signature is checked: an error of TSIG itself comes unsigned
//! (RFC 8945 §5.2) and says what is wrong. But only a signed *success* is trusted.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use acme_alias_core::clock::Clock;
use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::TSigVerifier;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::attempts::Attempts;
use crate::error::{Cause, ExchangeError, Refusal, no_response, not_sent, timed_out};
use crate::key::TsigKey;
use crate::server::ServerAddress;

/// Sends messages that are signed with one key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client<'a> {
    pub(crate) key: &'a TsigKey,
    /// How long one server may take: to be connected, and for each response.
    pub(crate) timeout: Duration,
    pub(crate) clock: &'a dyn Clock,
}

impl Client<'_> {
    /// Signs `messages`, sends them to `server` on one connection, and returns the responses. Each is
    /// a signed success or the signed statement that a name does not exist.
    ///
    /// The ids of the messages must differ, because responses come in any order. If the server ends
    /// the connection after some responses, those are returned.
    pub(crate) async fn exchange(
        &self,
        server: &ServerAddress,
        messages: &[Message],
    ) -> Result<Vec<Message>, ExchangeError> {
        let now = self.now().map_err(ExchangeError::NotSent)?;
        let mut attempts = Attempts::at(server, self.timeout).await?;
        while let Some((address, limit)) = attempts.next() {
            match self.exchange_at(address, messages, now, limit).await {
                Err(error) => attempts.failed_at(address, error)?,
                responses => return responses,
            }
        }
        Err(attempts.into_error())
    }

    /// Sends a message as it is. The response proves nothing: it is not signed.
    pub(crate) async fn exchange_unsigned(
        &self,
        server: &ServerAddress,
        message: &Message,
    ) -> Result<Message, ExchangeError> {
        let request = framed(message)?;
        let mut attempts = Attempts::at(server, self.timeout).await?;
        while let Some((address, limit)) = attempts.next() {
            match exchange_bytes(address, &request, limit).await {
                Err(error) => attempts.failed_at(address, error)?,
                response => return response,
            }
        }
        Err(attempts.into_error())
    }

    /// The Unix time, in seconds.
    pub(crate) fn now(&self) -> Result<u64, Cause> {
        let seconds = self.clock.now().as_second();
        u64::try_from(seconds).map_err(|_| "this machine's clock is before 1970".into())
    }

    async fn exchange_at(
        &self,
        address: SocketAddr,
        messages: &[Message],
        now: u64,
        limit: Duration,
    ) -> Result<Vec<Message>, ExchangeError> {
        let mut requests = Vec::new();
        let mut pending = HashMap::new();
        for message in messages {
            let (request, waiting) = sign(message, self.key, now)?;
            requests.extend(request);
            pending.insert(message.metadata.id, waiting);
        }
        let mut stream = connect(address, limit).await?;
        let (mut reader, mut writer) = stream.split();
        // Both at once: a server may stop reading until its responses are read.
        tokio::select! {
            responses = receive(&mut reader, pending, now, limit) => responses,
            never = send(&mut writer, &requests) => match never {},
        }
    }
}

/// Sends one request, and returns the message that comes back.
async fn exchange_bytes(
    address: SocketAddr,
    request: &[u8],
    limit: Duration,
) -> Result<Message, ExchangeError> {
    let mut stream = connect(address, limit).await?;
    let exchanged = async {
        stream.write_all(request).await?;
        read_message(&mut stream).await
    };
    let response = match timeout(limit, exchanged).await {
        Ok(response) => response.map_err(no_response)?,
        Err(_) => return Err(no_response(timed_out("no answer", limit))),
    };
    Message::from_vec(&response).map_err(|error| no_response(error.to_string()))
}

async fn connect(address: SocketAddr, limit: Duration) -> Result<TcpStream, ExchangeError> {
    match timeout(limit, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => {
            // All that is sent goes in one write: there is nothing to gather.
            let _ = stream.set_nodelay(true);
            Ok(stream)
        }
        Ok(Err(error)) => Err(not_sent(error)),
        Err(_) => Err(not_sent(timed_out("no connection", limit))),
    }
}

/// Sends everything and never returns. If sending fails, reading fails as well, and says more.
async fn send(writer: &mut (impl AsyncWrite + Unpin), requests: &[u8]) -> Infallible {
    let _ = writer.write_all(requests).await;
    std::future::pending().await
}

/// Receives the response to each pending request, each within `limit` after the one before.
async fn receive(
    reader: &mut (impl AsyncRead + Unpin),
    mut pending: HashMap<u16, Pending>,
    now: u64,
    limit: Duration,
) -> Result<Vec<Message>, ExchangeError> {
    let mut responses = Vec::new();
    while !pending.is_empty() {
        match timeout(limit, read_message(reader)).await {
            Ok(Ok(bytes)) => responses.push(accept(&bytes, &mut pending, now)?),
            _ if !responses.is_empty() => break,
            Ok(Err(error)) => return Err(no_response(error)),
            Err(_) => return Err(no_response(timed_out("no answer", limit))),
        }
    }
    Ok(responses)
}

/// A request without a response so far.
struct Pending {
    op_code: OpCode,
    verifier: TSigVerifier,
}

/// The signed message, as it goes over TCP.
fn sign(message: &Message, key: &TsigKey, now: u64) -> Result<(Vec<u8>, Pending), ExchangeError> {
    let mut signed = message.clone();
    let verifier = signed
        .finalize(key.signer(), now)
        .map_err(|error| not_sent(error.to_string()))?
        .ok_or_else(|| not_sent("it could not be signed"))?;
    let pending = Pending {
        op_code: message.metadata.op_code,
        verifier,
    };
    Ok((framed(&signed)?, pending))
}

/// The message with its length in front (RFC 1035 §4.2.2).
fn framed(message: &Message) -> Result<Vec<u8>, ExchangeError> {
    let bytes = message
        .to_vec()
        .map_err(|error| not_sent(error.to_string()))?;
    let length =
        u16::try_from(bytes.len()).map_err(|_| not_sent("the message is longer than 64 KiB"))?;
    Ok([&length.to_be_bytes()[..], &bytes].concat())
}

/// The message in `bytes`, if it is the trustworthy response to a pending request.
fn accept(
    bytes: &[u8],
    pending: &mut HashMap<u16, Pending>,
    now: u64,
) -> Result<Message, ExchangeError> {
    let response = Message::from_vec(bytes)
        .map_err(|error| no_response(format!("it is malformed: {error}")))?;
    let request = pending
        .remove(&response.metadata.id)
        .filter(|request| request.op_code == response.metadata.op_code)
        .filter(|_| response.metadata.message_type == MessageType::Response);
    let Some(mut request) = request else {
        return Err(no_response("it answers another request"));
    };
    match response.metadata.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => match request.verifier.verify(bytes) {
            Ok(_) => Ok(response),
            Err(_) if response.signature().is_none() => {
                Err(ExchangeError::Untrusted("it is not signed".into()))
            }
            Err(error) => {
                let cause = format!("its signature is not valid: {error}");
                Err(ExchangeError::Untrusted(cause.into()))
            }
        },
        code => Err(ExchangeError::Refused(refusal(code, &response, now))),
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
