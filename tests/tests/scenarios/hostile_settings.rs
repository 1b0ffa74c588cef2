//! Mistakes in the settings of one certificate, beside others that use the same key in the same zone.

use std::fs;

use acme_alias_tests::{ALIAS_ZONE, Result, Settings, TestBed, Txt};

use super::exec::programs;

/// The certificate whose settings will be wrong; they are stored with it.
const WRONG: &str = "abad.example.com";
const GOOD: &str = "zgood.example.com";

/// Two certificates in an alias zone whose values are read at its servers, because its backend cannot be read.
struct Pair {
    bed: TestBed,
    options: String,
}

impl Pair {
    fn start() -> Result<Pair> {
        let bed = TestBed::builder().delegate_apart(&[WRONG, GOOD]);
        let bed = bed.validates_each_time().start()?;
        let program = programs::lego(&bed, bed.primary())?;
        let options = format!("protocol = 'lego'\ncommand = '{}'", program.display());
        let pair = Pair { bed, options };
        let usual = pair.bed.program(pair.settings())?;
        usual.run(&["issue", WRONG])?.assert_success();
        usual.run(&["renew"])?.assert_success();
        Ok(pair)
    }

    fn settings(&self) -> Settings {
        programs::settings(self.bed.settings(), &self.options).certificates(&[GOOD])
    }

    /// Gives the certificate that is stored dead servers for the alias zone.
    fn spoil(&self) -> Result {
        let stored = self.bed.folder();
        let stored = stored.join("state/certificates/abad-example-com/settings.toml");
        let text = fs::read_to_string(&stored)?;
        let dead = self.bed.dead_port()?;
        let servers = dead.address();
        let zone = format!(
            "[[alias-zones]]\nzone = \"{ALIAS_ZONE}\"\nprovider = \"own\"\nservers = [\"{servers}\"]\n"
        );
        Ok(fs::write(&stored, format!("{text}\n{zone}"))?)
    }
}

#[test]
fn wrong_servers_of_one_certificate_concern_no_other_one_of_its_zone() -> Result {
    let pair = Pair::start()?;
    let bed = &pair.bed;
    // Both have a value when the run is killed.
    let stuck = bed.stuck_server()?;
    let mut waiting = pair.settings();
    waiting.alias_zones[0].servers.push(stuck.address());
    let running = bed.program(waiting)?.spawn(&["renew", "--force"])?;
    bed.wait_until("two values", |bed| Ok(bed.txt()?.len() == 2))?;
    running.kill()?;
    pair.spoil()?;
    let outcome = bed.program(pair.settings())?.run(&["renew", "--force"])?;
    let is_good = |txt: &&Txt| txt.name.starts_with("zgood");
    assert_eq!(bed.txt()?.iter().find(is_good), None, "{outcome}");
    let certificates = bed.folder().join("state/certificates");
    let renewed = certificates.join("zgood-example-com/versions/2");
    assert!(renewed.exists(), "{outcome}");
    outcome.assert_said(&["abad-example-com: failed"]);
    Ok(())
}
