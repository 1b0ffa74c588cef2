//! The settings: defaults < system file < user file < `--config` < flags kept with a certificate
//! < environment < flags.

mod environment;
mod layer;
mod mistake;
mod reader;
pub(crate) mod reference;
mod schema;
mod secret;
mod show;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use acme_alias_core::acme::{KeyType, Timeouts};
use acme_alias_core::dns::ZoneServers;
use acme_alias_core::name::{DnsName, Identifier, NameError};
use acme_alias_core::provider::{OptionKind, OptionValue, Options};
use acme_alias_core::registry::{self, Provider, ProviderKind};
use acme_alias_core::store::CertificateId;
use config::ValueKind;

pub(crate) use self::environment::{HOOK_PREFIX, Variables};
pub(crate) use self::layer::{Layer, Tree};
pub(crate) use self::mistake::{Mistake, SettingsError};
use self::reader::Reader;
#[cfg(any(test, fuzzing))]
pub(crate) use self::schema::mask_secrets;
pub(crate) use self::schema::nearest;
pub(crate) use self::secret::SecretRef;
pub(crate) use self::show::{Shown, show};

/// Names in one certificate; the limit of Let's Encrypt, which no other CA exceeds by default.
const NAMES_MAX: usize = 100;
const DEFAULTS: &str = r#"
[acme]
directory = "letsencrypt"
agree-tos = false
timeout = "30s"
order-timeout = "5m"
[dns]
timeout = "3s"
propagation-timeout = "5m"
"#;
/// The directories that have a word of their own.
const DIRECTORIES: [(&str, &str); 4] = [
    (
        "letsencrypt",
        "https://acme-v02.api.letsencrypt.org/directory",
    ),
    (
        "letsencrypt-staging",
        "https://acme-staging-v02.api.letsencrypt.org/directory",
    ),
    ("zerossl", "https://acme.zerossl.com/v2/DV90"),
    ("google", "https://dv.acme-v02.api.pki.goog/directory"),
];

/// All settings, checked.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) state: PathBuf,
    /// The git repository that the ledger is exported to.
    pub(crate) audit_git: Option<PathBuf>,
    pub(crate) audit: Audit,
    pub(crate) acme: AcmeSettings,
    pub(crate) dns: DnsSettings,
    pub(crate) providers: BTreeMap<String, ProviderSettings>,
    pub(crate) alias_zones: Vec<AliasZoneSettings>,
    pub(crate) certificates: BTreeMap<CertificateId, CertificateSettings>,
    pub(crate) warnings: Vec<String>,
}

/// Whether runs go on where what earlier runs changed cannot be exported.
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
    pub(crate) patience: Timeouts,
    pub(crate) eab: Option<Eab>,
}

/// An external account binding.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Eab {
    pub(crate) kid: String,
    pub(crate) hmac_key: SecretRef,
}

/// How DNS questions are asked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DnsSettings {
    pub(crate) resolver: Vec<SocketAddr>,
    /// A file of DNSKEY records, in place of the root's.
    pub(crate) trust_anchor: Option<PathBuf>,
    pub(crate) timeout: Duration,
    pub(crate) propagation_timeout: Duration,
    pub(crate) zones: Vec<ZoneServers>,
}

/// A backend with its credentials.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ProviderSettings {
    pub(crate) kind: String,
    options: BTreeMap<String, ProviderOption>,
}

#[derive(Clone, Debug, PartialEq)]
enum ProviderOption {
    Text(String),
    List(Vec<String>),
    Secret(SecretRef),
}

/// A zone that a provider may write in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AliasZoneSettings {
    pub(crate) zone: DnsName,
    pub(crate) provider: String,
    /// The servers to wait for; empty where the zone's NS set tells them.
    pub(crate) servers: Vec<SocketAddr>,
}

/// A certificate that is wanted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CertificateSettings {
    pub(crate) domains: Vec<DomainSettings>,
    pub(crate) key_type: KeyType,
    /// The provider for alias names outside every alias zone.
    pub(crate) provider: Option<String>,
    /// The common name of the root that the chain shall lead to.
    pub(crate) preferred_chain: Option<String>,
    pub(crate) deploy_hook: Vec<String>,
}

