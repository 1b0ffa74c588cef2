//! Certificates with a certification request of others.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;

/// For `example.com` and `*.example.com`.
const REQUEST: &str = include_str!("../../../../core/src/certificate/csr/p256.pem");

/// A folder with the request, and the path of that.
fn request() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.csr");
    fs::write(&path, REQUEST).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    (folder, path)
}

/// Settings with a certificate `web` for the request in this file, and another one.
fn text(path: &Path, lines: &str) -> String {
    format!(
        "[certificates.mail]\ndomains = [\"example.org\"]\n[certificates.web]\ncsr = \"{}\"\n{lines}",
        path.display()
    )
}

fn web(settings: &Settings) -> &CertificateSettings {
    &settings.certificates[&"web".parse().unwrap()]
}

/// What is wrong with the certificate `web` alone.
fn failure(text: &str) -> String {
    let settings = Settings::read(&tree(&[("site.toml", text)])).unwrap();
    assert_eq!(settings.certificates.len(), 2);
    let others = settings.certificates.values();
    assert_eq!(others.filter(|one| one.mistakes.is_some()).count(), 1);
    web(&settings).mistakes.as_ref().unwrap().to_string()
}

#[test]
fn the_names_are_those_of_the_request() {
    let (_folder, path) = request();
    let alias = "challenge-alias = \"auth.example.net\"";
    let settings = read(&text(&path, alias)).unwrap();
    let of = |settings: &Settings| -> Vec<_> {
        let domains = web(settings).domains.iter();
        let domains = domains.map(|domain| {
            let alias = domain.alias.as_ref();
            let alias = alias.map(ToString::to_string);
            (domain.identifier.to_string(), alias.unwrap_or_default())
        });
        domains.collect()
    };
    let alias = "_acme-challenge.auth.example.net";
    let expected = [("example.com", alias), ("*.example.com", alias)];
    let expected = expected.map(|(name, alias)| (name.to_owned(), alias.to_owned()));
    assert_eq!(of(&settings), expected);
    assert!(web(&settings).csr.is_some());
    let own = "domains = [{ name = \"*.example.com\", domain-alias = \"x.example.net\" }, \"example.com\"]";
    let settings = read(&text(&path, own)).unwrap();
    let names = of(&settings);
    assert_eq!(names[0].1, "x.example.net");
    assert_eq!(names[1].1, "");
    assert!(web(&settings).csr.is_some());
}

#[test]
fn other_names_beside_the_request_are_a_failure_of_this_certificate() {
    let (_folder, path) = request();
    let other = "domains = [\"example.com\", \"www.example.com\"]";
    let error = failure(&text(&path, other));
    assert!(error.contains("site.toml:5:"), "{error}");
    assert!(
        error.contains("www.example.com (not in the request)"),
        "{error}"
    );
    assert!(
        error.contains("*.example.com (only in the request)"),
        "{error}"
    );
}

#[test]
fn what_concerns_keys_of_ours_is_a_mistake() {
    let (folder, path) = request();
    for line in [
        "key-type = \"rsa-2048\"",
        "key = \"reuse\"",
        "key-mode = \"640\"",
        "key-group = \"root\"",
    ] {
        let error = mistake(&text(&path, line));
        assert!(error.contains("site.toml:5:"), "{error}");
        assert!(error.contains("has no effect beside `csr`"), "{error}");
    }
    let error = mistake(&text(&path, "partial = true"));
    assert!(error.contains("is impossible beside `csr`"), "{error}");
    let error = mistake(&text("web.csr".as_ref(), ""));
    assert!(error.contains("takes an absolute path"), "{error}");
    let nothing = mistake(&text(&path, "domains = []"));
    assert!(nothing.contains("at least one domain"), "{nothing}");
    drop(folder);
}

#[test]
fn targets_that_need_the_key_are_mistakes() {
    let (_folder, path) = request();
    let files = |list: &str, key: &str| {
        format!(
            "[[{list}]]\nkind = \"files\"\n{key} = \"/etc/x/{{id}}\"\npassword = {{ env = \"X\" }}\n"
        )
    };
    let without_password = |text: String| text.replace("password = { env = \"X\" }\n", "");
    for key in ["key", "combined", "key-der", "pkcs12"] {
        let mut target = files("certificates.web.deploy", key);
        let mut shared = files("deploy", key);
        if key != "pkcs12" {
            (target, shared) = (without_password(target), without_password(shared));
        }
        let error = mistake(&text(&path, &target));
        assert!(error.contains("site.toml:7:"), "{error}");
        assert!(error.contains("write `fullchain` instead"), "{error}");
        let error = mistake(&text(&path, &shared));
        assert!(error.contains("site.toml:4:"), "{error}");
        assert!(
            error.contains(&format!("`deploy[0].{key}` needs it")),
            "{error}"
        );
        let own = format!("deploy-hook = [\"true\"]\n{shared}");
        assert!(read(&text(&path, &own)).is_ok(), "{key}");
    }
    for key in [
        "fullchain",
        "certificate",
        "chain",
        "certificate-der",
        "letsencrypt",
    ] {
        let target = without_password(files("certificates.web.deploy", key));
        assert!(read(&text(&path, &target)).is_ok(), "{key}");
    }
}

#[test]
fn a_file_that_cannot_be_used_concerns_its_certificate_only() {
    let (folder, path) = request();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let error = failure(&text(&path, ""));
    assert!(error.contains("chmod go-w"), "{error}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    if rustix::process::geteuid().is_root() {
        chown(&path, Some(65534), None).unwrap();
        let error = failure(&text(&path, ""));
        assert!(error.contains("belongs to another user"), "{error}");
    }
    fs::remove_file(&path).unwrap();
    let error = failure(&text(&path, ""));
    assert!(
        error.contains("site.toml:4:7: `certificates.web.csr`"),
        "{error}"
    );
    assert!(error.contains("web.csr cannot be read"), "{error}");
    assert!(
        error.contains("put the certification request there"),
        "{error}"
    );
    for (content, expected) in [
        ("hello", "openssl req -new"),
        (
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "leave only the certification request",
        ),
        (&REQUEST.replace("MIIB", "MIIC"), "PKCS #10"),
        (&REQUEST.repeat(2), "leave one certification request"),
    ] {
        fs::write(&path, content).unwrap();
        let error = failure(&text(&path, ""));
        assert!(error.contains("web.csr cannot be used"), "{error}");
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("AAAA"), "{error}");
    }
    fs::write(&path, vec![b'0'; 300 << 10]).unwrap();
    assert!(failure(&text(&path, "")).contains("name a smaller file"));
    let known = "domains = [\"example.com\"]";
    let settings = Settings::read(&tree(&[("site.toml", &text(&path, known))])).unwrap();
    assert_eq!(web(&settings).domains.len(), 1);
    drop(folder);
}
