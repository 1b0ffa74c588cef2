//! Providers as the settings configure them, opened when they are needed.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use acme_alias_core::provider::{OptionKind, OptionValue, Options};
use acme_alias_core::registry::{self, Provider};
use acme_alias_core::zone::{ConfiguredProvider, OpenError, ProviderSource};
use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};

use crate::settings::{
    Mistake, ProviderOption, ProviderSettings, Settings, SettingsError, nearest,
};

/// Octets of the digest that tell providers apart.
const FINGERPRINT_OCTETS: usize = 8;

/// All configured providers of the process, one for each distinct configuration.
#[derive(Debug, Default)]
pub(crate) struct Providers(Mutex<HashMap<String, Arc<ConfiguredProvider>>>);

impl Providers {
    /// The provider of this id in the settings. `owner` is the certificate whose stored settings define it.
    pub(crate) fn get(
        &self,
        settings: &Settings,
        id: &str,
    ) -> Result<Arc<ConfiguredProvider>, SettingsError> {
        let Some(provider) = settings.providers.get(id) else {
            let mistake = Mistake::new(format!("there is no provider `{id}`"));
            let known = settings.providers.keys().map(String::as_str);
            return Err(mistake.help(nearest(id, known)).into());
        };
        let credentials = fingerprint(provider);
        let mut providers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = format!("{id} {provider:?}");
        let configured = providers.entry(key).or_insert_with(|| {
            let source = FromSettings {
                id: id.to_owned(),
                settings: provider.clone(),
            };
            let kind = provider.kind.clone();
            Arc::new(ConfiguredProvider::new(id, kind, credentials, source))
        });
        Ok(Arc::clone(configured))
    }
}

/// Opens a provider: fetches its secrets, and makes it from its options.
struct FromSettings {
    id: String,
    settings: ProviderSettings,
}

#[async_trait]
impl ProviderSource for FromSettings {
    async fn open(&self) -> Result<Provider, OpenError> {
        self.build().await.map_err(|error| OpenError {
            provider: self.id.clone(),
            source: Arc::new(error) as Arc<dyn Error + Send + Sync>,
        })
    }
}

impl FromSettings {
    async fn build(&self) -> Result<Provider, SettingsError> {
        let FromSettings { id, settings } = self;
        let kind = registry::find(&settings.kind).map_err(|e| Mistake::new(e.to_string()))?;
        let mut values = Vec::new();
        for (name, option) in &settings.options {
            let value = match option {
                ProviderOption::Text(text) => OptionValue::Text(text.clone()),
                ProviderOption::List(list) => OptionValue::List(list.clone()),
                ProviderOption::Secret(secret) => {
                    let setting = format!("providers.{id}.{name}");
                    OptionValue::Secret(secret.fetch(&setting).await?)
                }
                ProviderOption::Secrets(secrets) => {
                    let mut fetched = BTreeMap::new();
                    for (key, secret) in secrets {
                        let setting = format!("providers.{id}.{name}.{key}");
                        fetched.insert(key.clone(), secret.fetch(&setting).await?);
                    }
                    OptionValue::Secrets(fetched)
                }
            };
            values.push((name.clone(), value));
        }
        let built = Options::new(kind.options, values).and_then(|options| (kind.build)(&options));
        built.map_err(|error| {
            let problem = format!("`providers.{id}.{}` {}", error.option, error.problem);
            Mistake::new(problem).into()
        })
    }
}

/// Tells the credentials of a provider from those of others: by its kind, its options, and where its secrets
/// are kept. No secret goes into it, and no pace or timeout.
fn fingerprint(settings: &ProviderSettings) -> String {
    let kind = registry::find(&settings.kind).ok();
    let says_who = |name: &str| {
        let mut specs = kind.iter().flat_map(|kind| kind.options);
        let spec = specs.find(|spec| spec.name == name);
        spec.is_none_or(|spec| !matches!(spec.kind, OptionKind::Number | OptionKind::Duration))
    };
    let options = settings.options.iter().filter(|(name, _)| says_who(name));
    let options: Vec<_> = options
        .map(|(name, option)| format!("{name}={option:?}"))
        .collect();
    let text = format!("{}\n{}", settings.kind, options.join("\n"));
    let hash = digest(&SHA256, text.as_bytes());
    let octets = hash.as_ref().iter().take(FINGERPRINT_OCTETS);
    octets.fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}
