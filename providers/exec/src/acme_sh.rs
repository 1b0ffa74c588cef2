//! The protocol `acme.sh`: the DNS scripts of an installed acme.sh, each with the functions `SCRIPT_add NAME VALUE` and
//! `SCRIPT_rm NAME VALUE` (<https://github.com/acmesh-official/acme.sh/wiki/DNS-API-Dev-Guide>).

use std::io::{self, ErrorKind};
use std::path::Path;

use acme_alias_core::program::{Input, check};
use acme_alias_core::provider::{Failure, ProviderError};
use acme_alias_core::trusted::{self, Access, Links, Untrusted};

use crate::error::of_program;
use crate::parameters::AcmeSh;
use crate::runner::Run;

const SHELL: &str = "/bin/sh";

/// Loads acme.sh and a script, and calls a function of it.
///
/// The scripts are parts of a shell program and cannot be run in another way. This text is all that the shell gets: it is
/// constant, and everything else comes in positional parameters, which the shell does not interpret. `$0` is acme.sh
/// itself, which takes its folder from it. It prints its help if it has no parameters, and would carry them out as a
/// command if it had some.
const LOADER: &str = r#"
acme_alias_script=$1 acme_alias_function=$2 acme_alias_name=$3 acme_alias_value=$4
set --
. "$0" >/dev/null
_initpath
. "$acme_alias_script"
"$acme_alias_function" "$acme_alias_name" "$acme_alias_value"
"#;

/// No account.conf is larger.
const CONF_MAX: u64 = 1 << 20;

/// The run that calls the function for `action` (`add` or `rm`).
pub(crate) fn run(acme_sh: &AcmeSh, action: &str, name: &str, value: &str, input: Input) -> Run {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let command = vec![
        SHELL.to_owned(),
        "-c".to_owned(),
        LOADER.to_owned(),
        text(&acme_sh.main()),
        text(&acme_sh.file()),
        acme_sh.function(action),
        name.to_owned(),
        value.to_owned(),
    ];
    let variables = [
        ("LE_WORKING_DIR", text(acme_sh.home())),
        ("LE_CONFIG_HOME", text(acme_sh.config_home())),
        ("ACCOUNT_CONF_PATH", text(&acme_sh.account_conf())),
        ("NO_TIMESTAMP", "1".to_owned()),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value));
    Run {
        command,
        variables: variables.into(),
        input,
    }
}

/// Fails if acme.sh or the script does not exist, or others can change one of them. `account.conf` must exist and be
/// private: acme.sh writes credentials to it that it finds in variables, and runs it. Others must not be able to put
/// another one in its place after this look at it.
pub(crate) async fn check_files(acme_sh: &AcmeSh) -> Result<(), ProviderError> {
    for file in [acme_sh.main(), acme_sh.file()] {
        let label = file.display().to_string();
        if !file.is_file() {
            return Err(ProviderError::new(
                Failure::Rejected,
                format!("{label} does not exist, or cannot be read"),
                "correct `home` and `script`, and let this user read the files of acme.sh",
            ));
        }
        let checked = check(&label).await;
        checked.map_err(|error| of_program(&label, &error))?;
    }
    let conf = acme_sh.account_conf();
    let opened = tokio::task::spawn_blocking(move || {
        check_conf(&conf).map_err(|error| conf_error(&conf, &error))
    });
    opened.await.unwrap_or_else(|error| {
        let what = format!("account.conf could not be looked at: {error}");
        Err(ProviderError::new(Failure::Unavailable, what, "try again"))
    })
}

fn check_conf(conf: &Path) -> io::Result<()> {
    trusted::check_way(conf)?;
    trusted::read(conf, Access::Private, Links::Followed, CONF_MAX).map(drop)
}

fn conf_error(conf: &Path, error: &io::Error) -> ProviderError {
    let place = conf.display();
    let (what, remedy) = match Untrusted::in_error(error) {
        Some(untrusted) => (
            format!("acme.sh would save credentials in an unsafe place: {untrusted}"),
            if untrusted.path == conf {
                format!("let only this user read it: `chmod 600 {place}`; or set `config-home`")
            } else {
                let folder = untrusted.path.display();
                format!("let only this user change it: `chmod go-w {folder}`; or set `config-home`")
            },
        ),
        None if error.kind() == ErrorKind::NotFound => (
            format!("{place} does not exist, where acme.sh saves credentials"),
            format!("create it: `install -m 600 /dev/null {place}`; or set `config-home`"),
        ),
        None => (
            format!("{place} cannot be read: {error}"),
            "let this user read it, or set `config-home`".to_owned(),
        ),
    };
    ProviderError::new(Failure::Rejected, what, remedy)
}
