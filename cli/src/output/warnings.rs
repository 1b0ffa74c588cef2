//! What was noticed for the certificates of a run, each thing once.

use std::collections::BTreeMap;

use acme_alias_core::delegation::Finding;
use acme_alias_core::issue::{Issued, Plan, SilentServer};

/// The warnings of a run.
#[derive(Default)]
pub(crate) struct Warnings {
    findings: Vec<Finding>,
    /// The last answers of name servers that did not answer for the alias zone, by server.
    silent: BTreeMap<String, String>,
    others: Vec<String>,
}

impl Warnings {
    /// Adds what is not as it might be with a certificate that was obtained.
    pub(crate) fn add_issued(&mut self, issued: &Issued) {
        self.findings.extend(issued.warnings.iter().cloned());
        for SilentServer { server, answer } in &issued.silent {
            self.silent.insert(server.clone(), answer.clone());
        }
        let id = &issued.stored.id;
        let warnings = issued.chain_warnings.iter();
        self.others
            .extend(warnings.map(|warning| format!("{id}: {warning}; the CA's chain was stored")));
    }

    /// Adds what was noticed in a rehearsal.
    pub(crate) fn add_plan(&mut self, plan: &Plan) {
        self.findings.extend(plan.warnings.iter().cloned());
    }

    /// The findings, and warnings of another kind.
    pub(super) fn into_parts(self) -> (Vec<Finding>, Vec<String>) {
        let findings = Finding::merged(self.findings);
        let is_new = |server: &String| {
            let mut findings = findings.iter();
            findings.all(|finding| finding.server.as_ref() != Some(server))
        };
        let silent = self.silent.iter().filter(|(server, _)| is_new(server));
        let mut warnings: Vec<_> = silent
            .map(|(server, answer)| {
                format!(
                    "{server} did not answer, and was not waited for: {answer}; repair it, or remove it from the \
                     NS set of the alias zone"
                )
            })
            .collect();
        warnings.extend(self.others);
        (findings, warnings)
    }
}
