//! State folders of other clients that somebody has prepared: they are read, and nothing in them is run or followed.

use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use acme_alias_tests::{Profile, Result, build, output_of};
use tempfile::TempDir;

/// Another user. The tests run as root.
const STRANGER: Option<u32> = Some(65534);

/// A folder of another client, and the place of the program's own files.
struct Import {
    root: TempDir,
    client: &'static str,
}

impl Import {
    /// A folder of acme.sh with a certificate that is good.
    fn acme_sh() -> Result<Import> {
        // It takes a while, and some tests measure the time.
        build(Profile::Debug)?;
        let import = Import {
            root: TempDir::with_prefix("acme-alias-import-")?,
            client: "acme.sh",
        };
        import.conf("good.example", "Le_Domain='good.example'\nLe_Alt='no'\n")?;
        Ok(import)
    }

    fn folder(&self) -> PathBuf {
        self.root.path().join("other")
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.folder().join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, content)?;
        Ok(path)
    }

    /// Writes the file of a certificate of acme.sh.
    fn conf(&self, name: &str, text: &str) -> Result<PathBuf> {
        self.write(&format!("{name}_ecc/{name}.conf"), text)
    }

    fn run(&self, more: &[&str]) -> Result<Output> {
        let config = self.root.path().join("config.toml");
        if !config.exists() {
            fs::write(&config, "")?;
        }
        let mut command = Command::new(build(Profile::Debug)?);
        command
            .arg("--config")
            .arg(config)
            .arg("--state")
            .arg(self.root.path().join("state"))
            .args(["import", self.client])
            .arg(self.folder())
            .args(more)
            .env_clear()
            .env("HOME", self.root.path());
        Ok(command.output()?)
    }

    /// What is printed by an import that leaves out all but the certificate that is good.
    #[track_caller]
    fn only_the_good_one(&self) -> Result<String> {
        let output = self.run(&[])?;
        let text = String::from_utf8(output.stdout)?;
        assert!(output.status.success(), "{text}");
        let settings: toml::Table = toml::from_str(&text)?;
        let certificates = settings["certificates"].as_table();
        let ids: Vec<_> = certificates.into_iter().flatten().collect();
        assert_eq!(ids.len(), 1, "{text}");
        assert!(
            settings["certificates"].get("good-example").is_some(),
            "{text}"
        );
        Ok(words(&text))
    }
}

/// The text on one line, as before it was wrapped.
fn words(text: &str) -> String {
    let lines = text.lines().map(|line| line.trim_start_matches(['#', ' ']));
    lines.collect::<Vec<_>>().join(" ")
}

