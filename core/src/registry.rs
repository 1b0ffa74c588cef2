//! Which providers are compiled in.

use std::sync::Arc;

use crate::provider::{Guarantees, OptionError, OptionSpec, Options, TxtProvider};
use crate::rights::KeyRights;

/// A kind of provider, as its crate registers it.
#[derive(Debug)]
pub struct ProviderKind {
    /// The word for it in settings (`kind = "…"`) and flags: lower-case letters and digits.
    pub kind: &'static str,
    /// One sentence on what it talks to.
    pub summary: &'static str,
    /// All the options it takes.
    pub options: &'static [OptionSpec],
    /// What it promises.
    pub guarantees: Guarantees,
    /// Makes one from its checked options; asks nothing of the network.
    pub build: fn(&Options) -> Result<Provider, OptionError>,
}

/// A configured provider.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Writes TXT records.
    pub txt: Arc<dyn TxtProvider>,
    /// What its credentials may do; `None` where nothing can be found out.
    pub rights: Option<Arc<dyn KeyRights>>,
}

impl Provider {
    /// A provider that also audits its credentials.
    pub fn with_rights<P: TxtProvider + KeyRights + 'static>(provider: P) -> Self {
        let provider = Arc::new(provider);
        Provider {
            txt: Arc::clone(&provider) as Arc<dyn TxtProvider>,
            rights: Some(provider),
        }
    }

    /// A provider that can only write.
    pub fn write_only<P: TxtProvider + 'static>(provider: P) -> Self {
        Provider {
            txt: Arc::new(provider),
            rights: None,
        }
    }
}

inventory::collect!(ProviderKind);

/// The kinds compiled in, by name. Two crates that claim the same kind are refused, because
/// which of them would write to a zone must not depend on the order of linking.
pub fn kinds() -> Result<Vec<&'static ProviderKind>, RegistryError> {
    sorted(inventory::iter::<ProviderKind>.into_iter().collect())
}

/// The kind of this name.
pub fn find(kind: &str) -> Result<&'static ProviderKind, RegistryError> {
    let kinds = kinds()?;
    match kinds.iter().find(|known| known.kind == kind) {
        Some(found) => Ok(found),
        None => Err(RegistryError::Unknown {
            kind: kind.to_owned(),
            known: if kinds.is_empty() {
                "this program was built without any provider".to_owned()
            } else {
                let names: Vec<_> = kinds.iter().map(|known| known.kind).collect();
                format!("compiled in: {}", names.join(", "))
            },
        }),
    }
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

/// A kind that cannot be chosen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// Two providers claim the same kind.
    #[error("two providers of the kind `{kind}` are compiled in; leave one of their crates out")]
    Duplicate {
        /// The kind both claim.
        kind: &'static str,
    },
    /// No provider has this kind.
    #[error("there is no provider of the kind `{kind}` ({known})")]
    Unknown {
        /// The kind asked for.
        kind: String,
        /// What is compiled in, in words.
        known: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::ValueChanges;

    static ONE: ProviderKind = ProviderKind {
        kind: "one",
        summary: "",
        options: &[],
        guarantees: Guarantees {
            atomic: true,
            values: ValueChanges::PerValue,
            tells_propagation: false,
            narrowest_key: "",
        },
        build: |_| Err(OptionError::new("x", "is not needed here")),
    };
    static TWO: ProviderKind = ProviderKind { kind: "two", ..ONE };

    #[test]
    fn two_crates_of_one_kind_are_refused() {
        assert_eq!(sorted(vec![&TWO, &ONE]).unwrap().len(), 2);
        assert_eq!(
            sorted(vec![&ONE, &TWO, &ONE]).err(),
            Some(RegistryError::Duplicate { kind: "one" })
        );
    }

    #[test]
    fn an_unknown_kind_is_told_what_is_compiled_in() {
        let error = find("carrier-pigeon").err().unwrap().to_string();
        assert!(error.contains("carrier-pigeon"), "{error}");
        assert!(error.contains("without any provider"), "{error}");
    }
}
