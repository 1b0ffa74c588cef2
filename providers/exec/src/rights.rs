//! What the credentials of the program can do: nobody but the program knows.

use acme_alias_core::provider::ProviderError;
use acme_alias_core::rights::{Audit, Grant, KeyRights, Policy, Right, Subject, Verdict, Weight};
use async_trait::async_trait;

use crate::provider::Exec;

#[async_trait]
impl KeyRights for Exec {
    /// None: the syntax is that of a service which only the program knows.
    fn policies(&self, _: &Grant) -> Vec<Policy> {
        Vec::new()
    }

    /// That nothing can be known. The program is not run.
    async fn audit(&self, subject: &Subject) -> Result<Audit, ProviderError> {
        let unknown = |right, weight| Right {
            right,
            weight,
            verdict: Verdict::CannotTell,
            evidence: format!(
                "only `{}` knows its credentials; look at the service that issued them",
                self.label()
            ),
        };
        let names = subject.alias_names.iter();
        let mut rights: Vec<_> = names
            .map(|name| unknown(format!("TXT at an alias name ({name})"), Weight::Needed))
            .collect();
        let others = "everything else that the credentials of the program allow".to_owned();
        rights.push(unknown(others, Weight::Fatal));
        Ok(Audit::new(rights, Vec::new()))
    }
}
