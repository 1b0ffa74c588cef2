//! Files that are written for others: their content, owner and mode, and where they are refused. Who may read keys.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use acme_alias_tests::{Result, TestBed, output_of};
use serde_json::json;

use crate::deploy::{RENEW, files, folder, undeployed, with};

/// A user that nobody is.
const STRANGER: u32 = 65534;
/// The owner, the group and the mode of a file.
fn access(path: &Path) -> Result<(u32, u32, u32)> {
    let metadata = path.symlink_metadata()?;
    assert!(metadata.is_file(), "{}", path.display());
    Ok((metadata.uid(), metadata.gid(), metadata.mode() & 0o7777))
}

#[test]
fn files_have_the_wanted_content_owner_and_mode() -> Result {
    let bed = TestBed::start()?;
    let folder = folder(&bed, "files")?;
    let all = "key = 'DIR/key'\ncertificate = 'DIR/cert'\nchain = 'DIR/chain'\nfullchain = 'DIR/fullchain'\n\
               combined = 'DIR/{id}.pem'\nkey-der = 'DIR/key.der'\ncertificate-der = 'DIR/cert.der'\n\
               owner = '65534'\ngroup = '7'\nmode = '640'";
    let program = bed.program(with(&bed, &files(&folder, all)))?;
    program.run(&["renew"])?.assert_success();
    let read = |name: &str| fs::read_to_string(folder.join(name));
    let certificate = bed.certificate("web")?;
    let (key, fullchain) = (read("key")?, read("fullchain")?);
    assert_eq!(read("cert")?, certificate.pem);
    assert_eq!(fullchain, format!("{}{}", read("cert")?, read("chain")?));
    assert_eq!(read("web.pem")?, format!("{fullchain}{key}"));
    let public = |name: &str, form: &str, kind: &str| {
        let path = folder.join(name);
        output_of(&format!(
            "openssl {kind} -inform {form} -in {}",
            path.display()
        ))
    };
    let of_key = public("key", "PEM", "pkey -pubout")?;
    assert_eq!(public("key.der", "DER", "pkey -pubout")?, of_key);
    assert_eq!(public("cert.der", "DER", "x509 -noout -pubkey")?, of_key);
    for (name, mode) in [
        ("key", 0o640),
        ("web.pem", 0o640),
        ("key.der", 0o640),
        ("fullchain", 0o644),
        ("cert.der", 0o644),
    ] {
        assert_eq!(access(&folder.join(name))?, (STRANGER, 7, mode), "{name}");
    }
    assert_eq!(fs::read_dir(&folder)?.count(), 7);
    Ok(())
}

#[test]
fn files_are_kept_as_certbot_keeps_them() -> Result {
    let bed = TestBed::start()?;
    let folder = folder(&bed, "letsencrypt")?;
    let target = files(&folder, "letsencrypt = 'DIR'\nname = 'example.com'");
    let program = bed.program(with(&bed, &target))?;
    for arguments in [&["renew"][..], &["renew", "--force"]] {
        program.run(arguments)?.assert_success();
        let live = folder.join("live/example.com");
        let stored = bed.settings().state.join("certificates/web");
        for name in ["privkey.pem", "cert.pem", "chain.pem", "fullchain.pem"] {
            let (file, stored) = (fs::read(live.join(name))?, fs::read(stored.join(name))?);
            assert!(file == stored, "{name}");
        }
        assert_eq!(access(&live.join("privkey.pem"))?, (0, 0, 0o600));
    }
    Ok(())
}

