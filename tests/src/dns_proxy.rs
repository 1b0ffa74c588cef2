//! Something between the program and a name server that spoils updates.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use crate::error::Result;

/// What happens to an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpoiltUpdate {
    /// Nothing.
    No,
    /// The server never gets it, and the connection ends.
    Lost,
    /// The server carries it out, and its answer is this one.
    Answer(Vec<u8>),
}

/// Sees a request, and the server's answer to it; is asked with an empty answer before the server
/// gets the request.
type Spoil = Arc<dyn Fn(&[u8], &[u8]) -> SpoiltUpdate + Send + Sync>;

/// The running proxy.
#[derive(Debug)]
pub struct DnsProxy {
    address: SocketAddr,
}

impl DnsProxy {
    /// Listens on TCP for as long as the test runs; queries pass as they are.
    pub fn start(
        server: SocketAddr,
        spoil: impl Fn(&[u8], &[u8]) -> SpoiltUpdate + Send + Sync + 'static,
    ) -> Result<DnsProxy> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let spoil: Spoil = Arc::new(spoil);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let spoil = Arc::clone(&spoil);
                // Where either side ends the connection, there is nothing left to do.
                std::thread::spawn(move || serve(client, server, &spoil).ok());
            }
        });
        Ok(DnsProxy { address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn serve(mut client: TcpStream, server: SocketAddr, spoil: &Spoil) -> std::io::Result<()> {
    let mut server = TcpStream::connect(server)?;
    loop {
        let request = read(&mut client)?;
        // Opcode 5 (RFC 2136 §2.2).
        let is_update = request.get(2).is_some_and(|flags| flags >> 3 & 0xf == 5);
        if is_update && spoil(&request, &[]) == SpoiltUpdate::Lost {
            return Ok(());
        }
        write(&mut server, &request)?;
        let answer = read(&mut server)?;
        match spoil(&request, &answer) {
            SpoiltUpdate::Answer(spoilt) if is_update => write(&mut client, &spoilt)?,
            _ => write(&mut client, &answer)?,
        }
    }
}

/// A message without the length in front of it (RFC 1035 §4.2.2).
fn read(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    Ok(message)
}

fn write(stream: &mut TcpStream, message: &[u8]) -> std::io::Result<()> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    stream.write_all(&[&length.to_be_bytes(), message].concat())
}
