//! The settings file of the program, as values that a test can change before they are written.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::tsig::Algorithm;

/// All that a run of the program is told. It is written in TOML.
#[derive(Clone, Debug)]
pub struct Settings {
    /// TOML for the top of the file: keys outside every table.
    pub top: String,
    /// The state folder; the default one if empty.
    pub state: PathBuf,
    /// The URL of the CA's directory.
    pub directory: String,
    /// The root of the CA's HTTPS.
    pub ca_file: Option<PathBuf>,
    /// The resolver.
    pub resolver: SocketAddr,
    /// A file of keys for DNSSEC validation in place of those of the root.
    pub trust_anchor: Option<PathBuf>,
    /// How long to wait for all servers of an alias zone.
    pub propagation_timeout: &'static str,
    /// More lines for `[dns]`.
    pub dns: String,
    /// Zones and the servers to ask about them.
    pub zones: Vec<(String, Vec<SocketAddr>)>,
    /// The providers.
    pub providers: Vec<Provider>,
    /// The alias zones.
    pub alias_zones: Vec<AliasZone>,
    /// More TOML, for the end of the file: the certificates.
    pub more: String,
}

/// An RFC 2136 provider.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its id.
    pub id: &'static str,
    /// The server to send updates to.
    pub server: SocketAddr,
    /// The name of the key.
    pub key: String,
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The file with the secret.
    pub secret: PathBuf,
    /// The time to live of the records, in seconds, if not the provider's default.
    pub ttl: Option<u32>,
}

/// An alias zone.
#[derive(Clone, Debug)]
pub struct AliasZone {
    /// The zone.
    pub zone: String,
    /// The id of its provider.
    pub provider: &'static str,
    /// The servers to wait for.
    pub servers: Vec<SocketAddr>,
}

impl Settings {
    /// Adds `[certificates.ID]` with these lines.
    #[must_use]
    pub fn certificate(mut self, id: &str, lines: &str) -> Self {
        self.more
            .push_str(&format!("[certificates.{id}]\n{lines}\n"));
        self
    }

    /// Adds a certificate for each of these domains. Its id is the domain, with hyphens for dots.
    #[must_use]
    pub fn certificates<S: AsRef<str>>(self, domains: &[S]) -> Self {
        domains.iter().fold(self, |settings, domain| {
            let domain = domain.as_ref();
            let lines = format!("domains = [\"{domain}\"]");
            settings.certificate(&domain.replace('.', "-"), &lines)
        })
    }

    /// These settings, with other addresses in place of those that `moved` has as keys.
    pub(crate) fn at(&self, moved: &BTreeMap<SocketAddr, SocketAddr>) -> Settings {
        let to = |address: &mut SocketAddr| *address = *moved.get(address).unwrap_or(address);
        let mut settings = self.clone();
        for (from, to) in moved {
            let (from, to) = (format!("//{from}/"), format!("//{to}/"));
            settings.directory = settings.directory.replace(&from, &to);
        }
        to(&mut settings.resolver);
        for provider in &mut settings.providers {
            to(&mut provider.server);
        }
        let zones = settings.zones.iter_mut().map(|(_, servers)| servers);
        let alias_zones = settings.alias_zones.iter_mut();
        let servers = zones.chain(alias_zones.map(|zone| &mut zone.servers));
        servers.flatten().for_each(to);
        settings
    }
}

impl Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.top)?;
        if !self.state.as_os_str().is_empty() {
            writeln!(f, "state = {}\n", quoted(self.state.display()))?;
        }
        writeln!(f, "[acme]\ndirectory = {}", quoted(&self.directory))?;
        writeln!(f, "contact = [\"admin@example.com\"]\nagree-tos = true")?;
        if let Some(path) = &self.ca_file {
            writeln!(f, "ca-file = {}", quoted(path.display()))?;
        }
        writeln!(f, "\n[dns]\nresolver = {}", quoted(self.resolver))?;
        if let Some(path) = &self.trust_anchor {
            writeln!(f, "trust-anchor = {}", quoted(path.display()))?;
        }
        let timeout = quoted(self.propagation_timeout);
        writeln!(f, "timeout = \"1s\"\npropagation-timeout = {timeout}")?;
        writeln!(f, "{}", self.dns)?;
        for (zone, servers) in &self.zones {
            let (zone, servers) = (quoted(zone), list(servers));
            writeln!(f, "\n[[dns.zones]]\nzone = {zone}\nservers = {servers}")?;
        }
        for provider in &self.providers {
            write!(f, "{provider}")?;
        }
        for AliasZone {
            zone,
            provider,
            servers,
        } in &self.alias_zones
        {
            let (zone, provider, servers) = (quoted(zone), quoted(provider), list(servers));
            writeln!(
                f,
                "\n[[alias-zones]]\nzone = {zone}\nprovider = {provider}\nservers = {servers}"
            )?;
        }
        writeln!(f, "\n{}", self.more)
    }
}

impl Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n[providers.{}]\nkind = \"rfc2136\"", self.id)?;
        writeln!(f, "server = {}", quoted(self.server))?;
        writeln!(f, "tsig-key = {}", quoted(&self.key))?;
        writeln!(f, "tsig-algorithm = {}", quoted(self.algorithm))?;
        let secret = quoted(self.secret.display());
        writeln!(f, "tsig-secret = {{ file = {secret} }}")?;
        match self.ttl {
            Some(seconds) => writeln!(f, "ttl = {seconds}"),
            None => Ok(()),
        }
    }
}

fn list(servers: &[SocketAddr]) -> String {
    let servers: Vec<_> = servers.iter().map(quoted).collect();
    format!("[{}]", servers.join(", "))
}

/// A basic string of TOML. Nothing in the bed's settings needs an escape.
fn quoted(value: impl Display) -> String {
    format!("\"{value}\"")
}
