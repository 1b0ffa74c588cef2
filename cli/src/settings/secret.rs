//! Where a secret is kept, and fetching it at the moment it is needed.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use acme_alias_core::child_environment;
use acme_alias_core::program::{ProgramError, check};
use acme_alias_core::trusted::{self, Access, Links, Untrusted};
use futures_util::future::try_join;
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::mistake::{Mistake, SettingsError};
use crate::trust;

/// No key is larger, and nothing larger is read.
const SIZE_MAX: u64 = 64 * 1024;
/// A password manager may have to ask somebody.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// Where a secret is kept.
#[derive(Clone, Debug)]
pub(crate) enum SecretRef {
    /// In a file that only its owner can read.
    File(PathBuf),
    /// In an environment variable.
    Env(String),
    /// In a credential that systemd passes to the service (systemd.exec(5), `LoadCredential=`).
    Credential(String),
    /// On the standard output of a program: its path and arguments.
    Command(Vec<String>),
    /// In the settings themselves.
    Inline(SecretString),
}

impl PartialEq for SecretRef {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (SecretRef::File(one), SecretRef::File(other)) => one == other,
            (SecretRef::Env(one), SecretRef::Env(other))
            | (SecretRef::Credential(one), SecretRef::Credential(other)) => one == other,
            (SecretRef::Command(one), SecretRef::Command(other)) => one == other,
            (SecretRef::Inline(one), SecretRef::Inline(other)) => {
                one.expose_secret() == other.expose_secret()
            }
            _ => false,
        }
    }
}

impl SecretRef {
    /// Fetches the secret, without the line break at its end. `setting` names it in errors.
    pub(crate) async fn fetch(&self, setting: &str) -> Result<SecretString, SettingsError> {
        let fetched = match self {
            SecretRef::File(path) => read(path, Access::Secret, setting),
            SecretRef::Env(name) => std::env::var(name)
                .map_err(|_| Mistake::new(format!("the variable {name} is not set"))),
            SecretRef::Credential(name) => {
                // Its mode is systemd's, which lets nobody else in.
                credential_path(name).and_then(|path| read(&path, Access::Any, setting))
            }
            SecretRef::Command(argv) => output_of(argv).await,
            SecretRef::Inline(secret) => return Ok(secret.clone()),
        };
        match fetched {
            Ok(text) if text.trim().is_empty() => {
                Err(Mistake::new(format!("`{setting}`: the secret is empty")).into())
            }
            // Editors and shells put a byte order mark before it, and blanks and line ends behind it.
            Ok(text) => Ok(text.trim_start_matches('\u{feff}').trim().into()),
            Err(mistake) => Err(mistake.about(setting).into()),
        }
    }
}

/// The text of a regular file that only this user and root can change, and to which others have this access, or that
/// somebody else provides.
fn read(path: &Path, access: Access, setting: &str) -> Result<String, Mistake> {
    let read = |access| trusted::read(path, access, Links::Followed, SIZE_MAX);
    let read = read(access).or_else(|_| read(Access::Secret));
    let read = read.map_err(|error| {
        let mistake = Mistake::unreadable(path, &error, "600");
        match Untrusted::in_error(&error) {
            Some(untrusted) if !trust::is_ours_to_change(untrusted) => {
                mistake.help(for_others(setting, untrusted))
            }
            _ => mistake,
        }
    })?;
    String::from_utf8(read.content)
        .map_err(|_| Mistake::new(format!("{} is not text", path.display())))
}

/// What to do about a file of others, which this user cannot change.
fn for_others(setting: &str, untrusted: &Untrusted) -> String {
    let key = setting.rsplit('.').next().unwrap_or(setting);
    let path = untrusted.path.display();
    format!(
        "mount it read-only or below /run/secrets, let systemd pass it (`LoadCredential=`, and `{key} = {{ credential = \
         \"…\" }}`), or accept what others write there by `{key} = {{ command = [\"cat\", \"{path}\"] }}`"
    )
}

fn credential_path(name: &str) -> Result<PathBuf, Mistake> {
    if name.is_empty() || name.contains('/') || name == "." || name == ".." {
        return Err(Mistake::new(format!(
            "`{}` is no name of a credential",
            name.escape_debug()
        )));
    }
    match std::env::var_os("CREDENTIALS_DIRECTORY") {
        Some(dir) => Ok(Path::new(&dir).join(name)),
        None => Err(Mistake::new(format!(
            "there is no credential `{name}`: CREDENTIALS_DIRECTORY is not set"
        ))
        .help("credentials are passed by systemd: `LoadCredential=` in the unit")),
    }
}

