//! The typed parameters of the provider: programs, folders and variables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use acme_alias_core::program::without_secrets;
use acme_alias_core::provider::OptionError;
use secrecy::{ExposeSecret, SecretString};

/// A program and its first arguments. It is run without a shell.
///
/// ```
/// use acme_alias_exec::Program;
///
/// assert!(Program::new(["/etc/acme-alias/dns-program", "--quiet"]).is_ok());
/// assert!(Program::new([""]).is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    command: Vec<String>,
}

impl Program {
    /// Checks that there is a program. One without a `/` is found in `PATH`.
    pub fn new<S: Into<String>>(command: impl IntoIterator<Item = S>) -> Result<Self, OptionError> {
        let command: Vec<_> = command.into_iter().map(Into::into).collect();
        let is_empty = command.first().is_none_or(String::is_empty);
        if is_empty {
            let problem = "is missing; give the path of the program and its arguments as a list";
            return Err(OptionError::new("command", problem));
        }
        if command.iter().any(|part| part.contains('\0')) {
            return Err(OptionError::new("command", "must not contain NUL"));
        }
        Ok(Program { command })
    }

    /// The path or name.
    pub(crate) fn name(&self) -> &str {
        self.command.first().map_or("", String::as_str)
    }

    /// The command with more arguments.
    pub(crate) fn with<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let arguments = arguments.into_iter().map(str::to_owned);
        self.command.iter().cloned().chain(arguments).collect()
    }
}

/// An installed acme.sh, and one of its DNS scripts.
///
/// ```
/// use acme_alias_exec::AcmeSh;
///
/// assert!(AcmeSh::new("/root/.acme.sh", "dns_cf").is_ok());
/// assert!(AcmeSh::new("/root/.acme.sh", "../dns_cf").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeSh {
    home: PathBuf,
    config_home: PathBuf,
    script: String,
}

impl AcmeSh {
    /// The script of this name, without `.sh`, of the acme.sh in the folder `home`.
    pub fn new(home: impl AsRef<Path>, script: &str) -> Result<Self, OptionError> {
        let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if !script.starts_with("dns_") || !script.bytes().all(is_word) {
            return Err(OptionError::new(
                "script",
                "is not a DNS script of acme.sh: it must be like dns_cf, without folder and `.sh`",
            ));
        }
        let home = folder("home", home.as_ref())?;
        Ok(AcmeSh {
            config_home: home.clone(),
            home,
            script: script.to_owned(),
        })
    }

    /// Sets the folder of `account.conf`, where acme.sh keeps the credentials of its scripts.
    pub fn with_config_home(mut self, folder: impl AsRef<Path>) -> Result<Self, OptionError> {
        self.config_home = self::folder("config-home", folder.as_ref())?;
        Ok(self)
    }

    /// acme.sh itself, which has the functions that its scripts use.
    pub(crate) fn main(&self) -> PathBuf {
        self.home.join("acme.sh")
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    pub(crate) fn config_home(&self) -> &Path {
        &self.config_home
    }

    /// Where acme.sh saves credentials that it finds in variables.
    pub(crate) fn account_conf(&self) -> PathBuf {
        self.config_home.join("account.conf")
    }

    /// The file of the script.
    pub(crate) fn file(&self) -> PathBuf {
        self.home.join("dnsapi").join(format!("{}.sh", self.script))
    }

    /// The function that adds a value (`add`), or removes one (`rm`).
    pub(crate) fn function(&self, action: &str) -> String {
        format!("{}_{action}", self.script)
    }
}

fn folder(option: &str, path: &Path) -> Result<PathBuf, OptionError> {
    let is_text = path.to_str().is_some_and(|path| !path.contains('\0'));
    if path.is_absolute() && is_text {
        return Ok(path.to_owned());
    }
    Err(OptionError::new(option, "must be an absolute path"))
}

/// Variables of a program that hold secrets. `Debug` shows their names only.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, SecretString>);

impl Environment {
    /// Checks that the names and values can be those of variables.
    pub fn new(variables: BTreeMap<String, SecretString>) -> Result<Self, OptionError> {
        for (name, secret) in &variables {
            let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            let starts_well = !name.starts_with(|c: char| c.is_ascii_digit());
            if name.is_empty() || !starts_well || !name.bytes().all(is_word) {
                let problem = format!(
                    "has a name that is not that of a variable: `{}`",
                    name.escape_debug()
                );
                return Err(OptionError::new("environment", problem));
            }
            if secret.expose_secret().contains('\0') {
                let problem = format!("has a secret with a NUL: `{name}`");
                return Err(OptionError::new("environment", problem));
            }
        }
        Ok(Environment(variables))
    }

    pub(crate) fn variables(&self) -> &BTreeMap<String, SecretString> {
        &self.0
    }

    /// The text without the secrets: a program may print what it should not.
    pub(crate) fn hide(&self, text: &str) -> String {
        without_secrets(text, &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str, secret: &str) -> Result<Environment, OptionError> {
        Environment::new(BTreeMap::from([(name.to_owned(), secret.into())]))
    }

    #[test]
    fn only_names_of_variables_are_accepted() {
        for name in ["A", "_a9", "CF_Token"] {
            assert!(environment(name, "x").is_ok(), "{name}");
        }
        for name in ["", "9A", "A-B", "A=B", "A B"] {
            assert!(environment(name, "x").is_err(), "{name}");
        }
        assert!(environment("A", "a\0b").is_err());
    }

    #[test]
    fn secrets_are_neither_printed_nor_debugged() {
        let environment = environment("KEY", "one\n\ntwo").unwrap();
        assert_eq!(environment.hide("a one, two"), "a [hidden], [hidden]");
        assert!(!format!("{environment:?}").contains("one"));
    }
}
