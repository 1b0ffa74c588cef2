//! The page on operations, with its own words, and the files of `packaging` that no system here can run.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use acme_alias_tests::{Error, Result, TestBed};

use crate::guide_text::{blocks, commands, read, section};

/// Where the archive is on the page.
const ARCHIVE: &str = "/var/backups/acme-alias.tar";

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging")
}

/// Runs the `tar` and `chmod` commands of a section of the page, with `root` in place of the root folder.
fn run_with_root(page: &str, heading: &str, root: &Path, archive: &Path) -> Result<usize> {
    let mut ran = 0;
    for block in blocks(&section(page, heading)?, "sh") {
        let lines = block.lines().filter_map(|line| line.strip_prefix("sudo "));
        for line in lines.filter(|line| line.starts_with("tar ") || line.starts_with("chmod ")) {
            let directory = format!("--directory {}", root.display());
            let line = line
                .replace("--directory /", &directory)
                .replace(ARCHIVE, &archive.display().to_string());
            let output = Command::new("sh").args(["-c", &line]).output()?;
            assert!(output.status.success(), "{line}: {output:?}");
            ran += 1;
        }
    }
    Ok(ran)
}

#[test]
fn a_backup_is_restored_elsewhere_and_nothing_is_ordered_again() -> Result {
    let page = read("operations.md")?;
    let bed = TestBed::builder().delegate(&["example.com"]).start()?;
    let (old, new) = (bed.folder().join("old"), bed.folder().join("new"));
    let state_in = |root: &Path| root.join("var/lib/acme-alias");
    let archive = bed.folder().join("acme-alias.tar");
    let etc = old.join("etc/acme-alias");
    fs::create_dir_all(&etc)?;
    fs::create_dir_all(old.join("var/lib"))?;
    fs::create_dir(&new)?;
    fs::write(etc.join("config.toml"), "")?;

    let deployed = bed.folder().join("web.pem");
    let target = format!(
        "domains = [\"example.com\"]\n[[certificates.web.deploy]]\nkind = \"files\"\nfullchain = \"{}\"",
        deployed.display()
    );
    let mut settings = bed.settings().certificate("web", &target);
    settings.state = state_in(&old);
    let mut program = bed.program(settings)?;
    program.run(&["issue", "web"])?.assert_success();
    let show_account = ["account", "show", "--output", "json"];
    let account = program.run(&show_account)?;
    account.assert_success();
    assert_eq!(run_with_root(&page, "Back up", &old, &archive)?, 2);
    assert_eq!(fs::metadata(&archive)?.permissions().mode() & 0o777, 0o600);

    // The old host is gone, with the file of its target.
    fs::remove_dir_all(&old)?;
    fs::remove_file(&deployed)?;
    assert_eq!(run_with_root(&page, "Restore", &new, &archive)?, 1);
    assert!(new.join("etc/acme-alias/config.toml").exists());
    program.settings.state = state_in(&new);
    let commands = commands(&section(&page, "Restore")?);
    assert_eq!(commands.len(), 3);
    for command in &commands {
        program.run(command)?.assert_success();
    }
    let key = state_in(&new).join("certificates/web/privkey.pem");
    assert_eq!(fs::metadata(key)?.permissions().mode() & 0o777, 0o600);
    assert_eq!(bed.orders()?, 1);
    // As the page says: a target that was done is not done again, except by another order.
    assert!(!deployed.exists());
    program.run(&["renew", "web", "--force"])?.assert_success();
    assert!(deployed.exists());
    assert_eq!(program.run(&show_account)?.stdout, account.stdout);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn the_commands_of_the_user_of_the_package_exist() -> Result {
    let bed = TestBed::builder().delegate(&["example.com"]).start()?;
    let settings = bed
        .settings()
        .certificate("web", "domains = [\"example.com\"]");
    let program = bed.program(settings)?;
    program.run(&["issue", "web"])?.assert_success();
    let page = read("operations.md")?;
    let commands = commands(&page);
    assert!(commands.len() > 4, "{commands:?}");
    for command in commands {
        program.run(&command)?.assert_success();
    }
    Ok(())
}

#[test]
fn the_settings_of_the_page_are_accepted() -> Result {
    let page = read("operations.md")?.replace("ssl-cert", "root");
    let blocks = blocks(&page, "toml");
    let [target, group] = blocks.as_slice() else {
        return Err(Error::new("two blocks of settings were expected"));
    };
    let bed = TestBed::start()?;
    let mut settings = bed
        .settings()
        .certificate("web", "domains = [\"example.com\"]");
    settings.more += target;
    settings.top.clone_from(group);
    let program = bed.program(settings)?;
    program.run(&["config", "check"])?.assert_success();
    Ok(())
}

#[test]
fn the_scripts_for_freebsd_have_no_mistakes_in_their_syntax() -> Result {
    let mut scripts = 0;
    for entry in fs::read_dir(packaging().join("freebsd"))? {
        let script = entry?.path();
        let checked = Command::new("sh").arg("-n").arg(&script).output()?;
        assert!(checked.status.success(), "{checked:?}");
        let mode = fs::metadata(&script)?.permissions().mode();
        assert_eq!(mode & 0o777, 0o755, "{}", script.display());
        scripts += 1;
    }
    assert_eq!(scripts, 2);
    Ok(())
}

#[test]
fn the_script_for_periodic_renews_only_if_it_is_enabled_and_reports_failures() -> Result {
    let folder = tempfile::tempdir()?;
    let (called, path) = (folder.path().join("called"), folder.path().join("su"));
    let su = format!(
        "#!/bin/sh\necho \"$ACME_ALIAS_CONFIG $ACME_ALIAS_STATE $*\" >> {}\nexit 1\n",
        called.display()
    );
    fs::write(&path, su)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    let run = |enabled: &str| {
        let mut command = Command::new("sh");
        command
            .arg(packaging().join("freebsd/500.acme-alias"))
            .env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()))
            .env("daily_acme_alias_enable", enabled);
        command.output().map(|output| output.status.code())
    };
    assert_eq!(run("NO")?, Some(0));
    assert!(!called.exists());
    assert_eq!(run("YES")?, Some(3));
    let expected = "/usr/local/etc/acme-alias/config.toml /var/db/acme-alias -m acme-alias -c /usr/local/bin/acme-alias renew --quiet\n";
    assert_eq!(fs::read_to_string(&called)?, expected);
    Ok(())
}

#[test]
fn the_container_runs_as_another_user_than_root_and_what_it_copies_exists() -> Result {
    let text = fs::read_to_string(packaging().join("Containerfile"))?;
    let value = |key: &str| {
        let lines = text.lines();
        let mut values = lines.filter_map(|line| line.strip_prefix(key));
        values.next_back().unwrap_or_default().to_owned()
    };
    let user: u32 = value("USER ")
        .split(':')
        .next()
        .unwrap_or_default()
        .parse()?;
    assert_ne!(user, 0);
    assert!(text.contains(&format!("--chown={user}:{user} ")), "{text}");
    let command: Vec<String> = serde_json::from_str(&value("CMD "))?;
    let bed = TestBed::start()?;
    let help = [command, vec!["--help".to_owned()]].concat();
    bed.run(&help)?.assert_success();
    let program: Vec<String> = serde_json::from_str(&value("ENTRYPOINT "))?;
    let built = format!("/root-of-image{}", program[0]);
    assert!(text.contains(&built), "{text}");
    Ok(())
}
