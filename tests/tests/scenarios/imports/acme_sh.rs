//! A folder as acme.sh writes it, with an account and certificates that lego has obtained: there is no package of acme.sh.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use acme_alias_tests::{ALIAS_NAME, ALIAS_ZONE, Result, TestBed};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::{Import, bed, find, take_over, url_in};

/// A value as acme.sh hides it from the shell.
fn hidden(text: &str) -> String {
    let text = BASE64_STANDARD.encode(text);
    format!("__ACME_BASE64__START_{text}__ACME_BASE64__END_")
}

/// Writes `NAME='VALUE'` for each of these.
fn write_conf(path: &Path, values: &[(&str, &str)]) -> Result {
    let lines = values
        .iter()
        .map(|(name, value)| format!("{name}='{value}'\n"));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(fs::write(path, lines.collect::<Vec<_>>().concat())?)
}

/// A folder with the account of lego. Returns it, and the URL of the account.
fn folder(bed: &TestBed, lego: &Path) -> Result<(PathBuf, String)> {
    let folder = bed.folder().join("acme.sh");
    let url = url_in(&find(lego, "account.json")?, &["registration", "uri"])?;
    let ca = folder.join("ca/127.0.0.1/dir");
    let conf = [("ACCOUNT_URL", &*url), ("CA_EMAIL", "admin@example.com")];
    write_conf(&ca.join("ca.conf"), &conf)?;
    fs::copy(find(lego, "admin@example.com.key")?, ca.join("account.key"))?;
    let key = bed.key(ALIAS_ZONE)?;
    let key = bed.write_secret("nsupdate.key", &key.to_string())?;
    let (server, port) = (
        bed.primary().ip().to_string(),
        bed.primary().port().to_string(),
    );
    let account_conf = folder.join("account.conf");
    write_conf(
        &account_conf,
        &[
            ("SAVED_NSUPDATE_SERVER", &server),
            ("SAVED_NSUPDATE_SERVER_PORT", &port),
            ("SAVED_NSUPDATE_KEY", &key.display().to_string()),
            ("SAVED_NSUPDATE_ZONE", ALIAS_ZONE),
            ("SAVED_CF_Token", "canary-of-cloudflare"),
            ("USER_PATH", "/usr/bin:/bin"),
        ],
    )?;
    fs::set_permissions(&account_conf, Permissions::from_mode(0o600))?;
    Ok((folder, url))
}

/// Adds a certificate, with the files of lego if there are any.
fn add(folder: &Path, lego: Option<&Path>, name: &str, values: &[(&str, &str)]) -> Result {
    let own = folder.join(format!("{name}_ecc"));
    write_conf(&own.join(format!("{name}.conf")), values)?;
    if let Some(lego) = lego {
        let certificates = lego.join("certificates");
        let copy = |from: &str, to: &str| {
            fs::copy(certificates.join(format!("{name}{from}")), own.join(to))
        };
        copy(".crt", "fullchain.cer")?;
        copy(".issuer.crt", "ca.cer")?;
        copy(".crt", &format!("{name}.cer"))?;
        copy(".key", &format!("{name}.key"))?;
    }
    Ok(())
}

