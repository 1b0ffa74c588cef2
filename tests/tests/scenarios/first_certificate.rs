//! The page on the first certificate, with its own words.

use std::fs;
use std::path::{Path, PathBuf};

use acme_alias_tests::{
    ALIAS_ZONE, BELOW, Builder, Error, Result, Settings, SimulatedCa, TestBed, Validation,
    output_of,
};
use tempfile::TempDir;

use crate::guide_text::{blocks, commands, read, section};

/// The settings of the page for the staging CA end here.
const PRODUCTION: &str = "\n## 8. ";
/// Where the page has the zone file.
const ZONE_FILE: &str = "/var/lib/bind/auth.example.net.zone";

/// The page, and a bed whose zones, key and policy are those of the page.
pub(crate) struct FirstCertificate {
    pub(crate) page: String,
    pub(crate) bed: TestBed,
    /// The key, as the command of the page makes it.
    pub(crate) key: String,
    /// Where the page keeps the key on the primary.
    pub(crate) key_file: String,
}

impl FirstCertificate {
    pub(crate) fn start() -> Result<Self> {
        let page = read("first-certificate.md")?;
        let zones = blocks(&page, "zone");
        let [_, _, cname] = zones.as_slice() else {
            return Err(Error::new("three blocks of zones were expected"));
        };
        let words: Vec<_> = cname.split_whitespace().collect();
        let [name, "600", "IN", "CNAME", target] = words.as_slice() else {
            return Err(Error::new(cname));
        };
        let dotless = |name: &str| name.trim_end_matches('.').to_owned();
        let bed = Builder::default()
            .cname(&dotless(name), &dotless(target))
            .start()?;

        let configuration = blocks(&page, "text").remove(0);
        let policy = line_with(&configuration, "update-policy")?;
        bed.replace_in_primary("update-policy { grant acme-key zonesub TXT; };", policy)?;
        let on_primary = blocks(&page, "sh").remove(0);
        let command = line_with(&on_primary, "tsig-keygen")?;
        let (command, key_file) = command
            .split_once(" > ")
            .ok_or_else(|| Error::new(command))?;
        let key = output_of(command)?;
        bed.replace_in_primary(&bed.key(ALIAS_ZONE)?.to_string(), &key)?;
        Ok(FirstCertificate {
            bed,
            key,
            key_file: key_file.to_owned(),
            page,
        })
    }

    /// What stands above the settings of the page, because it is the bed's own; `provider` are more lines for its
    /// provider.
    pub(crate) fn above(&self, provider: &str) -> Settings {
        let mut settings = self.bed.settings();
        let servers = settings.alias_zones[0].servers.clone();
        settings.zones.push((ALIAS_ZONE.to_owned(), servers));
        settings.providers.clear();
        settings.alias_zones.clear();
        let server = self.bed.primary();
        settings.more = format!("[providers.bind]\nserver = \"{server}\"\n{provider}");
        settings
    }

    /// The page up to the production CA, and what follows.
    pub(crate) fn halves(&self) -> Result<(&str, &str)> {
        let halves = self.page.split_once(PRODUCTION);
        halves.ok_or_else(|| Error::new("the page has no production CA"))
    }
}

fn line_with<'a>(text: &'a str, words: &str) -> Result<&'a str> {
    let line = text.lines().find(|line| line.contains(words));
    Ok(line.ok_or_else(|| Error::new(words))?.trim())
}

#[test]
fn the_zone_file_and_the_configuration_load_in_bind() -> Result {
    let page = read("first-certificate.md")?;
    let folder = TempDir::new()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let on_primary = blocks(&page, "sh");
    let key = line_with(&on_primary[0], "tsig-keygen")?;
    let (command, key_file) = key.split_once(" > ").ok_or_else(|| Error::new(key))?;
    let secured = format!("install -o root -g bind -m 640 /dev/null {key_file}");
    assert!(on_primary[0].contains(&secured), "{page}");
    fs::write(path("key"), output_of(command)?)?;
    fs::write(path("zone"), blocks(&page, "zone").remove(0) + "\n")?;
    let configuration = blocks(&page, "text").remove(0);
    let moved = configuration
        .replace(key_file, &path("key"))
        .replace(ZONE_FILE, &path("zone"));
    assert!(
        !moved.contains("/etc/") && !moved.contains("/var/"),
        "{moved}"
    );
    fs::write(path("named.conf"), moved)?;

    let loaded = "zone auth.example.net/IN: loaded serial 1";
    let checked = output_of(&format!("named-checkconf -z {}", path("named.conf")))?;
    assert!(checked.contains(loaded), "{checked}");
    let check = line_with(&on_primary[1], "named-checkzone")?;
    let checked = output_of(&check.replace(ZONE_FILE, &path("zone")))?;
    assert!(checked.contains(loaded), "{checked}");
    Ok(())
}

#[test]
fn the_page_works_as_it_stands() -> Result {
    let first = FirstCertificate::start()?;
    let secret = first.bed.write_secret("acme-key.key", &first.key)?;
    let provider = format!("tsig-secret = {{ file = \"{}\" }}\n", secret.display());
    let mut program = first.bed.program(first.above(&provider))?;
    let settings = blocks(&first.page, "toml").concat();
    fs::write(program.home().join(BELOW), settings)?;
    let (staging, production) = first.halves()?;
    let run_all = |program: &acme_alias_tests::Program, text: &str| -> Result<usize> {
        let commands = commands(text);
        for command in &commands {
            program.run(command)?.assert_success();
        }
        Ok(commands.len())
    };
    assert_eq!(run_all(&program, staging)?, 8);
    let names = ["*.example.com", "example.com"];
    assert_eq!(first.bed.certificate("web")?.names, names);

    let second = SimulatedCa::start(Validation::Trust)?;
    program.settings.directory = second.directory();
    program.settings.ca_file = Some(second.root().to_owned());
    assert_eq!(run_all(&program, production)?, 2);
    assert_eq!((first.bed.orders()?, second.certificates()), (1, 1));

    let wide = program.run(&["key", "policy", "--scope", "zone"])?;
    let policy = "grant acme-key zonesub TXT;";
    assert!(first.page.contains(&format!("`{policy}`")));
    wide.assert_printed(&[policy]);
    // The bed lets anybody see its zones; the audit would tell.
    first
        .bed
        .replace_in_primary("allow-transfer { any; }", "allow-transfer { none; }")?;
    let audit = program.run(&["key", "audit"])?;
    audit.assert_printed(&["auth.example.net, acme-key: tight"]);
    Ok(())
}

#[test]
fn the_commands_and_the_settings_of_the_readme_are_those_of_the_page() -> Result {
    let readme: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(readme)?;
    let readme = section(&readme, "The first certificate in five commands")?;
    let page = read("first-certificate.md")?;
    let blocks_of_readme = blocks(&readme, "sh");
    let lines: Vec<_> = blocks_of_readme
        .iter()
        .flat_map(|block| block.lines())
        .collect();
    assert_eq!(lines.len(), 5);
    let of_page = blocks(&page, "sh").join("\n");
    for line in lines {
        assert!(of_page.lines().any(|known| known == line), "{line}");
    }
    assert_eq!(blocks(&readme, "toml"), blocks(&page, "toml"));
    Ok(())
}
