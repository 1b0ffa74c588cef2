//! The environment of the programs that are run: hooks, git, and commands that print a secret.
//!
//! The own environment may hold secrets: settings, credentials of providers, and what systemd passes. So
//! programs inherit only variables that are known to hold none. A program that needs another one is run by
//! `env`: `["env", "NAME=value", "program"]`.

use std::env;
use std::ffi::{OsStr, OsString};

/// What is inherited: where programs and folders are, who runs them, the language and the time zone, and the
/// session of the user.
const INHERITED: [&str; 13] = [
    "DBUS_SESSION_BUS_ADDRESS",
    "HOME",
    "LANG",
    "LANGUAGE",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TERM",
    "TMPDIR",
    "TZ",
    "TZDIR",
    "USER",
    "XDG_RUNTIME_DIR",
];
/// So are variables that begin like this: the parts of the locale.
const PREFIX: &[u8] = b"LC_";

/// The variables of this process that programs inherit.
pub fn inherited() -> impl Iterator<Item = (OsString, OsString)> {
    env::vars_os().filter(|(name, _)| is_inherited(name))
}

/// Whether programs inherit a variable.
pub(crate) fn is_inherited(name: &OsStr) -> bool {
    INHERITED.iter().any(|inherited| name == *inherited)
        || name.as_encoded_bytes().starts_with(PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_variable_that_may_hold_a_secret_is_inherited() {
        for name in ["PATH", "HOME", "LANG", "LC_ALL", "USER", "TZ"] {
            assert!(is_inherited(OsStr::new(name)), "{name}");
        }
        for name in [
            "ACME_ALIAS_ACME__EAB_HMAC_KEY",
            "AWS_SECRET_ACCESS_KEY",
            "CLOUDFLARE_API_TOKEN",
            "CREDENTIALS_DIRECTORY",
            "GIT_DIR",
            "LD_PRELOAD",
            "NOTIFY_SOCKET",
            "PATHS",
            "",
        ] {
            assert!(!is_inherited(OsStr::new(name)), "{name}");
        }
    }
}
