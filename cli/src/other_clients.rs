//! Options and commands that people know from certbot, lego, acme.sh and dehydrated, and what they are called here.

use clap::error::{ContextKind, ContextValue, Error};

/// An option or a command of others, and what to do here.
const EQUIVALENTS: [(&[&str], &str); 18] = [
    (
        &["-d", "--domain", "--domains"],
        "give the names without an option, as in `acme-alias issue example.com '*.example.com'`",
    ),
    (
        &["-m", "--email", "--accountemail"],
        "use `--contact ADDRESS`, or `contact` under `[acme]` in the settings",
    ),
    (&["--test-cert", "--test"], "use `--staging`"),
    (
        &["--server"],
        "use `--directory URL`, or `directory` under `[acme]` in the settings",
    ),
    (
        &["--all", "--cron"],
        "`acme-alias renew` without ids renews every certificate that is due",
    ),
    (&["--force-renewal", "--renew-force"], "use `--force`"),
    (
        &["--cert-name"],
        "use `--id ID`, or name the id without an option",
    ),
    (
        &[
            "--dns",
            "--dns-cloudflare",
            "--dns-route53",
            "--dns-rfc2136",
            "--authenticator",
        ],
        "use `--provider ID`; `acme-alias providers` lists the providers and their options",
    ),
    (
        &[
            "--deploy-hook",
            "--reloadcmd",
            "--post-hook",
            "--renew-hook",
        ],
        "set `deploy-hook`, or targets under `deploy`, in the settings",
    ),
    (
        &[
            "--preferred-challenges",
            "--webroot",
            "-w",
            "--standalone",
            "--http",
            "--tls",
        ],
        "omit it: dns-01 is the only challenge here",
    ),
    (
        &["--keylength", "-k", "--rsa-key-size", "--elliptic-curve"],
        "use `--key-type ecdsa-p256`, `ecdsa-p384`, `rsa-2048` or `rsa-4096`",
    ),
    (
        &[
            "--dnssleep",
            "--dns-propagation-seconds",
            "--dns.propagation-wait",
        ],
        "omit it: the name servers are asked; `dns.propagation-extra-wait` in the settings adds a fixed time",
    ),
    (
        &["--non-interactive", "-n", "--noninteractive"],
        "omit it: nothing is ever asked",
    ),
    (
        &["--eab-hmac-key", "--eab-kid", "--kid", "--hmac"],
        "set `eab-kid` and `eab-hmac-key` under `[acme]` in the settings",
    ),
    (&["certonly", "--issue", "obtain"], "use `acme-alias issue`"),
    (
        &["delete", "remove", "--remove"],
        "use `acme-alias forget ID`, with `--purge` to delete the files as well",
    ),
    (&["certificates"], "use `acme-alias list`"),
    (
        &["register", "update_account", "unregister"],
        "use `acme-alias account`; an account is created when the first certificate is issued",
    ),
];

/// What to do in place of an option or a command that only other clients have.
pub(crate) fn equivalent(error: &Error) -> Option<&'static str> {
    let given = [ContextKind::InvalidArg, ContextKind::InvalidSubcommand];
    let given = given.into_iter().find_map(|kind| match error.get(kind)? {
        ContextValue::String(given) => Some(given),
        _ => None,
    })?;
    // Without the value of `--option=value`.
    let given = given.split('=').next().unwrap_or_default();
    let known = EQUIVALENTS.iter().find(|(names, _)| names.contains(&given));
    known.map(|(_, remedy)| *remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::command;

    fn remedy(line: &str) -> Option<&'static str> {
        let words = std::iter::once("acme-alias").chain(line.split(' '));
        equivalent(&command().try_get_matches_from(words).unwrap_err())
    }

    #[test]
    fn what_others_call_it_is_told() {
        for (line, words) in [
            ("issue -d example.com", "give the names"),
            ("issue --email=a@example.com example.com", "--contact"),
            ("issue example.com --test-cert", "--staging"),
            ("renew --all", "every certificate that is due"),
            ("delete web", "forget"),
            ("certonly", "acme-alias issue"),
        ] {
            let remedy = remedy(line).unwrap_or_else(|| panic!("{line}"));
            assert!(remedy.contains(words), "{line}: {remedy}");
        }
        assert_eq!(remedy("issue --unheard-of"), None);
    }

    #[test]
    fn nothing_that_exists_here_is_explained_away() {
        for (names, _) in EQUIVALENTS {
            for name in names {
                let line = match name.strip_prefix('-') {
                    Some(_) => format!("issue {name} x"),
                    None => (*name).to_owned(),
                };
                assert!(remedy(&line).is_some(), "{line}");
            }
        }
    }
}
