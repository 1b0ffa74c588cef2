//! File systems that lack something, and copies of a state folder that lack something.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use acme_alias_tests::{ALIAS_ZONE, Program, Result, TestBed};

const ISSUE: [&str; 5] = [
    "issue",
    "example.com",
    "--challenge-alias",
    ALIAS_ZONE,
    "--force",
];
const FILES: [&str; 4] = ["privkey.pem", "cert.pem", "chain.pem", "fullchain.pem"];

/// Runs a shell script to its end.
fn shell(script: &str) -> Result {
    let output = Command::new("sh").args(["-ec", script]).output()?;
    assert!(output.status.success(), "{script}: {output:?}");
    Ok(())
}

/// The text of the files in the folder of the certificate, and in that of a version.
fn texts(folder: &Path, version: u32) -> Result<[Vec<String>; 2]> {
    let read = |folder: &Path| -> Result<Vec<String>> {
        let texts = FILES
            .iter()
            .map(|file| fs::read_to_string(folder.join(file)));
        Ok(texts.collect::<std::io::Result<Vec<_>>>()?)
    };
    let version = folder.join("versions").join(version.to_string());
    Ok([read(folder)?, read(&version)?])
}

#[test]
fn a_copy_without_links_is_read_and_repaired_by_the_next_renewal() -> Result {
    let bed = TestBed::start()?;
    bed.run(&ISSUE)?.assert_success();
    bed.run(&ISSUE)?.assert_success();
    let (state, folder) = (bed.settings().state, "certificates/example-com");
    let (state, copy) = (state.display(), bed.folder().join("copy"));
    for copied in ["cp -rL", "cp -aL", "rsync"] {
        let to = copy.display();
        // `rsync` without `-l` leaves links out.
        let how = match copied {
            "rsync" => format!(
                "cp -a {state} {to} && cd {to}/{folder} && rm *.pem current && cp -r versions/2 current"
            ),
            copy => format!("{copy} {state} {to}"),
        };
        shell(&how)?;
        let mut settings = bed.settings();
        settings.state = copy.clone();
        let program = bed.program(settings)?;
        for command in [&["list"][..], &["renew"], &["ledger", "verify"]] {
            program.run(command)?.assert_success();
        }
        let listed = program.run(&["list", "--output", "json"])?;
        listed.assert_printed(&["example-com", "\"version\":2"]);
        program.run(&["renew", "--force"])?.assert_success();
        let folder = copy.join(folder);
        assert_eq!(
            fs::read_link(folder.join("current"))?,
            Path::new("versions/3")
        );
        for file in FILES {
            assert!(folder.join(file).is_symlink(), "{file}");
        }
        let [outside, inside] = texts(&folder, 3)?;
        assert_eq!(outside, inside);
        let names = fs::read_dir(&folder)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let names = names.collect::<std::io::Result<Vec<_>>>()?;
        assert!(
            !names.iter().any(|name| name.starts_with(".new-")),
            "{names:?}"
        );
        fs::remove_dir_all(&copy)?;
    }
    Ok(())
}

#[test]
fn a_folder_in_the_place_of_a_link_that_is_no_copy_is_damage() -> Result {
    let bed = TestBed::start()?;
    bed.run(&ISSUE)?.assert_success();
    let folder = bed.settings().state.join("certificates/example-com");
    let current = folder.join("current");
    fs::remove_file(&current)?;
    fs::create_dir(&current)?;
    fs::set_permissions(&current, fs::Permissions::from_mode(0o700))?;
    let outcome = bed.run(&["list"])?;
    outcome.assert_printed(&["damaged"]);
    fs::write(current.join("cert.pem"), "of nobody")?;
    fs::set_permissions(current.join("cert.pem"), fs::Permissions::from_mode(0o600))?;
    bed.run(&["list"])?.assert_printed(&["damaged"]);
    // Issuing replaces it.
    bed.run(&ISSUE)?.assert_success();
    bed.run(&["list"])?.assert_success();
    assert!(current.is_symlink());
    Ok(())
}

