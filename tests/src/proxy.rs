//! A connection that breaks at the worst moment.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use acme_alias_core::testkit::provider::Fault;

use crate::error::Result;

/// Passes TCP connections on to a server, until the fault happens.
#[derive(Debug)]
pub struct FaultyProxy {
    address: SocketAddr,
}

/// What the connections of one proxy have in common.
struct Shared {
    server: SocketAddr,
    fault: Fault,
    is_write: fn(&[u8]) -> bool,
    writes: AtomicUsize,
}

impl FaultyProxy {
    /// Listens for as long as the test runs. `is_write` tells by its first octets whether a
    /// request is a write.
    pub fn start(server: SocketAddr, fault: Fault, is_write: fn(&[u8]) -> bool) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            server,
            fault,
            is_write,
            writes: AtomicUsize::new(0),
        });
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || shared.serve(client));
            }
        });
        Ok(FaultyProxy { address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Shared {
    /// Carries one connection; where either side has ended it, there is nothing left to do.
    fn serve(&self, client: TcpStream) -> Option<()> {
        let server = TcpStream::connect(self.server).ok()?;
        let lose_reply = Arc::new(AtomicBool::new(false));
        let back = {
            let (from, to) = (server.try_clone().ok()?, client.try_clone().ok()?);
            let lose_reply = Arc::clone(&lose_reply);
            std::thread::spawn(move || pass(from, &to, |_| !lose_reply.load(Ordering::SeqCst)))
        };
        pass(client, &server, |octets| {
            if !(self.is_write)(octets) {
                return true;
            }
            let first = self.writes.fetch_add(1, Ordering::SeqCst) == 0;
            match self.fault {
                Fault::ReplyLost => lose_reply.store(first, Ordering::SeqCst),
                Fault::GoneAfterFirst if !first => return false,
                Fault::GoneAfterFirst => {}
            }
            true
        });
        back.join().ok()
    }
}

/// Passes octets on while `go_on` says so; then ends both directions.
fn pass(mut from: TcpStream, mut to: &TcpStream, go_on: impl Fn(&[u8]) -> bool) {
    let mut octets = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut octets) {
        if !go_on(&octets[..count]) || to.write_all(&octets[..count]).is_err() {
            break;
        }
    }
    // Where it has been shut down already, that is what was wanted.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
