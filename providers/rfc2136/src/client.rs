//! Exchanges with one server over TCP, signed with TSIG.
//!
//! The response code is read before the signature is checked: an error of TSIG itself comes unsigned
//! (RFC 8945 §5.2) and says what is wrong. But only a signed *success* is trusted.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use acme_alias_core::clock::Clock;
use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::TSigVerifier;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::attempts::Attempts;
use crate::connection::{Connection, Connections, Reserved, read_message};
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
    pub(crate) connections: &'a Connections,
}

impl Client<'_> {
    /// Signs `messages`, sends them to `server` on the connection that all exchanges share, and returns
    /// the responses. Each is a signed success or the signed statement that a name does not exist.
    ///
    /// The ids of the messages must differ, because responses come in any order. If the server ends
    /// the connection after some responses, those are returned.
    pub(crate) async fn exchange(
        &self,
        server: &ServerAddress,
        messages: &[Message],
    ) -> Result<Vec<Message>, ExchangeError> {
        self.exchange_for(server, messages, |response| response)
            .await
    }

    /// The same, and returns what `take` makes of each response: no more of it is kept.
    pub(crate) async fn exchange_for<T: Send + 'static>(
        &self,
        server: &ServerAddress,
        messages: &[Message],
        take: impl Take<T>,
    ) -> Result<Vec<T>, ExchangeError> {
        let now = self.now().map_err(ExchangeError::NotSent)?;
        let mut attempts = Attempts::at(server, self.timeout).await?;
        while let Some((address, limit)) = attempts.next() {
            let exchange = self.exchange_at(address, messages, &take, now, limit);
            match exchange.await {
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
                Ok(response) => return self.connections.decoding.of(response, decoded).await,
            }
        }
        Err(attempts.into_error())
    }

    /// The Unix time, in seconds.
    pub(crate) fn now(&self) -> Result<u64, Cause> {
        let seconds = self.clock.now().as_second();
        u64::try_from(seconds).map_err(|_| "this machine's clock is before 1970".into())
    }

    /// A server may end a connection as we send on it. Queries are sent again then; what became of an update
    /// is for the caller to find out.
    async fn exchange_at<T: Send + 'static>(
        &self,
        address: SocketAddr,
        messages: &[Message],
        take: &impl Take<T>,
        now: u64,
        limit: Duration,
    ) -> Result<Vec<T>, ExchangeError> {
        let (connection, was_open) = self.connections.get(address, limit).await?;
        let exchange = self.exchange_on(&connection, messages, take, now, limit);
        let outcome = exchange.await;
        let may_repeat = |error: &ExchangeError| match error {
            ExchangeError::NotSent(_) => true,
            ExchangeError::NoResponse(_) => messages
                .iter()
                .all(|message| message.metadata.op_code == OpCode::Query),
            ExchangeError::Untrusted(_) | ExchangeError::Refused(_) => false,
        };
        match outcome {
            Err(error) if was_open && connection.has_ended() && may_repeat(&error) => {
                let (connection, _) = self.connections.get(address, limit).await?;
                self.exchange_on(&connection, messages, take, now, limit)
                    .await
            }
            outcome => outcome,
        }
    }

    async fn exchange_on<T: Send + 'static>(
        &self,
        connection: &Connection,
        messages: &[Message],
        take: &impl Take<T>,
        now: u64,
        limit: Duration,
    ) -> Result<Vec<T>, ExchangeError> {
        let Reserved { ids, mut responses } = connection.reserve(messages.len())?;
        let mut requests = Vec::new();
        let mut pending = HashMap::new();
        for (id, message) in ids.into_iter().zip(messages) {
            let (request, waiting) = sign(message, id, self.key, now)?;
            requests.extend(request);
            pending.insert(id, waiting);
        }
        connection.send(requests)?;
        let mut accepted = Vec::new();
        // Each response has the whole time limit after the one before.
        while !pending.is_empty() {
            let error = match timeout(limit, responses.recv()).await {
                Ok(Some(response)) => {
                    let bytes = response.map_err(no_response)?;
                    let request = answered(&bytes, &mut pending)?;
                    let take = take.clone();
                    let accept = move |bytes: &[u8]| request.accept(bytes, now).map(take);
                    accepted.push(self.connections.decoding.of(bytes, accept).await?);
                    continue;
                }
                Ok(None) => connection.cause(),
                Err(_) => {
                    let cause = timed_out("no answer", limit);
                    connection.end(cause.clone());
                    cause
                }
            };
            if accepted.is_empty() {
                return Err(no_response(error));
            }
            break;
        }
        Ok(accepted)
    }
}

