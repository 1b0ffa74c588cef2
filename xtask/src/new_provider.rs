//! Generates a crate for a new provider. It compiles, is registered and linked, and its conformance test
//! fails until the provider is written.

use std::fs;
use std::path::Path;

use crate::docs::{self, Mode};
use crate::step::{Failure, cargo};

/// The files of a provider. `{name}` in a path or a text stands for its kind, `{Name}` for its type.
const FILES: &[(&str, &str)] = &[
    (
        "providers/{name}/Cargo.toml",
        include_str!("../templates/provider/Cargo.toml.in"),
    ),
    (
        "providers/{name}/src/lib.rs",
        include_str!("../templates/provider/lib.rs.in"),
    ),
    (
        "providers/{name}/src/config.rs",
        include_str!("../templates/provider/config.rs.in"),
    ),
    (
        "providers/{name}/src/client.rs",
        include_str!("../templates/provider/client.rs.in"),
    ),
    (
        "providers/{name}/src/error.rs",
        include_str!("../templates/provider/error.rs.in"),
    ),
    (
        "providers/{name}/src/provider.rs",
        include_str!("../templates/provider/provider.rs.in"),
    ),
    (
        "providers/{name}/src/rights.rs",
        include_str!("../templates/provider/rights.rs.in"),
    ),
    (
        "tests/tests/scenarios/conformance/{name}.rs",
        include_str!("../templates/provider/conformance.rs.in"),
    ),
    (
        "docs/providers/{name}.md",
        include_str!("../templates/provider/page.md.in"),
    ),
];

/// The lines that link it to the program: a file, the beginning of a line, and what is put before it.
const LINES: &[(&str, &str, &str)] = &[
    (
        "Cargo.toml",
        "acme-alias-tests = ",
        "acme-alias-{name} = { path = \"providers/{name}\", version = \"{version}\" }\n",
    ),
    (
        "cli/Cargo.toml",
        "# End of the providers' features.",
        "{name} = [\"dep:acme-alias-{name}\"]\n",
    ),
    (
        "cli/Cargo.toml",
        "# End of the providers.",
        "acme-alias-{name} = { workspace = true, optional = true }\n",
    ),
    (
        "cli/src/lib.rs",
        "// End of the providers.",
        "#[cfg(feature = \"{name}\")]\nuse acme_alias_{name} as _;\n",
    ),
    (
        "cli/src/lib.rs",
        "            // End of the providers' features.",
        "            (\"{name}\", cfg!(feature = \"{name}\")),\n",
    ),
    (
        "tests/Cargo.toml",
        "# End of the providers.",
        "acme-alias-{name}.workspace = true\n",
    ),
    (
        "tests/tests/scenarios/conformance.rs",
        "// End of the providers.",
        "mod {name};\n",
    ),
];

pub(crate) fn run(name: &str) -> Result<(), Failure> {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(letters) {
        return Err(Failure::Other(format!(
            "`{name}` cannot be the kind of a provider: use lower-case letters and digits, and begin \
             with a letter"
        )));
    }
    let filled = |text: &str| {
        text.replace("{name}", name)
            .replace("{Name}", &type_name(name))
            .replace("{version}", env!("CARGO_PKG_VERSION"))
    };
    for (path, text) in FILES {
        write_new(Path::new(&filled(path)), &filled(text))?;
    }
    for (path, before, line) in LINES {
        insert(Path::new(path), before, &filled(line))?;
    }
    let default = format!("\"{name}\"]\n");
    replace(Path::new("cli/Cargo.toml"), "default = [", |line| {
        line.replace("]\n", &format!(", {default}"))
    })?;
    cargo("fmt --all")?;
    docs::run(Mode::Write)?;
    eprintln!(
        "created providers/{name}; continue with docs/adding-a-provider.md, and with\n    \
         cargo test --package acme-alias-tests {name}_conforms"
    );
    Ok(())
}

fn type_name(name: &str) -> String {
    let (first, rest) = name.split_at(1);
    first.to_ascii_uppercase() + rest
}

fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    if path.exists() {
        return Err(Failure::Other(format!(
            "{} exists already; nothing was overwritten",
            path.display()
        )));
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| Failure::Other(format!("{}: {error}", path.display())))
}

/// Puts `text` before the line that begins with `before`.
fn insert(path: &Path, before: &str, text: &str) -> Result<(), Failure> {
    replace(path, before, |line| format!("{text}{line}"))
}

/// Replaces the line that begins with `start`.
fn replace(path: &Path, start: &str, new: impl Fn(&str) -> String) -> Result<(), Failure> {
    let failed =
        |what: &dyn std::fmt::Display| Failure::Other(format!("{}: {what}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| failed(&error))?;
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    if !lines.iter().any(|line| line.starts_with(start)) {
        return Err(failed(&format!("no line begins with `{start}`")));
    }
    let replaced: String = lines
        .into_iter()
        .map(|line| {
            if line.starts_with(start) {
                new(line)
            } else {
                line.to_owned()
            }
        })
        .collect();
    fs::write(path, replaced).map_err(|error| failed(&error))
}