#[test]
fn openssl_reads_the_key_store() -> Result {
    let bed = TestBed::start()?;
    let folder = folder(&bed, "files")?;
    let password = bed.write_secret("password", "a password")?;
    let lines = format!(
        "pkcs12 = 'DIR/web.p12'\npassword = {{ file = '{}' }}",
        password.display()
    );
    let program = bed.program(with(&bed, &files(&folder, &lines)))?;
    program.run(&["renew"])?.assert_success();
    let store = folder.join("web.p12");
    assert_eq!(access(&store)?, (0, 0, 0o600));
    let read = format!(
        "openssl pkcs12 -in {} -nodes -passin file:{}",
        store.display(),
        password.display()
    );
    let read = output_of(&read)?;
    let certificate = bed.certificate("web")?;
    assert!(read.contains(certificate.pem.trim()), "{read}");
    assert!(read.contains("friendlyName: web"), "{read}");
    assert!(read.contains("PRIVATE KEY"), "no key");
    Ok(())
}

#[test]
fn no_file_is_written_where_others_can_lead_it_elsewhere() -> Result {
    let bed = TestBed::start()?;
    let (open, good) = (folder(&bed, "open")?, folder(&bed, "good")?);
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777))?;
    let victim = bed.folder().join("victim");
    fs::write(&victim, "of others")?;
    // A link in the place of the file is replaced. One of another user on the way is refused.
    symlink(&victim, good.join("key"))?;
    symlink(&good, good.join("link"))?;
    std::os::unix::fs::lchown(good.join("link"), Some(STRANGER), None)?;
    let targets = [
        files(&open, "key = 'DIR/key'"),
        files(&good, "key = 'DIR/link/other'"),
        files(&good, "key = 'DIR/key'"),
    ];
    let program = bed.program(with(&bed, &targets.concat()))?;
    let outcome = program.run(&RENEW)?;
    assert_eq!(outcome.code, Some(1), "{outcome}");
    let left = undeployed(&outcome, "renewed")?;
    let errors: Vec<_> = (0..3)
        .map(|index| left[index]["error"].to_string())
        .collect();
    assert!(errors[0].contains("lets others change it"), "{outcome}");
    assert!(errors[1].contains("belongs to another user"), "{outcome}");
    assert_eq!(left[2], json!(null), "{outcome}");
    assert_eq!(access(&good.join("key"))?, (0, 0, 0o600));
    assert_eq!(fs::read_to_string(&victim)?, "of others");
    assert_eq!(fs::read_dir(&open)?.count(), 0);
    Ok(())
}

#[test]
fn the_owner_of_files_cannot_lead_them_elsewhere_by_a_link_of_root() -> Result {
    let bed = TestBed::start()?;
    let (home, victim) = (folder(&bed, "home")?, folder(&bed, "victim")?);
    fs::write(victim.join("key"), "of others")?;
    // Root made it for this customer, who gives it the name of the folder of his key.
    symlink(&victim, home.join("shared"))?;
    chown(&home, Some(STRANGER), None)?;
    fs::rename(home.join("shared"), home.join("tls"))?;
    let target = files(&home, "key = 'DIR/tls/key'\nowner = '65534'");
    let outcome = bed.program(with(&bed, &target))?.run(&RENEW)?;
    assert_eq!(fs::read_to_string(victim.join("key"))?, "of others");
    assert_eq!(outcome.code, Some(1), "{outcome}");
    let left = undeployed(&outcome, "renewed")?;
    assert!(
        left[0]["error"].to_string().contains("is a symbolic link"),
        "{outcome}"
    );
    Ok(())
}

#[test]
fn what_others_plant_in_a_folder_for_all_changes_nothing() -> Result {
    let bed = TestBed::start()?;
    let (theirs, shared) = (folder(&bed, "theirs")?, folder(&bed, "shared")?);
    chown(&theirs, Some(STRANGER), None)?;
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777))?;
    // Root made it in a folder of theirs, so that they can move it.
    fs::write(theirs.join("readable"), "of root")?;
    fs::rename(theirs.join("readable"), shared.join("key"))?;
    fs::create_dir_all(shared.join(".key.acme-alias-new/more"))?;
    let program = bed.program(with(&bed, &files(&shared, "key = 'DIR/key'")))?;
    for _ in 0..2 {
        program.run(&["renew", "--force"])?.assert_success();
        assert_eq!(access(&shared.join("key"))?, (0, 0, 0o600));
    }
    let stored = bed.settings().state.join("certificates/web/privkey.pem");
    assert!(fs::read(shared.join("key"))? == fs::read(stored)?);
    assert_eq!(fs::read_dir(&shared)?.count(), 2);
    Ok(())
}

