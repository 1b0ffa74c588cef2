//! Files that two targets would write in turn, or could.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use acme_alias_core::store::CertificateId;

use super::mistake::Mistake;
use super::model::{CertificateSettings, FilesSettings, TargetSettings};
use super::read_deploy::ID;
use super::reader::Reader;

/// The files that targets of several certificates write, or several targets of one: a mistake of the certificate that
/// comes later.
pub(super) fn same_files(
    reader: &Reader<'_>,
    certificates: &BTreeMap<CertificateId, CertificateSettings>,
    shared: &[TargetSettings],
) -> Vec<(CertificateId, Mistake)> {
    let mut writers: HashMap<String, (&CertificateId, usize)> = HashMap::new();
    let mut mistakes = Vec::new();
    for (id, certificate) in certificates {
        let targets = certificate.deploy.as_deref().unwrap_or(shared);
        for (index, target) in targets.iter().enumerate() {
            let TargetSettings::Files(files) = target else {
                continue;
            };
            for path in paths(files, id) {
                let (other, first) = *writers.entry(path.clone()).or_insert((id, index));
                // Two files of one target are compared when it is read.
                if (other, first) != (id, index) {
                    let table = format!("certificates.{id}");
                    let mistake = Mistake::new(format!(
                        "`{table}` writes {path}, and so does the certificate `{other}`"
                    ));
                    let mistake = mistake.help("give each target a path of its own");
                    mistakes.push((id.clone(), reader.located(mistake, &table)));
                }
            }
        }
    }
    mistakes
}

/// Notes each path in the targets for all certificates that could be another one for another id. Who may choose an id,
/// as by the name of a domain, would replace the key of somebody else.
pub(super) fn confusable_files(reader: &mut Reader<'_>, shared: &[TargetSettings]) {
    let mut known: Vec<String> = Vec::new();
    for (index, target) in shared.iter().enumerate() {
        let TargetSettings::Files(files) = target else {
            continue;
        };
        for path in with_id(files) {
            if let Some(other) = known.iter().find(|other| can_be_equal(&path, other)) {
                let problem = format!("writes {path}, which can be {other} of another certificate");
                let help = "write it to another folder, or separate what is beside `{id}` by a dot";
                reader.wrong(&format!("deploy[{index}]"), problem, Some(help.to_owned()));
            }
            known.push(path);
        }
    }
}

/// Whether two paths can be equal for certificates with different ids.
fn can_be_equal(one: &str, other: &str) -> bool {
    let names = || one.split('/').zip(other.split('/'));
    let has_same_id = || names().any(|(one, other)| one == other && one.contains(ID));
    one.matches('/').count() == other.matches('/').count()
        && !has_same_id()
        && names().all(|(one, other)| can_name_be_equal(one, other))
}

/// The same for one name on the way.
fn can_name_be_equal(one: &str, other: &str) -> bool {
    let is_id = |text: &str| {
        text.bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
    };
    match (one.split_once(ID), other.split_once(ID)) {
        (None, None) => one == other,
        (Some((before, after)), None) => other.starts_with(before) && other.ends_with(after),
        (None, Some((before, after))) => one.starts_with(before) && one.ends_with(after),
        (Some((before, after)), Some((other_before, other_after))) => {
            let more = before.strip_prefix(other_before);
            let more = more.or_else(|| other_before.strip_prefix(before));
            let end = after.strip_suffix(other_after);
            let end = end.or_else(|| other_after.strip_suffix(after));
            more.is_some_and(is_id) && end.is_some_and(is_id)
        }
    }
}

/// What a target writes for a certificate.
fn paths(files: &FilesSettings, id: &CertificateId) -> Vec<String> {
    let of_this = |path: String| path.replace(ID, id.as_str());
    with_id(files).map(of_this).collect()
}

/// What a target writes: files, and for the layout `letsencrypt` a folder.
fn with_id(files: &FilesSettings) -> impl Iterator<Item = String> {
    let folder = files.letsencrypt.as_deref().map(|folder| {
        let name = files.name.as_deref().unwrap_or(ID);
        let folder = Path::new(folder).join("live").join(name);
        folder.display().to_string()
    });
    let single = files.files.iter().map(|(_, path)| path.clone());
    single.chain(folder)
}