/// A name in a certificate.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DomainSettings {
    pub(crate) identifier: Identifier,
    pub(crate) alias: Option<Alias>,
}

/// Where the TXT record of a name goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Alias {
    /// To `_acme-challenge.` and this name.
    Challenge(DnsName),
    /// To this very name.
    Domain(DnsName),
}

impl Alias {
    /// The alias name.
    pub(crate) fn name(&self) -> Result<DnsName, NameError> {
        match self {
            Alias::Challenge(name) => name.challenge_name(),
            Alias::Domain(name) => Ok(name.clone()),
        }
    }
}

/// What the settings are read from, apart from the flags.
#[derive(Clone, Debug)]
pub(crate) struct Origins {
    /// The file of `--config`.
    pub(crate) config: Option<PathBuf>,
    pub(crate) variables: Variables,
    /// Whether the user is root, for whom the state is kept under `/var/lib`.
    pub(crate) root: bool,
}

impl Origins {
    /// The defaults and the files that are there, lowest first.
    fn files(&self) -> Result<Vec<Layer>, SettingsError> {
        let mut defaults: toml::Table =
            toml::from_str(DEFAULTS).map_err(|error| Mistake::new(error.to_string()))?;
        defaults.insert(
            "state".to_owned(),
            self.default_state().display().to_string().into(),
        );
        let mut layers = vec![Layer::new("default", defaults)];
        layers.extend(Layer::read(Path::new("/etc/acme-alias/config.toml"))?);
        if let Some(dir) = self.home("XDG_CONFIG_HOME", ".config") {
            layers.extend(Layer::read(&dir.join("acme-alias/config.toml"))?);
        }
        if let Some(path) = &self.config {
            match Layer::read(path)? {
                Some(layer) => layers.push(layer),
                None => {
                    let problem = format!("there is no file {}", path.display());
                    return Err(Mistake::new(problem).help("correct `--config`").into());
                }
            }
        }
        Ok(layers)
    }

    /// All layers: the files, `kept` with a certificate, the environment, the flags.
    pub(crate) fn layers(
        &self,
        kept: Option<Layer>,
        flags: Option<Layer>,
    ) -> Result<Tree, SettingsError> {
        let mut layers = self.files()?;
        layers.extend(kept);
        let (environment, mistakes) = environment::layers(&self.variables, &layers);
        if !mistakes.is_empty() {
            return Err(SettingsError(mistakes));
        }
        layers.extend(environment);
        layers.extend(flags);
        Ok(Tree::new(layers)?)
    }

    fn default_state(&self) -> PathBuf {
        let home = if self.root {
            None
        } else {
            self.home("XDG_STATE_HOME", ".local/state")
        };
        home.unwrap_or_else(|| PathBuf::from("/var/lib"))
            .join("acme-alias")
    }

    /// A folder of the XDG base directory specification; relative ones are to be ignored.
    fn home(&self, variable: &str, below_home: &str) -> Option<PathBuf> {
        let absolute = |name: &str| {
            self.variables
                .get(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(below_home)))
    }
}

impl Settings {
    /// The names of all certificates.
    pub(crate) fn identifiers(&self) -> impl Iterator<Item = &Identifier> {
        let certificates = self.certificates.values();
        let domains = certificates.flat_map(|certificate| &certificate.domains);
        domains.map(|domain| &domain.identifier)
    }

    /// The provider that a certificate with this challenge name has for alias names outside every alias zone.
    pub(crate) fn provider_beyond_zones(&self, challenge_name: &DnsName) -> Option<&String> {
        let mut certificates = self.certificates.values();
        certificates.find_map(|certificate| {
            let provider = certificate.provider.as_ref()?;
            let mut domains = certificate.domains.iter();
            domains
                .any(|domain| domain.identifier.challenge_name() == challenge_name)
                .then_some(provider)
        })
    }

