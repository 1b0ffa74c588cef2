//! Installs what the tests need: servers from Debian's packages, programs from Python's, and tools that cargo
//! builds.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;

use crate::step::{self, Failure};

/// A program, and its Debian package.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    program: &'static str,
    package: &'static str,
}

/// The programs that the test bed runs.
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
        program: "unbound",
        package: "unbound",
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
        program: "lego",
        package: "lego",
    },
    Tool {
        program: "dehydrated",
        package: "dehydrated",
    },
    Tool {
        program: "curl",
        package: "curl",
    },
    Tool {
        program: "openssl",
        package: "openssl",
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
    Tool {
        program: "unshare",
        package: "util-linux",
    },
    Tool {
        program: "mount",
        package: "mount",
    },
    Tool {
        program: "losetup",
        package: "mount",
    },
    Tool {
        program: "ip",
        package: "iproute2",
    },
    Tool {
        program: "chromium",
        package: "chromium",
    },
    Tool {
        program: "systemd-analyze",
        package: "systemd",
    },
    Tool {
        program: "mmdebstrap",
        package: "mmdebstrap",
    },
    Tool {
        program: "mkfs.exfat",
        package: "exfatprogs",
    },
    Tool {
        program: "mount.exfat-fuse",
        package: "exfat-fuse",
    },
];

/// The folder of the tools that are not Debian packages.
const TOOLS: &str = "target/tools";
/// Builds each feature by itself.
const CARGO_HACK: CargoTool = CargoTool {
    name: "cargo-hack",
    version: "0.6.46",
};
/// Checks bans, licences and sources.
const CARGO_DENY: CargoTool = CargoTool {
    name: "cargo-deny",
    version: "0.20.2",
};
/// Makes Debian packages.
const CARGO_DEB: CargoTool = CargoTool {
    name: "cargo-deb",
    version: "3.8.0",
};
/// A Route 53 for tests. The test bed looks for it in [`TOOLS`].
const MOTO: PythonTool = PythonTool {
    name: "moto",
    requirements: "moto[server]==5.2.5",
};
/// A CA for tests, and the server that runs it.
const ACME2CERTIFIER: PythonTool = PythonTool {
    name: "acme2certifier",
    requirements: "acme2certifier==0.46.3 gunicorn==27.0.1",
};
/// A program that carries out what `delegate` prints, parsers of the other languages, and the schema of bills of
/// materials.
const OCTODNS: PythonTool = PythonTool {
    name: "octodns",
    requirements: "octodns==1.22.0 octodns-bind==1.1.0 python-hcl2==8.1.4 esprima==4.0.1 \
                   cyclonedx-python-lib[json-validation]==11.12.0",
};
/// A program whose files are imported, and that the benchmark compares with.
const CERTBOT: PythonTool = PythonTool {
    name: "certbot",
    requirements: "certbot==5.8.0 certbot-dns-rfc2136==5.8.0",
};

/// The folders of servers on Debian. They are not in the `PATH` of a normal user.
const SYSTEM_FOLDERS: [&str; 2] = ["/usr/sbin", "/sbin"];

/// Installs those of `tools` that are missing.
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
            "`{program}` does not exist, although the package {package} is installed"
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

/// Installs everything that `cargo xtask test` needs.
pub(crate) fn all() -> Result<(), Failure> {
    programs()?;
    cargo_hack()?;
    cargo_deny().map(drop)
}

/// Installs the programs that the scenarios run.
pub(crate) fn programs() -> Result<(), Failure> {
    run(SERVERS)?;
    promtool()?;
    MOTO.install()?;
    ACME2CERTIFIER.install_by_pip_of(&MOTO)?;
    OCTODNS.install_by_pip_of(&MOTO)?;
    CERTBOT.install_by_pip_of(&MOTO)?;
    cargo_deb().map(drop)
}

/// Installs the program that checks the rules of Prometheus. Its package is only unpacked: to install it would start a
/// server.
fn promtool() -> Result<(), Failure> {
    let folder = PathBuf::from(TOOLS).join("promtool");
    if folder.join("promtool").is_file() {
        return Ok(());
    }
    let failed = |error| Failure::Other(format!("{}: {error}", folder.display()));
    fs::create_dir_all(&folder).map_err(failed)?;
    let download = || {
        let line = "apt-get download prometheus";
        let words = ["download", "prometheus"];
        step::run(
            line,
            Command::new("apt-get").args(words).current_dir(&folder),
        )
    };
    download().or_else(|_| apt_get(&["update"]).and_then(|()| download()))?;
    let script = "dpkg-deb --fsys-tarfile prometheus_*.deb | tar x --strip-components=3 ./usr/bin/promtool && rm *.deb";
    step::run(
        script,
        Command::new("sh").args(["-c", script]).current_dir(&folder),
    )
}

/// A Python program, with the requirements that pip installs, separated by spaces.
struct PythonTool {
    name: &'static str,
    requirements: &'static str,
}

/// Installs certbot, with which the benchmark compares.
pub(crate) fn certbot() -> Result<(), Failure> {
    MOTO.install()?;
    CERTBOT.install_by_pip_of(&MOTO)
}

