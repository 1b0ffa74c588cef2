//! A test bed for acme-alias: a real ACME server and real DNS servers, on loopback, for one test.
//!
//! [`TestBed`] starts Pebble and three `named`s (the main zones; the alias zones; a secondary, at
//! which Pebble looks names up), each on a free port and in a temporary folder, and ends them
//! when it is dropped. [`Program`] runs the built `acme-alias` against it, and
//! [`TestBed`] tells afterwards what the servers saw: the records, the serials, every update.

#![expect(
    clippy::missing_panics_doc,
    reason = "the assertions of a test panic, and say so by their names"
)]

mod acme_proxy;
mod bed;
mod builder;
mod certificate;
mod cloudflare;
mod dns;
mod dns_proxy;
mod error;
mod git;
mod knot;
mod mirror;
mod moto;
mod named;
mod nsupdate;
mod pebble;
mod port;
mod powerdns;
mod process;
mod program;
mod proxy;
mod query_proxy;
mod serve;
mod settings;
mod signed;
mod stub;
mod tsig;
mod updates;
mod zone;

pub use self::acme_proxy::{AcmeProxy, Exchange, Spoilt};
pub use self::bed::{Operator, TestBed, Txt};
pub use self::builder::Builder;
pub use self::certificate::Certificate;
pub use self::cloudflare::{CloudflareFake, CloudflareRecord, Injected, Token};
pub use self::dns_proxy::{DnsProxy, SpoiltUpdate};
pub use self::error::{Error, Result};
pub use self::git::git;
pub use self::knot::Knot;
pub use self::mirror::Mirror;
pub use self::moto::Moto;
pub use self::nsupdate::{attempt, attempt_transfer};
pub use self::pebble::EXTERNAL_ACCOUNT;
pub use self::port::{Port, SilentServer};
pub use self::powerdns::{Nsd, PowerDns};
pub use self::process::{Usage, measure, median, output_of};
pub use self::program::{Outcome, Profile, Program, Running, build};
pub use self::proxy::FaultyProxy;
pub use self::query_proxy::QueryProxy;
pub use self::settings::{AliasZone, Provider, Settings};
pub use self::signed::{SignedTree, SignedZone, Signing};
pub use self::stub::{Asked, Reply, Stub};
pub use self::tsig::{Algorithm, Key};
pub use self::updates::{Change, Update};

/// The alias zone: `update-policy { grant acme-key zonesub TXT; }`.
pub const ALIAS_ZONE: &str = "auth.example.net";
/// The alias name that belongs to [`ALIAS_ZONE`] as a `challenge-alias`.
pub const ALIAS_NAME: &str = "_acme-challenge.auth.example.net";
/// The other alias zone, on the same server under another key.
pub const SECOND_ALIAS_ZONE: &str = "auth2.example.net";
/// One more alias zone, where a test asks for it.
pub const THIRD_ALIAS_ZONE: &str = "auth3.example.net";
/// The zones that certificates are for. Nobody may update them.
pub const MAIN_ZONES: [&str; 5] = [
    "example.com",
    "example.org",
    "example.edu",
    "corp.example",
    "shop.example",
];
