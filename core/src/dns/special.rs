//! Addresses in zone data to which no query is sent.
//!
//! Anyone can write any address into a zone. A query to a loopback or link-local address reaches services that
//! trust this machine, such as those for metadata in a cloud. Unbound does not query loopback either
//! (`do-not-query-localhost`).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why no query is sent to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecialAddress {
    /// It means this machine or this network link, a group of machines, or nothing at all (RFC 6890).
    Special(&'static str),
    /// It is one of a private network (RFC 1918, RFC 6598, RFC 4193).
    Private,
}

impl SpecialAddress {
    /// What is special about an address; none if it is one of the public internet.
    pub(super) fn of(address: IpAddr) -> Option<Self> {
        match address.to_canonical() {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }
}

impl fmt::Display for SpecialAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SpecialAddress::Special(kind) => kind,
            SpecialAddress::Private => "private",
        })
    }
}

fn of_v4(address: Ipv4Addr) -> Option<SpecialAddress> {
    let octets = address.octets();
    Some(SpecialAddress::Special(match octets {
        [0, ..] => "unspecified",
        [127, ..] => "loopback",
        [169, 254, ..] => "link-local",
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => "documentation",
        [224..=239, ..] => "multicast",
        [240..=255, ..] | [198, 18 | 19, ..] | [192, 0, 0, _] => "reserved",
        // Shared addresses of carriers and clouds (RFC 6598).
        [100, 64..=127, ..] => return Some(SpecialAddress::Private),
        _ if address.is_private() => return Some(SpecialAddress::Private),
        _ => return None,
    }))
}

fn of_v6(address: Ipv6Addr) -> Option<SpecialAddress> {
    let segments = address.segments();
    Some(SpecialAddress::Special(match segments {
        [0, 0, 0, 0, 0, 0, 0, 0] => "unspecified",
        [0, 0, 0, 0, 0, 0, 0, 1] => "loopback",
        // IPv4 addresses in IPv6 (RFC 4291 §2.5.5, RFC 7915, RFC 6052, RFC 3056) lead to the same machines.
        [0, 0, 0, 0, 0 | 0xffff, 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            return of_v4(embedded(high, low));
        }
        [0x2002, high, low, ..] => return of_v4(embedded(high, low)),
        [0x100, 0, 0, 0, ..] | [0x64, 0xff9b, 1, ..] => "reserved",
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => "documentation",
        [0xfe80..=0xfeff, ..] => "link-local",
        [0xff00..=0xffff, ..] => "multicast",
        [0xfc00..=0xfdff, ..] => return Some(SpecialAddress::Private),
        _ => return None,
    }))
}

fn embedded(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_and_private_addresses_are_known_in_all_their_forms() {
        for (address, expected) in [
            ("127.0.0.1", Some("loopback")),
            ("::1", Some("loopback")),
            ("::ffff:127.0.0.1", Some("loopback")),
            ("64:ff9b::7f00:1", Some("loopback")),
            ("2002:7f00:1::", Some("loopback")),
            ("169.254.169.254", Some("link-local")),
            ("fe80::1", Some("link-local")),
            ("0.0.0.0", Some("unspecified")),
            ("0.1.2.3", Some("unspecified")),
            ("::", Some("unspecified")),
            ("224.0.0.251", Some("multicast")),
            ("ff02::fb", Some("multicast")),
            ("255.255.255.255", Some("reserved")),
            ("198.18.0.1", Some("reserved")),
            ("192.0.2.1", Some("documentation")),
            ("2001:db8::1", Some("documentation")),
            ("10.0.0.1", Some("private")),
            ("172.16.0.1", Some("private")),
            ("192.168.1.1", Some("private")),
            ("fd00::1", Some("private")),
            ("100.64.0.1", Some("private")),
            ("100.100.100.200", Some("private")),
            ("::ffff:0:169.254.169.254", Some("link-local")),
            ("100.128.0.1", None),
            ("172.32.0.1", None),
            ("9.9.9.9", None),
            ("2620:fe::fe", None),
            ("64:ff9b::909:909", None),
        ] {
            let kind = SpecialAddress::of(address.parse().unwrap());
            let kind = kind.map(|kind| kind.to_string());
            assert_eq!(kind.as_deref(), expected, "{address}");
        }
    }
}
