//! Other ACME clients, which obtain certificates from the CA of a bed that takes every challenge as answered.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bed::TestBed;
use crate::error::{Context, Error, Result};
use crate::names::ALIAS_ZONE;
use crate::port::Port;
use crate::process;

/// Where `cargo xtask setup` installs it, below the workspace.
const CERTBOT: &str = "../target/tools/certbot/bin/certbot";
/// The address of their accounts.
const ADDRESS: &str = "admin@example.com";

impl TestBed {
    /// Lets Debian's lego obtain a certificate, by http-01. Returns its folder. `key_type` is also that of the account.
    pub fn lego(&self, folder: &str, key_type: &str, names: &[&str]) -> Result<PathBuf> {
        self.lego_from(&self.directory(), folder, key_type, names)
    }

    /// The same from a CA with this directory URL.
    pub fn lego_from(
        &self,
        directory: &str,
        folder: &str,
        key_type: &str,
        names: &[&str],
    ) -> Result<PathBuf> {
        let folder = self.folder().join(folder);
        let port = Port::claim()?;
        let mut command = Command::new(process::find("lego")?);
        command
            .args(["--accept-tos", "--email", ADDRESS])
            .args(["--server", directory, "--key-type", key_type])
            .args(["--http", "--http.port", &port.address().to_string()])
            .arg("--path")
            .arg(&folder)
            .args(names.iter().flat_map(|name| ["--domains", name]))
            .arg("run")
            .env("LEGO_CA_CERTIFICATES", self.ca_file());
        run("lego", &mut command)?;
        Ok(folder)
    }

    /// Lets Debian's dehydrated obtain the certificates of `domains_txt`, with an RSA account. Returns its folder.
    pub fn dehydrated(&self, folder: &str, domains_txt: &str) -> Result<PathBuf> {
        let folder = self.folder().join(folder);
        fs::create_dir(&folder).context(folder.display())?;
        let hook = folder.join("hook.sh");
        fs::write(&hook, "#!/bin/sh\nexit 0\n")?;
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755))?;
        let config = format!(
            "CA=\"{}\"\nCHALLENGETYPE=\"dns-01\"\nHOOK={}\nCURL_OPTS=\"--cacert {}\"\nKEYSIZE=2048\n\
             KEY_ALGO=prime256v1\nCONTACT_EMAIL={ADDRESS}\n",
            self.directory(),
            hook.display(),
            self.ca_file().display()
        );
        fs::write(folder.join("config"), config)?;
        fs::write(folder.join("domains.txt"), domains_txt)?;
        for action in [&["--register", "--accept-terms"][..], &["--cron"]] {
            let mut command = Command::new(process::find("dehydrated")?);
            command.arg("--config").arg(folder.join("config"));
            run("dehydrated", command.args(action))?;
        }
        Ok(folder)
    }

    /// Lets certbot obtain a certificate for a name in the first alias zone, by its plugin for RFC 2136, with an RSA
    /// account. Returns its folder.
    pub fn certbot(&self, folder: &str, name: &str, hook: &str) -> Result<PathBuf> {
        let folder = self.folder().join(folder);
        let key = self.key(ALIAS_ZONE)?;
        let server = self.primary();
        let ini = format!(
            "dns_rfc2136_server = {}\ndns_rfc2136_port = {}\ndns_rfc2136_name = {}.\ndns_rfc2136_secret = {}\n\
             dns_rfc2136_algorithm = {}\n",
            server.ip(),
            server.port(),
            key.name,
            key.secret,
            key.algorithm.to_string().to_uppercase()
        );
        let ini = self.write_secret("rfc2136.ini", &ini)?;
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(CERTBOT);
        let mut command = Command::new(program);
        command
            .args([
                "certonly",
                "-n",
                "--agree-tos",
                "--no-eff-email",
                "-m",
                ADDRESS,
            ])
            .args([
                "--server",
                &self.directory(),
                "--deploy-hook",
                hook,
                "-d",
                name,
            ])
            .args(["--dns-rfc2136", "--dns-rfc2136-propagation-seconds", "0"])
            .arg("--dns-rfc2136-credentials")
            .arg(ini);
        for option in ["config", "work", "logs"] {
            command.arg(format!("--{option}-dir"));
            command.arg(match option {
                "config" => folder.clone(),
                other => self.folder().join(other),
            });
        }
        run("certbot", command.env("REQUESTS_CA_BUNDLE", self.ca_file()))?;
        Ok(folder)
    }
}

/// Runs a client, which must succeed.
fn run(name: &str, command: &mut Command) -> Result {
    let output = command.output().map_err(|error| {
        Error::new(format_args!(
            "{name}: {error}; `cargo xtask setup` installs it"
        ))
    })?;
    if output.status.success() {
        return Ok(());
    }
    let [said, also] = [output.stdout, output.stderr].map(|text| {
        let text = String::from_utf8_lossy(&text);
        text.into_owned()
    });
    Err(Error::new(format_args!("{name}: {said}{also}")))
}
