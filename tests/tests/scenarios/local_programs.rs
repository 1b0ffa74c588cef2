//! Programs that other users of the machine can exchange, or lead to by links, are not run.

use std::fs::{self, File, Permissions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};

use acme_alias_tests::{Result, TestBed};

/// Another user. The tests run as root.
const STRANGER: Option<u32> = Some(65534);

fn set_mode(path: &Path, mode: u32) -> Result {
    Ok(fs::set_permissions(path, Permissions::from_mode(mode))?)
}

/// A link in a folder, which leads to a program whose real path is longer than Linux allows for one (4096 octets).
fn far_away(folder: &Path, text: &str) -> Result<PathBuf> {
    let name = "d".repeat(250);
    let (mut below, mut open) = (folder.to_owned(), File::open(folder)?);
    for depth in 0..20 {
        if depth == 15 {
            symlink(
                [name.as_str(); 5].join("/") + "/program",
                below.join("next"),
            )?;
        }
        fs::create_dir(below.join(&name))?;
        open = File::open(below.join(&name))?;
        below = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()));
    }
    fs::write(below.join("program"), text)?;
    set_mode(&below.join("program"), 0o755)?;
    drop(open);
    let link = folder.join("far");
    symlink([name.as_str(); 15].join("/") + "/next", &link)?;
    Ok(link)
}

#[test]
fn a_program_to_which_others_lead_is_not_run() -> Result {
    let bed = TestBed::start()?;
    let (ours, theirs) = (bed.folder().join("ours"), bed.folder().join("theirs"));
    let (all, ran) = (bed.folder().join("all"), bed.folder().join("ran"));
    for folder in [&ours, &theirs, &all] {
        fs::create_dir(folder)?;
    }
    set_mode(&all, 0o1777)?;
    let text = format!("#!/bin/sh\ntouch {}\n", ran.display());
    for program in [all.join("program"), ours.join("program")] {
        fs::write(&program, &text)?;
        set_mode(&program, 0o755)?;
    }
    chown(all.join("program"), STRANGER, None)?;
    let far = far_away(&theirs, &text)?;
    // More links of the stranger than are followed, to what the stranger wrote.
    symlink(all.join("program"), theirs.join("link0"))?;
    for number in 1..=20 {
        symlink(
            format!("link{}", number - 1),
            theirs.join(format!("link{number}")),
        )?;
    }
    symlink(theirs.join("link20"), ours.join("to-many"))?;
    // What leads to our program now may lead elsewhere when it is run.
    symlink(&ours, theirs.join("here"))?;
    symlink(theirs.join("here/program"), ours.join("to-ours"))?;
    for entry in fs::read_dir(&theirs)? {
        lchown(entry?.path(), STRANGER, None)?;
    }
    chown(&theirs, STRANGER, None)?;
    for program in [far, ours.join("to-many"), ours.join("to-ours")] {
        let hook = format!("deploy-hook = ['{}']", program.display());
        let settings = bed
            .settings()
            .certificate("web", &format!("domains = ['example.com']\n{hook}"));
        let outcome = bed.program(settings)?.run(&["renew", "--force", "-v"])?;
        assert!(!ran.exists(), "{}: {outcome}", program.display());
        outcome.assert_printed(&["the program was not run"]);
    }
    Ok(())
}

#[test]
fn a_program_of_others_that_prints_a_secret_is_not_run() -> Result {
    let bed = TestBed::start()?;
    let (folder, ran) = (bed.folder().join("theirs"), bed.folder().join("ran"));
    fs::create_dir(&folder)?;
    let program = folder.join("program");
    fs::write(
        &program,
        format!("#!/bin/sh\ntouch {}\necho secret\n", ran.display()),
    )?;
    set_mode(&program, 0o755)?;
    chown(&folder, STRANGER, None)?;
    let mut settings = bed.settings().certificates(&["example.com"]);
    let provider = settings.providers.remove(0);
    settings.more.push_str(&format!(
        "[providers.{}]\nkind = 'rfc2136'\nserver = '{}'\ntsig-key = 'key'\ntsig-algorithm = 'hmac-sha256'\n\
         tsig-secret = {{ command = ['{}'] }}\n",
        provider.id,
        bed.primary(),
        program.display()
    ));
    let outcome = bed.program(settings)?.run(&["renew"])?;
    assert!(!ran.exists(), "{outcome}");
    outcome.assert_said(&["was not run", "another user"]);
    Ok(())
}
