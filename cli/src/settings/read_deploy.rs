//! Deployment and notification in the settings.

use std::path::{Component, Path};
use std::time::Duration;

use acme_alias_core::deploy::{CommandTarget, Format, group_id};
use acme_alias_core::engine::Notify;

use super::layer::Tree;
use super::model::{FilesSettings, KeySettings, TargetSettings};
use super::nearest::nearest;
use super::reader::Reader;

/// Stands for the id of the certificate in a path.
pub(crate) const ID: &str = "{id}";

/// How long a command may take.
const TIMEOUT: Duration = Duration::from_mins(5);
const FAILURES: u32 = 3;
const DAYS: u32 = 7;

/// The keys of paths.
const PATHS: [(&str, Format); 8] = [
    ("key", Format::Key),
    ("certificate", Format::Certificate),
    ("chain", Format::Chain),
    ("fullchain", Format::FullChain),
    ("combined", Format::Combined),
    ("key-der", Format::KeyDer),
    ("certificate-der", Format::CertificateDer),
    ("pkcs12", Format::Pkcs12),
];
const KINDS: [&str; 2] = ["command", "files"];
/// The other keys of each kind.
const OF_COMMAND: [&str; 3] = ["command", "each", "timeout"];
const OF_FILES: [&str; 6] = ["password", "letsencrypt", "name", "owner", "group", "mode"];

/// The modes that a private key may have: nobody else can change it, and no other user can read it.
const KEY_MODES: [u32; 4] = [0o600, 0o640, 0o400, 0o440];

/// The targets in the list at `list`; `None` if there is no such list. `are_shared` if they are those of many
/// certificates, whose files must not be the same.
pub(super) fn targets(
    reader: &mut Reader<'_>,
    list: &str,
    are_shared: bool,
) -> Option<Vec<TargetSettings>> {
    reader.tree.at(list)?;
    let tables = (0..reader.tree.len(list)).map(|index| format!("{list}[{index}]"));
    let targets = tables.filter_map(|table| target(reader, &table, are_shared));
    Some(targets.collect())
}

/// The keys of files with the private key, in the targets of the list at `list`.
pub(super) fn files_with_key(tree: &Tree, list: &str) -> Vec<String> {
    let tables = (0..tree.len(list)).map(|index| format!("{list}[{index}]"));
    let keys = tables.flat_map(|table| {
        let with_key = PATHS.iter().filter(|(_, format)| format.has_key());
        with_key.map(move |(key, _)| format!("{table}.{key}"))
    });
    keys.filter(|key| tree.at(key).is_some()).collect()
}

fn target(reader: &mut Reader<'_>, table: &str, are_shared: bool) -> Option<TargetSettings> {
    let kind_path = format!("{table}.kind");
    let kind = reader.text(&kind_path);
    let foreign: Vec<_> = match kind.as_deref() {
        Some("command") => {
            let paths = PATHS.iter().map(|(key, _)| *key);
            paths.chain(OF_FILES).collect()
        }
        Some("files") => OF_COMMAND.into(),
        Some(other) => {
            let help = nearest(other, KINDS.into_iter());
            let problem = format!("is no kind of target: `{}`", other.escape_debug());
            reader.wrong(&kind_path, problem, Some(help));
            return None;
        }
        None => {
            let help = "kind = \"command\" or kind = \"files\"";
            reader.wrong(table, "needs `kind`", Some(help.to_owned()));
            return None;
        }
    };
    for key in foreign {
        let path = format!("{table}.{key}");
        if reader.tree.at(&path).is_some() {
            let kind = kind.as_deref().unwrap_or_default();
            reader.wrong(&path, format!("is not for `kind = \"{kind}\"`"), None);
        }
    }
    match kind.as_deref() {
        Some("command") => command(reader, table).map(TargetSettings::Command),
        _ => Some(TargetSettings::Files(files(reader, table, are_shared))),
    }
}

fn command(reader: &mut Reader<'_>, table: &str) -> Option<CommandTarget> {
    let words = words(reader, table)?;
    Some(CommandTarget {
        each: reader.truth(&format!("{table}.each")).unwrap_or_default(),
        timeout: timeout(reader, table),
        ..CommandTarget::new(words)
    })
}

/// The program and its arguments.
fn words(reader: &mut Reader<'_>, table: &str) -> Option<Vec<String>> {
    let path = format!("{table}.command");
    let words = reader.texts(&path);
    if words.first().is_none_or(String::is_empty) {
        let at = if reader.tree.at(&path).is_some() {
            &path
        } else {
            table
        };
        let help = "command = [\"systemctl\", \"reload\", \"nginx\"]";
        reader.wrong(at, "needs a `command`", Some(help.to_owned()));
        return None;
    }
    Some(words)
}