    /// Checks the merged layers; the error holds every mistake that was found.
    pub(crate) fn read(tree: &Tree) -> Result<Self, SettingsError> {
        let mistakes = schema::unknown_keys(tree);
        let mut reader = Reader {
            tree,
            mistakes,
            warnings: Vec::new(),
        };
        let state = reader.text("state").unwrap_or_default().into();
        let audit_git = reader.text("audit-git").map(PathBuf::from);
        let audit = audit(&mut reader, audit_git.is_some());
        let acme = acme(&mut reader);
        let dns = DnsSettings {
            resolver: reader.servers("dns.resolver"),
            trust_anchor: reader.text("dns.trust-anchor").map(PathBuf::from),
            timeout: reader.duration("dns.timeout").unwrap_or_default(),
            propagation_timeout: reader
                .duration("dns.propagation-timeout")
                .unwrap_or_default(),
            zones: zones(&mut reader),
        };
        let providers = providers(&mut reader);
        let alias_zones = alias_zones(&mut reader);
        let certificates = certificates(&mut reader);
        if !reader.mistakes.is_empty() {
            return Err(SettingsError(reader.mistakes));
        }
        Ok(Settings {
            state,
            audit_git,
            audit,
            acme,
            dns,
            providers,
            alias_zones,
            certificates,
            warnings: reader.warnings,
        })
    }

    /// Makes the provider of this id, and fetches its secrets.
    pub(crate) async fn build_provider(&self, id: &str) -> Result<Provider, SettingsError> {
        let Some(settings) = self.providers.get(id) else {
            let mistake = Mistake::new(format!("there is no provider `{id}`"));
            return Err(mistake
                .help(nearest(id, self.providers.keys().map(String::as_str)))
                .into());
        };
        let kind = registry::find(&settings.kind).map_err(|e| Mistake::new(e.to_string()))?;
        let mut values = Vec::new();
        for (name, option) in &settings.options {
            let value = match option {
                ProviderOption::Text(text) => OptionValue::Text(text.clone()),
                ProviderOption::List(list) => OptionValue::List(list.clone()),
                ProviderOption::Secret(secret) => {
                    OptionValue::Secret(secret.fetch(&format!("providers.{id}.{name}")).await?)
                }
            };
            values.push((name.clone(), value));
        }
        let built = Options::new(kind.options, values).and_then(|options| (kind.build)(&options));
        built.map_err(|error| {
            Mistake::new(format!(
                "`providers.{id}.{}` {}",
                error.option, error.problem
            ))
            .into()
        })
    }
}

fn audit(reader: &mut Reader<'_>, has_repository: bool) -> Audit {
    match reader.text("audit").as_deref() {
        None | Some("optional") => Audit::Optional,
        Some("required") if has_repository => Audit::Required,
        Some("required") => {
            reader.wrong("audit", "needs `audit-git` beside it", None);
            Audit::Required
        }
        Some(other) => {
            let help = nearest(other, ["optional", "required"].into_iter());
            let problem = format!("is no such word: `{}`", other.escape_debug());
            reader.wrong("audit", problem, Some(help));
            Audit::Optional
        }
    }
}

fn acme(reader: &mut Reader<'_>) -> AcmeSettings {
    let eab = match (
        reader.text("acme.eab-kid"),
        reader.secret("acme.eab-hmac-key"),
    ) {
        (Some(kid), Some(hmac_key)) => Some(Eab { kid, hmac_key }),
        (None, None) => None,
        (Some(_), None) => {
            reader.wrong("acme.eab-kid", "needs `eab-hmac-key` beside it", None);
            None
        }
        (None, Some(_)) => {
            reader.wrong("acme.eab-hmac-key", "needs `eab-kid` beside it", None);
            None
        }
    };
    AcmeSettings {
        directory: directory(reader).unwrap_or_default(),
        contact: reader.texts("acme.contact"),
        agree_tos: reader.truth("acme.agree-tos").unwrap_or_default(),
        ca_file: reader.text("acme.ca-file").map(PathBuf::from),
        caa_issuer: reader.text("acme.caa-issuer"),
        patience: Timeouts {
            request: reader.duration("acme.timeout").unwrap_or_default(),
            order: reader.duration("acme.order-timeout").unwrap_or_default(),
        },
        eab,
    }
}

