//! Files for others, in folders of other users of the machine.

use std::fs;
use std::os::unix::fs::{chown, lchown, symlink};
use std::path::Path;

use acme_alias_tests::{Result, TestBed};

/// Another user. The tests run as root.
const STRANGER: Option<u32> = Some(65534);

#[test]
fn a_report_is_not_written_where_a_link_of_another_user_leads() -> Result {
    let bed = TestBed::start()?;
    let settings = bed.settings().certificates(&["example.com".to_owned()]);
    let program = bed.program(settings)?;
    let (theirs, victim) = (bed.folder().join("theirs"), bed.folder().join("victim"));
    for folder in [&theirs, &victim] {
        fs::create_dir(folder)?;
    }
    fs::write(victim.join("page"), "of another user")?;
    let page = |folder: &Path| folder.join("page").display().to_string();
    let written = |command: &[&str], folder: &Path| {
        let file = page(folder);
        program.run(&[command, &[file.as_str()]].concat())
    };
    let commands = [&["report", "--html"][..], &["renew", "--metrics"]];
    chown(&theirs, STRANGER, None)?;
    symlink(&victim, theirs.join("link"))?;
    lchown(theirs.join("link"), STRANGER, None)?;
    for command in commands {
        let outcome = written(command, &theirs.join("link"))?;
        outcome.assert_said(&["another user (uid 65534)"]);
        assert_eq!(fs::read_to_string(victim.join("page"))?, "of another user");
        // The folder itself may be theirs: that of the monitoring is.
        written(command, &theirs)?;
        assert!(fs::read_to_string(page(&theirs))?.len() > 100);
        fs::remove_file(page(&theirs))?;
    }
    Ok(())
}
