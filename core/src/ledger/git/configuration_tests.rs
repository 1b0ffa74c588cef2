//! The configuration of git has no influence on the export. `git add` and `git commit` would sign,
//! filter or refuse the content, or run the programs of the configuration.

use std::fs;
use std::path::Path;

use super::bed::{Bed, write_program};
use super::command::Git;
use super::export::GitExport;

/// Everything that git may run on a commit.
const HOOKS: [&str; 7] = [
    "pre-commit",
    "prepare-commit-msg",
    "commit-msg",
    "post-commit",
    "post-index-change",
    "reference-transaction",
    "pre-auto-gc",
];

#[tokio::test]
async fn commits_are_not_signed() {
    let bed = Bed::new();
    bed.init();
    let trap = bed.trap();
    for (name, value) in [("commit.gpgSign", "true"), ("gpg.program", trap.program())] {
        bed.set(name, value);
        bed.git(&["config", "--global", name, value]);
    }
    bed.run("one").await;
    assert_eq!(bed.export().await.unwrap(), 1);
    trap.assert_not_sprung();
}

#[tokio::test]
async fn hooks_of_the_repository_are_not_run() {
    let bed = Bed::new();
    bed.init();
    let trap = bed.trap();
    let script = fs::read_to_string(trap.program()).unwrap();
    for hook in HOOKS {
        write_program(&bed.repository().join(".git/hooks").join(hook), &script);
    }
    bed.run("one").await;
    assert_eq!(bed.export().await.unwrap(), 1);
    trap.assert_not_sprung();
}

#[tokio::test]
async fn hooks_that_a_setting_names_are_not_run() {
    let bed = Bed::new();
    bed.init();
    let trap = bed.trap();
    let script = fs::read_to_string(trap.program()).unwrap();
    let hooks = bed.folder.path().join("hooks");
    for hook in HOOKS {
        write_program(&hooks.join(hook), &script);
    }
    bed.set("core.hooksPath", hooks.to_str().unwrap());
    bed.git(&[
        "config",
        "--global",
        "core.hooksPath",
        hooks.to_str().unwrap(),
    ]);
    bed.run("one").await;
    assert_eq!(bed.export().await.unwrap(), 1);
    trap.assert_not_sprung();
}

#[tokio::test]
async fn hooks_that_the_repository_configures_are_not_run() {
    let bed = Bed::new();
    bed.init();
    let trap = bed.trap();
    for hook in HOOKS {
        bed.set(&format!("hook.my = {hook}.event"), hook);
        bed.set(&format!("hook.my = {hook}.command"), trap.program());
    }
    bed.run("one").await;
    assert_eq!(bed.export().await.unwrap(), 1);
    trap.assert_not_sprung();
}

#[tokio::test]
async fn templates_have_no_influence_on_a_new_repository() {
    let bed = Bed::new();
    let trap = bed.trap();
    let script = fs::read_to_string(trap.program()).unwrap();
    let template = bed.folder.path().join("template");
    for hook in HOOKS {
        write_program(&template.join("hooks").join(hook), &script);
    }
    fs::create_dir_all(bed.home()).unwrap();
    let settings = format!("[init]\n\ttemplateDir = {}\n", template.display());
    fs::write(bed.home().join(".gitconfig"), settings).unwrap();
    bed.run("one").await;
    assert_eq!(bed.export().await.unwrap(), 1);
    trap.assert_not_sprung();
    assert!(!bed.repository().join(".git/hooks").exists());
}

