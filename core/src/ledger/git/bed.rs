//! A ledger and a repository for tests of the export.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use jiff::Timestamp;
use tempfile::TempDir;

use super::error::GitExportError;
use super::export::GitExport;
use crate::clock::Clock;
use crate::ledger::sample::entry;
use crate::ledger::{Entry, Event, Ledger, RunId};
use crate::testkit::{ManualClock, MemoryLedger};
use crate::txt::Action;

/// A ledger, a folder to export it to, and a home for the user.
pub(super) struct Bed {
    pub(super) clock: Arc<ManualClock>,
    pub(super) ledger: MemoryLedger,
    pub(super) folder: TempDir,
}

impl Bed {
    pub(super) fn new() -> Self {
        let clock = Arc::new(ManualClock::new("2026-11-30T23:59:58Z".parse().unwrap()));
        Bed {
            ledger: MemoryLedger::new(Arc::clone(&clock) as Arc<dyn Clock>),
            clock,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(super) fn repository(&self) -> PathBuf {
        self.folder.path().join("repository")
    }

    pub(super) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// The file of November.
    pub(super) fn november(&self) -> String {
        let path = self.repository().join("auth.example.net/2026-11.txt");
        fs::read_to_string(path).unwrap()
    }

    pub(super) async fn record(&self, run: &str, event: Event, value: &str) {
        let action = match event {
            Event::Withdrawn | Event::Forgotten => Action::Remove,
            _ => Action::Add,
        };
        self.record_entry(run, entry(event, action, value)).await;
    }

    pub(super) async fn record_entry(&self, run: &str, entry: Entry) {
        let run = run.parse().unwrap();
        self.ledger.record(&run, vec![entry]).await.unwrap();
    }

    /// A run that adds a value and withdraws it.
    pub(super) async fn run(&self, run: &str) {
        for event in [Event::Intent, Event::Verified, Event::Withdrawn] {
            self.record(run, event, run).await;
        }
    }

    pub(super) async fn export(&self) -> Result<usize, GitExportError> {
        self.export_ended(|_, _| true).await
    }

    pub(super) async fn export_ended(
        &self,
        is_ended: impl Fn(&RunId, Timestamp) -> bool,
    ) -> Result<usize, GitExportError> {
        let home = self.home();
        fs::create_dir_all(&home).unwrap();
        let home = home.to_str().unwrap();
        let variables = [("HOME", home), ("XDG_CONFIG_HOME", home)];
        let export = GitExport::new(self.repository()).with_environment(&variables);
        export.export(&self.ledger, is_ended).await
    }

    /// Runs git as the owner of the repository would.
    pub(super) fn git(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command
            .env("HOME", self.home())
            .arg("-C")
            .arg(self.repository());
        let settings = ["user.name=Owner", "user.email=owner@example.net"];
        for setting in settings {
            command.args(["-c", setting]);
        }
        let output = command.args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub(super) fn init(&self) {
        fs::create_dir_all(self.repository()).unwrap();
        fs::create_dir_all(self.home()).unwrap();
        self.git(&["init", "--quiet", "--initial-branch=main"]);
    }

    pub(super) fn set(&self, name: &str, value: &str) {
        self.git(&["config", name, value]);
    }

    pub(super) fn subjects(&self) -> Vec<String> {
        let log = self.git(&["log", "--reverse", "--format=%s"]);
        log.lines().map(str::to_owned).collect()
    }

    /// Adds objects that no commit has, so many that git would pack or delete them.
    pub(super) fn leave_loose_objects(&self) {
        for number in 0..600 {
            let file = self.home().join("object");
            fs::write(&file, number.to_string()).unwrap();
            self.git(&["hash-object", "-w", file.to_str().unwrap()]);
        }
    }

    /// A program that leaves a mark and fails.
    pub(super) fn trap(&self) -> Trap {
        let program = self.folder.path().join("trap");
        let mark = self.folder.path().join("sprung");
        let script = format!(
            "#!/bin/sh\necho \"$0\" \"$@\" >> {}\nexit 1\n",
            mark.display()
        );
        write_program(&program, &script);
        Trap { program, mark }
    }
}

pub(super) struct Trap {
    program: PathBuf,
    mark: PathBuf,
}

impl Trap {
    pub(super) fn program(&self) -> &str {
        self.program.to_str().unwrap()
    }

    pub(super) fn assert_not_sprung(&self) {
        let mark = fs::read_to_string(&self.mark);
        assert!(mark.is_err(), "{mark:?}");
    }
}

pub(super) fn write_program(path: &Path, script: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
}
