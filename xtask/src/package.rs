//! `cargo xtask package`: what is published of a version. A Debian package, an archive for other systems, a bill of
//! materials, and the checksums of all of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::sbom;
use crate::setup;
use crate::step::{self, Failure, cargo};

/// Where `cargo-deb` looks for what is not in the source tree (`package.metadata.deb` of the program).
const STAGE: &str = "target/package";
/// Each shell, and the name that its completion script must have.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "acme-alias.bash"),
    ("zsh", "_acme-alias"),
    ("fish", "acme-alias.fish"),
];
/// What the archive has of the source tree.
const SOURCES: [&str; 9] = [
    "CHANGELOG.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "SECURITY.md",
    "docs",
    "packaging/freebsd",
    "packaging/monitoring",
    "packaging/systemd",
];
/// The checksums, as `sha256sum --check` reads them.
const CHECKSUMS: &str = "SHA256SUMS";

/// What to package.
#[derive(Debug, clap::Args)]
pub(crate) struct PackageArgs {
    /// Package this program instead of an optimised build. The bill of materials is that of the usual features
    #[arg(long, value_name = "FILE", conflicts_with = "target")]
    program: Option<PathBuf>,
    /// Build for this target of rustc, such as `x86_64-unknown-linux-musl`, and make no Debian package. This machine must
    /// be able to run the program, which prints its man pages
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    /// The folder to write to
    #[arg(long, value_name = "DIR", default_value = "target/packages")]
    to: PathBuf,
}

/// Makes all files in the folder.
pub(crate) fn run(args: &PackageArgs) -> Result<(), Failure> {
    let (to, target) = (&args.to, args.target.as_deref());
    done(to, fs::create_dir_all(to))?;
    let program = match &args.program {
        Some(program) => program.clone(),
        None => build(target)?,
    };
    stage(&program)?;
    let machine = match target {
        Some(target) => target.to_owned(),
        None => host()?,
    };
    let name = format!("acme-alias-{}-{machine}", env!("CARGO_PKG_VERSION"));
    archive(&name, to)?;
    let bill = to.join(format!("{name}.cdx.json"));
    done(&bill, fs::write(&bill, sbom::of_program(target)?))?;
    if target.is_none() {
        debian(to)?;
    }
    checksums(to)
}

/// The target that this machine is.
fn host() -> Result<String, Failure> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "host-tuple"]);
    let output = step::output("rustc --print host-tuple", &mut rustc)?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Makes an optimised build, and returns its program.
fn build(target: Option<&str>) -> Result<PathBuf, Failure> {
    let build = "build --package acme-alias --release --locked";
    let Some(target) = target else {
        cargo(build)?;
        return Ok(PathBuf::from("target/release/acme-alias"));
    };
    cargo(&format!("{build} --target {target}"))?;
    Ok(PathBuf::from(format!("target/{target}/release/acme-alias")))
}

fn debian(to: &Path) -> Result<(), Failure> {
    let mut deb = Command::new(setup::cargo_deb()?);
    let arguments = "deb --package acme-alias --no-build --fast --quiet --output";
    deb.args(arguments.split(' ')).arg(to);
    step::run(&format!("cargo {arguments} {}", to.display()), &mut deb)
}

/// The same files in one archive, always with the same octets.
fn archive(name: &str, to: &Path) -> Result<(), Failure> {
    let file = to.join(format!("{name}.tar.gz"));
    let mut tar = Command::new("tar");
    tar.args(["--create", "--gzip", "--sort=name", "--mtime=@0"])
        .args(["--owner=0", "--group=0", "--numeric-owner"])
        .arg("--mode=u+rw,go=rX")
        // In the archive everything is in a folder of its name.
        .arg(format!("--transform=flags=r;s,^,{name}/,"))
        .arg("--file")
        .arg(&file)
        .args(SOURCES)
        .arg(format!("--directory={STAGE}"))
        .args(["acme-alias", "completions", "man"]);
    step::run(&format!("tar --create --file {}", file.display()), &mut tar)
}

/// The checksums of all files in the folder.
fn checksums(folder: &Path) -> Result<(), Failure> {
    let mut names = Vec::new();
    for entry in done(folder, fs::read_dir(folder))? {
        let entry = done(folder, entry)?;
        let is_file = done(folder, entry.file_type())?.is_file();
        if is_file && entry.file_name() != CHECKSUMS {
            names.push(entry.file_name());
        }
    }
    names.sort();
    let mut sums = Command::new("sha256sum");
    sums.arg("--").args(names).current_dir(folder);
    let sums = step::output("sha256sum", &mut sums)?;
    let file = folder.join(CHECKSUMS);
    done(&file, fs::write(&file, sums.stdout))
}

/// Puts the program and what it prints about itself where `cargo-deb` looks for them.
fn stage(program: &Path) -> Result<(), Failure> {
    let stage = Path::new(STAGE);
    let (man, completions) = (stage.join("man"), stage.join("completions"));
    for folder in [&man, &completions] {
        let _ = fs::remove_dir_all(folder);
        done(folder, fs::create_dir_all(folder))?;
    }
    let staged = stage.join("acme-alias");
    done(program, fs::copy(program, &staged))?;
    let printed = |arguments: &[&str]| {
        let output = done(program, Command::new(program).args(arguments).output())?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(Failure::Other(text))
    };
    printed(&["man", &man.display().to_string()])?;
    for (shell, name) in COMPLETIONS {
        let file = completions.join(name);
        let script = printed(&["completions", shell])?;
        done(&file, fs::write(&file, script))?;
    }
    Ok(())
}

fn done<T>(path: &Path, done: std::io::Result<T>) -> Result<T, Failure> {
    done.map_err(|error| Failure::Other(format!("{}: {error}", path.display())))
}
