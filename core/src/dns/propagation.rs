//! Who is asked whether the values of a challenge are visible, and who hears which server is waited for.

use hickory_proto::rr::RecordType;
use tokio::sync::broadcast::Receiver;
use tokio::time::Instant;

use super::answer::{Answer, wire_name};
use super::client::Dns;
use super::config::Propagation;
use super::error::{DnsError, ServerError};
use super::lagging::Lagging;
use super::query::Question;
use super::server::Server;
use crate::name::DnsName;

impl Dns {
    /// Who must have the values of a challenge.
    pub(crate) fn propagation(&self) -> &Propagation {
        &self.config.propagation
    }

    /// The servers to ask whether they have the values of a zone: the configured resolvers, or else the
    /// authoritative servers.
    pub(crate) async fn propagation_servers(
        &self,
        zone: &DnsName,
    ) -> Result<Vec<Server>, DnsError> {
        let resolvers = &self.config.propagation.resolvers;
        if resolvers.is_empty() {
            return self.servers(zone).await;
        }
        Ok(resolvers.iter().copied().map(Server::at).collect())
    }

    /// Asks one of the [`propagation_servers`](Dns::propagation_servers) now.
    pub(crate) async fn ask_propagation(
        &self,
        server: &Server,
        name: &DnsName,
        kind: RecordType,
    ) -> Result<Answer, ServerError> {
        let address = match server.addresses.first() {
            Some(address) if !self.config.propagation.resolvers.is_empty() => *address,
            _ => return self.ask_server(server, name, kind).await,
        };
        let owner = wire_name(name).map_err(ServerError::UnusableName)?;
        let question = Question {
            name: &owner,
            kind,
            recursive: true,
            signed: false,
        };
        let deadline = Instant::now() + self.config.timeout;
        let message = self.ask_address(address, question, self.head_start(), deadline);
        match message.await {
            Ok(message) => Ok(Answer::new(address, name.clone(), kind, message)),
            Err(reason) => Err(ServerError::NoAnswer(vec![(address, reason)])),
        }
    }

    /// Tells all listeners that this server is waited for.
    pub(crate) fn tell_lagging(&self, lagging: Lagging) {
        // Nobody listens if no progress is shown.
        let _ = self.unresponsive.news.0.send(lagging);
    }

    /// Servers that are waited for from now on, each as it is noticed.
    pub(crate) fn lagging_news(&self) -> Receiver<Lagging> {
        self.unresponsive.news.0.subscribe()
    }

    /// Notes that a server did not answer several tries, or not for its zone, with its last answer in words.
    pub(crate) fn note_silent(&self, zone: &DnsName, server: &Server, answer: &str) {
        self.unresponsive.add_silent(zone, server, answer);
    }

    /// Notes that a server answers for its zone.
    pub(crate) fn note_answering(&self, zone: &DnsName, server: &Server) {
        self.unresponsive.remove_silent(zone, server);
    }

    /// The last answer of a server that was silent about its zone less than a minute ago.
    pub(crate) fn last_silence(&self, zone: &DnsName, server: &Server) -> Option<String> {
        self.unresponsive.last_silence(zone, server)
    }
}
