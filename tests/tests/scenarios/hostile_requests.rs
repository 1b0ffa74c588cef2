//! Certification requests of customers with more in them than names.

use std::fs;

use acme_alias_tests::{Result, TestBed, output_of};

use crate::csr::P256;

#[test]
fn a_thousand_requests_of_a_quarter_of_a_megabyte_are_not_kept() -> Result {
    let bed = TestBed::builder().delegate(&["example.com"]).start()?;
    let (config, file) = (
        bed.folder().join("large.conf"),
        bed.folder().join("large.csr"),
    );
    let extension = "41".repeat(0x3e000);
    fs::write(
        &config,
        format!(
            "[req]\ndistinguished_name = empty\nreq_extensions = all\n[empty]\n[all]\n\
             subjectAltName = DNS:customer.example\n1.2.3.4.5 = DER:048303e000{extension}\n"
        ),
    )?;
    output_of(&format!(
        "openssl req -new -newkey {P256} -nodes -keyout {0}.key -subj / -config {1} -outform DER -out {0}",
        file.display(),
        config.display()
    ))?;
    let length = fs::metadata(&file)?.len();
    assert!((240 << 10..256 << 10).contains(&length), "{length}");
    let mut settings = bed.settings().certificates(&["example.com".to_owned()]);
    for number in 0..1_000 {
        let csr = format!("csr = \"{}\"", file.display());
        settings = settings.certificate(&format!("a{number}"), &csr);
    }
    let outcome = bed.program(settings)?.run(&["renew"])?;
    outcome.assert_failure(2, &["more than 32768 octets"]);
    bed.certificate("example-com")?;
    outcome.assert_peak_memory_below(150 << 20);
    Ok(())
}
