//! The settings: defaults < system file < user file < `--config` < flags stored with a certificate
//! < environment < flags.

mod deploy_schema;
mod environment;
mod key;
mod known_cas;
mod layer;
mod local;
mod mask;
mod mistake;
mod model;
mod nearest;
mod origins;
mod read;
mod read_acme;
mod read_certificates;
mod read_csr;
mod read_deploy;
mod read_run;
mod reader;
pub(crate) mod reference;
mod run_schema;
mod same_files;
mod schema;
mod secret;
mod show;
mod source_text;
#[cfg(test)]
mod tests;
mod unknown_keys;

pub(crate) use self::known_cas::{DIRECTORIES as KNOWN_DIRECTORIES, known_ca};
pub(crate) use self::layer::{Layer, Tree};
pub(crate) use self::local::local_mistakes;
#[cfg(any(test, fuzzing))]
pub(crate) use self::mask::mask_secrets;
pub(crate) use self::mistake::{Mistake, SettingsError};
#[cfg(any(feature = "http", test))]
pub(crate) use self::model::Listen;
pub(crate) use self::model::{
    AcmeSettings, AliasZoneSettings, Audit, CertificateSettings, DnsSettings, Eab, FilesSettings,
    LimitSettings, NamesFrom, ProviderOption, ProviderSettings, RunSettings, Settings,
    TargetSettings,
};
pub(crate) use self::nearest::nearest;
pub(crate) use self::origins::{Origins, Stamp};
pub(crate) use self::read_certificates::NO_ALIAS;
pub(crate) use self::read_csr::{ListedNames, differences, read_csr};
pub(crate) use self::read_deploy::ID;
pub(crate) use self::secret::SecretRef;
pub(crate) use self::show::{Shown, show};