/// A POSIX ACL by which the user 1 can read: version 2, and the entries of the owner, the user, the group, the mask
/// and others.
fn acl() -> Vec<u8> {
    let entries: [(u16, u16, u32); 5] = [
        (0x01, 6, u32::MAX),
        (0x02, 4, 1),
        (0x04, 0, u32::MAX),
        (0x10, 4, u32::MAX),
        (0x20, 0, u32::MAX),
    ];
    let mut acl = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        acl.extend(tag.to_le_bytes());
        acl.extend(permissions.to_le_bytes());
        acl.extend(id.to_le_bytes());
    }
    acl
}

#[test]
fn who_may_read_a_key_may_read_the_next_one() -> Result {
    const NAME: &str = "system.posix_acl_access";
    let bed = TestBed::start()?;
    let program = bed.program(with(&bed, ""))?;
    program.run(&["renew"])?.assert_success();
    let current = bed.settings().state.join("certificates/web/current");
    let key = current.join("privkey.pem");
    chown(fs::canonicalize(&current)?, None, Some(7))?;
    fs::set_permissions(
        fs::canonicalize(&current)?,
        fs::Permissions::from_mode(0o750),
    )?;
    chown(&key, None, Some(7))?;
    let flags = rustix::fs::XattrFlags::empty();
    let has_acl = rustix::fs::setxattr(&key, NAME, &acl(), flags).is_ok();
    if !has_acl {
        // The file system has none.
        fs::set_permissions(&key, fs::Permissions::from_mode(0o640))?;
    }
    let before = bed.certificate("web")?.serial;
    program.run(&["renew", "--force"])?.assert_success();
    assert_ne!(bed.certificate("web")?.serial, before);
    assert_eq!(access(&fs::canonicalize(&key)?)?, (0, 7, 0o640));
    let folder = current.metadata()?;
    assert_eq!((folder.gid(), folder.mode() & 0o777), (7, 0o750));
    if has_acl {
        let mut found = [0; 100];
        let length = rustix::fs::getxattr(&key, NAME, &mut found[..])?;
        assert_eq!(found[..length], acl());
    }
    Ok(())
}

#[test]
fn a_group_of_the_settings_may_read_keys() -> Result {
    let bed = TestBed::start()?;
    let mut settings = with(&bed, "");
    settings.top = "key-group = '7'".to_owned();
    let program = bed.program(settings)?;
    program.run(&["renew"])?.assert_success();
    let state = bed.settings().state;
    let folder = state.join("certificates/web");
    let facts = |path: &Path| -> Result<(u32, u32)> {
        let metadata = path.metadata()?;
        Ok((metadata.gid(), metadata.mode() & 0o777))
    };
    assert_eq!(facts(&folder.join("privkey.pem"))?, (7, 0o640));
    for folder in [&folder, &folder.join("versions"), &folder.join("current")] {
        assert_eq!(facts(folder)?, (7, 0o750), "{}", folder.display());
    }
    for folder in [&state, &state.join("certificates")] {
        assert_eq!(facts(folder)?.1, 0o711, "{}", folder.display());
    }
    assert_eq!(facts(&state.join("accounts"))?.1, 0o700);

    // A narrower mode, and a group that does not exist, which costs no certificate.
    let mut settings = with(&bed, "key-mode = '600'");
    settings.top = "key-group = 'no-such-group'".to_owned();
    let outcome = bed.program(settings)?.run(&["renew", "--force"])?;
    outcome.assert_success();
    outcome.assert_said(&["`key-group`", "no-such-group"]);
    Ok(())
}
