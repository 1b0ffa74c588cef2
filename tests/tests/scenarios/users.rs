//! Users, groups and modes as container runtimes, systemd and `su` leave them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use acme_alias_tests::{ALIAS_ZONE, Outcome, Program, Result, TestBed};

const ISSUE: [&str; 5] = [
    "issue",
    "example.com",
    "--challenge-alias",
    ALIAS_ZONE,
    "--force",
];
/// A user and groups without names.
const USER: u32 = 54_321;
const GROUP: u32 = 54_322;
const OTHER_GROUP: u32 = 54_323;

/// Options of `setpriv`: the user, in a group and in [`GROUP`].
const IN_GROUP: &str = "--reuid 54321 --regid 54321 --groups 54322";
const ALONE: &str = "--reuid 54321 --regid 54321 --clear-groups";

/// The id of a user in options of `setpriv`.
fn id_of(user: &str) -> &str {
    let id = user.strip_prefix("--reuid ");
    id.and_then(|user| user.split(' ').next()).unwrap_or("0")
}

/// Lets the program run as another user, who has its files, once a shell has prepared that.
fn as_user(bed: &TestBed, program: &Program, user: &str, prepare: &str) -> Result<Program> {
    let (own, script) = (
        bed.folder().join("acme-alias"),
        bed.folder().join("as-user"),
    );
    let id = id_of(user);
    let text = format!(
        "cp -f \"$0\" {own} && chmod 755 {folder} && chown -R {id} {home} {folder}/*.secret && {prepare} && \
         exec setpriv {user} -- {own} \"$@\"",
        own = own.display(),
        folder = bed.folder().display(),
        home = program.home().display(),
    );
    fs::write(&script, text)?;
    let script = script.display();
    let program = program.clone();
    Ok(program.before(&format!(
        "exec unshare --mount sh -c \"$(cat {script})\" \"$0\" \"$@\""
    )))
}

/// What the volume of a pod with `fsGroup` is like whenever it is mounted.
fn give_to_group(path: &Path, group: u32) -> Result {
    if path.is_symlink() {
        return Ok(());
    }
    let mode = path.metadata()?.permissions().mode();
    let is_folder = path.is_dir();
    let more = if is_folder { 0o2770 } else { 0o660 };
    chown(path, None, Some(group))?;
    fs::set_permissions(path, Permissions::from_mode(mode & 0o777 | more))?;
    if is_folder {
        for entry in fs::read_dir(path)? {
            give_to_group(&entry?.path(), group)?;
        }
    }
    Ok(())
}

#[test]
fn a_state_folder_of_a_group_in_which_nobody_else_is_works() -> Result {
    let bed = TestBed::start()?;
    let state = bed.settings().state;
    fs::create_dir(&state)?;
    let mut program = bed.program(bed.settings())?;
    program.settings.top = "key-mode = '640'".to_owned();
    let program = as_user(&bed, &program, IN_GROUP, "true")?;
    for _ in 0..2 {
        give_to_group(&state, GROUP)?;
        program.run(&ISSUE)?.assert_success();
        program.run(&["ledger", "verify"])?.assert_success();
        program.run(&["list"])?.assert_success();
    }
    // The next pod may have another user.
    give_to_group(&state, GROUP)?;
    let of_another = "--reuid 54399 --regid 54321 --groups 54322";
    let program = as_user(&bed, &program, of_another, "true")?;
    program.run(&["renew", "--force"])?.assert_success();
    assert_eq!(bed.orders()?, 3);
    bed.assert_only_txt_was_touched(&[])
}

