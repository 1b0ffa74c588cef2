//! The CA of a bed.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::acme_proxy::{AcmeProxy, Exchange, Spoilt};
use crate::acme2certifier::Acme2certifier;
use crate::bed::TestBed;
use crate::ca::SimulatedCa;
use crate::error::Result;
use crate::far::Far;
use crate::serve::Protocol;
use crate::settings::Settings;
use crate::traffic::BedServer;

impl TestBed {
    /// The URL of the CA's directory.
    pub fn directory(&self) -> String {
        format!("https://{}/dir", self.ca_address())
    }

    /// The root of the CA's HTTPS.
    pub fn ca_file(&self) -> &Path {
        let simulated = self.simulated_ca.as_ref();
        simulated.map_or_else(|| self.pebble.root(), SimulatedCa::root)
    }

    pub(crate) fn ca_address(&self) -> SocketAddr {
        let simulated = self.simulated_ca.as_ref();
        simulated.map_or_else(|| self.pebble.address(), SimulatedCa::address)
    }

    /// Puts the CA at this distance, and leaves everything else where it is.
    pub fn far_ca(&self, rtt: Duration) -> Result<Far> {
        let ca = [(BedServer::Ca, self.ca_address())];
        Far::start(rtt, &ca, &self.settings())
    }

    /// [`TestBed::settings`] with a simulated CA in place of Pebble.
    pub fn settings_with(&self, ca: &SimulatedCa) -> Settings {
        Settings {
            directory: ca.directory(),
            ca_file: Some(ca.root().to_owned()),
            ..self.settings()
        }
    }

    /// Orders that were opened at the CA.
    pub fn orders(&self) -> Result<usize> {
        match &self.simulated_ca {
            Some(ca) => Ok(ca.orders()),
            None => Ok(self.pebble.log()?.matches("Added order \"").count()),
        }
    }

    /// Requests that the CA got.
    pub fn acme_requests(&self) -> Result<usize> {
        Ok(self.pebble.log()?.matches("-> calling handler()").count())
    }

    /// Whether the CA has looked at any challenge.
    pub fn has_validated(&self) -> Result<bool> {
        Ok(self.pebble.log()?.contains("Starting 3 validations"))
    }

    /// Something between the program and the CA that spoils what is said.
    pub fn acme_proxy(
        &self,
        spoil: impl Fn(&Exchange) -> Spoilt + Send + Sync + 'static,
    ) -> Result<AcmeProxy> {
        AcmeProxy::start(self.ca_address(), self.ca_file(), Protocol::Http1, spoil)
    }

    /// The same for clients that speak HTTP/2.
    pub fn acme_proxy_http2(
        &self,
        spoil: impl Fn(&Exchange) -> Spoilt + Send + Sync + 'static,
    ) -> Result<AcmeProxy> {
        AcmeProxy::start(self.ca_address(), self.ca_file(), Protocol::Http2, spoil)
    }

    /// Starts another CA, which looks names up as Pebble does, with more lines of its configuration.
    pub fn acme2certifier(&self, more: &str) -> Result<Acme2certifier> {
        Acme2certifier::start(self.folder(), &self.ca_resolver.resolv_conf(), more)
    }

    /// Starts the CA anew. It has forgotten every account, order and certificate.
    pub fn restart_ca(&mut self) -> Result {
        self.pebble.restart()
    }

    /// Ends the CA.
    pub fn kill_ca(&mut self) {
        self.pebble.kill();
    }
}
