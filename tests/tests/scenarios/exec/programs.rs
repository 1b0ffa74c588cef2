//! The programs of the guide, for the servers of a bed; and acme.sh's stand-in.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use acme_alias_tests::{ALIAS_ZONE, Error, Result, Settings, TestBed};
use tempfile::NamedTempFile;

use crate::guide_text::{blocks, read};

/// Writes an executable script; only its owner can change it.
///
/// Another process writes it: no process that another test starts at the same time inherits the open file, which could not
/// be executed meanwhile ("Text file busy").
pub(crate) fn script(path: &Path, text: &str) -> Result<PathBuf> {
    let draft = NamedTempFile::new()?;
    fs::write(&draft, text)?;
    let mut install = Command::new("install");
    install.args(["--mode", "755"]).arg(draft.path()).arg(path);
    let status = install.status()?;
    assert!(status.success(), "{}: {status}", path.display());
    Ok(path.to_owned())
}

/// The program of the guide that begins with `#!` and has this text, with `from` replaced by `to`.
fn of_the_guide(text: &str, replacements: &[(&str, &str)]) -> Result<String> {
    let page = read("exec.md")?;
    let programs = blocks(&page, "sh").into_iter();
    let mut programs = programs.filter(|block| block.starts_with("#!") && block.contains(text));
    let program = programs.next().ok_or_else(|| Error::new(text))?;
    let mut replaced = program;
    for (from, to) in replacements {
        assert!(replaced.contains(from), "{from}");
        replaced = replaced.replace(from, to);
    }
    Ok(replaced)
}

/// The key file of the alias zone, as BIND's tools read it.
fn key_file(bed: &TestBed) -> Result<String> {
    let path = bed.write_secret("acme-key.key", &bed.key(ALIAS_ZONE)?.to_string())?;
    Ok(path.display().to_string())
}

const KEY: &str = "/etc/acme-alias/acme-key.key";

/// The guide's program for the protocol json, which changes the zone at this server.
pub(crate) fn json(bed: &TestBed, server: SocketAddr) -> Result<PathBuf> {
    let (address, port) = (server.ip().to_string(), server.port().to_string());
    let text = of_the_guide(
        "jq -n",
        &[
            ("192.0.2.53", &address),
            ("port=53", &format!("port={port}")),
            (KEY, &key_file(bed)?),
        ],
    )?;
    script(&bed.folder().join(format!("json-{port}")), &text)
}

/// The same for the protocol lego.
pub(crate) fn lego(bed: &TestBed, server: SocketAddr) -> Result<PathBuf> {
    let port = server.port();
    let address = format!("{} {port}", server.ip());
    let replacements = [
        ("192.0.2.53 53", address.as_str()),
        (KEY, &key_file(bed)?),
        // So that no run waits for what the CA may have in its cache.
        (" 60 TXT", " 0 TXT"),
    ];
    let text = of_the_guide("present)", &replacements)?;
    script(&bed.folder().join(format!("lego-{port}")), &text)
}

/// An acme.sh with a script for this server, and without credentials; returns its folder.
pub(crate) fn acme_sh(bed: &TestBed, server: SocketAddr) -> Result<PathBuf> {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/acme-sh");
    let home = bed.folder().join(format!("acme-sh-{}", server.port()));
    fs::create_dir_all(home.join("dnsapi"))?;
    for file in ["acme.sh", "dnsapi/dns_bed.sh"] {
        let path = home.join(file);
        fs::write(&path, fs::read_to_string(from.join(file))?)?;
        fs::set_permissions(&path, Permissions::from_mode(0o644))?;
    }
    let conf = home.join("account.conf");
    let address = format!("{} {}", server.ip(), server.port());
    fs::write(&conf, format!("SAVED_BED_SERVER='{address}'\n"))?;
    fs::set_permissions(&conf, Permissions::from_mode(0o600))?;
    Ok(home)
}

/// The secret that the script of [`acme_sh`] needs in `BED_KEY`, as `nsupdate` takes it.
pub(crate) fn bed_key(bed: &TestBed) -> Result<String> {
    let key = bed.key(ALIAS_ZONE)?;
    Ok(format!("{}:{} {}", key.algorithm, key.name, key.secret))
}

/// The settings of a provider `own` for each protocol, with its name.
pub(crate) fn every_protocol(bed: &TestBed) -> Result<[(&'static str, String); 3]> {
    let secret = bed.write_secret("bed.key", &bed_key(bed)?)?;
    let server = bed.primary();
    let json = format!("command = '{}'\nttl = 0", json(bed, server)?.display());
    let lego = format!(
        "protocol = 'lego'\ncommand = '{}'",
        lego(bed, server)?.display()
    );
    let acme_sh = format!(
        "protocol = 'acme.sh'\nhome = '{}'\nscript = 'dns_bed'\n\
         environment = {{ BED_KEY = {{ file = '{}' }} }}",
        acme_sh(bed, server)?.display(),
        secret.display()
    );
    Ok([("json", json), ("lego", lego), ("acme.sh", acme_sh)])
}

/// Settings whose only alias zone has a provider of the kind exec with these options.
pub(crate) fn settings(mut settings: Settings, options: &str) -> Settings {
    settings.providers.clear();
    settings.alias_zones.truncate(1);
    settings.alias_zones[0].provider = "own";
    settings.more = format!("[providers.own]\nkind = 'exec'\n{options}\n");
    settings
}
