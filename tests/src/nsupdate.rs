//! Another hand that writes in a zone: BIND's `nsupdate`.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::dns;
use crate::error::{Context, Error, Result};
use crate::process;
use crate::secret::write_secret;
use crate::tsig::Key;

/// Adds a TXT record with a TTL of an hour. The key is kept in `folder`.
pub(crate) fn add_txt(
    folder: &Path,
    server: SocketAddr,
    key: &Key,
    zone: &str,
    name: &str,
    value: &str,
) -> Result {
    // Without a TTL, so that nothing has to wait for caches.
    let line = format!("update add {name} 0 TXT \"{value}\"\n");
    run(folder, server, key, zone, &line)
}

/// Tries to add one record, given as `nsupdate` takes it, with a key or without one; tells whether the zone
/// changed. The record is not left there.
pub fn attempt(server: SocketAddr, key: Option<&Key>, zone: &str, record: &str) -> Result<bool> {
    let folder = TempDir::with_prefix("acme-alias-nsupdate-")?;
    let before = dns::serial(server, zone)?;
    let try_to = |what: &str| {
        let script = format!("zone {zone}\nupdate {what} {record}\nsend\n");
        send(folder.path(), server, key, &script)
    };
    // A refusal is an answer here; what counts is what became of the zone.
    let _ = try_to("add")?;
    let changed = dns::serial(server, zone)? != before;
    if changed {
        let _ = try_to("delete")?;
    }
    Ok(changed)
}

/// Tries to transfer a zone with a key, by `dig`; tells whether it came.
pub fn attempt_transfer(server: SocketAddr, key: &Key, zone: &str) -> Result<bool> {
    let folder = TempDir::with_prefix("acme-alias-dig-")?;
    let key_file = folder.path().join("dig.key");
    write_secret(&key_file, &key.to_string())?;
    let output = Command::new(process::find("dig")?)
        .arg(format!("@{}", server.ip()))
        .args(["-p", &server.port().to_string(), "-k"])
        .arg(&key_file)
        .args([zone, "AXFR"])
        .output()
        .context("dig")?;
    Ok(String::from_utf8_lossy(&output.stdout).contains("\tSOA\t"))
}

/// Sends these lines of an `nsupdate` script as one message.
pub(crate) fn run(folder: &Path, server: SocketAddr, key: &Key, zone: &str, lines: &str) -> Result {
    let script = format!("zone {zone}\n{lines}send\n");
    succeeded(&send(folder, server, Some(key), &script)?)
}

/// Runs a script that names its zones itself, without a key.
pub(crate) fn run_script(folder: &Path, server: SocketAddr, script: &str) -> Result {
    succeeded(&send(folder, server, None, script)?)
}

fn succeeded(output: &Output) -> Result {
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::new(format_args!("nsupdate: {said}")))
}

fn send(folder: &Path, server: SocketAddr, key: Option<&Key>, script: &str) -> Result<Output> {
    let mut command = Command::new(process::find("nsupdate")?);
    if let Some(key) = key {
        let key_file = folder.join(format!("nsupdate-{}.key", key.name));
        write_secret(&key_file, &key.to_string())?;
        command.arg("-k").arg(&key_file);
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("nsupdate")?;
    let script = format!("server {} {}\n{script}", server.ip(), server.port());
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(script.as_bytes())?;
    }
    Ok(child.wait_with_output()?)
}
