//! Installing what the tests need: servers from Debian's packages, one from Python's, and a tool
//! built by cargo.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;

use crate::step::{self, Failure};

/// A program, and the Debian package it comes in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    program: &'static str,
    package: &'static str,
}

/// What the test bed runs.
pub(crate) const SERVERS: &[Tool] = &[
    Tool {
        program: "pebble",
        package: "pebble",
    },
    Tool {
        program: "named",
        package: "bind9",
    },
    Tool {
        program: "nsupdate",
        package: "bind9-dnsutils",
    },
    Tool {
        program: "knotd",
        package: "knot",
    },
    Tool {
        program: "pdns_server",
        package: "pdns-server",
    },
    Tool {
        program: "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql",
        package: "pdns-backend-sqlite3",
    },
    Tool {
        program: "sqlite3",
        package: "sqlite3",
    },
    Tool {
        program: "nsd",
        package: "nsd",
    },
    Tool {
        program: "faketime",
        package: "faketime",
    },
    Tool {
        program: "git",
        package: "git",
    },
    Tool {
        program: "python3",
        package: "python3",
    },
    Tool {
        program: "rndc",
        package: "bind9-utils",
    },
    Tool {
        program: "dnssec-signzone",
        package: "bind9-utils",
    },
    Tool {
        program: "setpriv",
        package: "util-linux",
    },
];

/// What the benchmark compares with.
pub(crate) const LEGO: Tool = Tool {
    program: "lego",
    package: "lego",
};

/// Where the tools that cargo builds are kept.
const TOOLS: &str = "target/tools";
/// Builds each feature by itself, and its version.
const CARGO_HACK: (&str, &str) = ("cargo-hack", "0.6.46");
/// A Route 53 for tests. The test bed looks for it where this puts it.
const MOTO: &str = "moto[server]==5.2.5";

/// Where Debian puts servers, which the `PATH` of a normal user lacks.
const SYSTEM_FOLDERS: [&str; 2] = ["/usr/sbin", "/sbin"];

/// Installs what is missing of `tools`; does nothing where nothing is.
pub(crate) fn run(tools: &[Tool]) -> Result<(), Failure> {
    let packages: Vec<_> = missing(tools).map(|tool| tool.package).collect();
    if packages.is_empty() {
        eprintln!("==> nothing to install");
        return Ok(());
    }
    install(&packages)?;
    match missing(tools).next() {
        None => Ok(()),
        Some(Tool { program, package }) => Err(Failure::Other(format!(
            "`{program}` is still not there, although the package {package} was installed"
        ))),
    }
}

fn install(packages: &[&str]) -> Result<(), Failure> {
    let install = ["install", "--yes", "--no-install-recommends"];
    let install = [&install[..], packages].concat();
    let by_hand = format!("apt-get update && apt-get {}", install.join(" "));
    let installed = apt_get(&["update"]).and_then(|()| apt_get(&install));
    installed.map_err(|failure| {
        Failure::Other(format!(
            "{failure}\nnot installed: {}; as root, run this:\n    {by_hand}",
            packages.join(", ")
        ))
    })
}

/// Installs whatever a test needs.
pub(crate) fn all() -> Result<(), Failure> {
    run(SERVERS)?;
    moto()?;
    cargo_hack().map(drop)
}

/// Installs moto into a virtual environment of its own.
fn moto() -> Result<(), Failure> {
    let folder = format!("{TOOLS}/moto");
    let stamp = PathBuf::from(&folder).join("installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == MOTO) {
        return Ok(());
    }
    // Debian has this part of Python in a package of its own.
    let mut python = Command::new("python3");
    let has_venv = python.args(["-c", "import ensurepip"]).status();
    if !has_venv.is_ok_and(|status| status.success()) {
        install(&["python3-venv"])?;
    }
    let pip = format!("{folder}/bin/pip");
    let venv = ["-m", "venv", "--clear", &folder];
    step::run(
        &format!("python3 {}", venv.join(" ")),
        Command::new("python3").args(venv),
    )?;
    let install = ["install", "--quiet", "--disable-pip-version-check", MOTO];
    step::run(
        &format!("{pip} {}", install.join(" ")),
        Command::new(&pip).args(install),
    )?;
    fs::write(&stamp, MOTO).map_err(|error| Failure::Other(format!("{}: {error}", stamp.display())))
}

/// Builds what is missing of the tools for cargo; returns the path of `cargo-hack`.
pub(crate) fn cargo_hack() -> Result<PathBuf, Failure> {
    let (name, version) = CARGO_HACK;
    let root = format!("{TOOLS}/{name}-{version}");
    let program = PathBuf::from(&root).join("bin").join(name);
    if !program.is_file() {
        let install = format!("install {name}@{version} --locked --root {root}");
        step::cargo(&install)?;
    }
    Ok(program)
}

fn missing(tools: &[Tool]) -> impl Iterator<Item = &Tool> {
    tools.iter().filter(|tool| !is_there(tool.program))
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SYSTEM_FOLDERS.iter().map(PathBuf::from))
        .any(|folder| folder.join(program).is_file())
}

/// Runs `apt-get` as root, or by sudo where that is there.
fn apt_get(arguments: &[&str]) -> Result<(), Failure> {
    const QUIET: &str = "DEBIAN_FRONTEND=noninteractive";
    if !is_there("apt-get") {
        return Err(Failure::Other("there is no apt-get here".to_owned()));
    }
    // sudo does not pass the environment on, so that `env` sets it behind it.
    let prefix: &[&str] = match (is_root(), is_there("sudo")) {
        (true, _) => &["env", QUIET, "apt-get"],
        (false, true) => &["sudo", "env", QUIET, "apt-get"],
        (false, false) => {
            return Err(Failure::Other(
                "this is not root, and there is no sudo".to_owned(),
            ));
        }
    };
    let line = [prefix, arguments].concat();
    step::run(&line.join(" "), Command::new(line[0]).args(&line[1..]))
}

/// The kernel gives `/proc/self` to the effective user of the process.
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}
