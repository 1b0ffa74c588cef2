//! A target that is a program.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::printable::shortened;
use crate::program::{Program, ProgramError, in_log};
use crate::store::StoredCertificate;

/// The prefix of the variables that a command gets.
pub const VARIABLE_PREFIX: &str = "ACME_ALIAS_HOOK_";

/// How long a command may take, unless the configuration says otherwise.
const TIMEOUT: Duration = Duration::from_mins(5);
/// Octets of one variable. Linux refuses to run a program with one of more than 128 KiB.
const VARIABLE_MAX: usize = 100 << 10;
/// Characters of a command that are shown.
const SHOWN_MAX: usize = 120;

/// A program that is run, without a shell, when certificates have changed.
///
/// It gets variables: `ACME_ALIAS_HOOK_CERTIFICATES` (the ids, separated by spaces), `ACME_ALIAS_HOOK_PATHS` (where
/// they are kept, a line for each) and `ACME_ALIAS_HOOK_DOMAINS` (all names, separated by spaces). If it runs for one
/// certificate, it also gets `ACME_ALIAS_HOOK_CERTIFICATE` and `ACME_ALIAS_HOOK_PATH`. Of the variables of this process
/// it inherits only those of [`child_environment`](crate::child_environment).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CommandTarget {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Run it once for each certificate, and not once for all of a run.
    pub each: bool,
    /// How long it may take.
    #[serde(skip)]
    pub timeout: Duration,
}

impl CommandTarget {
    /// A command that runs once for all certificates of a run.
    pub fn new(command: Vec<String>) -> Self {
        CommandTarget {
            command,
            each: false,
            timeout: TIMEOUT,
        }
    }

    /// How many of these certificates one run can be for.
    pub(super) fn takes<'a>(
        &self,
        certificates: impl Iterator<Item = &'a StoredCertificate>,
    ) -> usize {
        if self.each {
            return 1;
        }
        let sizes = certificates.scan((0, 0), |(paths, names), certificate| {
            *paths += certificate.location.len() + 1;
            *names += certificate
                .info
                .names
                .iter()
                .map(|name| name.len() + 1)
                .sum::<usize>();
            Some(*paths.max(names))
        });
        sizes
            .take_while(|size| *size <= VARIABLE_MAX)
            .count()
            .max(1)
    }

    /// Runs the program for these certificates and waits for its end.
    pub(crate) async fn run(
        &self,
        certificates: &[&StoredCertificate],
        cancel: &CancellationToken,
    ) -> Result<(), ProgramError> {
        let program = Program {
            variables: variables(certificates),
            ..Program::new(&self.command, self.timeout)
        };
        let output = program.run(cancel).await?;
        tracing::info!("{self} succeeded{}", in_log(&output));
        Ok(())
    }
}

fn variables(certificates: &[&StoredCertificate]) -> Vec<(String, String)> {
    let joined = |of: fn(&StoredCertificate) -> String, separator: &str| {
        let all: Vec<_> = certificates.iter().map(|stored| of(stored)).collect();
        all.join(separator)
    };
    let ids = joined(|stored| stored.id.to_string(), " ");
    let paths = joined(|stored| stored.location.clone(), "\n");
    let mut variables = vec![
        ("DOMAINS", joined(|stored| stored.info.names.join(" "), " ")),
        ("CERTIFICATES", ids.clone()),
        ("PATHS", paths.clone()),
    ];
    if certificates.len() == 1 {
        variables.extend([("CERTIFICATE", ids), ("PATH", paths)]);
    }
    let variables = variables.into_iter();
    variables
        .map(|(name, value)| (format!("{VARIABLE_PREFIX}{name}"), value))
        .collect()
}

impl fmt::Display for CommandTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let command = shortened(&self.command.join(" "), SHOWN_MAX);
        write!(f, "the command `{command}`")
    }
}
