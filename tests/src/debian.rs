//! A fresh Debian system in a folder, with this project's package.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::error::{Context, Error, Result};
use crate::process;
use crate::program::{LIMIT, Outcome, Profile, Running, build};

/// The user that the package makes.
const USER: &str = "acme-alias";
/// What the package depends on, apart from the C library.
const DEPENDENCIES: &str = "adduser,ca-certificates";

/// The root folder of the system.
#[derive(Debug)]
pub struct Debian {
    root: PathBuf,
}

impl Debian {
    /// Makes the system below `folder`, and installs the package there.
    pub fn with_package(folder: &Path) -> Result<Debian> {
        let root = folder.join("debian");
        let made = std::thread::scope(|scope| {
            let system = scope.spawn(|| make_root(&root));
            let package = make_package(folder)?;
            let made = system.join();
            made.map_err(|_| Error::new("mmdebstrap panicked"))??;
            Ok::<_, Error>(package)
        })?;
        let name = made.file_name().unwrap_or_default();
        fs::copy(&made, root.join(name)).context(made.display())?;
        let debian = Debian { root };
        let installed = debian.run_as("root", &["dpkg", "--install", &name.to_string_lossy()])?;
        installed.assert_success();
        Ok(debian)
    }

    /// The folder with the package and what is published beside it.
    pub fn packages(&self) -> PathBuf {
        self.root.with_file_name("package")
    }

    /// The path of a file of the system, as this one sees it.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Runs a program there, as the user of the package.
    pub fn run(&self, line: &[&str]) -> Result<Outcome> {
        self.run_as(USER, line)
    }

    /// Runs a program there.
    pub fn run_as(&self, user: &str, line: &[&str]) -> Result<Outcome> {
        let mut command = process::command(process::find("chroot")?)?;
        command
            .arg(format!("--userspec={user}:{user}"))
            .arg(&self.root)
            .args(["/usr/bin/env", "--ignore-environment", "--chdir=/"])
            .arg("PATH=/usr/sbin:/usr/bin:/sbin:/bin")
            .arg("HOME=/var/lib/acme-alias")
            .args(line);
        let folder = tempfile::tempdir()?;
        Running::start("chroot", command, folder, LIMIT)?.wait()
    }
}

/// A system with what is essential, and nothing else.
fn make_root(root: &Path) -> Result {
    let mut command = process::command(process::find("mmdebstrap")?)?;
    let release = fs::read_to_string("/etc/os-release")?;
    let suite = release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let suite = suite.ok_or_else(|| Error::new("this is no Debian system"))?;
    command
        .args(["--quiet", "--variant=essential", "--include", DEPENDENCIES])
        .arg(suite)
        .arg(root);
    finish("mmdebstrap", &mut command)
}

/// Makes the package, and returns its file.
fn make_package(folder: &Path) -> Result<PathBuf> {
    let to = folder.join("package");
    fs::create_dir(&to)?;
    let mut command = process::command(process::find("cargo")?)?;
    command
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .args(["xtask", "package", "--program"])
        .arg(build(Profile::Debug)?)
        .arg("--to")
        .arg(&to);
    finish("cargo xtask package", &mut command)?;
    for file in fs::read_dir(&to)? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            return Ok(path);
        }
    }
    Err(Error::new("no package"))
}

fn finish(name: &str, command: &mut Command) -> Result {
    let began = Instant::now();
    let output = command.output().context(name)?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::new(format_args!(
        "{name} failed after {:?}:\n{}{}",
        began.elapsed(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )))
}
