//! Amazon Route 53 as moto has it, behind a gate that refuses what Route 53 would.

mod gate;
mod http;
mod iam;

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, PoisonError};

use tempfile::TempDir;

use self::gate::{Gate, OnChange, Permitted};
use self::http::request;
use self::iam::Policy;
use crate::error::{Error, Result};
use crate::port::Port;
use crate::process::{self, Server};
use crate::serve::Running;

/// Where `cargo xtask setup` installs it, below the workspace.
const PROGRAM: &str = "../target/tools/moto/bin/moto_server";

/// A running `moto_server`.
pub struct Moto {
    gate: Running,
    on_change: OnChange,
    permitted: Permitted,
    // The server comes before the folder, so that it ends before that is removed.
    _server: Server,
    port: Port,
    _folder: TempDir,
}

impl Moto {
    /// Starts it without any hosted zone, and returns when it answers.
    pub fn start() -> Result<Moto> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(PROGRAM);
        let program = fs::canonicalize(&program).map_err(|_| {
            Error::new(format_args!(
                "{} is not there; `cargo xtask setup` installs it",
                program.display()
            ))
        })?;
        let folder = TempDir::with_prefix("acme-alias-moto-")?;
        let port = Port::claim()?;
        let mut command = process::command(program)?;
        command.args(["-H", "127.0.0.1", "-p", &port.number().to_string()]);
        let mut server = Server::start("moto", command, folder.path())?;
        let address = port.address();
        server.wait_until(|| TcpStream::connect(address).is_ok())?;
        let (on_change, permitted) = (OnChange::default(), Permitted::default());
        let gate = Gate {
            moto: address,
            on_change: Arc::clone(&on_change),
            permitted: Arc::clone(&permitted),
        };
        Ok(Moto {
            gate: gate::start(gate)?,
            on_change,
            permitted,
            _server: server,
            port,
            _folder: folder,
        })
    }

    /// Where its API is.
    pub fn address(&self) -> SocketAddr {
        self.gate.address()
    }

    /// Where moto is without the gate: for other services than Route 53.
    pub fn other_services(&self) -> SocketAddr {
        self.port.address()
    }

    /// Calls `on_change` with all TXT records of a zone, owners and values, when they have changed
    /// and before the answer goes out.
    pub fn on_change(&self, on_change: impl Fn(&[(String, String)]) + Send + 'static) {
        let mut known = self
            .on_change
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *known = Some(Box::new(on_change));
    }

    /// From now on whoever asks may do what this policy of IAM permits, and nothing else.
    pub fn permit(&self, policy: &str) -> Result {
        let policy = Policy::parse(policy)?;
        *self
            .permitted
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(policy);
        Ok(())
    }

    /// Makes a hosted zone; returns its id.
    pub fn add_zone(&self, name: &str, private: bool) -> Result<String> {
        let vpc = "<VPC><VPCRegion>us-east-1</VPCRegion><VPCId>vpc-1</VPCId></VPC>";
        let vpc = if private { vpc } else { "" };
        let reference = self.port.number();
        let body = format!(
            "<CreateHostedZoneRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
             <Name>{name}.</Name>{vpc}<CallerReference>{reference}</CallerReference>\
             <HostedZoneConfig><PrivateZone>{private}</PrivateZone></HostedZoneConfig>\
             </CreateHostedZoneRequest>"
        );
        let answer = self.request("POST", "/2013-04-01/hostedzone", &body)?;
        let id = answer
            .split_once("<Id>/hostedzone/")
            .and_then(|(_, rest)| rest.split_once("</Id>"));
        match id {
            Some((id, _)) => Ok(id.to_owned()),
            None => Err(Error::new(format_args!("moto made no zone:\n{answer}"))),
        }
    }

    /// Puts a record set into a zone, whatever was there; `records` are as Route 53 writes them.
    pub fn put_set(
        &self,
        zone: &str,
        name: &str,
        kind: &str,
        ttl: u32,
        records: &[&str],
    ) -> Result {
        let body = change("UPSERT", name, kind, ttl, records);
        self.request("POST", &rrset(zone), &body).map(drop)
    }

    /// Whether whoever asks may make a record set, found out by making it; it is removed again.
    pub fn may_create(&self, zone: &str, name: &str, kind: &str, record: &str) -> Result<bool> {
        let batch = |action| change(action, name, kind, 60, &[record]);
        let gate = self.gate.address();
        let (status, answer) = request(gate, "POST", &rrset(zone), &batch("CREATE"))?;
        match status {
            200 => {
                self.request("POST", &rrset(zone), &batch("DELETE"))?;
                Ok(true)
            }
            403 => Ok(false),
            _ => Err(Error::new(format_args!("{kind} at {name}: {answer}"))),
        }
    }

    /// All record sets of a zone, as XML.
    pub fn sets(&self, zone: &str) -> Result<String> {
        self.request("GET", &format!("/2013-04-01/hostedzone/{zone}/rrset"), "")
    }

    fn request(&self, method: &str, path: &str, body: &str) -> Result<String> {
        let (status, answer) = request(self.port.address(), method, path, body)?;
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        Err(Error::new(format_args!(
            "moto: {method} {path}: {status}\n{answer}"
        )))
    }
}

fn rrset(zone: &str) -> String {
    format!("/2013-04-01/hostedzone/{zone}/rrset/")
}

/// A batch of one change.
fn change(action: &str, name: &str, kind: &str, ttl: u32, records: &[&str]) -> String {
    let records = records
        .iter()
        .map(|value| format!("<ResourceRecord><Value>{value}</Value></ResourceRecord>"));
    let records = records.collect::<Vec<_>>().concat();
    format!(
        "<ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
         <ChangeBatch><Changes><Change><Action>{action}</Action><ResourceRecordSet>\
         <Name>{name}.</Name><Type>{kind}</Type><TTL>{ttl}</TTL>\
         <ResourceRecords>{records}</ResourceRecords></ResourceRecordSet></Change></Changes>\
         </ChangeBatch></ChangeResourceRecordSetsRequest>"
    )
}
