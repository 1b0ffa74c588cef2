//! Taking over what real lego, dehydrated and certbot have obtained, and the files of acme.sh.

mod acme_sh;
mod certbot;

use std::fs;
use std::path::{Path, PathBuf};

use acme_alias_core::crash::Point;
use acme_alias_tests::{
    ALIAS_ZONE, Exchange, Outcome, Profile, Program, Result, Settings, Spoilt, TestBed,
};
use serde_json::{Value, json};

use crate::accounts::{account, account_files};
use crate::guide_text;

/// The program, and the settings file that is written.
struct Import {
    program: Program,
    file: PathBuf,
    client: &'static str,
    folder: PathBuf,
}

/// A bed whose CA takes every challenge as answered, so that other clients need no DNS.
fn bed() -> Result<TestBed> {
    let delegated = ["example.com", "www.example.com", "example.org"];
    TestBed::builder()
        .delegate(&delegated)
        .always_valid()
        .start()
}

impl Import {
    fn new(
        bed: &TestBed,
        settings: Settings,
        client: &'static str,
        folder: PathBuf,
    ) -> Result<Import> {
        let file = bed.folder().join(format!("{client}.toml"));
        fs::write(&file, "# mine\n")?;
        Ok(Import {
            program: bed.program(settings)?.above(&file),
            file,
            client,
            folder,
        })
    }

    fn run(&self, arguments: &[&str]) -> Result<Outcome> {
        self.program.run(arguments)
    }

    fn import(&self, more: &[&str]) -> Result<Outcome> {
        let folder = self.folder.display().to_string();
        self.run(&[&["import", self.client, &folder], more].concat())
    }

    /// What is written, without the files of other clients: names and contents below a folder.
    fn written(&self) -> Result<(String, bool)> {
        let state = self.program.settings.state.exists();
        Ok((fs::read_to_string(&self.file)?, state))
    }

    /// The JSON of a certificate.
    fn shown(&self, id: &str) -> Result<Value> {
        let shown = self.run(&["show", id, "--output", "json"])?;
        shown.assert_success();
        shown.json()
    }
}

/// The URL of the only account in a file of another client.
fn url_in(path: &Path, keys: &[&str]) -> Result<String> {
    let json: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
    let url = keys.iter().fold(&json, |value, key| &value[*key]);
    Ok(url.as_str().unwrap_or_default().to_owned())
}

/// The first file with this name below a folder.
fn find(folder: &Path, name: &str) -> Result<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.file_name().is_some_and(|file| file == name) {
                return Ok(path);
            }
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    Err(acme_alias_tests::Error::new(format_args!(
        "there is no {name}"
    )))
}

/// Imports, and checks that nothing is ordered for that, and that the account works.
/// `more` is what has to be added to the settings by hand.
fn take_over(
    bed: &TestBed,
    import: &Import,
    ids: &[&str],
    url: &str,
    outcome: &str,
    more: &str,
) -> Result {
    // Without `--write` it is only told.
    let (requests, orders) = (bed.acme_requests()?, bed.orders()?);
    let preview = import.import(&[])?;
    preview.assert_success();
    let toml: toml::Table = toml::from_str(&preview.stdout)?;
    for id in ids {
        assert!(toml["certificates"].get(id).is_some(), "{id}: {preview}");
    }
    for line in preview.stdout.lines() {
        let is_path = line.contains('/');
        assert!(is_path || line.len() <= 80, "{line}");
    }
    assert_eq!(import.written()?, ("# mine\n".to_owned(), false));
    assert_eq!(bed.acme_requests()?, requests);

    let written = import.import(&["--write", "--output", "json"])?;
    written.assert_success();
    let written = written.json()?;
    assert_eq!(written["accounts"][0]["url"], url, "{written}");
    assert_eq!(written["accounts"][0]["outcome"], outcome, "{written}");
    let (text, _) = import.written()?;
    assert!(text.starts_with("# mine\n"), "{text}");
    let text = format!("{text}{more}");
    fs::write(&import.file, &text)?;
    let renew = import.run(&["renew"])?;
    renew.assert_success();
    for id in ids {
        assert!(
            renew.stdout.contains(&format!("{id}: not due before")),
            "{renew}"
        );
        assert_eq!(import.shown(id)?["account"], url);
    }
    assert_eq!(bed.orders()?, orders);

    // And once more.
    let again = import.import(&["--write", "--output", "json"])?;
    again.assert_success();
    let again = again.json()?;
    assert_eq!(again["accounts"][0]["outcome"], "known", "{again}");
    for certificate in again["certificates"].as_array().into_iter().flatten() {
        assert_eq!(certificate["outcome"], "known", "{again}");
    }
    assert_eq!(import.written()?.0, text);

    let forced = import.run(&["renew", "--force"])?;
    forced.assert_success();
    assert_eq!(bed.orders()?, orders + ids.len());
    for id in ids {
        let shown = import.shown(id)?;
        assert_eq!(
            (&shown["version"], &shown["account"]),
            (&json!(2), &json!(url))
        );
    }
    follow_guide(import)?;
    let account = account(&import.program, &["show"])?;
    assert_eq!(
        (&account["url"], &account["status"]),
        (&json!(url), &json!("valid"))
    );
    Ok(())
}