#[test]
fn a_state_folder_of_a_group_of_others_is_refused_unless_the_settings_name_it() -> Result {
    let bed = TestBed::start()?;
    let state = bed.settings().state;
    fs::create_dir(&state)?;
    let program = bed.program(bed.settings())?;
    // Users whose primary group it is, and members.
    let users = "cp /etc/passwd {b}/passwd && echo other:x:54400:54322::/:/bin/sh >> {b}/passwd && mount --bind {b}/passwd /etc/passwd";
    let members = "cp /etc/group {b}/group && echo team:x:54322:other >> {b}/group && mount --bind {b}/group /etc/group";
    let with = |user: &str, prepare: &str| {
        let prepare = prepare.replace("{b}", &bed.folder().display().to_string());
        as_user(&bed, &program, user, &prepare)
    };
    for (group, program) in [
        (GROUP, with(ALONE, "true")?),
        (OTHER_GROUP, with(IN_GROUP, "true")?),
        (GROUP, with(IN_GROUP, users)?),
        (GROUP, with(IN_GROUP, members)?),
        // Root is in the group, and does not need it.
        (GROUP, with("--groups 54322", "true")?),
        (0, program.clone()),
    ] {
        give_to_group(&state, group)?;
        let words = [
            "lets others change it",
            &format!("`state-group = \"{group}\"`"),
        ];
        program.run(&ISSUE)?.assert_failure(6, &words);
    }
    assert_eq!(bed.orders()?, 0);
    for (user, prepare) in [(IN_GROUP, members), ("--groups 54322", "true")] {
        fs::set_permissions(&state, Permissions::from_mode(0o700))?;
        give_to_group(&state, GROUP)?;
        let mut program = with(user, prepare)?;
        program.settings.top = format!("state-group = '{GROUP}'");
        program.run(&ISSUE)?.assert_success();
        // Everybody is no group.
        fs::set_permissions(&state, Permissions::from_mode(0o2777))?;
        let outcome = program.run(&ISSUE)?;
        outcome.assert_failure(6, &["lets others change it"]);
        assert!(!outcome.stderr.contains("state-group"), "{outcome}");
        program.settings.top = "state-group = 'no-such-group'".to_owned();
        program
            .run(&ISSUE)?
            .assert_failure(2, &["state-group", "no-such-group"]);
    }
    Ok(())
}

#[test]
fn who_may_read_a_key_through_the_group_of_the_folder_may_read_the_next_one() -> Result {
    let bed = TestBed::start()?;
    let state = bed.settings().state;
    fs::create_dir(&state)?;
    give_to_group(&state, GROUP)?;
    let program = as_user(&bed, &bed.program(bed.settings())?, IN_GROUP, "true")?;
    program.run(&ISSUE)?.assert_success();
    give_to_group(&state, GROUP)?;
    program.run(&ISSUE)?.assert_success();
    let key = state.join("certificates/example-com/versions/2/privkey.pem");
    assert_eq!(key.metadata()?.permissions().mode() & 0o777, 0o640);
    Ok(())
}

/// Makes a state folder for this user.
fn own_state(bed: &TestBed, user: &str) -> String {
    let (state, id) = (bed.settings().state.display().to_string(), id_of(user));
    format!("rm -rf {state} && mkdir {state} && chown {id} {state}")
}

/// The outcome of `config check` with the secret at `path`.
fn check_secret(bed: &TestBed, user: &str, path: &str, prepare: &str) -> Result<Outcome> {
    let mut settings = bed.settings();
    settings.providers[0].secret = path.into();
    let prepare = format!("{} && {prepare}", own_state(bed, user));
    let program = as_user(bed, &bed.program(settings)?, user, &prepare)?;
    program.run(&["config", "check"])
}

#[test]
fn secrets_that_somebody_else_provides_are_read() -> Result {
    let bed = TestBed::start()?;
    let secret = bed.secret_file("acme-key").display().to_string();
    let folder = bed.folder().join("secrets").display().to_string();
    let make = |owner: &str, mode: &str, folder: &str| {
        format!(
            "mkdir -p {folder} && cp {secret} {folder}/key && chown {owner} {folder}/key && chmod {mode} {folder}/key"
        )
    };
    let tmpfs = |folder: &str, options: &str| {
        format!("mkdir -p {folder} && mount -t tmpfs -o mode=755{options} tmpfs {folder}")
    };
    let read_only = format!("mount -o remount,bind,ro {folder}");
    let (run, key) = ("/run/secrets", format!("{folder}/key"));
    for (owner, mode) in [
        ("0:0", "444"),
        ("0:54322", "440"),
        ("65534:54322", "640"),
        ("65534", "444"),
        ("54321", "644"),
    ] {
        let prepare = format!(
            "{} && {} && {read_only}",
            tmpfs(&folder, ""),
            make(owner, mode, &folder)
        );
        check_secret(&bed, IN_GROUP, &key, &prepare)?.assert_success();
        // On a file system that can be written, nobody has provided it.
        let prepare = format!("{} && {}", tmpfs(&folder, ""), make(owner, mode, &folder));
        let outcome = check_secret(&bed, IN_GROUP, &key, &prepare)?;
        let words: &[&str] = if owner == "54321" {
            &["chmod 600"]
        } else {
            &[
                "providers.first.tsig-secret",
                "{ credential =",
                "{ command = [",
                "/run/secrets",
            ]
        };
        outcome.assert_failure(2, words);
        // In the folder of container runtimes, it is theirs, unless it is ours.
        let prepare = format!("{} && {}", tmpfs(run, ""), make(owner, mode, run));
        let outcome = check_secret(&bed, IN_GROUP, "/run/secrets/key", &prepare)?;
        let outcome_by_link = check_secret(&bed, IN_GROUP, "/var/run/secrets/key", &prepare)?;
        for outcome in [outcome, outcome_by_link] {
            if owner == "54321" {
                outcome.assert_failure(2, &["chmod 600"]);
            } else {
                outcome.assert_success();
            }
        }
    }
    // As Kubernetes does it, for root as well.
    let versions = format!(
        "{} && {} && ln -s ..1 {folder}/..data && ln -s ..data/key {folder}/key && {read_only}",
        tmpfs(&folder, ""),
        make("0:54322", "440", &format!("{folder}/..1"))
    );
    check_secret(&bed, IN_GROUP, &key, &versions)?.assert_success();
    check_secret(&bed, "--groups 54322", &key, &versions)?.assert_success();
    Ok(())
}

