//! The files of `packaging`: the Debian package in a fresh system, and the units of systemd.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use acme_alias_tests::{
    Debian, Error, Result, Settings, SimulatedCa, TestBed, Validation, parse_cyclonedx,
};

use crate::first_certificate::FirstCertificate;
use crate::guide_text::{blocks, read};

/// The greatest exposure that `systemd-analyze security` may find, in tenths.
const EXPOSURE_MAX: &str = "20";
/// Where the package wants secrets.
const SECRETS: &str = "/etc/acme-alias/secrets";

/// Programs of the client that a system in a folder does not have, or that would reach another machine.
const STAND_INS: [(&str, &str); 4] = [
    ("apt", "shift; exec dpkg --install \"$@\""),
    ("scp", "exec cp \"${1#*:}\" \"$2\""),
    ("systemctl", "echo \"$@\" >> /var/log/systemctl"),
    (
        "sudo",
        "[ \"$1\" = -u ] || exec \"$@\"\nuser=$2\nshift 2\n\
         exec setpriv --reuid=\"$user\" --regid=\"$user\" --clear-groups \"$@\"",
    ),
];

/// Puts what belongs to the bed above the settings of the page, in the file of the user.
fn write_above(debian: &Debian, settings: &mut Settings) -> Result {
    let ca = "/etc/acme-alias/ca.pem";
    if let Some(root) = settings.ca_file.replace(PathBuf::from(ca)) {
        fs::copy(root, debian.path(ca))?;
        fs::set_permissions(debian.path(ca), Permissions::from_mode(0o644))?;
    }
    settings.state = PathBuf::new();
    let folder = "/var/lib/acme-alias/.config/acme-alias";
    let script = format!("mkdir -p {folder} && cat > {folder}/config.toml");
    let script = format!("{script} <<'END'\n{settings}\nEND");
    debian.run(&["sh", "-c", &script])?.assert_success();
    Ok(())
}

/// Runs every line of the `sh` blocks of a text as root.
fn run_lines(debian: &Debian, text: &str) -> Result<usize> {
    let mut ran = 0;
    for block in blocks(text, "sh") {
        for line in block.lines() {
            debian.run_as("root", &["sh", "-c", line])?.assert_success();
            ran += 1;
        }
    }
    Ok(ran)
}

