//! A test bed for acme-alias: a real ACME server and real DNS servers, on loopback, for one test.
//!
//! [`TestBed`] starts Pebble, an Unbound at which Pebble looks names up, and three `named`s (the main
//! zones and those above them; the alias zones; a secondary), each on a free port and in a temporary
//! folder, and ends them when it is dropped. [`Program`] runs the built `acme-alias` against it. Then [`TestBed`] shows
//! what the servers received: the records, the serials, every update.
//!
//! [`TestBed::far`] puts relays in front of the servers, which delay every packet and count what
//! the program sends. [`SimulatedCa`] stands in for Pebble when there are many certificates.

#![expect(
    clippy::missing_panics_doc,
    reason = "the assertions of a test panic, and say so by their names"
)]

mod acme2certifier;
mod acme_proxy;
mod bed;
mod bed_ca;
mod builder;
mod ca;
mod cargo;
mod certificate;
mod cloudflare;
mod debian;
mod dns;
mod dns_proxy;
mod error;
mod example;
mod far;
mod faulty;
mod git;
mod hook;
mod hostile_server;
mod knot;
mod mirror;
mod moto;
mod named;
mod names;
mod nsupdate;
mod octodns;
mod other_clients;
mod parents;
mod pebble;
mod port;
mod powerdns;
mod powerdns_gate;
mod process;
mod program;
mod proxy;
mod query_proxy;
mod relay;
mod secret;
mod serve;
mod settings;
mod signed;
mod stub;
mod traffic;
mod tsig;
mod unbound;
mod updates;
mod zone;

pub use self::acme_proxy::{AcmeProxy, Exchange, Spoilt};
pub use self::acme2certifier::Acme2certifier;
pub use self::bed::{Operator, TestBed, Txt};
pub use self::builder::Builder;
pub use self::ca::{IssuedByCa, SimulatedCa, Validation};
pub use self::certificate::Certificate;
pub use self::cloudflare::{CloudflareFake, CloudflareRecord, Injected, Token};
pub use self::debian::Debian;
pub use self::dns_proxy::{DnsProxy, SpoiltUpdate};
pub use self::error::{Error, Result};
pub use self::example::Example;
pub use self::far::Far;
pub use self::faulty::Fault;
pub use self::git::git;
pub use self::hook::RecordingHook;
pub use self::hostile_server::{HostileAnswer, HostileServer, SilentServers, referral};
pub use self::knot::Knot;
pub use self::mirror::Mirror;
pub use self::moto::Moto;
pub use self::names::{ALIAS_NAME, ALIAS_ZONE, MAIN_ZONES, SECOND_ALIAS_ZONE, THIRD_ALIAS_ZONE};
pub use self::nsupdate::{attempt, attempt_transfer};
pub use self::octodns::{octodns, parse_cyclonedx, parse_hcl, parse_javascript};
pub use self::pebble::EXTERNAL_ACCOUNT;
pub use self::port::{Port, SilentServer};
pub use self::powerdns::{Nsd, PowerDns, PowerDnsLaunch};
pub use self::powerdns_gate::PowerDnsGate;
pub use self::process::{Usage, measure, median, output_of};
pub use self::program::{BELOW, Outcome, Profile, Program, Running, build};
pub use self::proxy::FaultyProxy;
pub use self::query_proxy::QueryProxy;
pub use self::settings::{AliasZone, Provider, Settings};
pub use self::signed::{SignedTree, SignedZone, Signing};
pub use self::stub::{Reply, Stub, StubRequest};
pub use self::traffic::{BedServer, DnsRequest, Protocol, Sent, Traffic, Volume};
pub use self::tsig::{Algorithm, Key};
pub use self::updates::{Change, Update};
