//! The kinds of providers that are compiled in.

use std::sync::Arc;

use crate::provider::{
    Guarantees, LocalCheck, OptionError, OptionSpec, Options, TxtProvider, Variant,
};
use crate::rights::KeyRights;

/// A kind of provider, as its crate registers it.
#[derive(Debug)]
pub struct ProviderKind {
    /// Its name: lower-case letters and digits.
    pub kind: &'static str,
    /// One sentence on its backend, without a final full stop.
    pub summary: &'static str,
    /// All its options.
    pub options: &'static [OptionSpec],
    /// What it guarantees, unless an option is set as one of the variants says.
    pub guarantees: Guarantees,
    /// What it guarantees with other settings.
    pub variants: &'static [Variant],
    /// Makes a provider from checked options. It sends nothing over the network.
    pub build: fn(&Options) -> Result<Provider, OptionError>,
}

/// A configured provider.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Writes TXT records.
    pub txt: Arc<dyn TxtProvider>,
    /// Finds out what its credentials may do; `None` if it cannot.
    pub rights: Option<Arc<dyn KeyRights>>,
    /// Checks it without the network; `None` if there is nothing to check.
    pub local: Option<Arc<dyn LocalCheck>>,
}

impl Provider {
    /// A provider that also audits its credentials.
    pub fn with_rights<P: TxtProvider + KeyRights + 'static>(provider: P) -> Self {
        let provider = Arc::new(provider);
        Provider {
            txt: Arc::clone(&provider) as Arc<dyn TxtProvider>,
            rights: Some(provider),
            local: None,
        }
    }

    /// A provider that audits its credentials, and can be checked without the network.
    pub fn with_local_check<P>(provider: P) -> Self
    where
        P: TxtProvider + KeyRights + LocalCheck + 'static,
    {
        let provider = Arc::new(provider);
        Provider {
            txt: Arc::clone(&provider) as Arc<dyn TxtProvider>,
            rights: Some(Arc::clone(&provider) as Arc<dyn KeyRights>),
            local: Some(provider),
        }
    }

    /// A provider that cannot audit its credentials.
    pub fn write_only<P: TxtProvider + 'static>(provider: P) -> Self {
        Provider {
            txt: Arc::new(provider),
            rights: None,
            local: None,
        }
    }
}

inventory::collect!(ProviderKind);

/// All kinds, sorted by name. Two crates with the same kind are an error: which of them writes to a
/// zone must not depend on the order of linking.
pub fn kinds() -> Result<Vec<&'static ProviderKind>, RegistryError> {
    sorted(inventory::iter::<ProviderKind>.into_iter().collect())
}

/// The kind of this name.
pub fn find(kind: &str) -> Result<&'static ProviderKind, RegistryError> {
    let kinds = kinds()?;
    let found = kinds.iter().find(|known| known.kind == kind);
    found.copied().ok_or_else(|| RegistryError::Unknown {
        kind: kind.to_owned(),
        known: kinds.iter().map(|known| known.kind).collect(),
    })
}

fn sorted(
    mut all: Vec<&'static ProviderKind>,
) -> Result<Vec<&'static ProviderKind>, RegistryError> {
    all.sort_by_key(|kind| kind.kind);
    match all.windows(2).find(|pair| pair[0].kind == pair[1].kind) {
        Some(pair) => Err(RegistryError::Duplicate { kind: pair[0].kind }),
        None => Ok(all),
    }
}

/// A kind that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Two providers have the same kind.
    #[error("two providers of the kind `{kind}` are compiled in")]
    Duplicate {
        /// The kind of both.
        kind: &'static str,
    },
    /// No provider has this kind.
    #[error("there is no provider of the kind `{kind}`; compiled in: {}", in_words(.known))]
    Unknown {
        /// The kind that was asked for.
        kind: String,
        /// The kinds that are compiled in.
        known: Vec<&'static str>,
    },
}

fn in_words(kinds: &[&str]) -> String {
    if kinds.is_empty() {
        return "none".to_owned();
    }
    kinds.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{Reading, ValueChanges};

    static ONE: ProviderKind = ProviderKind {
        kind: "one",
        summary: "",
        options: &[],
        guarantees: Guarantees {
            atomic: true,
            values: ValueChanges::PerValue,
            reading: Reading::AtBackend,
            tells_propagation: false,
            narrowest_key: "",
        },
        variants: &[],
        build: |_| Err(OptionError::new("x", "is not needed here")),
    };
    static TWO: ProviderKind = ProviderKind { kind: "two", ..ONE };

    #[test]
    fn two_crates_of_one_kind_are_an_error() {
        assert_eq!(sorted(vec![&TWO, &ONE]).unwrap().len(), 2);
        assert_eq!(
            sorted(vec![&ONE, &TWO, &ONE]).err(),
            Some(RegistryError::Duplicate { kind: "one" })
        );
    }

    #[test]
    fn an_unknown_kind_is_an_error_that_names_the_known_ones() {
        let error = find("carrier-pigeon").err().unwrap().to_string();
        assert!(error.contains("carrier-pigeon"), "{error}");
        assert!(error.ends_with("compiled in: none"), "{error}");
    }
}