#[test]
fn secrets_that_others_can_change_are_refused_wherever_they_are() -> Result {
    let bed = TestBed::start()?;
    let secret = bed.secret_file("acme-key").display().to_string();
    let tmpfs = "mkdir -p /run/secrets && mount -t tmpfs -o mode=755 tmpfs /run/secrets";
    let copy = format!("{tmpfs} && cp {secret} /run/secrets/key");
    for spoil in [
        "chmod 666 /run/secrets/key",
        "chmod 464 /run/secrets/key",
        "chmod 444 /run/secrets/key && chmod 777 /run/secrets",
        "chmod 444 /run/secrets/key && chown 65534 /run/secrets",
    ] {
        let prepare = format!("{copy} && {spoil}");
        let outcome = check_secret(&bed, IN_GROUP, "/run/secrets/key", &prepare)?;
        outcome.assert_failure(2, &["lets others"]);
    }
    // A folder of credentials that another user made.
    let folder = bed.folder().join("credentials").display().to_string();
    let prepare = format!(
        "mkdir {folder} && cp {secret} {folder}/key && chown -R 65534 {folder} && chmod 444 {folder}/key && chmod 755 {folder}"
    );
    let mut settings = bed.settings();
    settings.providers[0].secret = format!("{folder}/key").into();
    let program = as_user(&bed, &bed.program(settings)?, ALONE, &prepare)?
        .env("CREDENTIALS_DIRECTORY", folder);
    program
        .run(&["config", "check"])?
        .assert_failure(2, &["another user"]);
    Ok(())
}

#[test]
fn settings_of_another_user_are_not_read_beside_a_file_that_is_named() -> Result {
    let bed = TestBed::start()?;
    let home = bed.folder().join("home-of-another");
    let file = home.join(".config/acme-alias/config.toml");
    fs::create_dir_all(home.join(".config/acme-alias"))?;
    fs::write(&file, "no = 'setting'")?;
    let program = bed.program(bed.settings())?;
    let program = program
        .env("HOME", home.display().to_string())
        .env("XDG_CONFIG_HOME", "");
    let check = ["config", "check"];
    program.run(&check)?.assert_success();
    // Without `--config`, which the bed puts first, it counts.
    let without = program.clone().before("shift 2");
    without
        .run(&check)?
        .assert_failure(2, &["`no` is no setting"]);
    for path in [&home, &home.join(".config"), &file] {
        chown(path, Some(65534), None)?;
    }
    fs::set_permissions(home.join(".config"), Permissions::from_mode(0o700))?;
    for user in [ALONE, "--groups 54322"] {
        as_user(&bed, &program, user, &own_state(&bed, user))?
            .run(&check)?
            .assert_success();
        let outcome = as_user(&bed, &program, user, "shift 2")?.run(&check)?;
        outcome.assert_failure(2, &["config.toml cannot be used", "--config", "HOME"]);
    }
    Ok(())
}

#[test]
fn a_user_without_a_name_and_without_a_home_needs_a_state_folder_only() -> Result {
    let bed = TestBed::start()?;
    let state = bed.settings().state.display().to_string();
    let program = bed.program(bed.settings())?;
    let unset = "unset HOME XDG_CONFIG_HOME XDG_STATE_HOME";
    let prepare = format!("{unset} && mkdir -p {state} && chown {USER} {state}");
    let program = as_user(&bed, &program, ALONE, &prepare)?;
    program.run(&ISSUE)?.assert_success();
    program.run(&["renew", "--force"])?.assert_success();
    program.run(&["list"])?.assert_success();
    let mut settings = bed.settings();
    settings.state = "".into();
    let program = as_user(&bed, &bed.program(settings)?, ALONE, unset)?;
    program
        .run(&ISSUE)?
        .assert_failure(6, &["/var/lib/acme-alias", "HOME is not set", "`--state`"]);
    Ok(())
}
