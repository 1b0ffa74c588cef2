//! Certificates that are for the keys of the requests, and far too large, or such that no server loads them.

#![expect(clippy::unwrap_used, reason = "a stand of tests may fail as they do")]

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use acme_alias_core::certificate;
use acme_alias_tests::{Exchange, Outcome, Result, Spoilt, TestBed};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use rcgen::{
    Certificate, CertificateParams, CertificateSigningRequestParams, CustomExtension,
    DistinguishedName, DnType, Issuer, KeyPair, PKCS_RSA_SHA256, RsaKeySize, SanType,
};
use serde_json::Value;

/// What a run takes that reads 60 such certificates and keeps none, in octets.
const KEPT_BY_NONE: u64 = 170 << 20;

/// How a certificate is enlarged.
type Enlarge = fn(&mut CertificateParams);

/// The certification request in a request of ACME.
fn request_in(exchange: &Exchange) -> Option<Vec<u8>> {
    let decoded = |value: &Value| BASE64_URL_SAFE_NO_PAD.decode(value.as_str()?).ok();
    let jws: Value = serde_json::from_str(&exchange.request).ok()?;
    let payload: Value = serde_json::from_slice(&decoded(&jws["payload"])?).ok()?;
    decoded(&payload["csr"])
}

/// Certification requests by their first names.
type Requests = Mutex<BTreeMap<String, CertificateSigningRequestParams>>;

/// Keeps the request of this exchange. If the answer is a certificate, returns another one for its request.
fn signed_anew(
    exchange: &Exchange,
    requests: &Requests,
    issuer: &Issuer<'_, KeyPair>,
    change: impl Fn(&mut CertificateParams),
) -> Option<Certificate> {
    let mut requests = requests.lock().unwrap();
    if let Some(request) = request_in(exchange) {
        let parsed = CertificateSigningRequestParams::from_der(&request.into()).unwrap();
        let Some(SanType::DnsName(name)) = parsed.params.subject_alt_names.first() else {
            return None;
        };
        requests.insert(name.to_string(), parsed);
    }
    let info = certificate::inspect(exchange.answer.as_bytes()).ok()?;
    let mut request = requests.remove(&info.names[0]).unwrap();
    change(&mut request.params);
    Some(request.signed_by(issuer).unwrap())
}

/// Gives out enlarged certificates for the keys and the names of the requests.
fn enlarged(enlarge: Enlarge) -> impl Fn(&Exchange) -> Spoilt + Send + Sync {
    let requests = Requests::default();
    let issuer = Issuer::new(CertificateParams::default(), KeyPair::generate().unwrap());
    move |exchange| {
        let signed = signed_anew(exchange, &requests, &issuer, enlarge);
        signed.map_or(Spoilt::No, |signed| Spoilt::Changed(signed.pem()))
    }
}

/// Renews 60 certificates, while the CA enlarges each of them.
fn renew_enlarged(enlarge: Enlarge) -> Result<Outcome> {
    let hosts: Vec<_> = (0..60).map(|i| format!("h{i}.example.com")).collect();
    let bed = TestBed::builder().delegate_apart(&hosts).start()?;
    let proxy = bed.acme_proxy(enlarged(enlarge))?;
    let mut settings = bed.settings().certificates(&hosts);
    settings.directory = proxy.directory();
    bed.program(settings)?.run(&["renew"])
}

#[test]
fn an_id_of_the_key_of_the_issuer_of_200_kilobytes_is_not_kept() -> Result {
    let outcome = renew_enlarged(|params| {
        // An octet string of 200 KB with the tag 0 in a sequence.
        let octets = 200_000_u32;
        let length = |octets: u32| [&[0x83][..], &octets.to_be_bytes()[1..]].concat();
        let id = [&[0x80][..], &length(octets), &vec![7; octets as usize]].concat();
        let content = [&[0x30][..], &length(octets + 5), &id].concat();
        let extension = CustomExtension::from_oid_content(&[2, 5, 29, 35], content);
        params.custom_extensions.push(extension);
    })?;
    outcome.assert_success();
    outcome.assert_peak_memory_below(KEPT_BY_NONE);
    Ok(())
}

