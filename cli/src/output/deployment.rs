//! Targets that are not done, for people.

use std::fmt::Write as _;

use acme_alias_core::engine::Undeployed;

use super::ledger::second;

/// A paragraph for each target, with the output of a command that failed.
pub(super) fn undeployed(targets: &[Undeployed]) -> String {
    let mut text = String::new();
    for target in targets {
        let error = &target.error;
        let _ = match &target.target {
            // The error may begin with the name of the target.
            Some(name) if !error.starts_with(name) => writeln!(text, "    {name}: {error}"),
            _ => writeln!(text, "    {error}"),
        };
        for line in target.output.lines() {
            let _ = writeln!(text, "      | {line}");
        }
        if let Some(until) = target.until {
            let _ = writeln!(
                text,
                "      the next attempt is made after {}",
                second(until)
            );
        }
    }
    text
}
