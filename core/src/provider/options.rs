//! The options of a provider: declared once, checked once.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;

/// The declaration of one option. Programs make settings, flags, help and documentation of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionSpec {
    /// The name: lower-case words joined by `-`.
    pub name: &'static str,
    /// One sentence without a final full stop.
    pub help: &'static str,
    /// The values that it takes.
    pub kind: OptionKind,
    /// Whether the provider cannot work without it.
    pub required: bool,
    /// The value if none is given; for help only.
    pub default: Option<&'static str>,
}

/// The values that an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// A text.
    Text,
    /// A text or a list of texts; on the command line separated by commas.
    List,
    /// A whole number, 0 or larger.
    Number,
    /// A time such as `5s` or `2m`.
    Duration,
    /// A secret.
    Secret,
    /// Secrets, each with a name that the user chooses.
    Secrets,
}

/// A value as the settings have it; secrets are fetched already.
#[derive(Clone, Debug)]
pub enum OptionValue {
    /// A text, a number or a time in text form.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
    /// A secret.
    Secret(SecretString),
    /// Secrets by their names.
    Secrets(BTreeMap<String, SecretString>),
}

/// The checked values of one configured provider.
#[derive(Clone, Debug)]
pub struct Options {
    values: BTreeMap<&'static str, OptionValue>,
}

impl Options {
    /// Checks `values` against the declarations. The error names the first wrong option.
    pub fn new(
        specs: &'static [OptionSpec],
        values: impl IntoIterator<Item = (String, OptionValue)>,
    ) -> Result<Self, OptionError> {
        let mut checked = BTreeMap::new();
        for (name, value) in values {
            let Some(spec) = specs.iter().find(|spec| spec.name == name) else {
                let known = specs
                    .iter()
                    .map(|spec| spec.name)
                    .collect::<Vec<_>>()
                    .join(", ");
                return Err(OptionError::new(
                    name,
                    format!("is unknown; known are: {known}"),
                ));
            };
            checked.insert(spec.name, check(spec, value)?);
        }
        if let Some(missing) = specs
            .iter()
            .find(|spec| spec.required && !checked.contains_key(spec.name))
        {
            return Err(OptionError::new(
                missing.name,
                format!("is missing: {}", missing.help),
            ));
        }
        Ok(Options { values: checked })
    }

    /// The text of a [`OptionKind::Text`] option.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.values.get(name) {
            Some(OptionValue::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The texts of a [`OptionKind::List`] option; empty if none is given.
    pub fn list(&self, name: &str) -> &[String] {
        match self.values.get(name) {
            Some(OptionValue::List(list)) => list,
            _ => &[],
        }
    }

    /// The number of a [`OptionKind::Number`] option.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.text(name).and_then(|text| text.parse().ok())
    }

    /// The time of a [`OptionKind::Duration`] option.
    pub fn duration(&self, name: &str) -> Option<Duration> {
        self.text(name).and_then(|text| parse_duration(text).ok())
    }

    /// The secret of a [`OptionKind::Secret`] option.
    pub fn secret(&self, name: &str) -> Option<&SecretString> {
        match self.values.get(name) {
            Some(OptionValue::Secret(secret)) => Some(secret),
            _ => None,
        }
    }

    /// The secrets of a [`OptionKind::Secrets`] option, by their names; none if it is not given.
    pub fn secrets(&self, name: &str) -> BTreeMap<String, SecretString> {
        match self.values.get(name) {
            Some(OptionValue::Secrets(secrets)) => secrets.clone(),
            _ => BTreeMap::new(),
        }
    }
}

fn check(spec: &OptionSpec, value: OptionValue) -> Result<OptionValue, OptionError> {
    let wrong = |what: &str| Err(OptionError::new(spec.name, format!("must be {what}")));
    match (spec.kind, value) {
        (OptionKind::Text, OptionValue::Text(text)) => Ok(OptionValue::Text(text)),
        (OptionKind::Text, _) => wrong("a text"),
        (OptionKind::List, OptionValue::Text(text)) => Ok(OptionValue::List(vec![text])),
        (OptionKind::List, OptionValue::List(list)) => Ok(OptionValue::List(list)),
        (OptionKind::List, OptionValue::Secret(_) | OptionValue::Secrets(_)) => {
            wrong("a text or a list of texts")
        }
        (OptionKind::Number, OptionValue::Text(text)) if text.parse::<u64>().is_ok() => {
            Ok(OptionValue::Text(text))
        }
        (OptionKind::Number, _) => wrong("a whole number"),
        (OptionKind::Duration, OptionValue::Text(text)) if parse_duration(&text).is_ok() => {
            Ok(OptionValue::Text(text))
        }
        (OptionKind::Duration, _) => wrong("a time such as 5s or 2m"),
        (OptionKind::Secret, OptionValue::Secret(secret)) => Ok(OptionValue::Secret(secret)),
        (OptionKind::Secret, _) => wrong("a secret"),
        (OptionKind::Secrets, OptionValue::Secrets(secrets)) => Ok(OptionValue::Secrets(secrets)),
        (OptionKind::Secrets, _) => wrong("a table of secrets"),
    }
}

/// Reads a time such as `500ms`, `5s` or `2m`, above zero.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let span = jiff::SignedDuration::from_str(text).map_err(|error| error.to_string())?;
    match Duration::try_from(span) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("the time must be above zero".to_owned()),
    }
}

/// An option that is unknown, missing or has a wrong value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{option}` {problem}")]
#[non_exhaustive]
pub struct OptionError {
    /// The option's name.
    pub option: String,
    /// What is wrong; the sentence begins with the name.
    pub problem: String,
}

impl OptionError {
    /// The error that `option` has `problem`, the rest of a sentence that begins with the name.
    pub fn new(option: impl Into<String>, problem: impl Into<String>) -> Self {
        OptionError {
            option: option.into(),
            problem: problem.into(),
        }
    }
}
