//! Where connections come from: a TCP port or a Unix socket.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use acme_alias_core::trusted::{self, Untrusted};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};

use crate::failure::{Failure, Part};
use crate::settings::Listen;
use crate::trust;

/// The mode of a socket: who may write to it may connect.
const MODE: u32 = 0o660;

/// A connection.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Where connections come from.
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// The file of a Unix socket. It is removed with this, at once: at the end of the process, tasks that are stopped are
/// not waited for.
pub(super) struct Socket(PathBuf);

impl Drop for Socket {
    fn drop(&mut self) {
        // Whoever listens there next removes what is left.
        let _ = fs::remove_file(&self.0);
    }
}

impl Listener {
    /// Listens there. The file of a socket is to be kept as long as the listener is used.
    pub(super) async fn bind(listen: &Listen) -> io::Result<(Self, Option<Socket>)> {
        match listen {
            Listen::Tcp(address) => {
                let bound = TcpListener::bind(address).await?;
                Ok((Listener::Tcp(bound), None))
            }
            Listen::Unix(path) => bind_unix(path).await,
        }
    }

    /// The next connection.
    pub(super) async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Listener::Tcp(listener) => Box::new(listener.accept().await?.0),
            Listener::Unix(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

async fn bind_unix(path: &Path) -> io::Result<(Listener, Option<Socket>)> {
    // Who can replace the socket in its folder by a link decides whose mode is set below.
    trusted::open_folder(path.parent().unwrap_or(Path::new("/")), None)?;
    if let Ok(metadata) = fs::symlink_metadata(path) {
        if !metadata.file_type().is_socket() {
            let error = "a file that is no socket is there";
            return Err(io::Error::new(ErrorKind::AlreadyExists, error));
        }
        if UnixStream::connect(path).await.is_ok() {
            return Err(ErrorKind::AddrInUse.into());
        }
        // A process that was killed has left it.
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    let socket = Socket(path.to_owned());
    fs::set_permissions(path, Permissions::from_mode(MODE))?;
    Ok((Listener::Unix(listener), Some(socket)))
}

/// Why nobody can listen there, with a remedy.
pub(super) fn failure(listen: &Listen, error: &io::Error) -> Failure {
    let (place, remedy) = match listen {
        Listen::Tcp(address) => {
            let remedy = match error.kind() {
                ErrorKind::AddrInUse => "stop the process that listens there, or set another port",
                ErrorKind::PermissionDenied => "set a port above 1023",
                ErrorKind::AddrNotAvailable => "set an address of this machine",
                _ => "set another address",
            };
            (address.to_string(), remedy)
        }
        Listen::Unix(path) => {
            let place = path.display().to_string();
            if let Some(untrusted) = Untrusted::in_error(error) {
                return of_place(&place, untrusted, &trust::remedy(untrusted, "go-w"));
            }
            let remedy = match error.kind() {
                ErrorKind::AddrInUse => "stop the process that listens there, or set another path",
                ErrorKind::NotFound => {
                    "create its folder (`RuntimeDirectory=` of systemd does), or set another path"
                }
                ErrorKind::PermissionDenied => {
                    "let this user write in its folder, or set another path"
                }
                ErrorKind::AlreadyExists => "remove that file, or set another path",
                _ => "set another path",
            };
            (place, remedy)
        }
    };
    of_place(&place, error, remedy)
}

fn of_place(place: &str, error: &dyn std::error::Error, remedy: &str) -> Failure {
    let message = format!("could not listen at {place} (`run.listen`): {error}");
    Failure::new(Part::Settings, &message, remedy.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_for_its_group_and_goes_with_its_listener() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("http.sock");
        let listen = Listen::Unix(path.clone());
        let first = Listener::bind(&listen).await.ok().unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, MODE);
        let second = Listener::bind(&listen).await.err().unwrap();
        let second = failure(&listen, &second);
        assert!(second.message.contains("http.sock"), "{second}");
        assert!(second.remedy.unwrap().starts_with("stop the process"));
        drop(first);
        assert!(!path.exists());
        // A process that was killed leaves it.
        drop(UnixListener::bind(&path).unwrap());
        assert!(Listener::bind(&listen).await.is_ok());
        fs::write(&path, "a file of somebody").unwrap();
        let error = Listener::bind(&listen).await.err().unwrap();
        let failure = failure(&listen, &error);
        assert!(failure.remedy.unwrap().starts_with("remove that file"));
        assert!(path.exists());
    }
}
