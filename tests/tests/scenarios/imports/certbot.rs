//! The plugins of certbot that are not installed for the tests.

use std::fs;
use std::path::PathBuf;

use acme_alias_tests::{Result, TestBed};

use super::{Import, bed};

/// A folder as certbot writes it, with a certificate that lego has obtained under several names.
fn folder(bed: &TestBed) -> Result<PathBuf> {
    let lego = bed.lego("lego", "rsa2048", &["example.com"])?;
    let folder = bed.folder().join("certbot");
    let credentials = bed.write_secret(
        "cf.ini",
        "dns_cloudflare_api_token = canary-of-cloudflare\n",
    )?;
    let global = bed.write_secret("global.ini", "dns_cloudflare_api_key = canary\n")?;
    let (credentials, global) = (credentials.display(), global.display());
    fs::create_dir_all(folder.join("renewal-hooks/deploy"))?;
    fs::write(folder.join("renewal-hooks/deploy/reload"), "#!/bin/sh\n")?;
    fs::create_dir(folder.join("renewal"))?;
    for (name, lines) in [
        (
            "cf",
            format!("authenticator = dns-cloudflare\ndns_cloudflare_credentials = {credentials}\n"),
        ),
        (
            "global",
            format!("authenticator = dns-cloudflare\ndns_cloudflare_credentials = {global}\n"),
        ),
        (
            "aws",
            "authenticator = dns-route53\nreuse_key = True\n".to_owned(),
        ),
        (
            "other",
            "authenticator = dns-linode\npost_hook = systemctl start x\n".to_owned(),
        ),
        (
            "web",
            "authenticator = webroot\nrenew_hook = \"cp $RENEWED_LINEAGE/x /y\"\n".to_owned(),
        ),
    ] {
        let live = folder.join("live").join(name);
        fs::create_dir_all(&live)?;
        fs::copy(
            lego.join("certificates/example.com.key"),
            live.join("privkey.pem"),
        )?;
        fs::copy(
            lego.join("certificates/example.com.crt"),
            live.join("fullchain.pem"),
        )?;
        let directory = bed.directory();
        let conf = format!("[renewalparams]\nserver = {directory}\naccount = none\n{lines}");
        fs::write(folder.join(format!("renewal/{name}.conf")), conf)?;
    }
    Ok(folder)
}

#[test]
fn plugins_of_certbot_become_providers() -> Result {
    let bed = bed()?;
    let folder = folder(&bed)?;
    let import = Import::new(&bed, bed.settings(), "certbot", folder)?;
    let preview = import.import(&[])?;
    preview.assert_success();
    let settings: toml::Table = toml::from_str(&preview.stdout)?;
    let provider = |id: &str| settings["certificates"][id].get("provider").cloned();
    assert_eq!(provider("cf"), Some("cloudflare".into()));
    assert_eq!(provider("aws"), Some("route53".into()));
    assert_eq!(settings["certificates"]["aws"]["key"], "reuse".into());
    for id in ["global", "other", "web"] {
        assert_eq!(provider(id), None, "{preview}");
    }
    preview.assert_printed(&[
        "key-type = \"rsa-2048\"",
        "`dns_cloudflare_api_token` is missing",
        "there is no provider for the plugin dns-linode",
        "`post_hook` is left out: `systemctl start x`",
        "`renew_hook` needs a shell",
        "renewal-hooks/deploy/reload",
    ]);
    assert!(!preview.stdout.contains("canary"), "{preview}");
    Ok(())
}