#[tokio::test]
async fn the_content_is_not_filtered() {
    let bed = Bed::new();
    bed.init();
    // Git reads a file again that may have changed in the moment in which the index was written.
    let theirs = bed.repository().join("theirs.txt");
    fs::write(&theirs, "1").unwrap();
    bed.git(&["add", "theirs.txt"]);
    let written = fs::metadata(&theirs).unwrap().modified().unwrap();
    let index = fs::File::open(bed.repository().join(".git/index")).unwrap();
    index.set_modified(written).unwrap();
    let trap = bed.trap();
    for (name, value) in [
        ("filter.trap.clean", trap.program()),
        ("filter.trap.required", "true"),
    ] {
        bed.set(name, value);
    }
    let attributes = "*.txt filter=trap ident working-tree-encoding=UTF-16\n";
    fs::write(bed.repository().join(".gitattributes"), attributes).unwrap();
    fs::write(bed.repository().join(".git/info/attributes"), attributes).unwrap();
    fs::create_dir_all(bed.home().join("git")).unwrap();
    fs::write(bed.home().join("git/attributes"), attributes).unwrap();
    bed.run("one").await;
    assert_eq!(bed.export().await.unwrap(), 1);
    trap.assert_not_sprung();
    let object = bed.git(&["cat-file", "blob", "HEAD:auth.example.net/2026-11.txt"]);
    assert_eq!(object, bed.november());
}

#[tokio::test]
async fn files_are_exported_although_they_are_ignored() {
    let bed = Bed::new();
    bed.init();
    fs::write(bed.repository().join(".gitignore"), "*.txt\n").unwrap();
    fs::create_dir_all(bed.home().join("git")).unwrap();
    fs::write(bed.home().join("git/ignore"), "*.txt\n").unwrap();
    bed.run("one").await;
    assert_eq!(bed.export().await.unwrap(), 1);
}

#[tokio::test]
async fn the_monitor_of_the_file_system_is_not_run() {
    let bed = Bed::new();
    bed.init();
    let trap = bed.trap();
    bed.set("core.fsmonitor", trap.program());
    bed.run("one").await;
    assert_eq!(bed.export().await.unwrap(), 1);
    bed.run("two").await;
    assert_eq!(bed.export().await.unwrap(), 1);
    trap.assert_not_sprung();
}

#[tokio::test]
async fn no_other_program_of_the_configuration_is_run() {
    let bed = Bed::new();
    bed.init();
    let trap = bed.trap();
    for name in [
        "core.editor",
        "sequence.editor",
        "core.pager",
        "diff.external",
        "trailer.Acme-Alias-Run.command",
        "trailer.Acme-Alias-Run.cmd",
    ] {
        bed.set(name, trap.program());
        bed.git(&["config", "--global", name, trap.program()]);
    }
    bed.set("log.showSignature", "true");
    bed.set("commit.verbose", "true");
    bed.set("trailer.separators", "%");
    bed.run("one").await;
    assert_eq!(bed.export().await.unwrap(), 1);
    assert_eq!(bed.export().await.unwrap(), 0, "the trailer was not found");
    trap.assert_not_sprung();
}

#[tokio::test]
async fn programs_that_git_would_run_while_it_tidies_up_are_not_run() {
    let bed = Bed::new();
    bed.init();
    let trap = bed.trap();
    for (name, value) in [
        ("gc.auto", "1"),
        ("gc.autoDetach", "false"),
        ("gc.pruneExpire", "now"),
        ("gc.recentObjectsHook", trap.program()),
    ] {
        bed.set(name, value);
    }
    bed.leave_loose_objects();
    bed.run("one").await;
    assert_eq!(bed.export().await.unwrap(), 1);
    trap.assert_not_sprung();
    let packs = fs::read_dir(bed.repository().join(".git/objects/pack"));
    assert!(packs.unwrap().count() > 0, "git could not start itself");
}

/// Git 2.54 runs hooks of a configuration that others change meanwhile. It starts them as it starts these aliases.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn git_can_execute_nothing_but_itself() {
    let bed = Bed::new();
    bed.init();
    let trap = bed.trap();
    for (name, command) in [
        ("alone", trap.program()),
        ("shell", &format!("true; {}", trap.program())),
    ] {
        bed.set(&format!("alias.{name}"), &format!("!{command}"));
        let mut git = Git::new(bed.repository());
        git.execute_git_only().await;
        let error = git.command(&[name]).run().await.unwrap_err();
        assert!(error.to_string().contains("Permission denied"), "{error}");
    }
    trap.assert_not_sprung();
}

