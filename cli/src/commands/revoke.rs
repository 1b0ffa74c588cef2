//! `acme-alias revoke`: a certificate that must not be used any more.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use acme_alias_core::engine::{Engine, Environment, JobError};
use acme_alias_core::store::CertificateId;
use rustix::fs::{Mode, OFlags};

use crate::cli::RevokeArgs;
use crate::failure::{Failure, Part};
use crate::output::{Output, Report};
use crate::setup::Setup;

/// No certificate with its chain is larger.
const PEM_MAX: u64 = 1 << 20;

pub(crate) async fn run(
    args: &RevokeArgs,
    setup: &Setup,
    output: Output,
) -> Result<Report, Failure> {
    let reason = args.reason;
    let revoked = match (&args.id, &args.cert) {
        (Some(id), _) => {
            if setup.existing_state().await?.is_none() {
                return Err(JobError::Unknown { id: id.clone() }.into());
            }
            let engine = setup.engine(output.observer()).await?.engine;
            let environment = environment_of(setup, &engine, id).await?;
            engine.revoke(id, environment.ca(), reason).await?
        }
        (None, Some(path)) => {
            let environment = setup.environment_of_ca(args.ca.as_deref())?;
            let pem = read(path)?;
            let engine = setup.engine(output.observer()).await?.engine;
            engine.revoke_pem(&pem, environment.ca(), reason).await?
        }
        (None, None) => {
            return Err(Failure::new(
                Part::Settings,
                &"no certificate was given",
                None,
            ));
        }
    };
    Ok(Report::Revoked { revoked, reason })
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let read = open(path).and_then(|file| {
        let mut pem = Vec::new();
        file.take(PEM_MAX).read_to_end(&mut pem)?;
        Ok(pem)
    });
    read.map_err(|error| {
        let message = format!("cannot read {}: {error}", path.display());
        let remedy = "give the path of a PEM file with the certificate".to_owned();
        Failure::new(Part::Settings, &message, remedy)
    })
}

/// Opens a regular file, which may be that of another user. A FIFO in its place is not waited for.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::other("it is not a regular file"))
}

/// The environment of the CA that issued the current version.
async fn environment_of(
    setup: &Setup,
    engine: &Engine,
    id: &CertificateId,
) -> Result<Arc<Environment>, Failure> {
    let stored = engine.store().certificate(id).await?;
    let stored = stored.ok_or_else(|| JobError::Unknown { id: id.clone() })?;
    let directory = &stored.origin.directory;
    // One that was issued by flags may have a CA of its own.
    let own = engine.certificate(id).await.ok();
    let own = own.into_iter().flat_map(|certificate| {
        let fallback = certificate.fallback.as_ref();
        let fallback = fallback.map(|fallback| Arc::clone(&fallback.environment));
        [Some(Arc::clone(&certificate.environment)), fallback]
    });
    let own: Vec<_> = own.flatten().collect();
    // Earlier versions of the program did not record the CA.
    if directory.is_empty() {
        let usual = own.into_iter().next();
        return usual.map_or_else(|| setup.environment(), Ok);
    }
    let all = own.into_iter().map(Ok).chain(setup.environments_of_cas());
    for environment in all {
        let environment = environment?;
        if environment.ca().directory() == directory {
            return Ok(environment);
        }
    }
    Err(Failure::new(
        Part::Settings,
        &format!("the CA that issued `{id}` is not in the settings: {directory}"),
        format!("add a table `[cas.old]` with `directory = \"{directory}\"` to the settings"),
    ))
}
