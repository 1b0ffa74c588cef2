//! The settings, checked: what the rest of the program works with.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use acme_alias_core::acme::Timeouts;
use acme_alias_core::certificate::{CertificationRequest, KeyType};
use acme_alias_core::deploy::{CommandTarget, Format};
use acme_alias_core::dns::{Propagation, ZoneServers};
use acme_alias_core::engine::Notify;
use acme_alias_core::name::{DnsName, Identifier};
use acme_alias_core::renewal::RenewBefore;
use acme_alias_core::store::CertificateId;

use super::known_cas::known_ca;
use super::mistake::{Mistake, SettingsError};
use super::secret::SecretRef;

/// Names in one certificate; the limit of Let's Encrypt, which no other CA exceeds by default.
pub(super) const NAMES_MAX: usize = 100;

/// All settings, checked.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) state: PathBuf,
    /// The group that may change the state folder.
    pub(crate) state_group: Option<String>,
    /// Whether nobody chose the state folder.
    pub(crate) is_default_state: bool,
    /// Versions of each certificate that are kept.
    pub(crate) keep_versions: usize,
    /// How long before their end certificates are renewed at the latest.
    pub(crate) renew_before: Option<RenewBefore>,
    /// Who may read private keys in the state folder.
    pub(crate) key: KeySettings,
    /// The targets of certificates that have none of their own.
    pub(crate) deploy: Vec<TargetSettings>,
    pub(crate) notify: Option<Notify>,
    /// How often `renew` runs.
    pub(crate) renew_every: Option<Duration>,
    /// The git repository that the ledger is exported to.
    pub(crate) audit_git: Option<PathBuf>,
    pub(crate) audit: Audit,
    /// The folders of the ledgers of other hosts that change the same alias zones.
    pub(crate) other_ledgers: Vec<PathBuf>,
    pub(crate) acme: AcmeSettings,
    /// Other CAs, by id.
    pub(crate) cas: BTreeMap<String, AcmeSettings>,
    pub(crate) run: RunSettings,
    pub(crate) dns: DnsSettings,
    pub(crate) providers: BTreeMap<String, ProviderSettings>,
    pub(crate) alias_zones: Vec<AliasZoneSettings>,
    pub(crate) certificates: BTreeMap<CertificateId, CertificateSettings>,
    pub(crate) warnings: Vec<String>,
}

/// What to do if the export fails: warn, or stop before anything is changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Audit {
    #[default]
    Optional,
    Required,
}

/// The certification authority and our account there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AcmeSettings {
    /// The directory's URL.
    pub(crate) directory: String,
    pub(crate) contact: Vec<String>,
    pub(crate) agree_tos: bool,
    pub(crate) ca_file: Option<PathBuf>,
    /// The domain by which CAA records name the authority, where it is not known by its directory.
    pub(crate) caa_issuer: Option<String>,
    pub(crate) timeouts: Timeouts,
    pub(crate) eab: Option<Eab>,
    pub(crate) limits: LimitSettings,
    /// The table in the settings.
    pub(crate) table: String,
}

/// What the CA allows the account, as far as it is given.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LimitSettings {
    pub(crate) orders: Option<u32>,
    pub(crate) orders_per: Option<Duration>,
    pub(crate) identical: Option<u32>,
    pub(crate) identical_per: Option<Duration>,
    pub(crate) failed_validations: Option<u32>,
    pub(crate) failed_validations_per: Option<Duration>,
}

/// An external account binding.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Eab {
    pub(crate) kid: String,
    pub(crate) hmac_key: SecretRef,
}

/// What `run` serves to monitoring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunSettings {
    pub(crate) listen: Option<Listen>,
    /// Names under which clients reach the address, in lower case.
    pub(crate) hosts: Vec<String>,
    /// How many certificates have metrics of their own.
    pub(crate) per_certificate_metrics: usize,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// How DNS questions are asked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DnsSettings {
    pub(crate) resolver: Vec<SocketAddr>,
    /// A file of DNSKEY records, in place of the root's.
    pub(crate) trust_anchor: Option<PathBuf>,
    pub(crate) timeout: Duration,
    /// Queries that the check of one challenge name may send.
    pub(crate) queries_per_name: u32,
    /// Whether zones may name servers at special addresses.
    pub(crate) allow_special_addresses: bool,
    /// Whether zones may name servers in private networks.
    pub(crate) allow_private_addresses: bool,
    pub(crate) propagation_timeout: Duration,
    pub(crate) propagation: Propagation,
    pub(crate) zones: Vec<ZoneServers>,
}

/// A backend with its credentials.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ProviderSettings {
    pub(crate) kind: String,
    pub(crate) options: BTreeMap<String, ProviderOption>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ProviderOption {
    Text(String),
    List(Vec<String>),
    Secret(SecretRef),
    /// By the names that the user chose.
    Secrets(BTreeMap<String, SecretRef>),
}

