//! Running a program that can write in some folders only and execute some programs only, whatever links it follows
//! (Landlock of Linux 5.13 and later).

use std::io;
use std::path::PathBuf;

use tokio::process::{Child, Command};

#[cfg(target_os = "linux")]
use self::linux as system;
#[cfg(not(target_os = "linux"))]
use self::other as system;

/// The folders in which a program may write, and in what is below them, and the programs that it may execute. The
/// default is no folder and all programs. Where the system cannot confine a program, it may do all.
#[derive(Debug, Default)]
pub(crate) struct Confinement {
    folders: system::Folders,
    programs: Option<Programs>,
}

/// The programs that may be executed: the one that is confined must be among them.
#[derive(Clone, Debug)]
pub(crate) struct Programs(system::Programs);

impl Programs {
    /// These programs, as they are now, and what the system starts them with. Scripts are an error, since their
    /// interpreters can execute everything.
    pub(crate) fn new(programs: &[PathBuf]) -> io::Result<Self> {
        system::open_programs(programs).map(Programs)
    }
}

impl Confinement {
    /// These folders, as they are now. No link on the way to them is followed. Without `programs`, all may be executed.
    pub(crate) fn new(folders: &[PathBuf], programs: Option<Programs>) -> io::Result<Self> {
        let folders = system::open_folders(folders)?;
        Ok(Confinement { folders, programs })
    }

    /// Starts a program, from within the runtime.
    pub(crate) fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        let programs = self.programs.as_ref().map(|programs| &programs.0);
        system::spawn(command, &self.folders, programs)
    }
}

#[cfg(target_os = "linux")]
mod linux {
    mod loader;

    use std::fs::File;
    use std::io;
    use std::os::fd::{AsFd, OwnedFd};
    use std::path::PathBuf;
    use std::sync::Arc;

    use landlock::{
        ABI, AccessFs, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr,
    };
    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
    use tokio::process::{Child, Command};
    use tokio::runtime::Handle;

    pub(super) type Folders = Vec<OwnedFd>;
    pub(super) type Programs = Arc<Vec<File>>;

    pub(super) fn open_folders(folders: &[PathBuf]) -> io::Result<Folders> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = |folder| {
            openat2(CWD, folder, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
                .map_err(io::Error::from)
        };
        folders.iter().map(open).collect()
    }

    pub(super) fn open_programs(programs: &[PathBuf]) -> io::Result<Programs> {
        let mut opened = Vec::new();
        for program in programs {
            let program = File::open(program)?;
            if let Some(loader) = loader::of(&program)? {
                opened.push(File::open(loader)?);
            }
            opened.push(program);
        }
        Ok(opened.into())
    }

    /// A thread that confines itself stays so, and its children with it.
    pub(super) fn spawn(
        command: &mut Command,
        folders: &Folders,
        programs: Option<&Programs>,
    ) -> io::Result<Child> {
        let runtime = Handle::current();
        std::thread::scope(|scope| {
            let spawned = scope.spawn(|| {
                confine(folders, programs).map_err(io::Error::other)?;
                let _runtime = runtime.enter();
                command.spawn()
            });
            let panicked = |_| Err(io::Error::other("the thread that starts it panicked"));
            spawned.join().unwrap_or_else(panicked)
        })
    }

    fn confine(
        folders: &Folders,
        programs: Option<&Programs>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let writing = AccessFs::from_write(ABI::V3);
        let rule = |file, access: BitFlags<AccessFs>| PathBeneath::new(file, access);
        let mut rules = Ruleset::default().handle_access(writing)?;
        if programs.is_some() {
            rules = rules.handle_access(AccessFs::Execute)?;
        }
        let mut rules = rules.create()?;
        for folder in folders {
            rules = rules.add_rule(rule(folder.as_fd(), writing))?;
        }
        for program in programs.into_iter().flat_map(|all| all.iter()) {
            rules = rules.add_rule(rule(program.as_fd(), AccessFs::Execute.into()))?;
        }
        let null = PathFd::new("/dev/null")?;
        rules = rules.add_rule(rule(null.as_fd(), AccessFs::WriteFile.into()))?;
        rules.restrict_self()?;
        Ok(())
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::io;
    use std::path::PathBuf;

    use tokio::process::{Child, Command};

    pub(super) type Folders = ();
    pub(super) type Programs = ();

    pub(super) fn open_folders(_: &[PathBuf]) -> io::Result<Folders> {
        Ok(())
    }

    pub(super) fn open_programs(_: &[PathBuf]) -> io::Result<Programs> {
        Ok(())
    }

    pub(super) fn spawn(
        command: &mut Command,
        (): &Folders,
        _: Option<&Programs>,
    ) -> io::Result<Child> {
        command.spawn()
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::*;

    async fn ends_well(script: &str, confinement: &Confinement) -> bool {
        let mut shell = Command::new("/bin/sh");
        let mut child = confinement.spawn(shell.args(["-c", script])).unwrap();
        child.wait().await.unwrap().success()
    }

    #[tokio::test]
    async fn no_program_but_those_that_are_named_can_be_executed() {
        let folder = tempfile::tempdir().unwrap();
        let (other, script) = (folder.path().join("cat"), folder.path().join("script"));
        std::fs::copy("/bin/cat", &other).unwrap();
        std::fs::write(&script, format!("#!/bin/sh\n{}", " ".repeat(100))).unwrap();
        let confinement = |programs: &[PathBuf]| {
            let programs = Programs::new(programs).unwrap();
            Confinement::new(&[], Some(programs)).unwrap()
        };
        let shell = PathBuf::from("/bin/sh");
        let alone = confinement(std::slice::from_ref(&shell));
        let both = confinement(&[shell, other.clone()]);
        let other = format!("{} /dev/null", other.display());
        for (script, in_alone) in [
            ("exit 0", true),
            (other.as_str(), false),
            (&format!("/bin/sh -c 'exec {other}'"), false),
        ] {
            assert!(ends_well(script, &Confinement::default()).await, "{script}");
            assert!(ends_well(script, &both).await, "{script}");
            assert_eq!(ends_well(script, &alone).await, in_alone, "{script}");
        }
        assert!(Programs::new(&[script]).is_err());
    }
}