#[test]
fn thousands_of_names_in_certificates_that_are_set_aside_are_not_kept() -> Result {
    let outcome = renew_enlarged(|params| {
        let more = (0..18_000).map(|i| format!("n{i}.test").try_into().unwrap());
        params.subject_alt_names.extend(more.map(SanType::DnsName));
    })?;
    outcome.assert_failure(5, &["instead of"]);
    outcome.assert_peak_memory_below(KEPT_BY_NONE);
    Ok(())
}

#[test]
fn large_certificates_that_are_written_in_many_formats_do_not_fill_memory() -> Result {
    let hosts = |kind: char, count| (0..count).map(move |n| format!("{kind}{n}.example.com"));
    let all: Vec<_> = hosts('a', 80).chain(hosts('g', 20)).collect();
    let bed = TestBed::builder().delegate_apart(&all).start()?;
    let proxy = bed.acme_proxy(enlarged(|params| {
        let name = params.subject_alt_names.first();
        if matches!(name, Some(SanType::DnsName(name)) if name.as_str().starts_with('a')) {
            let extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![7; 650_000]);
            params.custom_extensions.push(extension);
        }
    }))?;
    let folder = bed.folder().join("files");
    fs::create_dir(&folder)?;
    let password = bed.write_secret("password", "a password")?;
    let mut settings = bed.settings().certificates(&all);
    let files = "key = 'DIR/{id}.key'\nfullchain = 'DIR/{id}.pem'\ncombined = 'DIR/{id}.all'\n\
                 certificate-der = 'DIR/{id}.der'\npkcs12 = 'DIR/{id}.p12'";
    settings.more += &format!(
        "[[deploy]]\nkind = 'files'\n{}\npassword = {{ file = '{}' }}\n",
        files.replace("DIR", &folder.display().to_string()),
        password.display()
    );
    settings.directory = proxy.directory();
    let outcome = bed.program(settings)?.run(&["renew"])?;
    outcome.assert_failure(5, &["at most 262144 are accepted"]);
    assert_eq!(fs::read_dir(&folder)?.count(), 20 * 5, "{outcome}");
    outcome.assert_peak_memory_below(200 << 20);
    Ok(())
}

/// Renews so many certificates that are to have another chain. The CA offers ten, by links of such a length. Those whose
/// names begin like this come late, and the others are so large.
fn renew_with_other_chains(
    certificates: usize,
    link: usize,
    late: &'static str,
    large: usize,
) -> Result<Outcome> {
    let hosts: Vec<_> = (0..certificates)
        .map(|i| format!("h{i}.example.com"))
        .collect();
    let bed = TestBed::builder().delegate_apart(&hosts);
    let bed = bed.always_valid().start()?;
    let proxy = bed.acme_proxy(move |exchange| {
        let is_asked = exchange.answer.is_empty();
        match exchange.path.strip_prefix("/certZ/") {
            Some(path) if path.starts_with(late) && !is_asked => {
                Spoilt::Late(Duration::from_secs(20))
            }
            // A serial number, which is the name of a usual chain, has no such letter.
            Some(path) if path.starts_with('z') && !path.starts_with(late) => {
                Spoilt::Instead(200, Vec::new(), "x".repeat(large))
            }
            Some(_) if is_asked => Spoilt::No,
            Some(_) => {
                let long = "x".repeat(link);
                let links = (0..10).map(|n| format!("<z{n}{long}>;rel=alternate"));
                Spoilt::With("link", links.collect::<Vec<_>>().join(","))
            }
            None => Spoilt::No,
        }
    })?;
    let mut settings = bed.settings();
    for host in &hosts {
        let lines = format!("domains = [\"{host}\"]\npreferred-chain = \"none\"");
        settings = settings.certificate(&host.replace('.', "-"), &lines);
    }
    settings.directory = proxy.directory();
    bed.program(settings)?.run(&["renew"])
}

#[test]
fn other_chains_of_a_megabyte_are_not_kept_until_all_are_there() -> Result {
    let outcome = renew_with_other_chains(60, 0, "z9", 1_000_000)?;
    outcome.assert_success();
    outcome.assert_peak_memory_below(KEPT_BY_NONE);
    Ok(())
}

#[test]
fn links_of_30_kilobytes_to_other_chains_are_not_kept() -> Result {
    let outcome = renew_with_other_chains(200, 30_000, "z", 0)?;
    outcome.assert_success();
    outcome.assert_peak_memory_below(KEPT_BY_NONE);
    Ok(())
}

