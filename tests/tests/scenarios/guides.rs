//! The guides in `docs/`, with their own words.

use std::fs;
use std::path::Path;

use acme_alias_tests::{ALIAS_ZONE, Builder, Error, Result};

/// The blocks of a page that are in this language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    let after = page.split(&opening).skip(1);
    let blocks = after.filter_map(|text| text.split_once("\n```"));
    blocks.map(|(block, _)| block.to_owned()).collect()
}

#[test]
fn the_guide_to_bind_works_as_it_stands() -> Result {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/bind.md");
    let page = fs::read_to_string(path)?;
    let texts = blocks(&page, "text");
    let [configuration, cname] = texts.as_slice() else {
        return Err(Error::new("two blocks were expected"));
    };
    let words: Vec<_> = cname.split_whitespace().collect();
    let [name, "600", "IN", "CNAME", target] = words.as_slice() else {
        return Err(Error::new(cname));
    };
    let dotless = |name: &str| name.trim_end_matches('.').to_owned();
    let bed = Builder::default()
        .cname(&dotless(name), &dotless(target))
        .start()?;

    let policy = configuration
        .lines()
        .find(|line| line.contains("update-policy"))
        .ok_or_else(|| Error::new("no policy"))?;
    bed.replace_in_primary(
        "update-policy { grant acme-key zonesub TXT; };",
        policy.trim(),
    )?;

    // The page's settings are the user's; above them stands only what is the bed's own.
    let mut settings = bed.settings();
    let servers = settings.alias_zones[0].servers.clone();
    settings.zones.push((ALIAS_ZONE.to_owned(), servers));
    settings.providers.clear();
    settings.alias_zones.clear();
    settings.more = format!(
        "[providers.bind]\nserver = \"{}\"\ntsig-key = \"acme-key\"\ntsig-secret = {{ file = \"{}\" }}\n",
        bed.primary(),
        bed.secret_file("acme-key").display()
    );
    let program = bed.program(settings)?;
    let folder = program.home().join("config/acme-alias");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("config.toml"), blocks(&page, "toml").concat())?;
    let mut ran = 0;
    for block in blocks(&page, "sh") {
        for command in block
            .lines()
            .filter_map(|line| line.strip_prefix("acme-alias "))
        {
            let arguments: Vec<_> = command.split_whitespace().collect();
            program.run(&arguments)?.assert_success();
            ran += 1;
        }
    }
    assert_eq!(ran, 6, "every command of the page");
    assert_eq!(
        bed.certificate("web")?.names,
        ["*.example.com", "example.com"]
    );
    // The bed lets anybody see its zones; the audit would tell.
    bed.replace_in_primary("allow-transfer { any; }", "allow-transfer { none; }")?;
    let audit = program.run(&["key", "audit"])?;
    assert!(
        audit.stdout.contains("auth.example.net, acme-key: tight"),
        "{audit}"
    );
    Ok(())
}