/// Runs the program with a state folder on exFAT, in a mount namespace of its own. It has no links, no owners and no
/// modes but those of the options. The file system is kept in a file.
fn on_exfat(bed: &TestBed, program: &Program, options: &str) -> Result<Program> {
    let (image, script) = (bed.folder().join("image"), bed.folder().join("on-exfat"));
    let state = &program.settings.state;
    if !image.exists() {
        fs::create_dir(state)?;
        let image = image.display();
        shell(&format!(
            "truncate -s 8M {image} && PATH=$PATH:/usr/sbin mkfs.exfat {image}"
        ))?;
    }
    let text = format!(
        "set -e; PATH=$PATH:/usr/sbin
        loop=$(losetup --find --show {image})
        mount.exfat-fuse -o {options} $loop {state} > /dev/null 2>&1
        losetup --detach $loop
        code=0; \"$0\" \"$@\" || code=$?
        find {state}/certificates >&2 || true
        umount {state}
        exit $code",
        image = image.display(),
        state = state.display(),
    );
    fs::write(&script, text)?;
    Ok(in_namespaces(program, "--pid --fork --kill-child", &script))
}

/// The program in a mount namespace of its own, in which a script runs it.
fn in_namespaces(program: &Program, more: &str, script: &Path) -> Program {
    let script = script.display();
    program.clone().before(&format!(
        "exec unshare --mount {more} sh -c \"$(cat {script})\" \"$0\" \"$@\""
    ))
}

#[test]
fn a_state_folder_on_a_file_system_without_links_and_modes_works() -> Result {
    let bed = TestBed::start()?;
    let program = bed.program(bed.settings())?;
    let program = on_exfat(&bed, &program, "umask=077")?;
    for number in 1..=4 {
        let outcome = program.run(&ISSUE)?;
        outcome.assert_success();
        outcome.assert_said(&[
            "example-com/privkey.pem",
            &format!("versions/{number}/privkey.pem"),
        ]);
    }
    let listed = program.run(&["list", "--output", "json"])?;
    listed.assert_success();
    listed.assert_printed(&["\"version\":4"]);
    for command in [
        &["renew"][..],
        &["renew", "--force"],
        &["ledger", "verify"],
        &["config", "check"],
    ] {
        program.run(command)?.assert_success();
    }
    assert_eq!(bed.orders()?, 5);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn files_beside_a_current_version_without_links_are_copies_of_it() -> Result {
    let bed = TestBed::start()?;
    let mut settings = bed.settings();
    let kept = bed.folder().join("kept");
    settings.more = format!(
        "[[deploy]]\nkind = 'command'\ncommand = ['sh', '-c', 'rm -rf {kept}; cp -r {state}/certificates/example-com {kept}']",
        kept = kept.display(),
        state = settings.state.display(),
    );
    let program = on_exfat(&bed, &bed.program(settings)?, "umask=077")?;
    for number in 1..=2 {
        program.run(&ISSUE)?.assert_success();
        let [outside, inside] = texts(&kept, number)?;
        assert_eq!(outside, inside);
        assert_eq!(
            fs::read_to_string(kept.join("current"))?,
            format!("versions/{number}\n")
        );
    }
    Ok(())
}

#[test]
fn a_file_system_whose_files_everybody_can_change_is_refused_before_the_order() -> Result {
    let bed = TestBed::start()?;
    let program = bed.program(bed.settings())?;
    let program = on_exfat(&bed, &program, "umask=0")?;
    let outcome = program.run(&ISSUE)?;
    outcome.assert_failure(6, &["lets others change it", "umask=077"]);
    assert_eq!(bed.orders()?, 0);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_file_system_that_is_full_or_read_only_is_noticed_before_account_and_order() -> Result {
    let bed = TestBed::start()?;
    let program = bed.program(bed.settings())?;
    let state = bed.settings().state;
    let state = state.display();
    for (mount, words) in [
        (
            "mount -t tmpfs -o size=60k,mode=700 tmpfs",
            "No space left on device",
        ),
        (
            "mount -t tmpfs -o nr_inodes=12,mode=700 tmpfs",
            "No space left on device",
        ),
        (
            "mount -t tmpfs -o ro,mode=700 tmpfs",
            "Read-only file system",
        ),
    ] {
        let script = bed.folder().join("mounted");
        let text = format!("mkdir -p {state} && {mount} {state} && exec \"$0\" \"$@\"");
        fs::write(&script, text)?;
        let outcome = in_namespaces(&program, "", &script).run(&ISSUE)?;
        outcome.assert_failure(6, &[words]);
        assert!(!outcome.stderr.contains("opening an order"), "{outcome}");
    }
    assert_eq!(bed.orders()?, 0);
    bed.assert_only_txt_was_touched(&[])
}
