//! A deploy hook that records what it deploys.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Context, Result};

/// A deploy hook that appends the certificate that it is run for to a file.
#[derive(Clone, Debug)]
pub struct RecordingHook {
    record: PathBuf,
}

impl RecordingHook {
    /// A hook that records in this file.
    pub fn new(record: &Path) -> RecordingHook {
        RecordingHook {
            record: record.to_owned(),
        }
    }

    /// The line of settings that makes it the hook of a certificate.
    pub fn setting(&self) -> String {
        self.setting_with("true")
    }

    /// The same for a hook that ends as `script` does, after it has recorded.
    pub fn setting_with(&self, script: &str) -> String {
        let record = self.record.display();
        format!(
            "deploy-hook = ['sh', '-c', 'cat \"$ACME_ALIAS_HOOK_PATH/cert.pem\" >> {record}; {script}']"
        )
    }

    /// Certificates that it was run for so far, in PEM, the newest last.
    pub fn certificates(&self) -> Result<Vec<String>> {
        const END: &str = "-----END CERTIFICATE-----\n";
        if !self.record.exists() {
            return Ok(Vec::new());
        }
        let text = fs::read_to_string(&self.record).context(self.record.display())?;
        Ok(text.split_inclusive(END).map(str::to_owned).collect())
    }
}