/// Runs the commands for the client in `docs/migrating.md`. Everything is done already, so all of them succeed.
fn follow_guide(import: &Import) -> Result {
    let page = guide_text::read("migrating.md")?;
    let heading = format!("\n## {}\n", import.client);
    let (_, section) = page.split_once(&heading).unwrap_or_default();
    let section = section.split("\n## ").next().unwrap_or_default();
    let folder = import.folder.display().to_string();
    let blocks = guide_text::blocks(section, "sh");
    assert_eq!(blocks.len(), 1, "{heading}");
    for line in blocks[0].lines() {
        let words = line.split_whitespace().skip(1);
        let words = words.map(|word| {
            if word.starts_with('/') {
                &*folder
            } else {
                word
            }
        });
        import.run(&words.collect::<Vec<_>>())?.assert_success();
    }
    Ok(())
}

#[test]
fn what_lego_obtained_is_renewed_with_its_account() -> Result {
    let bed = bed()?;
    let folder = bed.lego("lego", "ec256", &["example.com", "www.example.com"])?;
    let url = url_in(&find(&folder, "account.json")?, &["registration", "uri"])?;
    let import = Import::new(&bed, bed.settings(), "lego", folder)?;
    take_over(&bed, &import, &["example-com"], &url, "stored", "")?;
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn what_dehydrated_obtained_is_renewed_with_its_account_and_a_new_key() -> Result {
    let bed = bed()?;
    let folder = bed.dehydrated("dehydrated", "example.com *.example.com > web\n")?;
    let url = url_in(&find(&folder, "account_id.json")?, &["url"])?;
    let import = Import::new(&bed, bed.settings(), "dehydrated", folder)?;
    let preview = import.import(&[])?;
    preview.assert_printed(&[
        "asks the CA to give the account",
        "the hook",
        "hook.sh is left out",
    ]);
    take_over(&bed, &import, &["web"], &url, "new-key", "")?;
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn what_certbot_obtained_is_renewed_with_its_account_and_its_key() -> Result {
    let bed = bed()?;
    let name = format!("www.{ALIAS_ZONE}");
    let folder = bed.certbot("certbot", &name, "true for certbot")?;
    let url = url_in(&find(&folder, "regr.json")?, &["uri"])?;
    // The provider is imported as well.
    let mut settings = bed.settings();
    settings.providers.clear();
    let zones = std::mem::take(&mut settings.alias_zones);
    settings
        .zones
        .extend(zones.into_iter().map(|zone| (zone.zone, zone.servers)));
    let import = Import::new(&bed, settings, "certbot", folder)?;
    let id = name.replace('.', "-");
    let preview = import.import(&[])?;
    preview.assert_printed(&["certbot writes the TXT records", "`[[alias-zones]]`"]);
    let more = format!("\n[[alias-zones]]\nzone = \"{ALIAS_ZONE}\"\nprovider = \"rfc2136\"\n");
    take_over(&bed, &import, &[&id], &url, "new-key", &more)?;
    let (text, _) = import.written()?;
    let key = bed.key(ALIAS_ZONE)?;
    assert!(
        text.contains("deploy-hook = [\"true\", \"for\", \"certbot\"]"),
        "{text}"
    );
    assert!(!text.contains(&key.secret), "{text}");
    let secret = bed.folder().join("certbot-rfc2136-tsig-secret");
    assert_eq!(fs::read_to_string(&secret)?, key.secret);
    let mode = std::os::unix::fs::PermissionsExt::mode(&secret.metadata()?.permissions());
    assert_eq!(mode & 0o777, 0o600);
    let check = import.run(&["config", "check"])?;
    check.assert_success();
    Ok(())
}

#[test]
fn whatever_point_an_import_dies_at_the_account_is_not_lost() -> Result {
    let bed = TestBed::builder()
        .delegate(&["example.com"])
        .always_valid()
        .profile(Profile::Failpoints)
        .start()?;
    let points = Point::KEY_CHANGE.iter();
    for point in points.chain(&[Point::VersionMade, Point::VersionSwitched]) {
        let name = point.name();
        let folder = bed.lego(&format!("lego-{name}"), "rsa2048", &["example.com"])?;
        let url = url_in(&find(&folder, "account.json")?, &["registration", "uri"])?;
        let mut settings = bed.settings();
        settings.state = bed.folder().join(format!("state-{name}"));
        let mut import = Import::new(&bed, settings, "lego", folder)?;
        let program = import.program.clone();
        import.program = program.clone().env("FAILPOINTS", format!("{name}=return"));
        let killed = import.import(&["--write"])?;
        assert_eq!(killed.code, None, "{name}: {killed}");
        import.program = program;
        import.import(&["--write"])?.assert_success();
        let orders = bed.orders()?;
        import.run(&["renew"])?.assert_success();
        assert_eq!(bed.orders()?, orders, "{name}");
        let state = format!("state-{name}");
        assert_eq!(
            account_files(&bed, &state, ".pending.json")?.len(),
            0,
            "{name}"
        );
        import.run(&["renew", "--force"])?.assert_success();
        assert_eq!(import.shown("example-com")?["account"], url, "{name}");
    }
    Ok(())
}

#[test]
fn a_key_that_the_ca_does_not_replace_still_works() -> Result {
    let bed = bed()?;
    let proxy = bed.acme_proxy(|exchange: &Exchange| match exchange.path.as_str() {
        "/rollover-account-key" if exchange.answer.is_empty() => {
            let kind = "urn:ietf:params:acme:error:badPublicKey";
            let body = json!({ "type": kind, "detail": "not this one" }).to_string();
            let json = ("Content-Type", "application/problem+json".to_owned());
            Spoilt::Instead(400, vec![json], body)
        }
        _ => Spoilt::No,
    })?;
    let folder = bed.lego_from(&proxy.directory(), "lego", "rsa2048", &["example.com"])?;
    let url = url_in(&find(&folder, "account.json")?, &["registration", "uri"])?;
    let mut settings = bed.settings();
    settings.directory = proxy.directory();
    let import = Import::new(&bed, settings, "lego", folder)?;
    let kept = import.import(&["--write"])?;
    assert_eq!(kept.code, Some(5), "{kept}");
    kept.assert_printed(&[
        "stored with its old key",
        "not this one",
        "acme-alias account",
    ]);
    let orders = bed.orders()?;
    import.run(&["renew"])?.assert_success();
    assert_eq!(bed.orders()?, orders);
    import.run(&["renew", "--force"])?.assert_success();
    assert_eq!(import.shown("example-com")?["account"], url);
    Ok(())
}

#[test]
fn what_is_there_already_stays() -> Result {
    let bed = bed()?;
    let mut settings = bed.settings().certificate(
        "example-com",
        &format!("domains = [\"example.org\"]\nchallenge-alias = \"{ALIAS_ZONE}\""),
    );
    let program = bed.program(settings.clone())?;
    program.run(&["renew"])?.assert_success();
    let own = account(&program, &["show"])?;
    let folder = bed.lego("lego", "ec256", &["example.com"])?;
    let import = Import::new(&bed, settings.clone(), "lego", folder.clone())?;
    let written = import.import(&["--write"])?;
    written.assert_success();
    written.assert_printed(&[
        "another account at this CA",
        "a certificate `example-com` with other names, which stays",
        "nothing to add",
    ]);
    assert_eq!(import.written()?.0, "# mine\n");
    assert_eq!(account(&program, &["show"])?["url"], own["url"]);
    assert_eq!(
        import.shown("example-com")?["domains"],
        json!(["example.org"])
    );
    // A CA that is not in the settings gets a table of its own beside the one that is.
    settings.more.clear();
    settings.directory = "https://ca.example/dir".to_owned();
    let import = Import::new(&bed, settings, "lego", folder)?;
    let left = import.import(&[])?;
    left.assert_failure(2, &["repeat the command with `--directory URL`"]);
    let given = import.import(&["--directory", &bed.directory()])?;
    given.assert_printed(&["[cas.127-0-0-1-", "ca = \"127-0-0-1-"]);
    Ok(())
}