/// A zone that a provider may write in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AliasZoneSettings {
    pub(crate) zone: DnsName,
    pub(crate) provider: String,
    /// The servers to wait for; empty where the zone's NS set tells them.
    pub(crate) servers: Vec<SocketAddr>,
}

/// Who says which names a certificate has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NamesFrom {
    /// The settings list them.
    Settings,
    /// They are those of the certification request.
    Request,
}

/// A certificate that is wanted.
#[derive(Clone, Debug)]
pub(crate) struct CertificateSettings {
    /// What is wrong in its table, or with its certification request. Then it cannot be obtained, and the rest is what
    /// could be read.
    pub(crate) mistakes: Option<SettingsError>,
    /// Its names. If its certification request cannot be used, they may be missing.
    pub(crate) domains: Vec<DomainSettings>,
    pub(crate) names_from: NamesFrom,
    /// The certification request of others that it is ordered with, or why that cannot be used.
    pub(crate) csr: Option<Arc<CertificationRequest>>,
    pub(crate) key_type: KeyType,
    /// The id of the CA, if it is not the usual one.
    pub(crate) ca: Option<String>,
    /// The CA that is asked when the other one has failed.
    pub(crate) fallback_ca: Option<FallbackCa>,
    /// The provider for alias names outside every alias zone.
    pub(crate) provider: Option<String>,
    /// Whether renewals use the same key.
    pub(crate) reuse_key: bool,
    /// The profile of the CA.
    pub(crate) profile: Option<String>,
    /// The common name of the root that the chain should lead to.
    pub(crate) preferred_chain: Option<String>,
    /// Who may read its private keys in the state folder.
    pub(crate) key: KeySettings,
    /// Its own targets; `None` if it has those that are for all.
    pub(crate) deploy: Option<Vec<TargetSettings>>,
    /// How long before its end it is renewed at the latest.
    pub(crate) renew_before: Option<RenewBefore>,
    /// Whether it is obtained without the names that fail.
    pub(crate) partial: bool,
    /// Whether the alias names are used without checking the delegations.
    pub(crate) skip_preflight: bool,
}

impl CertificateSettings {
    /// Its names.
    pub(crate) fn identifiers(&self) -> impl Iterator<Item = &Identifier> {
        self.domains.iter().map(|domain| &domain.identifier)
    }

    /// Whether this is one of its names.
    pub(crate) fn has(&self, name: &Identifier) -> bool {
        self.identifiers().any(|own| own == name)
    }

    /// The alias name that it gives a challenge name.
    pub(crate) fn alias_of(&self, challenge_name: &DnsName) -> Option<&DnsName> {
        let mut domains = self.domains.iter();
        domains.find_map(|domain| {
            let alias = domain.alias.as_ref()?;
            (domain.identifier.challenge_name() == challenge_name).then_some(alias)
        })
    }

    pub(super) fn add_mistake(&mut self, mistake: Mistake) {
        match &mut self.mistakes {
            Some(mistakes) => mistakes.0.push(mistake),
            None => self.mistakes = Some(mistake.into()),
        }
    }
}

/// Who may read private keys in the state folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeySettings {
    pub(crate) mode: Option<u32>,
    pub(crate) group: Option<String>,
}

/// What is done with a certificate that has changed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TargetSettings {
    Command(CommandTarget),
    Files(FilesSettings),
}

/// Files to write. `{id}` in a path stands for the id of the certificate.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FilesSettings {
    pub(crate) files: Vec<(Format, String)>,
    /// The folder of `live/NAME`, and the NAME in it if it is not the id.
    pub(crate) letsencrypt: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) owner: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) mode: Option<u32>,
    /// The password of a key store, and its setting.
    pub(crate) password: Option<(String, SecretRef)>,
}

/// A CA that is asked when another one has failed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FallbackCa {
    /// Its id.
    pub(crate) id: String,
    /// How often in a row the other one has failed then.
    pub(crate) after: u32,
}

/// A name in a certificate.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DomainSettings {
    pub(crate) identifier: Identifier,
    pub(crate) alias: Option<DnsName>,
}

impl Settings {
    /// Why certificates cannot be obtained; `None` if all of them can.
    pub(crate) fn mistakes(&self) -> Option<SettingsError> {
        SettingsError::all(
            self.certificates
                .values()
                .filter_map(|certificate| certificate.mistakes.as_ref()),
        )
    }

    /// What the CA with this directory URL is called: its id, its known word, or its host.
    pub(crate) fn ca_name<'a>(&'a self, directory: &'a str) -> &'a str {
        let mut cas = self.cas.iter();
        if let Some((id, _)) = cas.find(|(_, ca)| ca.directory == directory) {
            return id;
        }
        known_ca(directory).unwrap_or_else(|| {
            let (_, rest) = directory.split_once("://").unwrap_or(("", directory));
            rest.split('/').next().unwrap_or(rest)
        })
    }

    /// The names of all certificates.
    pub(crate) fn identifiers(&self) -> impl Iterator<Item = &Identifier> {
        let certificates = self.certificates.values();
        certificates.flat_map(CertificateSettings::identifiers)
    }
}
