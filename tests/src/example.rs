//! Running the example of the library, `core/examples/issue.rs`.

use std::net::SocketAddr;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::bed::TestBed;
use crate::error::Result;
use crate::names::ALIAS_ZONE;
use crate::program::{LIMIT, Outcome, Running};
use crate::settings::Settings;
use crate::{cargo, process};

/// The example, built, with what it needs to run against a bed.
#[derive(Clone, Debug)]
pub struct Example {
    /// From which the example gets the state folder, the CA, the resolver and the servers of the zones.
    pub settings: Settings,
    executable: PathBuf,
    primary: SocketAddr,
    key_file: PathBuf,
    folder: PathBuf,
}

impl Example {
    /// Builds the example and gives it the key of the first alias zone.
    pub fn build(bed: &TestBed) -> Result<Example> {
        // With the whole workspace, so that the dependencies have the features that they are built with.
        let arguments = ["--workspace", "--example", "issue"];
        Ok(Example {
            settings: bed.settings(),
            executable: cargo::build("issue", &arguments)?,
            primary: bed.primary(),
            key_file: bed.write_secret("example.key", &bed.key(ALIAS_ZONE)?.to_string())?,
            folder: bed.folder().to_owned(),
        })
    }

    /// Runs it for this domain to its end.
    pub fn run(&self, domain: &str) -> Result<Outcome> {
        self.spawn(domain)?.wait()
    }

    /// Starts it for this domain.
    pub fn spawn(&self, domain: &str) -> Result<Running> {
        let folder = TempDir::with_prefix_in("example-", &self.folder)?;
        let mut command = process::command(&self.executable)?;
        command
            .arg(&self.settings.state)
            .args([domain, ALIAS_ZONE, &self.primary.to_string()])
            .arg(&self.key_file)
            .env_clear()
            .env("ACME_DIRECTORY", &self.settings.directory)
            .envs(self.settings.ca_file.iter().map(|path| ("ACME_ROOT", path)))
            .env("DNS_RESOLVER", self.settings.resolver.to_string())
            .env("DNS_SERVERS", self.servers());
        Running::start("the example", command, folder, LIMIT)
    }

    /// The zones and their servers, as the example reads them.
    fn servers(&self) -> String {
        let alias_zones = &self.settings.alias_zones;
        let alias_zones = alias_zones.iter().map(|zone| (&zone.zone, &zone.servers));
        let zones = self.settings.zones.iter().map(|(zone, at)| (zone, at));
        let words = zones.chain(alias_zones).map(|(zone, servers)| {
            let servers: Vec<_> = servers.iter().map(ToString::to_string).collect();
            format!("{zone}={}", servers.join(","))
        });
        words.collect::<Vec<_>>().join(" ")
    }
}