async fn output_of(argv: &[String]) -> Result<String, Mistake> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(Mistake::new("the command is empty"));
    };
    let wrong = |what: String| Mistake::new(format!("the command `{program}` {what}"));
    match check(program).await {
        Err(ProgramError::Untrusted(untrusted)) => {
            let help = trust::remedy(&untrusted, "go-w");
            return Err(wrong(format!("was not run: {untrusted}")).help(help));
        }
        Err(ProgramError::Start { source, .. }) => {
            return Err(wrong(format!("cannot be run: {source}")));
        }
        _ => {}
    }
    let child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(child_environment::inherited())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| wrong(format!("cannot be run: {error}")))?;
    let output = match timeout(COMMAND_TIMEOUT, end_of(child)).await {
        Ok(output) => output.map_err(|error| wrong(format!("failed: {error}")))?,
        Err(_) => return Err(wrong(format!("did not end within {COMMAND_TIMEOUT:?}"))),
    };
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let first = stderr.lines().next().unwrap_or("without a word").to_owned();
        return Err(wrong(format!("ended with {}: {first}", output.status)));
    }
    String::from_utf8(output.stdout).map_err(|_| wrong("printed something that is not text".into()))
}

/// Waits for the end of a program, and for all that it prints.
async fn end_of(mut child: Child) -> io::Result<Output> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr) = try_join(read_all(stdout), read_all(stderr)).await?;
    Ok(Output {
        status: child.wait().await?,
        stdout,
        stderr,
    })
}

/// What a program prints, if it is not too much.
async fn read_all(stream: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut printed = Vec::new();
    if let Some(stream) = stream {
        let mut stream = stream.take(SIZE_MAX + 1);
        stream.read_to_end(&mut printed).await?;
    }
    if printed.len() as u64 > SIZE_MAX {
        let problem = format!("it printed more than {SIZE_MAX} octets");
        return Err(io::Error::other(problem));
    }
    Ok(printed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown};

    use super::*;

    async fn fetch(secret: SecretRef) -> Result<String, String> {
        match secret.fetch("providers.x.tsig-secret").await {
            Ok(secret) => Ok(secret.expose_secret().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn file(mode: u32) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "canary\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    #[tokio::test]
    async fn a_private_file_is_read_and_an_open_one_refused_with_the_chmod() {
        let (_dir, path) = file(0o600);
        assert_eq!(fetch(SecretRef::File(path)).await.unwrap(), "canary");
        for mode in [0o640, 0o604, 0o666] {
            let (_dir, path) = file(mode);
            let error = fetch(SecretRef::File(path)).await.unwrap_err();
            assert!(
                error.contains("chmod 600") && !error.contains("canary"),
                "{error}"
            );
        }
    }

    #[tokio::test]
    async fn a_file_of_another_user_is_refused() {
        if rustix::process::geteuid().is_root() {
            let (_dir, path) = file(0o600);
            chown(&path, Some(65534), None).unwrap();
            let error = fetch(SecretRef::File(path)).await.unwrap_err();
            assert!(error.contains("another user"), "{error}");
        }
    }

    #[tokio::test]
    async fn what_is_no_regular_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(
            fetch(SecretRef::File(dir.path().into()))
                .await
                .unwrap_err()
                .contains("not a regular")
        );
        assert!(fetch(SecretRef::File(dir.path().join("x"))).await.is_err());
    }

    #[tokio::test]
    async fn a_command_is_run_without_a_shell_and_its_output_stays_out_of_errors() {
        let run = |argv: &[&str]| {
            fetch(SecretRef::Command(
                argv.iter().map(|a| (*a).into()).collect(),
            ))
        };
        assert_eq!(run(&["printf", "%s", "$HOME;x"]).await.unwrap(), "$HOME;x");
        let error = run(&["cat", "/nonexistent/canary"]).await.unwrap_err();
        assert!(error.contains("ended with"), "{error}");
        assert!(
            run(&["/nonexistent"])
                .await
                .unwrap_err()
                .contains("cannot be run")
        );
        assert!(run(&["true"]).await.unwrap_err().contains("empty"));
    }

    #[tokio::test]
    async fn a_credential_name_cannot_lead_elsewhere() {
        for name in ["../x", "a/b", "", ".."] {
            let error = fetch(SecretRef::Credential(name.into())).await.unwrap_err();
            assert!(error.contains("no name of a credential"), "{error}");
        }
    }
}