fn directory(reader: &mut Reader<'_>) -> Option<String> {
    let path = "acme.directory";
    let text = reader.text(path)?;
    if let Some((_, url)) = DIRECTORIES.iter().find(|(word, _)| *word == text) {
        return Some((*url).to_owned());
    }
    if text.starts_with("https://") {
        return Some(text);
    }
    if text.contains("://") {
        reader.wrong(path, "takes an https:// URL, and no other", None);
    } else {
        let help = nearest(&text, DIRECTORIES.iter().map(|(word, _)| *word));
        reader.wrong(
            path,
            format!("names no directory: `{}`", text.escape_debug()),
            Some(help),
        );
    }
    None
}

fn zones(reader: &mut Reader<'_>) -> Vec<ZoneServers> {
    let mut zones: Vec<ZoneServers> = Vec::new();
    for index in 0..reader.tree.len("dns.zones") {
        let path = format!("dns.zones[{index}]");
        let Some(zone) = zone_name(reader, &path) else {
            continue;
        };
        let servers = reader.servers(&format!("{path}.servers"));
        if servers.is_empty() {
            reader.wrong(&path, "needs `servers`", None);
        }
        if zones.iter().any(|known| known.zone == zone) {
            reader.wrong(
                &format!("{path}.zone"),
                format!("names {zone} a second time"),
                None,
            );
        }
        zones.push(ZoneServers { zone, servers });
    }
    zones
}

fn zone_name(reader: &mut Reader<'_>, table: &str) -> Option<DnsName> {
    let path = format!("{table}.zone");
    if reader.tree.at(&path).is_none() {
        reader.wrong(table, "needs `zone`", None);
    }
    reader.parsed(&path)
}

fn providers(reader: &mut Reader<'_>) -> BTreeMap<String, ProviderSettings> {
    let mut providers = BTreeMap::new();
    for id in reader.tree.keys("providers") {
        let path = format!("providers.{id}");
        if let Err(problem) = id.parse::<CertificateId>() {
            let problem = problem.replace("certificate id", "provider id");
            reader.wrong(&path, format!("has a bad name: {problem}"), None);
            continue;
        }
        let kind_path = format!("{path}.kind");
        let Some(kind) = reader.text(&kind_path) else {
            reader.wrong(&path, "needs `kind`", Some(kinds_in_words()));
            continue;
        };
        match registry::find(&kind) {
            Ok(kind) => {
                let options = provider_options(reader, &path, kind);
                let kind = kind.kind.to_owned();
                providers.insert(id, ProviderSettings { kind, options });
            }
            Err(error) => reader.wrong(&kind_path, format!("cannot be used: {error}"), None),
        }
    }
    providers
}

fn kinds_in_words() -> String {
    let kinds = registry::kinds().unwrap_or_default();
    let kinds: Vec<_> = kinds
        .iter()
        .map(|kind| format!("kind = \"{}\"", kind.kind))
        .collect();
    kinds.join(" or ")
}

fn provider_options(
    reader: &mut Reader<'_>,
    path: &str,
    kind: &ProviderKind,
) -> BTreeMap<String, ProviderOption> {
    let mut options = BTreeMap::new();
    for spec in kind.options {
        let path = format!("{path}.{}", spec.name);
        let option = match spec.kind {
            OptionKind::Secret => reader.secret(&path).map(ProviderOption::Secret),
            OptionKind::List => Some(reader.texts(&path))
                .filter(|list| !list.is_empty())
                .map(ProviderOption::List),
            _ => reader.text(&path).map(ProviderOption::Text),
        };
        match option {
            Some(option) => {
                options.insert(spec.name.to_owned(), option);
            }
            None if spec.required && reader.tree.at(&path).is_none() => {
                reader.wrong(&path, "is missing", Some(spec.help.to_owned()));
            }
            None => {}
        }
    }
    options
}

fn alias_zones(reader: &mut Reader<'_>) -> Vec<AliasZoneSettings> {
    let mut zones: Vec<AliasZoneSettings> = Vec::new();
    for index in 0..reader.tree.len("alias-zones") {
        let path = format!("alias-zones[{index}]");
        let provider_path = format!("{path}.provider");
        let provider = reader.text(&provider_path);
        match &provider {
            None => reader.wrong(&path, "needs `provider`", None),
            Some(provider) => known_provider(reader, &provider_path, provider),
        }
        let servers = reader.servers(&format!("{path}.servers"));
        let (Some(zone), Some(provider)) = (zone_name(reader, &path), provider) else {
            continue;
        };
        if zones.iter().any(|known| known.zone == zone) {
            reader.wrong(
                &format!("{path}.zone"),
                format!("names {zone} a second time"),
                None,
            );
        }
        zones.push(AliasZoneSettings {
            zone,
            provider,
            servers,
        });
    }
    zones
}

