//! What `run` serves, in the settings.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::model::{Listen, RunSettings};
use super::reader::Reader;

/// Certificates with metrics of their own.
const SERIES: usize = 1_000;
/// Stands before the path of a socket.
const UNIX: &str = "unix:";
/// The longest path of a socket in octets (`sun_path` of unix(7), with its end).
const PATH_MAX: usize = 107;

pub(super) fn run(reader: &mut Reader<'_>) -> RunSettings {
    let allow_remote = reader.truth("run.allow-remote").unwrap_or_default();
    RunSettings {
        listen: listen(reader, allow_remote),
        hosts: reader
            .texts("run.hosts")
            .iter()
            .map(|host| host.to_ascii_lowercase())
            .collect(),
        per_certificate_metrics: reader
            .parsed("run.per-certificate-metrics")
            .unwrap_or(SERIES),
    }
}

fn listen(reader: &mut Reader<'_>, allow_remote: bool) -> Option<Listen> {
    let path = "run.listen";
    let text = reader.text(path)?;
    if let Some(socket) = text.strip_prefix(UNIX) {
        if !socket.starts_with('/') || socket.len() > PATH_MAX {
            let problem =
                format!("takes an absolute path of at most {PATH_MAX} octets after `{UNIX}`");
            let help = "such as \"unix:/run/acme-alias/http.sock\"";
            reader.wrong(path, problem, Some(help.to_owned()));
            return None;
        }
        return Some(Listen::Unix(PathBuf::from(socket)));
    }
    let Ok(address) = text.parse::<SocketAddr>() else {
        let help =
            "such as \"127.0.0.1:9105\", \"[::1]:9105\" or \"unix:/run/acme-alias/http.sock\"";
        reader.wrong(
            path,
            "takes an IP address with a port, or a socket",
            Some(help.to_owned()),
        );
        return None;
    };
    if !address.ip().is_loopback() && !allow_remote {
        let help = "use 127.0.0.1 or a Unix socket, with a server in front of it that encrypts and asks for a password; \
                    or set `allow-remote = true` if only monitoring reaches this address";
        let problem = "is an address that other machines reach";
        reader.wrong(path, problem, Some(help.to_owned()));
    }
    Some(Listen::Tcp(address))
}