#[test]
fn what_acme_sh_obtained_is_renewed_with_its_account_aliases_and_targets() -> Result {
    let bed = bed()?;
    let lego = bed.lego(
        "lego",
        "ec256",
        &["example.com", "www.example.com", "example.org"],
    )?;
    let (folder, url) = folder(&bed, &lego)?;
    let (key, chain) = (bed.folder().join("web.key"), bed.folder().join("web.pem"));
    add(
        &folder,
        Some(&lego),
        "example.com",
        &[
            ("Le_Domain", "example.com"),
            ("Le_Alt", "www.example.com,example.org"),
            ("Le_Webroot", "dns_nsupdate"),
            ("Le_ChallengeAlias", &format!("{ALIAS_ZONE},,={ALIAS_NAME}")),
            ("Le_API", &bed.directory()),
            ("Le_Keylength", "ec-256"),
            ("Le_ReloadCmd", &hidden("touch reloaded")),
            ("Le_PreHook", &hidden("service stop; $(touch run)")),
            ("Le_RealKeyPath", &key.display().to_string()),
            ("Le_RealFullChainPath", &chain.display().to_string()),
            ("Le_NextRenewTime", "1700000000"),
        ],
    )?;
    let mut settings = bed.settings();
    settings.providers.clear();
    let zones = std::mem::take(&mut settings.alias_zones);
    let zones = zones.into_iter().map(|zone| (zone.zone, zone.servers));
    settings.zones.extend(zones);
    let import = Import::new(&bed, settings, "acme.sh", folder)?;
    let preview = import.import(&[])?;
    preview.assert_printed(&[
        "kind = \"rfc2136\"",
        &format!("zone = \"{ALIAS_ZONE}\""),
        "deploy-hook = [\"touch\", \"reloaded\"]",
        "`Le_PreHook` is left out: `service stop; $(touch run)`",
        &format!("challenge-alias = \"{ALIAS_ZONE}\""),
    ]);
    assert!(!preview.stdout.contains("canary"), "{preview}");
    take_over(&bed, &import, &["example-com"], &url, "stored", "")?;
    // The renewal has written them, and the import has not.
    let stored = bed.settings().state.join("certificates/example-com");
    for (file, name) in [(key, "privkey.pem"), (chain, "fullchain.pem")] {
        assert_eq!(fs::read(file)?, fs::read(stored.join(name))?, "{name}");
    }
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn every_form_of_the_alias_list_of_acme_sh_is_taken_over() -> Result {
    let bed = bed()?;
    let lego = bed.lego("lego", "ec256", &["example.com"])?;
    let (folder, _) = folder(&bed, &lego)?;
    for (name, list) in [
        ("one.example", "auth.example.net"),
        ("two.example", "=x.auth.example.net"),
        ("three.example", "auth.example.net,no,=x.auth.example.net"),
        ("four.example", "auth.example.net,"),
        ("five.example", "no"),
        ("six.example", ""),
        ("seven.example", "auth"),
    ] {
        let alt = format!("b.{name},c.{name},d.{name}");
        let values = [
            ("Le_Domain", name),
            ("Le_Alt", &*alt),
            ("Le_Webroot", "dns_cf"),
            ("Le_ChallengeAlias", list),
            ("Le_Keylength", "ec-384"),
        ];
        add(&folder, None, name, &values)?;
    }
    // Any other script is run by the provider exec.
    fs::create_dir(folder.join("dnsapi"))?;
    for file in ["acme.sh", "dnsapi/dns_foo.sh"] {
        fs::write(folder.join(file), "#!/bin/sh\n")?;
    }
    let values = [("Le_Domain", "eight.example"), ("Le_Webroot", "dns_foo")];
    add(&folder, None, "eight.example", &values)?;
    let import = Import::new(&bed, bed.settings(), "acme.sh", folder)?;
    let preview = import.import(&[])?;
    preview.assert_success();
    preview.assert_printed(&[
        "provider = \"acme-sh-foo\"",
        "protocol = \"acme.sh\"",
        "script = \"dns_foo\"",
        "`Le_ChallengeAlias`: the alias `auth`",
        "writes the TXT records for five.example into its own",
    ]);
    assert_aliases(&toml::from_str(&preview.stdout)?)?;
    // The token is in a file of its own.
    import.import(&["--write"])?.assert_success();
    let token = bed.folder().join("acme-sh-cloudflare-api-token");
    assert_eq!(fs::read_to_string(token)?, "canary-of-cloudflare");
    assert!(!import.written()?.0.contains("canary"));
    import.run(&["config", "check"])?.assert_success();
    Ok(())
}

fn assert_aliases(toml: &toml::Table) -> Result {
    let certificates = &toml["certificates"];
    let text = |id: &str, key: &str| {
        let value = certificates[id].get(key);
        value.and_then(|value| value.as_str()).map(str::to_owned)
    };
    let auth = Some("auth.example.net".to_owned());
    assert_eq!(text("one-example", "challenge-alias"), auth);
    assert_eq!(
        text("two-example", "domain-alias").as_deref(),
        Some("x.auth.example.net")
    );
    assert_eq!(text("four-example", "challenge-alias"), auth);
    for id in ["five-example", "six-example"] {
        for key in ["challenge-alias", "domain-alias"] {
            assert_eq!(text(id, key), None, "{toml}");
        }
        assert_eq!(text(id, "key-type").as_deref(), Some("ecdsa-p384"));
        assert_eq!(text(id, "provider").as_deref(), Some("cloudflare"));
    }
    let three = &certificates["three-example"]["domains"];
    let expected: toml::Table = toml::from_str(
        r#"domains = [
            { name = "three.example", challenge-alias = "auth.example.net" },
            { name = "b.three.example", domain-alias = "_acme-challenge.b.three.example" },
            { name = "c.three.example", domain-alias = "x.auth.example.net" },
            { name = "d.three.example", domain-alias = "x.auth.example.net" },
        ]"#,
    )?;
    assert_eq!(*three, expected["domains"]);
    assert!(certificates.get("seven-example").is_none(), "{toml}");
    Ok(())
}
