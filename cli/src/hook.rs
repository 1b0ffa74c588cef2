//! The deploy hook: a program of the user's that is run when a certificate has changed.

use std::process::Stdio;

use acme_alias_core::store::Stored;
use tokio::process::Command;

use crate::settings::HOOK_PREFIX;

/// Runs the hook, without a shell, and says what went wrong. Its standard output goes to
/// standard error: standard output belongs to the result.
pub(crate) async fn run(hook: &[String], stored: &Stored) -> Option<String> {
    let (program, arguments) = hook.split_first()?;
    let child = Command::new(program)
        .args(arguments)
        .env(format!("{HOOK_PREFIX}CERTIFICATE"), stored.id.as_str())
        .env(format!("{HOOK_PREFIX}PATH"), &stored.path)
        .env(format!("{HOOK_PREFIX}DOMAINS"), stored.info.names.join(" "))
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .await;
    match child {
        Ok(status) if status.success() => None,
        Ok(status) => Some(format!("`{program}` ended with {status}")),
        Err(error) => Some(format!("`{program}` could not be run: {error}")),
    }
}
