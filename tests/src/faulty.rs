//! Name servers of which something is wrong.

use std::net::SocketAddr;
use std::path::Path;

use crate::error::Result;
use crate::named::{Launch, Named};
use crate::port::{Port, SilentServer};
use crate::zone::Zone;

/// What is wrong with a name server of the alias zones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing listens at its address.
    Dead,
    /// It takes packets and connections, and never answers.
    Silent,
    /// It answers every query with REFUSED.
    Refusing,
    /// It answers with what the zones had when the bed started: it never learns of a change.
    Stale,
}

/// A name server with a [`Fault`].
#[derive(Debug)]
pub(crate) enum FaultyServer {
    Dead(Port),
    Silent(SilentServer),
    Answering(Named),
}

impl FaultyServer {
    /// Starts it in a folder of its own below `root`, as the server `number` of its kind.
    pub(crate) fn start(
        fault: Fault,
        number: usize,
        root: &Path,
        alias_zones: &[Zone],
    ) -> Result<FaultyServer> {
        let elsewhere = [Zone::new("elsewhere.example")];
        let zones = match fault {
            Fault::Dead => return Ok(FaultyServer::Dead(Port::claim()?)),
            Fault::Silent => return Ok(FaultyServer::Silent(SilentServer::start()?)),
            Fault::Refusing => &elsewhere,
            Fault::Stale => alias_zones,
        };
        let name = format!("faulty-{number}");
        let named = Launch::new(&name, root, Port::claim()?)?.main(zones)?;
        Ok(FaultyServer::Answering(named))
    }

    pub(crate) fn wait_until_ready(&mut self) -> Result {
        match self {
            FaultyServer::Answering(named) => named.wait_until_ready(),
            FaultyServer::Dead(_) | FaultyServer::Silent(_) => Ok(()),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            FaultyServer::Dead(port) => port.address(),
            FaultyServer::Silent(server) => server.address(),
            FaultyServer::Answering(named) => named.address(),
        }
    }
}