impl PythonTool {
    /// Installs it in a virtual environment of its own.
    fn install(&self) -> Result<(), Failure> {
        if self.is_installed() {
            return Ok(());
        }
        let folder = self.folder();
        // On Debian this part of Python is a separate package.
        let mut python = Command::new("python3");
        let has_venv = python.args(["-c", "import ensurepip"]).status();
        if !has_venv.is_ok_and(|status| status.success()) {
            install(&["python3-venv"])?;
        }
        python3(&["-m", "venv", "--clear", &folder])?;
        self.install_requirements(&self.pip(), &[])
    }

    /// The same with the pip of another one, which is installed: to install a pip takes longer than most programs.
    fn install_by_pip_of(&self, other: &PythonTool) -> Result<(), Failure> {
        if self.is_installed() {
            return Ok(());
        }
        let folder = self.folder();
        python3(&["-m", "venv", "--clear", "--without-pip", &folder])?;
        let python = format!("{folder}/bin/python");
        self.install_requirements(&other.pip(), &["--python", &python])
    }

    fn folder(&self) -> String {
        format!("{TOOLS}/{}", self.name)
    }

    fn pip(&self) -> String {
        format!("{}/bin/pip", self.folder())
    }

    /// A file with the requirements that are installed.
    fn stamp(&self) -> PathBuf {
        PathBuf::from(self.folder()).join("installed")
    }

    fn is_installed(&self) -> bool {
        let installed = fs::read_to_string(self.stamp());
        installed.is_ok_and(|installed| installed == self.requirements)
    }

    fn install_requirements(&self, pip: &str, options: &[&str]) -> Result<(), Failure> {
        let install = ["install", "--quiet", "--disable-pip-version-check"];
        let requirements: Vec<_> = self.requirements.split(' ').collect();
        let arguments = [options, &install, &requirements].concat();
        step::run(
            &format!("{pip} {}", arguments.join(" ")),
            Command::new(pip).args(arguments),
        )?;
        let stamp = self.stamp();
        let written = fs::write(&stamp, self.requirements);
        written.map_err(|error| Failure::Other(format!("{}: {error}", stamp.display())))
    }
}

fn python3(arguments: &[&str]) -> Result<(), Failure> {
    step::run(
        &format!("python3 {}", arguments.join(" ")),
        Command::new("python3").args(arguments),
    )
}

/// A subcommand of cargo.
struct CargoTool {
    name: &'static str,
    version: &'static str,
}

/// The path of `cargo-hack`, which is built if it is missing.
pub(crate) fn cargo_hack() -> Result<PathBuf, Failure> {
    CARGO_HACK.path()
}

/// The path of `cargo-deb`, which is built if it is missing.
pub(crate) fn cargo_deb() -> Result<PathBuf, Failure> {
    CARGO_DEB.path()
}

/// The path of `cargo-deny`, which is built if it is missing.
pub(crate) fn cargo_deny() -> Result<PathBuf, Failure> {
    CARGO_DENY.path()
}

impl CargoTool {
    fn path(&self) -> Result<PathBuf, Failure> {
        let CargoTool { name, version } = self;
        let root = format!("{TOOLS}/{name}-{version}");
        let program = PathBuf::from(&root).join("bin").join(name);
        if !program.is_file() {
            let install = format!("install {name}@{version} --locked --debug --root {root}");
            let mut command = step::cargo_command(&install);
            // An optimised build takes several times as long, for work of seconds.
            command.env("CARGO_PROFILE_DEV_DEBUG", "false");
            step::run(&format!("cargo {install}"), &mut command)?;
        }
        // Relative paths of programs are resolved differently by each system.
        std::path::absolute(&program)
            .map_err(|error| Failure::Other(format!("{}: {error}", program.display())))
    }
}

fn missing(tools: &[Tool]) -> impl Iterator<Item = &Tool> {
    tools.iter().filter(|tool| !exists(tool.program))
}

fn exists(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SYSTEM_FOLDERS.iter().map(PathBuf::from))
        .any(|folder| folder.join(program).is_file())
}

/// Runs `apt-get` as root, or with sudo if it exists.
fn apt_get(arguments: &[&str]) -> Result<(), Failure> {
    const QUIET: &str = "DEBIAN_FRONTEND=noninteractive";
    if !exists("apt-get") {
        return Err(Failure::Other(
            "apt-get does not exist on this system".to_owned(),
        ));
    }
    // sudo does not pass the environment on, so `env` sets it after it.
    let prefix: &[&str] = match (is_root(), exists("sudo")) {
        (true, _) => &["env", QUIET, "apt-get"],
        (false, true) => &["sudo", "env", QUIET, "apt-get"],
        (false, false) => {
            return Err(Failure::Other(
                "this user is not root, and sudo does not exist".to_owned(),
            ));
        }
    };
    let line = [prefix, arguments].concat();
    step::run(&line.join(" "), Command::new(line[0]).args(&line[1..]))
}

/// `/proc/self` belongs to the effective user of the process.
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}
