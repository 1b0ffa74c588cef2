//! acme2certifier: a real CA with renewal information (RFC 9773) and profiles.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose};

use crate::error::{Context, Error, Result};
use crate::port::Port;
use crate::process::{self, Server};
use crate::serve::write_certificate;

/// Where `cargo xtask setup` installs the server that runs it, below the workspace.
const PROGRAM: &str = "../target/tools/acme2certifier/bin/gunicorn";
const APPLICATION: &str = "acme2certifier.share.acme2certifier_wsgi:application";

/// A running acme2certifier. Its certificates are valid for 90 days.
#[derive(Debug)]
pub struct Acme2certifier {
    // The server comes before the port, so that it ends before that is given back.
    server: Server,
    port: Port,
    root: PathBuf,
}

impl Acme2certifier {
    /// Starts it below the folder of a bed, and returns when it answers. It looks names up at the resolver in
    /// `resolv_conf`.
    pub(crate) fn start(bed: &Path, resolv_conf: &Path, more: &str) -> Result<Self> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(PROGRAM);
        let program = fs::canonicalize(&program).map_err(|_| {
            Error::new(format_args!(
                "{} is not there; `cargo xtask setup` installs it",
                program.display()
            ))
        })?;
        let folder = bed.join("acme2certifier");
        fs::create_dir(&folder).context(folder.display())?;
        let root = write_certificate(&folder)?;
        write_issuer(&folder)?;
        fs::create_dir(folder.join("certificates"))?;
        let config = folder.join("acme_srv.cfg");
        fs::write(&config, configuration(&folder, more))?;
        let port = Port::claim()?;
        let mut command = process::command_with_resolver(program, resolv_conf)?;
        command
            .args(["--bind", &port.address().to_string()])
            // One process with threads: each worker process would count nonces for itself.
            .args(["--workers", "1", "--threads", "8"])
            .args(["--certfile", "tls.pem", "--keyfile", "tls.key"])
            .arg(APPLICATION)
            .env("ACME_SRV_CONFIGFILE", config)
            // It keeps a socket there.
            .env("HOME", &folder);
        let mut server = Server::start("acme2certifier", command, &folder)?;
        let address = port.address();
        server.wait_until(|| TcpStream::connect(address).is_ok())?;
        Ok(Acme2certifier { server, port, root })
    }

    /// The URL of its directory.
    pub fn directory(&self) -> String {
        format!("https://{}/directory", self.port.address())
    }

    /// The file with the root certificate of its HTTPS.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Takes the key away with which it signs.
    pub fn lose_key(&self) -> Result {
        let key = self.root.with_file_name("issuer.key");
        fs::remove_file(&key).context(key.display())
    }

    /// What it has printed.
    pub fn log(&self) -> Result<String> {
        self.server.log()
    }
}

/// The key and the certificate with which it signs.
fn write_issuer(folder: &Path) -> Result {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params
        .distinguished_name
        .push(DnType::CommonName, "acme2certifier test CA");
    let certificate = params.self_signed(&key)?.pem();
    fs::write(folder.join("issuer.pem"), certificate)?;
    fs::write(folder.join("issuer.key"), key.serialize_pem())?;
    Ok(())
}

/// The configuration. Of a section that `more` has too, the lines of `more` count.
fn configuration(folder: &Path, more: &str) -> String {
    let folder = folder.display();
    let usual = [
        ("[DEFAULT]", "debug: False\n".to_owned()),
        (
            "[CAhandler]",
            format!(
                "handler_module: acme2certifier.cahandlers.openssl_ca_handler\n\
                 issuing_ca_key: {folder}/issuer.key\nissuing_ca_cert: {folder}/issuer.pem\n\
                 cert_validity_days: 90\ncert_save_path: {folder}/certificates\nca_cert_chain_list: []\n\
                 issuing_ca_crl: {folder}/issuer.crl\n"
            ),
        ),
        (
            "[DBhandler]",
            format!("handler: wsgi\ndbfile: {folder}/acme_srv.db\n"),
        ),
    ];
    let mut configuration = String::new();
    for (section, lines) in usual {
        configuration += &format!("{section}\n{lines}");
    }
    configuration + more
}