#[tokio::test]
async fn objects_that_are_missing_are_not_fetched() {
    let bed = Bed::new();
    bed.init();
    let trap = bed.trap();
    fs::write(bed.repository().join("theirs"), "1").unwrap();
    bed.git(&["add", "theirs"]);
    bed.git(&["commit", "--quiet", "-m", "Theirs"]);
    for (name, value) in [
        ("core.repositoryFormatVersion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.url", "other.example:/srv/audit"),
        ("core.sshCommand", trap.program()),
    ] {
        bed.set(name, value);
    }
    let tree = bed.git(&["rev-parse", "HEAD^{tree}"]);
    let (folder, file) = tree.trim().split_at(2);
    let objects = bed.repository().join(".git/objects");
    fs::remove_file(objects.join(folder).join(file)).unwrap();
    bed.run("one").await;
    bed.export().await.unwrap_err();
    trap.assert_not_sprung();
}

#[tokio::test]
async fn a_trailer_that_is_too_large_for_memory_is_an_error() {
    let bed = Bed::new();
    bed.init();
    bed.run("one").await;
    bed.export().await.unwrap();
    let message = bed.home().join("message");
    let trailer = "x".repeat(70_000_000);
    fs::write(&message, format!("Theirs\n\nAcme-Alias-Run: {trailer}\n")).unwrap();
    fs::write(bed.repository().join("theirs"), "1").unwrap();
    bed.git(&["add", "theirs"]);
    let message = message.to_str().unwrap();
    bed.git(&["commit", "--quiet", "--cleanup=verbatim", "--file", message]);
    let error = bed.export().await.unwrap_err();
    assert!(error.to_string().contains("more than"), "{error}");
}

#[tokio::test]
async fn variables_of_git_have_no_influence() {
    let bed = Bed::new();
    bed.init();
    let trap = bed.trap();
    let elsewhere = bed.folder.path().join("elsewhere");
    let elsewhere = elsewhere.to_str().unwrap();
    let export = GitExport::new(bed.repository()).with_environment(&[
        ("GIT_DIR", elsewhere),
        ("GIT_WORK_TREE", elsewhere),
        ("GIT_INDEX_FILE", elsewhere),
        ("GIT_OBJECT_DIRECTORY", elsewhere),
        ("GIT_NAMESPACE", "other"),
        ("GIT_AUTHOR_DATE", "2001-01-01T00:00:00Z"),
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "core.fsmonitor"),
        ("GIT_CONFIG_VALUE_0", trap.program()),
    ]);
    bed.run("one").await;
    assert_eq!(export.export(&bed.ledger, |_, _| true).await.unwrap(), 1);
    trap.assert_not_sprung();
    assert!(!Path::new(elsewhere).exists());
    assert_eq!(bed.git(&["log", "--format=%aI"]), "2026-11-30T23:59:58Z\n");
}

#[tokio::test]
async fn a_repository_of_somebody_else_is_used_only_if_the_user_trusts_it() {
    let bed = Bed::new();
    bed.init();
    let ours = fs::metadata(bed.repository()).unwrap();
    let others = std::os::unix::fs::MetadataExt::uid(&ours) + 1;
    let owned = std::os::unix::fs::chown(bed.repository().join(".git"), Some(others), None)
        .and_then(|()| std::os::unix::fs::chown(bed.repository(), Some(others), None));
    bed.run("one").await;
    if owned.is_ok() {
        let error = bed.export().await.unwrap_err();
        assert!(error.to_string().contains("dubious ownership"), "{error}");
    }
    let trusted = format!("[safe]\n\tdirectory = {}\n", bed.repository().display());
    fs::write(bed.home().join(".gitconfig"), trusted).unwrap();
    assert_eq!(bed.export().await.unwrap(), 1);
}