fn known_provider(reader: &mut Reader<'_>, path: &str, provider: &str) {
    let ids = reader.tree.keys("providers");
    if !ids.iter().any(|id| id == provider) {
        let help = nearest(provider, ids.iter().map(String::as_str));
        reader.wrong(
            path,
            format!("names no provider: `{}`", provider.escape_debug()),
            Some(help),
        );
    }
}

fn certificates(reader: &mut Reader<'_>) -> BTreeMap<CertificateId, CertificateSettings> {
    let mut certificates = BTreeMap::new();
    for id in reader.tree.keys("certificates") {
        let path = format!("certificates.{id}");
        let id = match id.parse::<CertificateId>() {
            Ok(id) => id,
            Err(problem) => {
                reader.wrong(&path, format!("has a bad name: {problem}"), None);
                continue;
            }
        };
        let alias = alias(reader, &path);
        let provider_path = format!("{path}.provider");
        let provider = reader.text(&provider_path);
        if let Some(provider) = &provider {
            known_provider(reader, &provider_path, provider);
        }
        let certificate = CertificateSettings {
            domains: domains(reader, &path, alias.as_ref()),
            key_type: reader
                .parsed(&format!("{path}.key-type"))
                .unwrap_or_default(),
            provider,
            preferred_chain: reader.text(&format!("{path}.preferred-chain")),
            deploy_hook: reader.texts(&format!("{path}.deploy-hook")),
        };
        certificates.insert(id, certificate);
    }
    certificates
}

fn alias(reader: &mut Reader<'_>, table: &str) -> Option<Alias> {
    let challenge = reader
        .parsed(&format!("{table}.challenge-alias"))
        .map(Alias::Challenge);
    let domain = reader
        .parsed(&format!("{table}.domain-alias"))
        .map(Alias::Domain);
    if challenge.is_some() && domain.is_some() {
        reader.wrong(
            &format!("{table}.domain-alias"),
            "stands beside `challenge-alias`, and only one of them can be meant",
            Some(
                "challenge-alias adds `_acme-challenge.`, domain-alias is the TXT name itself"
                    .into(),
            ),
        );
    }
    challenge.or(domain)
}

fn domains(reader: &mut Reader<'_>, table: &str, usual: Option<&Alias>) -> Vec<DomainSettings> {
    let list = format!("{table}.domains");
    let count = reader.tree.len(&list);
    if count == 0 {
        let at = if reader.tree.at(&list).is_some() {
            &list
        } else {
            table
        };
        reader.wrong(
            at,
            "needs at least one domain",
            Some("domains = [\"example.com\"]".into()),
        );
    }
    if count > NAMES_MAX {
        reader.wrong(
            &list,
            format!("has {count} names, and a certificate takes {NAMES_MAX} at most"),
            Some("make several certificates of them".into()),
        );
        return Vec::new();
    }
    let mut domains: Vec<DomainSettings> = Vec::new();
    for index in 0..count {
        let path = format!("{list}[{index}]");
        let is_table = matches!(
            reader.tree.at(&path).map(|value| &value.kind),
            Some(ValueKind::Table(_))
        );
        let (name_path, own) = if is_table {
            (format!("{path}.name"), alias(reader, &path))
        } else {
            (path.clone(), None)
        };
        if is_table && reader.tree.at(&name_path).is_none() {
            reader.wrong(&path, "needs `name`", None);
        }
        let Some(identifier) = reader.parsed::<Identifier>(&name_path) else {
            continue;
        };
        if domains.iter().any(|known| known.identifier == identifier) {
            reader.wrong(
                &name_path,
                format!("names {identifier} a second time"),
                None,
            );
        }
        domains.push(DomainSettings {
            identifier,
            alias: own.or_else(|| usual.cloned()),
        });
    }
    domains
}

#[cfg(test)]
mod tests;
