//! Mistakes that only a look at this machine shows: programs that cannot be run, secrets that cannot be read.

use acme_alias_core::program::{ProgramError, check_runnable};

use super::layer::Tree;
use super::mistake::{Mistake, SettingsError};
use super::model::{Settings, TargetSettings};
use crate::trust;

/// All such mistakes in targets and notifications. Nothing is run but the commands that print secrets.
pub(crate) async fn local_mistakes(tree: &Tree, settings: &Settings) -> Option<SettingsError> {
    let mut mistakes = targets(tree, "deploy", &settings.deploy).await;
    for (id, certificate) in &settings.certificates {
        let of_certificate = certificate.deploy.as_deref().unwrap_or_default();
        let path = format!("certificates.{id}.deploy");
        mistakes.extend(targets(tree, &path, of_certificate).await);
    }
    if let Some(notify) = &settings.notify {
        mistakes.extend(program(tree, "notify.command", &notify.command).await);
    }
    (!mistakes.is_empty()).then_some(SettingsError(mistakes))
}

/// The mistakes in these targets. The hook, which is the last one, has a setting of its own.
async fn targets(tree: &Tree, list: &str, targets: &[TargetSettings]) -> Vec<Mistake> {
    let listed = tree.len(list);
    let mut mistakes = Vec::new();
    for (index, target) in targets.iter().enumerate() {
        match target {
            TargetSettings::Command(target) => {
                let path = if index < listed {
                    format!("{list}[{index}].command")
                } else {
                    format!("{list}-hook")
                };
                mistakes.extend(program(tree, &path, &target.command).await);
            }
            TargetSettings::Files(files) => {
                if let Some((setting, secret)) = &files.password
                    && let Err(error) = secret.fetch(setting).await
                {
                    mistakes.extend(error.0);
                }
            }
        }
    }
    mistakes
}

async fn program(tree: &Tree, setting: &str, command: &[String]) -> Option<Mistake> {
    let error = check_runnable(command.first()?).await.err()?;
    let help = match &error {
        ProgramError::Untrusted(untrusted) => trust::remedy(untrusted, "go-w"),
        _ => "correct its path, install it, or make it executable (`chmod +x`)".to_owned(),
    };
    let mistake = Mistake::new(format!("`{setting}`: {error}")).help(help);
    Some(tree.locate(mistake, setting, false))
}
