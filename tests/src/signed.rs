//! A tree of signed zones from a root of its own downwards, at one `named`.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::error::{Context, Error, Result};
use crate::named::{Launch, Named};
use crate::port::Port;
use crate::process;

/// How a zone is signed, and what is wrong with that.
#[derive(Clone, Copy, Debug)]
pub enum Signing {
    /// Not at all, as the zone above says.
    Unsigned,
    /// Not at all; and the zone above does not delegate it, which the same server has.
    Forgotten,
    /// With NSEC.
    Nsec,
    /// With NSEC3 (RFC 9276: no salt, no more iterations).
    Nsec3,
    /// From one moment to another, as `dnssec-signzone` takes them.
    Within(&'static str, &'static str),
    /// Well, and the zone above has the DS record of another key.
    OtherDs,
    /// Not at all, though the zone above has a DS record.
    Stripped,
    /// Well; then the zone file is changed.
    Altered(fn(&str) -> String),
}

/// A zone of the tree.
#[derive(Clone, Debug)]
pub struct SignedZone {
    /// Its apex, without the final dot.
    pub apex: &'static str,
    /// How it is signed.
    pub signing: Signing,
    /// Lines for its file; owners are absolute.
    pub records: Vec<String>,
}

/// The server of the tree.
#[derive(Debug)]
pub struct SignedTree {
    named: Named,
    folder: TempDir,
}

impl SignedTree {
    /// Signs the zones and the root above them, and serves them all. The first zone has the server's
    /// address.
    pub fn start(zones: &[SignedZone]) -> Result<SignedTree> {
        let folder = tempfile::tempdir()?;
        let launch = Launch::new("signed", folder.path(), Port::claim()?)?;
        let workshop = Workshop {
            folder: launch.folder(),
            host: zones.first().map_or("", |zone| zone.apex),
        };
        let mut zones = zones.to_vec();
        zones.push(SignedZone {
            apex: "",
            signing: Signing::Nsec,
            records: Vec::new(),
        });
        // A zone comes before the one above it, which takes its DS records.
        zones.sort_by_key(|zone| std::cmp::Reverse(labels(zone.apex)));
        let mut delegations: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for zone in &zones {
            let below = delegations.remove(zone.apex).unwrap_or_default();
            let ds = workshop.build(zone, &below)?;
            let above = zones.iter().find(|above| is_below(zone.apex, above.apex));
            if matches!(zone.signing, Signing::Forgotten) {
                continue;
            }
            if let Some(above) = above {
                let lines = delegations.entry(above.apex).or_default();
                lines.push(format!("{}. 600 IN NS ns.{}.", zone.apex, workshop.host));
                if zone.apex == workshop.host {
                    lines.push(workshop.address());
                }
                lines.extend(ds);
            } else {
                fs::write(folder.path().join(ANCHOR), workshop.root_key()?)?;
            }
        }
        let served = zones
            .iter()
            .map(|zone| (absolute(zone.apex), file(zone.apex)));
        let mut named = launch.served(served)?;
        named.wait_until_ready()?;
        Ok(SignedTree { named, folder })
    }

    /// Where it answers; for any question about the zones it is as good as a resolver.
    pub fn address(&self) -> SocketAddr {
        self.named.address()
    }

    /// The keys of its root, as a file of DNSKEY records.
    pub fn trust_anchor(&self) -> PathBuf {
        self.folder.path().join(ANCHOR)
    }
}

const ANCHOR: &str = "root.key";

struct Workshop<'a> {
    folder: &'a Path,
    /// The zone that has the server's address.
    host: &'a str,
}

impl Workshop<'_> {
    /// Writes the zone's file; returns the DS records for the zone above.
    fn build(&self, zone: &SignedZone, delegations: &[String]) -> Result<Vec<String>> {
        let (apex, host) = (absolute(zone.apex), self.host);
        let mut lines = vec![
            format!("{apex} 600 IN SOA ns.{host}. hostmaster.{host}. 1 3600 600 86400 60"),
            format!("{apex} 600 IN NS ns.{host}."),
        ];
        if zone.apex == host {
            lines.push(self.address());
        }
        lines.extend(delegations.iter().chain(&zone.records).cloned());
        let path = self.folder.join(file(zone.apex));
        fs::write(&path, lines.join("\n") + "\n")?;
        let sign = |options: &[&str]| self.sign(zone.apex, options);
        match zone.signing {
            Signing::Unsigned | Signing::Forgotten => Ok(Vec::new()),
            Signing::Nsec => sign(&[]),
            Signing::Nsec3 => sign(&["-3", "-", "-H", "0"]),
            Signing::Within(start, end) => sign(&["-s", start, "-e", end]),
            Signing::OtherDs => {
                sign(&[])?;
                self.ds(&self.generate(&apex)?)
            }
            Signing::Stripped => self.ds(&self.generate(&apex)?),
            Signing::Altered(change) => {
                let ds = sign(&[])?;
                fs::write(&path, change(&fs::read_to_string(&path)?))?;
                Ok(ds)
            }
        }
    }

    /// Where the server is: glue in the zone above its own.
    fn address(&self) -> String {
        format!("ns.{}. 600 IN A 127.0.0.1", self.host)
    }

    fn sign(&self, apex: &str, options: &[&str]) -> Result<Vec<String>> {
        let key = self.generate(&absolute(apex))?;
        let (absolute, file) = (absolute(apex), file(apex));
        let fixed = [
            "-z", "-P", "-q", "-S", "-O", "full", "-o", &absolute, "-f", &file,
        ];
        self.run(
            "dnssec-signzone",
            &[&fixed[..], options, &[&file, &key]].concat(),
        )?;
        self.ds(&key)
    }

    /// A new key; returns the name of its file.
    fn generate(&self, apex: &str) -> Result<String> {
        let key = self.run(
            "dnssec-keygen",
            &["-q", "-a", "ECDSAP256SHA256", "-f", "KSK", apex],
        )?;
        Ok(key.trim().to_owned())
    }

    fn ds(&self, key: &str) -> Result<Vec<String>> {
        let ds = self.run("dnssec-dsfromkey", &["-2", key])?;
        Ok(ds.lines().map(str::to_owned).collect())
    }

    fn root_key(&self) -> Result<String> {
        for entry in fs::read_dir(self.folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("K.+") && name.ends_with(".key") {
                let text = fs::read_to_string(&path)?;
                let lines: Vec<_> = text.lines().filter(|line| !line.starts_with(';')).collect();
                return Ok(lines.join("\n") + "\n");
            }
        }
        Err(Error::new("the root has no key"))
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(process::find(program)?);
        let output = command.args(arguments).current_dir(self.folder).output();
        let output = output.context(program)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Error::new(format_args!("{program}: {said}")));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn labels(apex: &str) -> usize {
    apex.split('.').filter(|label| !label.is_empty()).count()
}

/// Whether the zone lies below the other. Of zones in the order of their depth, the first such is the closest.
fn is_below(apex: &str, above: &str) -> bool {
    apex != above && (above.is_empty() || apex.ends_with(&format!(".{above}")))
}

fn absolute(apex: &str) -> String {
    format!("{apex}.")
}

fn file(apex: &str) -> String {
    format!("{}.zone", if apex.is_empty() { "root" } else { apex })
}
