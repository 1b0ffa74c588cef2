//! The program `git`, and what it may execute: only itself. Hooks and other programs of a configuration need a shell, or
//! are programs of their own.

use std::path::PathBuf;

use super::command::Git;
use crate::platform::Programs;
use crate::program::in_path;

impl Git {
    /// Lets commands execute nothing but git. If `git` is a script or starts another program, it may execute
    /// everything.
    pub(super) async fn execute_git_only(&mut self) {
        let Some(program) = in_path("git", self.variable("PATH")) else {
            return;
        };
        let mut alone = self.clone();
        if !alone.try_programs(std::slice::from_ref(&program)) {
            return;
        }
        let folder = match alone.command(&["--exec-path"]).run().await {
            Ok(folder) => PathBuf::from(folder),
            Err(error) => {
                tracing::debug!(%error, "git needs other programs, and may execute all");
                return;
            }
        };
        // Its commands start one another there.
        if !self.try_programs(&[program, folder.join("git")]) {
            *self = alone;
        }
    }

    fn try_programs(&mut self, programs: &[PathBuf]) -> bool {
        let programs = Programs::new(programs);
        programs.is_ok_and(|programs| self.confine_programs(programs).is_ok())
    }
}
