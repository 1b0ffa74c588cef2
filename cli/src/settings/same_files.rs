//! Files that two targets would write in turn.

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

/// What a target writes for a certificate: files, and for the layout `letsencrypt` a folder.
fn paths(files: &FilesSettings, id: &CertificateId) -> Vec<String> {
    let of_this = |text: &str| text.replace(ID, id.as_str());
    let folder = files.letsencrypt.as_deref().map(|folder| {
        let name = files.name.as_deref().unwrap_or(ID);
        let folder = Path::new(folder).join("live").join(name);
        of_this(&folder.display().to_string())
    });
    let single = files.files.iter().map(|(_, path)| of_this(path));
    single.chain(folder).collect()
}
