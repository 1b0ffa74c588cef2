//! The options of this provider, declared and checked.

use std::time::Duration;

use acme_alias_core::provider::{OptionError, OptionKind, OptionSpec, Options};

use crate::parameters::{AcmeSh, Environment, Program};

const TIMEOUT: Duration = Duration::from_mins(2);
/// In seconds. Many services accept no smaller one.
const TTL: u32 = 60;
/// The largest TTL (RFC 2181 §8), in seconds.
const TTL_MAX: u32 = i32::MAX.cast_unsigned();

/// The values of `protocol`.
pub(crate) const JSON: &str = "json";
pub(crate) const LEGO: &str = "lego";
pub(crate) const ACME_SH: &str = "acme.sh";

pub(crate) const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "protocol",
        help: "How the program is called: json, lego (as lego's exec provider does) or acme.sh (its DNS scripts)",
        kind: OptionKind::Text,
        required: false,
        default: Some(JSON),
    },
    OptionSpec {
        name: "command",
        help: "The program and its first arguments, run without a shell (json, lego)",
        kind: OptionKind::List,
        required: false,
        default: None,
    },
    OptionSpec {
        name: "home",
        help: "The folder of the installed acme.sh (acme.sh)",
        kind: OptionKind::Text,
        required: false,
        default: None,
    },
    OptionSpec {
        name: "config-home",
        help: "The folder of the account.conf of acme.sh, if it is not that of `home` (acme.sh)",
        kind: OptionKind::Text,
        required: false,
        default: None,
    },
    OptionSpec {
        name: "script",
        help: "The DNS script without `.sh`, such as dns_cf (acme.sh)",
        kind: OptionKind::Text,
        required: false,
        default: None,
    },
    OptionSpec {
        name: "environment",
        help: "Variables of the program that hold secrets, by their names",
        kind: OptionKind::Secrets,
        required: false,
        default: None,
    },
    OptionSpec {
        name: "timeout",
        help: "How long one run of the program may take",
        kind: OptionKind::Duration,
        required: false,
        default: Some("2m"),
    },
    OptionSpec {
        name: "ttl",
        help: "Time to live of new records, in seconds (json)",
        kind: OptionKind::Number,
        required: false,
        default: Some("60"),
    },
];

/// How a program is called.
#[derive(Clone, Debug)]
pub(crate) enum Protocol {
    Json(Program),
    Lego(Program),
    AcmeSh(AcmeSh),
}

/// The checked configuration of one provider.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) protocol: Protocol,
    pub(crate) environment: Environment,
    /// How long one run may take.
    pub(crate) timeout: Duration,
    /// Time to live of new records, in seconds.
    pub(crate) ttl: u32,
}

impl Config {
    /// The defaults, with this protocol.
    pub(crate) fn new(protocol: Protocol) -> Self {
        Config {
            protocol,
            environment: Environment::default(),
            timeout: TIMEOUT,
            ttl: TTL,
        }
    }

    /// Checks `options`; the error names the one that is wrong.
    pub fn from_options(options: &Options) -> Result<Self, OptionError> {
        let named = options.text("protocol").unwrap_or(JSON);
        let protocol = match named {
            JSON => Protocol::Json(Program::new(options.list("command"))?),
            LEGO => Protocol::Lego(Program::new(options.list("command"))?),
            ACME_SH => Protocol::AcmeSh(acme_sh(options)?),
            _ => {
                return Err(OptionError::new(
                    "protocol",
                    "must be json, lego or acme.sh",
                ));
            }
        };
        let is_given = |name: &str| options.text(name).is_some() || !options.list(name).is_empty();
        let foreign: &[&str] = match protocol {
            Protocol::Json(_) => &["home", "config-home", "script"],
            Protocol::Lego(_) => &["home", "config-home", "script", "ttl"],
            Protocol::AcmeSh(_) => &["command", "ttl"],
        };
        if let Some(foreign) = foreign.iter().find(|name| is_given(name)) {
            let problem = format!("has no meaning with the protocol {named}");
            return Err(OptionError::new(*foreign, problem));
        }
        let mut config = Config::new(protocol);
        config.environment = Environment::new(options.secrets("environment"))?;
        if let Some(ttl) = options.number("ttl") {
            config.ttl = u32::try_from(ttl)
                .ok()
                .filter(|ttl| clamped_ttl(*ttl) == *ttl)
                .ok_or_else(|| {
                    OptionError::new("ttl", format!("must be 0 to {TTL_MAX} seconds"))
                })?;
        }
        config.timeout = options.duration("timeout").unwrap_or(config.timeout);
        Ok(config)
    }
}

fn acme_sh(options: &Options) -> Result<AcmeSh, OptionError> {
    let needed = |name: &str| {
        let missing = || OptionError::new(name, "is missing; the protocol acme.sh needs it");
        options.text(name).ok_or_else(missing)
    };
    let acme_sh = AcmeSh::new(needed("home")?, needed("script")?)?;
    match options.text("config-home") {
        Some(folder) => acme_sh.with_config_home(folder),
        None => Ok(acme_sh),
    }
}

/// The time to live, in seconds, that is nearest to `ttl` and allowed.
pub(crate) fn clamped_ttl(ttl: u32) -> u32 {
    ttl.min(TTL_MAX)
}

#[cfg(test)]
mod tests {
    use acme_alias_core::provider::OptionValue;

    use super::*;

    fn config(values: &[(&str, &str)]) -> Result<Config, OptionError> {
        let values = values.iter().map(|(name, text)| {
            let text = OptionValue::Text((*text).to_owned());
            ((*name).to_owned(), text)
        });
        Config::from_options(&Options::new(OPTIONS, values)?)
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let config = config(&[("command", "/bin/true")]).unwrap();
        assert!(matches!(config.protocol, Protocol::Json(_)));
        let default = |name: &str| {
            let spec = OPTIONS.iter().find(|spec| spec.name == name);
            spec.and_then(|spec| spec.default).unwrap()
        };
        assert_eq!(default("ttl"), config.ttl.to_string());
        assert_eq!((default("timeout"), config.timeout.as_secs()), ("2m", 120));
    }

    #[test]
    fn a_wrong_option_is_named() {
        let acme_sh = [
            ("protocol", "acme.sh"),
            ("home", "/x"),
            ("script", "dns_cf"),
        ];
        assert!(config(&acme_sh).is_ok());
        let with = |name: &str, text: &str| {
            let mut values: Vec<_> = acme_sh
                .iter()
                .filter(|(key, _)| *key != name)
                .copied()
                .collect();
            let text = text.to_owned().leak();
            let name = name.to_owned().leak();
            values.push((name, text));
            config(&values).unwrap_err().option
        };
        for (name, text) in [
            ("home", "relative"),
            ("config-home", "../x"),
            ("script", "../dns_cf"),
            ("script", "dns_cf;id"),
            ("script", "cf"),
            ("command", "/bin/true"),
            ("ttl", "60"),
        ] {
            assert_eq!(with(name, text), name, "{text}");
        }
        for (wrong, values) in [
            ("command", &[][..]),
            ("home", &[("protocol", "acme.sh")][..]),
            ("protocol", &[("protocol", "x"), ("command", "/x")][..]),
            ("ttl", &[("command", "/x"), ("ttl", "2147483648")][..]),
            ("home", &[("command", "/x"), ("home", "/x")][..]),
        ] {
            assert_eq!(config(values).unwrap_err().option, wrong, "{values:?}");
        }
    }
}
