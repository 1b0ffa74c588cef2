//! Another hand that writes in a zone: BIND's `nsupdate`.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::builder::write_secret;
use crate::error::{Context, Error, Result};
use crate::process;
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
    let line = format!("update add {name} 3600 TXT \"{value}\"\n");
    run(folder, server, key, zone, &line)
}

/// Sends these lines of an `nsupdate` script as one message.
pub(crate) fn run(folder: &Path, server: SocketAddr, key: &Key, zone: &str, lines: &str) -> Result {
    let key_file = folder.join(format!("nsupdate-{}.key", key.name));
    write_secret(&key_file, &key.to_string())?;
    let mut child = Command::new(process::find("nsupdate")?)
        .arg("-k")
        .arg(&key_file)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("nsupdate")?;
    let script = format!(
        "server {} {}\nzone {zone}\n{lines}send\n",
        server.ip(),
        server.port()
    );
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(script.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::new(format_args!("nsupdate: {said}")))
}
