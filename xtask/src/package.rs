//! `cargo xtask package`: the Debian package, with the program's man pages and completions.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::setup;
use crate::step::{self, Failure, cargo};

/// Where `cargo-deb` looks for what is not in the source tree (`package.metadata.deb` of the program).
const STAGE: &str = "target/package";
/// The optimised build.
const RELEASE: &str = "target/release/acme-alias";
/// Each shell, and the name that its completion script must have.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "acme-alias.bash"),
    ("zsh", "_acme-alias"),
    ("fish", "acme-alias.fish"),
];

/// Makes the package of `program`, or else of an optimised build, in the folder `to`.
pub(crate) fn run(program: Option<&Path>, to: &Path) -> Result<(), Failure> {
    if program.is_none() {
        cargo("build --package acme-alias --release")?;
    }
    stage(program.unwrap_or(Path::new(RELEASE)))?;
    let mut deb = Command::new(setup::cargo_deb()?);
    let arguments = "deb --package acme-alias --no-build --fast --quiet --output";
    deb.args(arguments.split(' ')).arg(to);
    step::run(&format!("cargo {arguments} {}", to.display()), &mut deb)
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