/// The first certificate, as `docs/first-certificate.md` describes it, in a system that has nothing but the package.
#[test]
fn a_fresh_debian_gets_its_first_certificate_with_the_package() -> Result {
    let first = FirstCertificate::start()?;
    let bed = &first.bed;
    let debian = Debian::with_package(bed.folder())?;
    assert_published(&debian)?;
    // What comes with the package is in order, and says what is missing.
    let user = |path: &str| fs::metadata(debian.path(path)).map(|file| file.uid());
    assert_ne!(user(SECRETS)?, 0);
    assert_eq!(user("/var/lib/acme-alias")?, user(SECRETS)?);
    let mode = |path: &str| fs::metadata(debian.path(path)).map(|file| file.mode() & 0o777);
    assert_eq!(mode(SECRETS)?, 0o700);
    for page in ["acme-alias", "acme-alias-renew"] {
        let page = format!("/usr/share/man/man1/{page}.1.gz");
        assert!(debian.path(&page).exists());
    }
    debian
        .run(&["acme-alias", "renew"])?
        .assert_failure(2, &["add a certificate to the settings"]);

    for (name, script) in STAND_INS {
        let path = debian.path("/usr/bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
        fs::set_permissions(&path, Permissions::from_mode(0o755))?;
    }
    // The key of the primary, which `scp` copies.
    let key_file = debian.path(&first.key_file);
    fs::create_dir_all(key_file.parent().unwrap_or(&key_file))?;
    fs::write(&key_file, &first.key)?;
    let settings = blocks(&first.page, "toml").remove(0);
    fs::write(debian.path("/etc/acme-alias/config.toml"), settings)?;
    let mut above = first.above("");
    write_above(&debian, &mut above)?;

    let (staging, production) = first.halves()?;
    let (_, client) = staging.split_once("\n## 4. ").unwrap_or_default();
    assert_eq!(run_lines(&debian, client)?, 12);
    assert_eq!(mode("/etc/acme-alias/secrets/acme-key.key")?, 0o600);
    assert_eq!(bed.orders()?, 1);
    let second = SimulatedCa::start(Validation::Trust)?;
    above.directory = second.directory();
    above.ca_file = Some(second.root().to_owned());
    write_above(&debian, &mut above)?;
    assert_eq!(run_lines(&debian, production)?, 4);
    assert_eq!(second.certificates(), 1);
    let settings = fs::read_to_string(debian.path("/etc/acme-alias/config.toml"))?;
    assert!(settings.contains("directory = \"letsencrypt\"\n"));
    let enabled = fs::read_to_string(debian.path("/var/log/systemctl"))?;
    assert_eq!(enabled, "enable --now acme-alias.timer\n");
    let chain = debian.path("/var/lib/acme-alias/certificates/web/fullchain.pem");
    assert!(chain.exists());
    assert_eq!(
        mode("/var/lib/acme-alias/certificates/web/privkey.pem")?,
        0o600
    );
    assert_eq!(bed.txt()?, []);
    assert_removal_keeps(&debian, &chain)
}

/// Removes the package, which keeps the certificates.
fn assert_removal_keeps(debian: &Debian, chain: &Path) -> Result {
    let dpkg = |option: &str| debian.run_as("root", &["dpkg", option, "acme-alias"]);
    dpkg("--remove")?.assert_success();
    assert!(chain.exists(), "servers may use it");
    assert!(!debian.path("/usr/bin/acme-alias").exists());
    let purged = dpkg("--purge")?;
    purged.assert_success();
    purged.assert_printed(&["certificates, keys and accounts stay in /var/lib/acme-alias"]);
    Ok(())
}

fn units() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/systemd")
}

/// What is published beside the package: checksums of everything, an archive that runs, and a bill of materials.
fn assert_published(debian: &Debian) -> Result {
    let folder = debian.packages();
    let mut sums = Command::new("sha256sum");
    sums.args(["--check", "--strict", "SHA256SUMS"])
        .current_dir(&folder);
    let sums = sums.output()?;
    let said = String::from_utf8_lossy(&sums.stdout).into_owned();
    assert!(sums.status.success(), "{said}");
    let file = |end: &str| {
        let names = said.lines().filter_map(|line| line.strip_suffix(": OK"));
        let name = names.into_iter().find(|name| name.ends_with(end));
        folder.join(name.unwrap_or_default())
    };
    assert_eq!(said.lines().count(), 3, "{said}");

    let unpacked = folder.join("unpacked");
    fs::create_dir(&unpacked)?;
    let mut tar = Command::new("tar");
    tar.arg("--extract").arg("--file").arg(file(".tar.gz"));
    assert!(tar.current_dir(&unpacked).status()?.success());
    let archive = fs::read_dir(&unpacked)?.next();
    let archive = archive
        .ok_or_else(|| Error::new("an empty archive"))??
        .path();
    for path in [
        "LICENSE-MIT",
        "docs/operations.md",
        "man/acme-alias-renew.1",
        "completions/_acme-alias",
        "packaging/systemd/acme-alias.timer",
    ] {
        assert!(archive.join(path).is_file(), "{path}");
    }
    let version = Command::new(archive.join("acme-alias"))
        .arg("--version")
        .output()?;
    assert!(version.status.success());

    let bill = parse_cyclonedx(&fs::read_to_string(file(".cdx.json"))?)?;
    assert_eq!(bill["metadata"]["component"]["name"], "acme-alias");
    let components = bill["components"].as_array().cloned().unwrap_or_default();
    let has = |name: &str| components.iter().any(|part| part["name"] == name);
    for part in ["acme-alias-core", "hickory-proto", "instant-acme", "rustls"] {
        assert!(has(part), "{part}");
    }
    assert!(!has("proptest") && !has("acme-alias-tests"));
    let foreign = components.iter().filter(|part| part["hashes"].is_null());
    let foreign = foreign.filter_map(|part| part["name"].as_str());
    let foreign: Vec<_> = foreign
        .filter(|name| !name.starts_with("acme-alias"))
        .collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    Ok(())
}

