//! The files of `packaging`: the Debian package in a fresh system, and the units of systemd.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use acme_alias_tests::{Debian, Outcome, Result, TestBed};

/// The greatest exposure that `systemd-analyze security` may find, in tenths.
const EXPOSURE_MAX: &str = "20";
/// Where the package wants secrets.
const SECRETS: &str = "/etc/acme-alias/secrets";

/// The first certificate, as `docs/operations.md` describes it, in a system that has nothing but the package.
#[test]
fn a_fresh_debian_gets_its_first_certificate_with_the_package() -> Result {
    let bed = TestBed::builder().delegate(&["example.com"]).start()?;
    let debian = Debian::with_package(bed.folder())?;
    // What comes with the package is in order, and says what is missing.
    let user = |path: &str| fs::metadata(debian.path(path)).map(|file| file.uid());
    assert_ne!(user(SECRETS)?, 0);
    assert_eq!(user("/var/lib/acme-alias")?, user(SECRETS)?);
    let mode = fs::metadata(debian.path(SECRETS))?.mode() & 0o777;
    assert_eq!(mode, 0o700);
    for page in ["acme-alias", "acme-alias-renew"] {
        assert!(
            debian
                .path(&format!("/usr/share/man/man1/{page}.1.gz"))
                .exists()
        );
    }
    debian
        .run(&["acme-alias", "renew"])?
        .assert_failure(2, &["add a certificate to the settings"]);

    let (key, ca) = ("/tmp/acme-key.secret", "/etc/acme-alias/ca.pem");
    fs::copy(bed.secret_file("acme-key"), debian.path(key))?;
    fs::copy(bed.ca_file(), debian.path(ca))?;
    let as_root = |line: &[&str]| -> Result<Outcome> {
        let outcome = debian.run_as("root", line)?;
        outcome.assert_success();
        Ok(outcome)
    };
    as_root(&["chmod", "644", ca])?;
    let installed = ["install", "--owner=acme-alias", "--mode=600", key, SECRETS];
    as_root(&installed)?;

    let mut settings = bed.settings();
    settings.state = PathBuf::from("/var/lib/acme-alias");
    settings.ca_file = Some(PathBuf::from(ca));
    settings.alias_zones.truncate(1);
    settings.providers.truncate(1);
    settings.providers[0].secret = Path::new(SECRETS).join("acme-key.secret");
    let settings = settings.certificate("web", "domains = [\"example.com\"]");
    fs::write(
        debian.path("/etc/acme-alias/config.toml"),
        settings.to_string(),
    )?;

    for line in [
        &["acme-alias", "config", "check"][..],
        &["acme-alias", "check", "--write"],
        &["acme-alias", "issue", "web"],
        &["acme-alias", "list", "--check"],
    ] {
        debian.run(line)?.assert_success();
    }
    let chain = debian.path("/var/lib/acme-alias/certificates/web/fullchain.pem");
    let key = debian.path("/var/lib/acme-alias/certificates/web/privkey.pem");
    assert!(chain.exists());
    assert_eq!(fs::metadata(key)?.mode() & 0o777, 0o600);
    assert_eq!(bed.txt()?, []);

    as_root(&["dpkg", "--remove", "acme-alias"])?;
    assert!(chain.exists(), "servers may use it");
    assert!(!debian.path("/usr/bin/acme-alias").exists());
    let purged = as_root(&["dpkg", "--purge", "acme-alias"])?;
    purged.assert_printed(&["certificates, keys and accounts stay in /var/lib/acme-alias"]);
    Ok(())
}

fn units() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/systemd")
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
