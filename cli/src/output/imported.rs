//! What was taken over from another client, or would be.

use std::collections::HashMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::words::{counted, day};
use crate::failure::Part;
use crate::import::{AccountOutcome, Applied, CertificateOutcome, Problem, comment, wrapped};

/// What was found, and what was written of it.
pub(crate) struct Imported {
    /// The name of the other client.
    pub(crate) client: &'static str,
    pub(crate) folder: PathBuf,
    /// The settings file.
    pub(crate) file: PathBuf,
    /// The state folder.
    pub(crate) state: PathBuf,
    /// How many were found.
    pub(crate) accounts: usize,
    pub(crate) certificates: usize,
    /// The URLs of the accounts whose keys have to be replaced.
    pub(crate) new_keys: Vec<String>,
    /// What is added to the settings file.
    pub(crate) text: String,
    /// The files of secrets that it refers to, and that are new.
    pub(crate) secrets: Vec<PathBuf>,
    pub(crate) problems: Vec<Problem>,
    /// What was written; `None` if nothing was to be.
    pub(crate) applied: Option<Applied>,
}

impl Imported {
    pub(super) fn exit_code(&self) -> u8 {
        let failed = self.applied.as_ref().and_then(|applied| applied.failed);
        failed.map_or(0, Part::exit_code)
    }

    /// Without `--write` everything that is printed is a settings file.
    pub(super) fn text(&self) -> String {
        match &self.applied {
            Some(applied) => self.written(applied),
            None => self.preview(),
        }
    }

    fn preview(&self) -> String {
        let accounts = counted(self.accounts, "account", "accounts");
        let certificates = counted(self.certificates, "certificate", "certificates");
        let mut text = comment(&format!(
            "Found in {}: {accounts}, {certificates}. Nothing is written yet. With `--write`, they go into the state \
             folder {}, so that nothing is ordered again, and the settings below into {}.",
            self.folder.display(),
            self.state.display(),
            self.file.display()
        ));
        for url in &self.new_keys {
            text.push_str(&comment(&format!(
                "`--write` asks the CA to give the account {url} a new key, on P-256. Afterwards {} cannot use the account \
                 any more.",
                self.client
            )));
        }
        for secret in &self.secrets {
            text.push_str(&comment(&format!(
                "`--write` puts a secret into {} (mode 600).",
                secret.display()
            )));
        }
        text.push('\n');
        if self.text.is_empty() {
            text.push_str("# The settings have everything already.\n");
        }
        text.push_str(&self.text);
        if !self.problems.is_empty() {
            text.push_str("\n# Left out, or to be looked at:\n");
            text.push_str(&self.problems("# "));
        }
        text
    }

    fn written(&self, applied: &Applied) -> String {
        let mut text = String::new();
        for (directory, url, outcome) in &applied.accounts {
            let outcome = match outcome {
                AccountOutcome::Stored => "stored with its key",
                AccountOutcome::NewKey => "stored; the CA has a new key for it",
                AccountOutcome::OldKey => "stored with its old key",
                AccountOutcome::Known => "was there already",
                AccountOutcome::Left => "left out",
            };
            let line = format!("account {url} at {directory}: {outcome}");
            text.push_str(&wrapped(&line, "", "  "));
        }
        for (id, outcome) in &applied.certificates {
            let outcome = match outcome {
                CertificateOutcome::Stored(end) => format!("stored, valid until {}", day(*end)),
                CertificateOutcome::Known => "was there already".to_owned(),
                CertificateOutcome::Missing => "settings only, without a certificate".to_owned(),
                CertificateOutcome::Left => "left out".to_owned(),
            };
            text.push_str(&format!("certificate {id}: {outcome}\n"));
        }
        for secret in &applied.secrets {
            text.push_str(&format!("secret {}: written\n", secret.display()));
        }
        let file = self.file.display();
        text.push_str(&if applied.has_settings {
            format!("settings {file}: written\n")
        } else {
            format!("settings {file}: nothing to add\n")
        });
        if !self.problems.is_empty() {
            text.push_str("\nLeft out, or to be looked at:\n");
            text.push_str(&self.problems(""));
        }
        if applied.has_settings {
            text.push_str(&format!(
                "\nNow stop {}, so that both do not renew, and run `acme-alias check`.\n",
                self.client
            ));
        }
        text
    }

    /// The problems by their files, each line begun with `prefix`.
    fn problems(&self, prefix: &str) -> String {
        let mut files: Vec<(&str, Vec<&Problem>)> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for problem in &self.problems {
            let place = *places.entry(&problem.file).or_insert_with(|| {
                files.push((&problem.file, Vec::new()));
                files.len() - 1
            });
            files[place].1.push(problem);
        }
        let indent = format!("{prefix}    ");
        let mut text = String::new();
        for (file, of_file) in files {
            text.push_str(&format!("{prefix}{file}\n"));
            for problem in of_file {
                text.push_str(&wrapped(&problem.reason, &format!("{prefix}  - "), &indent));
            }
        }
        text
    }

    pub(super) fn json(&self) -> Value {
        let problems = self.problems.iter();
        let problems = problems
            .map(|problem| json!({ "file": problem.file, "reason": problem.reason }))
            .collect::<Vec<_>>();
        let applied = self.applied.as_ref();
        json!({
            "client": self.client,
            "settings_file": self.file,
            "settings": self.text,
            "secrets": self.secrets,
            "written": applied.is_some(),
            "accounts": applied.map(accounts),
            "certificates": applied.map(certificates),
            "problems": problems,
        })
    }
}

fn accounts(applied: &Applied) -> Vec<Value> {
    let accounts = applied.accounts.iter();
    let account = |(directory, url, outcome): &(String, String, AccountOutcome)| {
        let outcome = match outcome {
            AccountOutcome::Stored => "stored",
            AccountOutcome::NewKey => "new-key",
            AccountOutcome::OldKey => "old-key",
            AccountOutcome::Known => "known",
            AccountOutcome::Left => "left",
        };
        json!({ "directory": directory, "url": url, "outcome": outcome })
    };
    accounts.map(account).collect()
}

fn certificates(applied: &Applied) -> Vec<Value> {
    let certificates = applied.certificates.iter();
    let certificate = certificates.map(|(id, outcome)| {
        let (outcome, not_after) = match outcome {
            CertificateOutcome::Stored(end) => ("stored", Some(end)),
            CertificateOutcome::Known => ("known", None),
            CertificateOutcome::Missing => ("missing", None),
            CertificateOutcome::Left => ("left", None),
        };
        json!({ "certificate": id, "outcome": outcome, "not_after": not_after })
    });
    certificate.collect()
}
