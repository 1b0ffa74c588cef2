//! The program `git`, and what it may execute: only itself. Hooks and other programs of a configuration need a shell, or
//! are programs of their own.

use std::ffi::OsStr;
use std::path::PathBuf;

use rustix::fs::Access;

use super::command::Git;
use crate::platform::Programs;

impl Git {
    /// Lets commands execute nothing but git. If git is a script, or starts with another program, nothing is forbidden.
    pub(super) async fn execute_git_only(&mut self) {
        let Some(program) = self.program() else {
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

    /// The file that is executed as `git`, by the rules of the C library (execvp(3)).
    fn program(&self) -> Option<PathBuf> {
        let folders = self.variable("PATH").unwrap_or(OsStr::new("/bin:/usr/bin"));
        let mut files = std::env::split_paths(folders).map(|folder| folder.join("git"));
        files.find(|file| file.is_file() && rustix::fs::access(file, Access::EXEC_OK).is_ok())
    }
}