/// What is kept of a response.
pub(crate) trait Take<T>: Fn(Message) -> T + Clone + Send + 'static {}

impl<T, F: Fn(Message) -> T + Clone + Send + 'static> Take<T> for F {}

/// Sends one request, and returns the message that comes back.
async fn exchange_bytes(
    address: SocketAddr,
    request: &[u8],
    limit: Duration,
) -> Result<Vec<u8>, ExchangeError> {
    let mut stream = connect(address, limit).await?;
    let exchanged = async {
        stream.write_all(request).await?;
        read_message(&mut stream).await
    };
    match timeout(limit, exchanged).await {
        Ok(response) => response.map_err(no_response),
        Err(_) => Err(no_response(timed_out("no answer", limit))),
    }
}

fn decoded(bytes: &[u8]) -> Result<Message, ExchangeError> {
    Message::from_vec(bytes).map_err(|error| no_response(format!("it is malformed: {error}")))
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

/// A request without a response so far.
struct Pending {
    /// The id that the caller gave it.
    id: u16,
    op_code: OpCode,
    verifier: TSigVerifier,
}

/// The message with this id, signed, as it goes over TCP.
fn sign(
    message: &Message,
    id: u16,
    key: &TsigKey,
    now: u64,
) -> Result<(Vec<u8>, Pending), ExchangeError> {
    let mut signed = message.clone();
    signed.metadata.id = id;
    let verifier = signed
        .finalize(key.signer(), now)
        .map_err(|error| not_sent(error.to_string()))?
        .ok_or_else(|| not_sent("it could not be signed"))?;
    let pending = Pending {
        id: message.metadata.id,
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

/// The pending request that has the id of a response.
fn answered(bytes: &[u8], pending: &mut HashMap<u16, Pending>) -> Result<Pending, ExchangeError> {
    let id = bytes.first_chunk().map(|id| u16::from_be_bytes(*id));
    let request = id.and_then(|id| pending.remove(&id));
    request.ok_or_else(|| no_response("it answers another request"))
}

impl Pending {
    /// The message in `bytes`, if it is the trustworthy response to this request, with the id of that.
    fn accept(mut self, bytes: &[u8], now: u64) -> Result<Message, ExchangeError> {
        let mut response = decoded(bytes)?;
        if self.op_code != response.metadata.op_code
            || response.metadata.message_type != MessageType::Response
        {
            return Err(no_response("it answers another request"));
        }
        match response.metadata.response_code {
            ResponseCode::NoError | ResponseCode::NXDomain => match self.verifier.verify(bytes) {
                Ok(_) => {
                    response.metadata.id = self.id;
                    Ok(response)
                }
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

#[cfg(test)]
mod tests {
    use acme_alias_core::clock::SystemClock;
    use tokio::net::TcpListener;

    use super::*;
    use crate::key::TsigAlgorithm;
    use crate::message;

    const LIMIT: Duration = Duration::from_secs(5);

    /// Sends a message on a connection that is open already, and that the server ends when it has the
    /// message. Returns the outcome, and how often the server got it.
    async fn sent_as_the_server_leaves(request: &Message) -> (ExchangeError, usize) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Connections::default();
        let key = TsigKey::new("key", TsigAlgorithm::HmacSha256, "c2VjcmV0").unwrap();
        let client = Client {
            key: &key,
            timeout: LIMIT,
            clock: &SystemClock,
            connections: &connections,
        };
        connections.get(address, LIMIT).await.unwrap();
        let server = ServerAddress::from(address);
        let request = [request.clone()];
        let exchange = client.exchange(&server, &request);
        let mut received = 0;
        let serve = async {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                read_message(&mut stream).await.unwrap();
                received += 1;
            }
        };
        let error = tokio::select! {
            outcome = exchange => outcome.unwrap_err(),
            () = serve => unreachable!(),
        };
        (error, received)
    }

    #[tokio::test]
    async fn an_update_is_not_sent_again_when_the_server_ends_the_connection() {
        let zone = "auth.example.net".parse().unwrap();
        let update = message::updates(&zone, &[], 0).unwrap().remove(0);
        let (error, received) = sent_as_the_server_leaves(&update).await;
        assert!(matches!(error, ExchangeError::NoResponse(_)), "{error:?}");
        assert_eq!(received, 1);
    }

    #[tokio::test]
    async fn a_query_is_sent_again_on_a_new_connection() {
        let query = message::soa_query(&"auth.example.net".parse().unwrap()).unwrap();
        let (error, received) = sent_as_the_server_leaves(&query).await;
        assert!(matches!(error, ExchangeError::NoResponse(_)), "{error:?}");
        assert_eq!(received, 2);
    }
}
