//! How fast the store in files is. `cargo xtask bench` runs it.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use acme_alias_core::store::{
    CertificateId, FileStore, FileStoreOptions, KeyAccess, NewVersion, Store, VersionOrigin,
};
use acme_alias_core::{certificate, certificate::Chain};
use futures_util::{StreamExt, TryStreamExt, stream};
use rcgen::{CertificateParams, KeyPair};

/// Certificates in the store, for each row of the table.
const COUNTS: [usize; 3] = [1_000, 10_000, 100_000];
/// Certificates that are stored at the same time.
const CONCURRENT: usize = 20;
/// Of this many calls the fastest is shown: other processes disturb the rest.
const CALLS: usize = 5;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    // On a disk: the usual place for temporary files may be in memory.
    let folder = tempfile::tempdir_in("target")?;
    let store = FileStore::open(folder.path(), FileStoreOptions::default()).await?;
    let key = KeyPair::generate()?;
    let pem = CertificateParams::new(vec!["example.com".to_owned()])?.self_signed(&key)?;
    let chain = Chain {
        doubts: Vec::new(),
        info: certificate::inspect(pem.pem().as_bytes())?,
        certificate: pem.pem(),
        intermediates: pem.pem(),
    };
    println!(
        "| certificates | put, per second | index cold, ms | index warm, ms | peak memory, MB |"
    );
    println!("|---:|---:|---:|---:|---:|");
    let mut stored = 0;
    for count in COUNTS {
        let began = Instant::now();
        let puts = (stored..count).map(|number| put(&store, number, &key, &chain));
        let puts = stream::iter(puts).buffer_unordered(CONCURRENT);
        puts.try_for_each(async |()| Ok(())).await?;
        let rate = (count - stored) as u128 * 1000 / began.elapsed().as_millis().max(1);
        stored = count;
        let log = folder.path().join("index.log");
        let cold = fastest(async || {
            fs::remove_file(&log).or_else(ignore_missing)?;
            index(&store, count).await
        });
        let cold = cold.await?;
        let warm = fastest(async || index(&store, count).await).await?;
        println!(
            "| {count} | {rate} | {} | {} | {} |",
            cold.as_millis(),
            warm.as_millis(),
            peak_memory()?
        );
    }
    Ok(())
}

async fn put(store: &FileStore, number: usize, key: &KeyPair, chain: &Chain) -> Result<()> {
    let id: CertificateId = format!("host-{number}-example-com").parse()?;
    let version = NewVersion {
        key: Some(key.serialize_pem().into()),
        chain: chain.clone(),
        origin: VersionOrigin {
            directory: "https://ca.example/directory".to_owned(),
            account: "https://ca.example/account/0123456789".to_owned(),
            renewal_id: Some("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE".to_owned()),
            ..VersionOrigin::default()
        },
        access: KeyAccess::default(),
    };
    store.put_certificate(&id, version).await?;
    Ok(())
}

async fn index(store: &FileStore, count: usize) -> Result<Duration> {
    let began = Instant::now();
    let index = store.index().await?;
    let took = began.elapsed();
    let good = |entry: &&_| {
        matches!(
            entry,
            acme_alias_core::store::IndexEntry {
                current: Some(Ok(_)),
                ..
            }
        )
    };
    assert_eq!(index.iter().filter(good).count(), count);
    Ok(took)
}

async fn fastest(mut call: impl AsyncFnMut() -> Result<Duration>) -> Result<Duration> {
    let mut fastest = Duration::MAX;
    for _ in 0..CALLS {
        fastest = fastest.min(call().await?);
    }
    Ok(fastest)
}

fn ignore_missing(error: std::io::Error) -> std::io::Result<()> {
    match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    }
}

/// The most memory that this process had so far.
fn peak_memory() -> Result<u64> {
    let status = fs::read_to_string(Path::new("/proc/self/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes: u64 = peak
        .and_then(|peak| peak.trim().strip_suffix(" kB"))
        .ok_or("no VmHWM")?
        .parse()?;
    Ok(kilobytes / 1024)
}
