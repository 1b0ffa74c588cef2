//! The system's resolvers, for the start of a walk: `/etc/resolv.conf`, as glibc reads it (resolv.conf(5)).

use std::net::{Ipv4Addr, SocketAddr};

use acme_alias_core::dns::parse_server;
use acme_alias_core::printable::printable;

const PATH: &str = "/etc/resolv.conf";
const DNS_PORT: u16 = 53;
/// glibc asks no more of them (`MAXNS` in resolv.h).
const SERVERS_MAX: usize = 3;
/// Characters that are shown of a line.
const SHOWN_MAX: usize = 80;
/// Keywords that do not concern names that are complete.
const OTHER_KEYWORDS: [&str; 4] = ["domain", "search", "sortlist", "options"];

/// The name servers of `/etc/resolv.conf`, or else that of this machine: the default of glibc, also if the file
/// does not exist or cannot be read.
pub(crate) fn of_the_system() -> Vec<SocketAddr> {
    let content = std::fs::read(PATH).unwrap_or_else(|error| {
        tracing::info!("{PATH} cannot be read: {error}; asking the resolver of this machine");
        Vec::new()
    });
    let (servers, skipped) = parse(&content);
    for reason in skipped {
        tracing::info!("{PATH}, {reason}");
    }
    servers
}

/// The name servers, and the lines that were skipped, with the reason.
fn parse(content: &[u8]) -> (Vec<SocketAddr>, Vec<String>) {
    let (mut servers, mut skipped) = (Vec::new(), Vec::new());
    for (index, line) in content.split(|octet| *octet == b'\n').enumerate() {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end();
        let mut skip = |reason: &str| {
            let shown: String = line.chars().take(SHOWN_MAX).collect();
            let shown = printable(&shown);
            skipped.push(format!(
                "line {} is skipped: {reason}: `{shown}`",
                index + 1
            ));
        };
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let mut words = line.split([' ', '\t']);
        match words.next() {
            // What follows the address is ignored.
            Some("nameserver") => match words.find(|word| !word.is_empty()).map(server) {
                Some(Ok(_)) if servers.len() == SERVERS_MAX => {
                    skip("three name servers are before it");
                }
                Some(Ok(server)) => servers.push(server),
                Some(Err(reason)) => skip(&reason),
                None => skip("it has no address"),
            },
            Some(keyword) if OTHER_KEYWORDS.contains(&keyword) => {}
            _ => skip("it does not begin with a known keyword"),
        }
    }
    if servers.is_empty() {
        servers.push((Ipv4Addr::LOCALHOST, DNS_PORT).into());
    }
    (servers, skipped)
}

/// An address without a port.
fn server(text: &str) -> Result<SocketAddr, String> {
    if text.parse::<SocketAddr>().is_ok() || text.starts_with('[') {
        return Err("an address has no port here".to_owned());
    }
    parse_server(text, DNS_PORT).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(content: &str) -> Vec<String> {
        let (servers, _) = parse(content.as_bytes());
        servers.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn name_servers_are_read_whatever_is_around_them() {
        for content in [
            "nameserver 192.0.2.1",
            "nameserver\t192.0.2.1\n",
            "nameserver \t 192.0.2.1 \t\n",
            "nameserver 192.0.2.1\r\n",
            "\u{feff}\n# a\n;b\n\n \nnameserver 192.0.2.1 # the router\n",
            "options timeout:1 retrans:1 attempts:x rotate ndots:99\nnameserver 192.0.2.1\n",
            "search a. b. c.\ndomain\nsortlist x/y\nlookup file bind\nnameserver 192.0.2.1\n",
            "nameserver\nnameserver 192.0.2.1\n",
            "nameserver 10.0.0.1:53\nnameserver [2001:db8::1]:53\nnameserver 192.0.2.1\n",
            "nameserver dns.example\nnameserver 300.1.1.1\nnameserver 192.0.2.1\n",
            "nameserver fe80::1%no-such-interface\nnameserver 192.0.2.1\n",
            "  nameserver 192.0.2.9\nNAMESERVER 192.0.2.9\nnameserver192.0.2.9\nnameserver 192.0.2.1\n",
        ] {
            assert_eq!(servers(content), ["192.0.2.1:53"], "{content:?}");
        }
        let (servers, _) = parse(b"# \xff\nsearch \xff\nnameserver \xff\nnameserver 192.0.2.1\n");
        assert_eq!(servers, ["192.0.2.1:53".parse().unwrap()]);
    }

    #[test]
    fn there_are_three_servers_at_most_and_that_of_this_machine_at_least() {
        let four =
            "nameserver 192.0.2.1\nnameserver ::1\nnameserver fe80::1%lo\nnameserver 192.0.2.4\n";
        assert_eq!(
            servers(four),
            ["192.0.2.1:53", "[::1]:53", "[fe80::1%1]:53"]
        );
        for content in ["", "\n", "options timeout:1\n", "nameserver 192.0.2.1:53\n"] {
            assert_eq!(servers(content), ["127.0.0.1:53"], "{content:?}");
        }
    }

    #[test]
    fn lines_that_are_skipped_are_told_with_the_reason() {
        let content =
            "# x\noptions retrans:1\nnameserver 10.0.0.1:53\nnameserver\nname\u{1b}server x\n";
        let (_, skipped) = parse(content.as_bytes());
        assert_eq!(
            skipped,
            [
                "line 3 is skipped: an address has no port here: `nameserver 10.0.0.1:53`",
                "line 4 is skipped: it has no address: `nameserver`",
                "line 5 is skipped: it does not begin with a known keyword: `name\\u{1b}server x`",
            ]
        );
    }
}