/// A server that has all certificates of a run: it starts if it can load each of them.
const SERVER: &str = r#"
import os, ssl
for path in os.environ["ACME_ALIAS_HOOK_PATHS"].splitlines():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path + "/fullchain.pem", path + "/privkey.pem")
"#;

/// RSA with SHA-256 (RFC 8017 §A.2.4). With another last octet it is an algorithm that is weak, or that nobody knows.
const ALGORITHM: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11];

/// Replaces octets in a certificate by as many others, at the last places where they are, in PEM.
fn changed(der: &[u8], from: &[u8], to: &[u8], places: usize) -> String {
    let mut changed = der.to_vec();
    let all = der.windows(from.len()).enumerate();
    let found = all.filter(|(_, octets)| *octets == from);
    let found: Vec<_> = found.map(|(place, _)| place).collect();
    for place in &found[found.len() - places..] {
        changed[*place..place + from.len()].copy_from_slice(to);
    }
    let text = BASE64_STANDARD.encode(changed);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

/// A self-signed certificate of this subject with an RSA key that is too short.
fn short_issuer(subject: &str) -> Result<String> {
    let subject = format!("/CN={subject}");
    let new = ["req", "-x509", "-newkey", "rsa:1024", "-nodes"];
    let names = ["-keyout", "/dev/null", "-subj", &subject];
    let openssl = Command::new("openssl").args(new).args(names).output()?;
    Ok(String::from_utf8(openssl.stdout)?)
}

#[test]
fn certificates_that_no_server_loads_keep_no_server_of_others_from_its_new_ones() -> Result {
    const SUBJECT: &str = "issuer";
    let bad =
        ["md5", "sha1", "unknown", "outside", "text"].map(|kind| format!("{kind}.example.com"));
    let good = ["short.example.com", "good.example.com"].map(str::to_owned);
    let hosts = [&bad[..], &good].concat();
    let bed = TestBed::builder().delegate_apart(&hosts).start()?;
    let requests = Requests::default();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, SUBJECT);
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?;
    let (issuer, short) = (Issuer::new(params, key), short_issuer(SUBJECT)?);
    let proxy = bed.acme_proxy(move |exchange| {
        let Some(signed) = signed_anew(exchange, &requests, &issuer, |_| ()) else {
            return Spoilt::No;
        };
        let info = certificate::inspect(signed.pem().as_bytes()).unwrap();
        // The algorithm is in the certificate, and once more outside of what is signed.
        let with = |last: u8, places| {
            let other = [&ALGORITHM[..8], &[last]].concat();
            changed(signed.der(), &ALGORITHM, &other, places)
        };
        Spoilt::Changed(match info.names[0].split_once('.').unwrap().0 {
            "md5" => with(4, 2),
            "sha1" => with(5, 2),
            "unknown" => with(0x63, 2),
            "outside" => with(12, 1),
            "text" => changed(signed.der(), SUBJECT.as_bytes(), &[0xff; SUBJECT.len()], 1),
            "short" => signed.pem() + &short,
            _ => signed.pem(),
        })
    })?;
    let server = bed.folder().join("server.py");
    fs::write(&server, SERVER)?;
    let mut settings = bed.settings().certificates(&hosts);
    let command = format!("command = ['python3', '{}']", server.display());
    settings.more += &format!("[[deploy]]\nkind = 'command'\n{command}\n");
    settings.directory = proxy.directory();
    let outcome = bed.program(settings)?.run(&["renew"])?;
    outcome.assert_failure(5, &["servers with OpenSSL would not load the certificate"]);
    let reasons = [
        "is weak or unknown",
        "its encoding is not valid",
        "is not text",
    ];
    outcome.assert_said(&reasons);
    outcome.assert_said(&["`CN=issuer` is left out", "its key is short"]);
    assert!(!outcome.stdout.contains("not deployed"), "{outcome}");
    let certificates = bed.folder().join("state/certificates");
    for (hosts, is_stored) in [(&bad[..], false), (&good[..], true)] {
        for host in hosts {
            let stored = certificates
                .join(host.replace('.', "-"))
                .join("fullchain.pem");
            assert_eq!(stored.exists(), is_stored, "{host}: {outcome}");
        }
    }
    Ok(())
}
