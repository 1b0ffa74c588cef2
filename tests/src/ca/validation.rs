//! dns-01 (RFC 8555 §8.4).

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hickory_proto::op::Message;
use hickory_proto::rr::{RData, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::problem::Problem;
use crate::dns;

const TIMEOUT: Duration = Duration::from_secs(2);
const TRIES: usize = 3;
const ANSWER_MAX: usize = 4096;

/// How the CA validates a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validation {
    /// Every challenge is valid.
    Trust,
    /// The TXT value must be at this server, which follows CNAMEs.
    At(SocketAddr),
}

/// SHA-256 in base64url.
pub(super) fn sha256(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, octets))
}

/// The TXT value that answers the challenge with this token.
pub(super) fn expected(token: &str, thumbprint: &str) -> String {
    sha256(format!("{token}.{thumbprint}").as_bytes())
}

/// Checks that the value is at the challenge name.
pub(super) async fn validate(
    validation: Validation,
    name: &str,
    expected: &str,
) -> Result<(), Problem> {
    let Validation::At(server) = validation else {
        return Ok(());
    };
    for _ in 0..TRIES {
        let Ok(Ok(found)) = timeout(TIMEOUT, values(server, name)).await else {
            continue;
        };
        if found.iter().any(|value| value == expected) {
            return Ok(());
        }
        let detail = format!(
            "{} TXT values at {name}, and not the right one",
            found.len()
        );
        return Err(Problem::new(403, "unauthorized", detail));
    }
    let detail = format!("no answer for {name}");
    Err(Problem::new(400, "dns", detail))
}

async fn values(server: SocketAddr, name: &str) -> crate::error::Result<Vec<String>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(server).await?;
    let query = dns::query(name, RecordType::TXT)?;
    socket.send(&query.to_vec()?).await?;
    let mut answer = [0; ANSWER_MAX];
    let length = socket.recv(&mut answer).await?;
    let mut message = Message::from_vec(&answer[..length])?;
    if message.metadata.truncation {
        message = ask_over_tcp(server, &query).await?;
    }
    let txt = message
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::TXT(txt) => Some(&txt.txt_data),
            _ => None,
        });
    let text = |parts: &[Box<[u8]>]| String::from_utf8_lossy(&parts.concat()).into_owned();
    Ok(txt.map(|parts| text(parts)).collect())
}

/// Asks again where the answer is too large for a datagram.
async fn ask_over_tcp(server: SocketAddr, query: &Message) -> crate::error::Result<Message> {
    let octets = query.to_vec()?;
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(octets.len())?.to_be_bytes();
    stream
        .write_all(&[&length, octets.as_slice()].concat())
        .await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    Ok(Message::from_vec(&answer)?)
}