fn timeout(reader: &mut Reader<'_>, table: &str) -> Duration {
    let timeout = reader.duration(&format!("{table}.timeout"));
    timeout.unwrap_or(TIMEOUT)
}

fn files(reader: &mut Reader<'_>, table: &str, are_shared: bool) -> FilesSettings {
    let at = |key: &str| format!("{table}.{key}");
    let mut files: Vec<(Format, String)> = Vec::new();
    for (key, format) in PATHS {
        if let Some(path) = file_path(reader, &at(key), are_shared) {
            if files.iter().any(|(_, known)| *known == path) {
                reader.wrong(&at(key), "is the path of another file as well", None);
            }
            files.push((format, path));
        }
    }
    let letsencrypt = file_path(reader, &at("letsencrypt"), false);
    let name = reader.text(&at("name"));
    if let Some(name) = &name {
        let is_one_name = Path::new(name).components().count() == 1
            && matches!(
                Path::new(name).components().next(),
                Some(Component::Normal(_))
            )
            && !name.contains('/');
        if letsencrypt.is_none() {
            reader.wrong(&at("name"), "needs `letsencrypt` beside it", None);
        } else if !is_one_name {
            reader.wrong(
                &at("name"),
                "takes the name of a folder, without a path",
                None,
            );
        } else if are_shared && !name.contains(ID) {
            reader.wrong(&at("name"), NEEDS_ID, None);
        }
    }
    let mut paths = PATHS.iter().map(|(key, _)| *key).chain(["letsencrypt"]);
    if !paths.any(|key| reader.tree.at(&at(key)).is_some()) {
        let keys: Vec<_> = PATHS.iter().map(|(key, _)| format!("`{key}`")).collect();
        let help = format!("{} or `letsencrypt`", keys.join(", "));
        reader.wrong(table, "needs a file to write", Some(help));
    }
    let has_store = reader.tree.at(&at("pkcs12")).is_some();
    let password = reader.secret(&at("password"));
    match (&password, has_store) {
        (None, true) if reader.tree.at(&at("password")).is_none() => {
            reader.wrong(&at("pkcs12"), "needs `password` beside it", None);
        }
        (Some(_), false) => {
            reader.wrong(&at("password"), "needs `pkcs12` beside it", None);
        }
        _ => {}
    }
    FilesSettings {
        files,
        letsencrypt,
        name,
        owner: reader.text(&at("owner")),
        group: reader.text(&at("group")),
        mode: mode(reader, &at("mode")),
        password: password.map(|secret| (at("password"), secret)),
    }
}

const NEEDS_ID: &str = "needs `{id}`, which stands for the id of the certificate, or all certificates get the same file";

/// An absolute path of a file or folder.
fn file_path(reader: &mut Reader<'_>, path: &str, are_shared: bool) -> Option<String> {
    let text = reader.text(path)?;
    let mut components = Path::new(&text).components();
    let is_plain = components.next() == Some(Component::RootDir)
        && components.all(|component| matches!(component, Component::Normal(_)));
    if !is_plain || text.ends_with('/') || text.contains('\0') {
        reader.wrong(
            path,
            "takes an absolute path without `..`",
            Some("such as /etc/haproxy/certs/web.pem".to_owned()),
        );
        return None;
    }
    if are_shared && !text.contains(ID) {
        reader.wrong(path, NEEDS_ID, None);
    }
    Some(text)
}

/// Who may read private keys in the state folder; `table` ends with a dot, or is empty.
pub(super) fn key_access(reader: &mut Reader<'_>, table: &str) -> KeySettings {
    let group_path = format!("{table}key-group");
    let group = reader.text(&group_path);
    if let Some(Err(error)) = group.as_deref().map(group_id) {
        // A certificate is worth more than its group.
        reader.warnings.push(format!("`{group_path}`: {error}"));
    }
    KeySettings {
        mode: mode(reader, &format!("{table}key-mode")),
        group,
    }
}

fn mode(reader: &mut Reader<'_>, path: &str) -> Option<u32> {
    let text = reader.text(path)?;
    let mode = u32::from_str_radix(&text, 8).ok();
    let mode = mode.filter(|mode| KEY_MODES.contains(mode));
    if mode.is_none() {
        let help = "no other user may read a private key, and none may change it";
        reader.wrong(path, "takes 600, 640, 400 or 440", Some(help.to_owned()));
    }
    mode
}

pub(super) fn notify(reader: &mut Reader<'_>) -> Option<Notify> {
    let table = "notify";
    reader.tree.at(table)?;
    Some(Notify {
        command: words(reader, table)?,
        timeout: timeout(reader, table),
        failures: reader.parsed("notify.failures").unwrap_or(FAILURES),
        days: reader.parsed("notify.days").unwrap_or(DAYS),
    })
}
