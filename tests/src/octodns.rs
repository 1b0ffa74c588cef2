//! `OctoDNS`, and parsers of other languages in which zones and bills of materials are kept.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::error::{Context, Error, Result};

/// Where `cargo xtask setup` installs them, below the workspace.
const PROGRAMS: &str = "../target/tools/octodns/bin";

fn program(name: &str) -> Result<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(PROGRAMS)
        .join(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(Error::new(format_args!(
        "{} is not there; `cargo xtask setup` installs it",
        path.display()
    )))
}

/// Lets `OctoDNS` bring CNAME and CAA records into zones, as a person would do it: each zone with its YAML file. `server`
/// takes updates from anybody. `folder` must not exist.
pub fn octodns(folder: &Path, server: SocketAddr, zones: &[(String, String)]) -> Result {
    fs::create_dir(folder).context(folder.display())?;
    let mut config = format!(
        "processors:\n  only:\n    class: octodns.processor.filter.TypeAllowlistFilter\n    \
         allowlist: [CAA, CNAME]\n\
         providers:\n  files:\n    class: octodns.provider.yaml.YamlProvider\n    directory: {}\n  \
         server:\n    class: octodns_bind.Rfc2136Provider\n    host: {}\n    port: {}\n\
         zones:\n",
        folder.display(),
        server.ip(),
        server.port()
    );
    for (zone, text) in zones {
        fs::write(folder.join(format!("{zone}.yaml")), text)?;
        config.push_str(&format!(
            "  {zone}.:\n    sources: [files]\n    processors: [only]\n    targets: [server]\n"
        ));
    }
    let path = folder.join("octodns-config");
    fs::write(&path, config)?;
    let mut command = Command::new(program("octodns-sync")?);
    command
        .args(["--doit", "--force", "--config-file"])
        .arg(&path);
    run(&mut command, "").map(drop)
}

/// What is in a text in Terraform's language (HCL).
pub fn parse_hcl(text: &str) -> Result<Value> {
    parse(
        "import hcl2, json, sys; print(json.dumps(hcl2.load(sys.stdin)))",
        text,
    )
}

/// The syntax tree of a script in JavaScript.
pub fn parse_javascript(text: &str) -> Result<Value> {
    let script = "import esprima, json, sys; \
                  print(json.dumps(esprima.toDict(esprima.parseScript(sys.stdin.read()))))";
    parse(script, text)
}

/// Checks that a text is a bill of materials as `CycloneDX` 1.6 wants it, and returns it.
pub fn parse_cyclonedx(text: &str) -> Result<Value> {
    let script = "import sys\n\
                  from cyclonedx.schema import SchemaVersion\n\
                  from cyclonedx.validation.json import JsonStrictValidator\n\
                  text = sys.stdin.read()\n\
                  error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)\n\
                  sys.exit(repr(error)) if error else print(text)";
    parse(script, text)
}

fn parse(script: &str, text: &str) -> Result<Value> {
    let parsed = run(Command::new(program("python")?).args(["-c", script]), text)?;
    serde_json::from_str(&parsed).context("the parsed text")
}

/// What a program prints that gets this input.
fn run(command: &mut Command, input: &str) -> Result<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let written = child
        .stdin
        .take()
        .map(|mut stdin| stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    if output.status.success() {
        written.transpose()?;
        return Ok(text(&output.stdout));
    }
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    Err(Error::new(format_args!("{command:?}: {said}\n{input}")))
}
