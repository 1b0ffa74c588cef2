//! Let's Encrypt's test server, Pebble.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::error::{Context, Result};
use crate::port::Port;
use crate::process::{self, Server};
use crate::serve::write_certificate;

/// 90 days, in seconds; by default it would be five years.
const CERTIFICATE_VALIDITY: u64 = 90 * 24 * 3600;

/// The external account that the CA knows: the key's id, and the key in base64url.
pub const EXTERNAL_ACCOUNT: (&str, &str) = (
    "kid-1",
    "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W",
);

/// How Pebble shall behave.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Behaviour {
    /// Nonces that it refuses, in percent.
    pub(crate) nonce_reject_rate: u8,
    /// Valid authorizations that it reuses, in percent.
    pub(crate) authorization_reuse: u8,
    /// Whether an account must be bound to the external account of `external_account`.
    pub(crate) external_account: bool,
    /// Chains that it offers beside the usual one.
    pub(crate) alternate_chains: u8,
    /// Whether every challenge counts as answered.
    pub(crate) always_valid: bool,
}

/// A running Pebble.
#[derive(Debug)]
pub(crate) struct Pebble {
    server: Server,
    port: Port,
    root: PathBuf,
    resolv_conf: PathBuf,
    behaviour: Behaviour,
}

impl Pebble {
    /// Starts it. It looks names up at the resolver in `resolv_conf`.
    ///
    /// With `-dnsserver` it would not ask again over TCP, and see no more than 8 values of a name.
    pub(crate) fn start(bed: &Path, resolv_conf: &Path, behaviour: Behaviour) -> Result<Pebble> {
        let folder = bed.join("pebble");
        fs::create_dir(&folder).context(folder.display())?;
        let port = Port::claim()?;
        let root = write_certificate(&folder)?;
        let (key_id, key) = EXTERNAL_ACCOUNT;
        let config = json!({ "pebble": {
            "externalAccountBindingRequired": behaviour.external_account,
            "externalAccountMACKeys": { key_id: key },
            "listenAddress": port.address().to_string(),
            "certificate": "tls.pem",
            "privateKey": "tls.key",
            "retryAfter": { "authz": 0, "order": 0 },
            "certificateValidityPeriod": CERTIFICATE_VALIDITY,
        }});
        fs::write(folder.join("pebble.json"), config.to_string())?;
        let server = serve(&folder, resolv_conf, behaviour)?;
        Ok(Pebble {
            server,
            port,
            root,
            resolv_conf: resolv_conf.to_owned(),
            behaviour,
        })
    }

    /// Starts it anew. It has forgotten every account, order and certificate.
    pub(crate) fn restart(&mut self) -> Result {
        self.server.kill();
        let folder = self.root.with_file_name("");
        self.server = serve(&folder, &self.resolv_conf, self.behaviour)?;
        self.wait_until_ready()
    }

    pub(crate) fn wait_until_ready(&mut self) -> Result {
        let address = self.port.address();
        self.server
            .wait_until(|| TcpStream::connect(address).is_ok())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The file with the root certificate of its HTTPS.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn log(&self) -> Result<String> {
        self.server.log()
    }

    pub(crate) fn kill(&mut self) {
        self.server.kill();
    }
}

fn serve(folder: &Path, resolv_conf: &Path, behaviour: Behaviour) -> Result<Server> {
    let mut command = process::command_with_resolver(process::find("pebble")?, resolv_conf)?;
    command
        .args(["-config", "pebble.json"])
        .env("PEBBLE_VA_NOSLEEP", "1")
        .env(
            "PEBBLE_VA_ALWAYS_VALID",
            u8::from(behaviour.always_valid).to_string(),
        )
        .env(
            "PEBBLE_WFE_NONCEREJECT",
            behaviour.nonce_reject_rate.to_string(),
        )
        .env(
            "PEBBLE_AUTHZREUSE",
            behaviour.authorization_reuse.to_string(),
        )
        .env(
            "PEBBLE_ALTERNATE_ROOTS",
            behaviour.alternate_chains.to_string(),
        );
    Server::start("pebble", command, folder)
}