#[test]
fn files_that_lead_elsewhere_or_are_no_text_are_left_out() -> Result {
    let import = Import::acme_sh()?;
    let secret = import.root.path().join("secret");
    fs::write(&secret, "Le_Domain='canary.example'\n")?;
    let conf = |name: &str| import.folder().join(format!("{name}/{name}.conf"));
    for name in [
        "link.example",
        "zero.example",
        "fifo.example",
        "large.example",
        "nowhere.example",
    ] {
        fs::create_dir(import.folder().join(name))?;
    }
    symlink(&secret, conf("link.example"))?;
    symlink("/dev/zero", conf("zero.example"))?;
    symlink("missing", conf("nowhere.example"))?;
    symlink(import.root.path(), import.folder().join("folder.example"))?;
    fs::write(
        import.root.path().join("folder.example.conf"),
        "Le_Domain='canary.example'\n",
    )?;
    output_of(&format!("mkfifo {}", conf("fifo.example").display()))?;
    File::create(conf("large.example"))?.set_len(1 << 30)?;
    import.write("binary.example/binary.example.conf", b"Le_Domain='\xff'\n")?;
    let name = std::ffi::OsStr::from_bytes(b"\xff.example");
    fs::create_dir(import.folder().join("dnsapi"))?;
    fs::create_dir(import.folder().join("dnsapi").join(name))?;

    let began = Instant::now();
    let said = import.only_the_good_one()?;
    assert!(began.elapsed() < Duration::from_secs(5), "{said}");
    for expected in [
        "the link leads out of the folder",
        "to /dev/zero",
        "the link leads nowhere",
        "is not a regular file",
        "has more than 1048576 octets",
        "is not text in UTF-8",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(!said.contains("canary"), "{said}");
    Ok(())
}

#[test]
fn files_that_other_users_own_or_can_change_are_refused() -> Result {
    let import = Import::acme_sh()?;
    let own = import.conf("own.example", "Le_Domain='own.example'\n")?;
    chown(&own, STRANGER, None)?;
    let open = import.conf("open.example", "Le_Domain='open.example'\n")?;
    fs::set_permissions(&open, Permissions::from_mode(0o666))?;
    let below = import.conf("below.example", "Le_Domain='below.example'\n")?;
    if let Some(folder) = below.parent() {
        fs::set_permissions(folder, Permissions::from_mode(0o777))?;
    }
    let said = import.only_the_good_one()?;
    for expected in [
        "own.example.conf belongs to another user (uid 65534), who can change it",
        "run `chown -h 0 ",
        "open.example.conf has the mode 666, which lets others change it",
        "run `chmod go-w ",
        "below.example_ecc has the mode 777, which lets others change it",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    chown(import.folder(), STRANGER, None)?;
    for more in [&[][..], &["--write"]] {
        let refused = import.run(more)?;
        let said = String::from_utf8(refused.stderr)?;
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(
            said.contains("belongs to another user (uid 65534)"),
            "{said}"
        );
        assert!(
            said.contains("sudo -u '#65534' acme-alias import"),
            "{said}"
        );
    }
    assert!(!import.root.path().join("state").exists());
    Ok(())
}

#[test]
fn shell_code_is_not_run_and_its_values_do_not_count() -> Result {
    let import = Import::acme_sh()?;
    let mark = import.root.path().join("mark");
    let touch = format!("touch {}", mark.display());
    import.write(
        "account.conf",
        format!("`{touch}`\nSAVED_CF_Token=$({touch})\n"),
    )?;
    import.conf("code.example", &format!("Le_Domain=\"$({touch})\"\n"))?;
    import.conf(
        "good.example",
        &format!(
            "Le_Domain='good.example'\nLe_Webroot='dns_cf'\nLe_ReloadCmd='{touch}; true'\n\
             Le_PreHook='$({touch})'\nLe_RealKeyPath='/tmp/../etc/key.pem'\n\
             Le_RealFullChainPath='relative.pem'\nif {touch}; then true; fi\n"
        ),
    )?;
    let said = import.only_the_good_one()?;
    for expected in [
        "line 2: `SAVED_CF_Token` is set by shell code, which is not run",
        "`Le_Domain` is set by shell code",
        "`Le_ReloadCmd` needs a shell, so it is left out",
        "`Le_PreHook` is left out",
        "`Le_RealKeyPath` is not an absolute path without `..`",
        "`Le_RealFullChainPath` is not an absolute path",
        "`CF_Token` is missing",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(import.run(&["--write"])?.status.success());
    assert!(!mark.exists());
    Ok(())
}

#[test]
fn names_with_paths_and_control_characters_stay_text() -> Result {
    let mut import = Import::acme_sh()?;
    for (number, name) in [
        "../../../etc/passwd",
        "a/b.example",
        "\u{1b}[2J.example",
        "a\u{202e}.example",
        "good.example; rm -rf",
        "x",
    ]
    .iter()
    .enumerate()
    {
        import.conf(
            &format!("n{number}.example"),
            &format!("Le_Domain='{name}'\n"),
        )?;
    }
    let escape = import.folder().join("e\u{1b}[2J\n[acme]\ndirectory=1");
    fs::create_dir(&escape)?;
    let name = escape.file_name().map_or(Path::new(""), Path::new);
    let mut file = name.as_os_str().to_owned();
    file.push(".conf");
    fs::write(escape.join(file), "Le_Domain='e.example'\n")?;
    // A line break in base64, to get out of a comment or a string.
    import.conf(
        "good.example",
        "Le_Domain='good.example'\nLe_Preferred_Chain='__ACME_BASE64__START_eCIKW2FjbWVdCmRpcmVjdG9yeSA9ICJ5__ACME_BASE64__END_'\n",
    )?;
    let said = import.only_the_good_one()?;
    assert!(said.contains("has control characters"), "{said}");
    for code in ['\u{1b}', '\u{202e}'] {
        assert!(!said.contains(code), "{said}");
    }
    assert!(import.run(&["--write"])?.status.success());
    let names = fs::read_dir(import.root.path())?.count();
    assert_eq!(names, 3, "the folder, the settings and the state");

    // In the list of dehydrated, too.
    import.client = "dehydrated";
    let domains =
        "good.example > good-example\nb.example > ../../state\nc.example > /etc\nd.example > ..\n";
    import.write("domains.txt", domains)?;
    fs::remove_file(import.root.path().join("config.toml"))?;
    let said = import.only_the_good_one()?;
    assert_eq!(
        said.matches("is not the name of a folder").count(),
        3,
        "{said}"
    );
    Ok(())
}

#[test]
fn links_that_lead_in_circles_end_the_search() -> Result {
    let import = Import::acme_sh()?;
    let folder = import.folder().join("ca");
    fs::create_dir_all(&folder)?;
    for link in 0..20 {
        symlink(".", folder.join(format!("l{link}")))?;
    }
    let started = Instant::now();
    let text = import.only_the_good_one()?;
    assert!(started.elapsed() < Duration::from_secs(20));
    assert!(text.contains("nothing more is looked for"), "{text}");
    Ok(())
}

#[test]
fn certificates_with_more_octets_together_than_memory_are_left_out() -> Result {
    let import = Import::acme_sh()?;
    let large = import.write("large", "a word\n".repeat(140_000))?;
    for number in 0..200 {
        let name = format!("x{number}.example");
        let path = import.conf(&name, "Le_Alt='no'\n")?;
        fs::remove_file(&path)?;
        symlink(&large, &path)?;
    }
    let text = import.only_the_good_one()?;
    assert!(text.contains("have more than 128 MiB"), "{text}");
    Ok(())
}

#[test]
fn thousands_of_names_that_give_one_id_take_no_time() -> Result {
    let import = Import::acme_sh()?;
    for number in 0..4_096 {
        let labels = (0..12).map(|bit| if number >> bit & 1 == 0 { "a." } else { "a-" });
        let name = labels.collect::<String>() + "a.example";
        import.conf(&name, &format!("Le_Domain='{name}'\nLe_Alt='no'\n"))?;
    }
    let begin = Instant::now();
    let output = import.run(&[])?;
    let text = String::from_utf8(output.stdout)?;
    assert!(output.status.success(), "{text}");
    assert!(begin.elapsed() < Duration::from_secs(30));
    let settings: toml::Table = toml::from_str(&text)?;
    let certificates = settings["certificates"].as_table();
    assert_eq!(certificates.map_or(0, toml::Table::len), 4_097);
    Ok(())
}
