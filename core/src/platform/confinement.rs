//! Running a program that can write in some folders only, whatever links it follows (Landlock of Linux 5.13 and later).

use std::io;
use std::path::PathBuf;

use tokio::process::{Child, Command};

#[cfg(target_os = "linux")]
use self::linux as system;
#[cfg(not(target_os = "linux"))]
use self::other as system;

/// The folders in which a program may write, and in what is below them. The default is none. Where the system cannot
/// confine a program, it may write everywhere.
#[derive(Debug, Default)]
pub(crate) struct Confinement(system::Folders);

impl Confinement {
    /// These folders, as they are now. No link on the way to them is followed.
    pub(crate) fn new(folders: &[PathBuf]) -> io::Result<Self> {
        system::open(folders).map(Confinement)
    }

    /// Starts a program, from within the runtime.
    pub(crate) fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        system::spawn(command, &self.0)
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::{AsFd, OwnedFd};
    use std::path::PathBuf;

    use landlock::{
        ABI, AccessFs, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr,
    };
    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
    use tokio::process::{Child, Command};
    use tokio::runtime::Handle;

    pub(super) type Folders = Vec<OwnedFd>;

    pub(super) fn open(folders: &[PathBuf]) -> io::Result<Folders> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = |folder| {
            openat2(CWD, folder, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
                .map_err(io::Error::from)
        };
        folders.iter().map(open).collect()
    }

    /// A thread that confines itself stays so, and its children with it.
    pub(super) fn spawn(command: &mut Command, folders: &Folders) -> io::Result<Child> {
        let runtime = Handle::current();
        std::thread::scope(|scope| {
            let spawned = scope.spawn(|| {
                confine(folders).map_err(io::Error::other)?;
                let _runtime = runtime.enter();
                command.spawn()
            });
            let panicked = |_| Err(io::Error::other("the thread that starts it panicked"));
            spawned.join().unwrap_or_else(panicked)
        })
    }

    fn confine(folders: &Folders) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let writing = AccessFs::from_write(ABI::V3);
        let rule = |folder, access: BitFlags<AccessFs>| PathBeneath::new(folder, access);
        let mut rules = Ruleset::default().handle_access(writing)?.create()?;
        for folder in folders {
            rules = rules.add_rule(rule(folder.as_fd(), writing))?;
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

    pub(super) fn open(_: &[PathBuf]) -> io::Result<Folders> {
        Ok(())
    }

    pub(super) fn spawn(command: &mut Command, (): &Folders) -> io::Result<Child> {
        command.spawn()
    }
}