fn analyze(arguments: &[&str], unit: &Path) -> Result<Output> {
    let mut command = Command::new("systemd-analyze");
    Ok(command.args(arguments).arg(unit).output()?)
}

/// The values of a key of a unit.
fn values(unit: &str, key: &str) -> Vec<String> {
    let values = unit
        .lines()
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    values.map(str::to_owned).collect()
}

#[test]
fn the_units_that_renew_can_do_little_beside_that() -> Result {
    let threshold = format!("--threshold={EXPOSURE_MAX}");
    let options = ["security", "--offline=true", "--no-pager", &threshold];
    let folder = tempfile::tempdir()?;
    for name in ["acme-alias.service", "acme-alias-run.service"] {
        let unit = units().join(name);
        let checked = analyze(&options, &unit)?;
        let said = String::from_utf8_lossy(&checked.stdout).into_owned();
        assert!(checked.status.success(), "{said}");
        assert!(said.contains("Overall exposure level"), "{said}");
        // Without the hardening the same check fails.
        let text = fs::read_to_string(&unit)?;
        let (plain, _) = text.split_once("User=").unwrap_or_default();
        let bare = folder.path().join(name);
        fs::write(&bare, plain)?;
        assert!(!analyze(&options, &bare)?.status.success());
    }
    Ok(())
}

#[test]
fn the_units_are_valid_and_run_commands_that_exist() -> Result {
    let folder = tempfile::tempdir()?;
    let bed = TestBed::start()?;
    let program = bed.program(bed.settings())?;
    let mut commands = 0;
    for entry in fs::read_dir(units())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        let text = fs::read_to_string(&path)?;
        // The program need not be installed for this.
        let unit = text.replace("ExecStart=acme-alias", "ExecStart=/bin/true");
        fs::write(folder.path().join(name), unit)?;
        for command in values(&text, "ExecStart") {
            let mut words: Vec<_> = command.split(' ').collect();
            if words.remove(0) == "acme-alias" {
                words.push("--help");
                program.run(&words)?.assert_success();
                commands += 1;
            }
        }
    }
    assert_eq!(commands, 2);
    for entry in fs::read_dir(folder.path())? {
        let unit = entry?.path();
        let verified = analyze(&["verify", "--man=no"], &unit)?;
        let said = String::from_utf8_lossy(&verified.stderr).into_owned();
        assert!(verified.status.success() && said.is_empty(), "{said}");
    }
    Ok(())
}

#[test]
fn additions_to_the_units_are_valid_and_leave_them_narrow() -> Result {
    let folder = tempfile::tempdir()?;
    let unit = folder.path().join("acme-alias.service");
    let text = fs::read_to_string(units().join("acme-alias.service"))?;
    fs::write(
        &unit,
        text.replace("ExecStart=acme-alias", "ExecStart=/bin/true"),
    )?;
    let additions = folder.path().join("acme-alias.service.d");
    fs::create_dir(&additions)?;
    let addition = additions.join("override.conf");
    let verified = |text: &str| -> Result<String> {
        fs::write(&addition, text)?;
        let output = analyze(&["verify", "--man=no"], &unit)?;
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert!(verified("[Service]\nNonsense=no\n")?.contains("Nonsense"));
    let on_page = blocks(&read("operations.md")?, "ini");
    assert_eq!(on_page.len(), 3);
    let threshold = format!("--threshold={EXPOSURE_MAX}");
    for text in on_page {
        assert_eq!(verified(&text)?, "", "{text}");
        let options = ["security", "--offline=true", "--no-pager", &threshold];
        assert!(analyze(&options, &unit)?.status.success(), "{text}");
    }
    Ok(())
}
