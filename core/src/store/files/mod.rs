//! The store in files.
//!
//! ```text
//! accounts/<host>-<hash>.json        the credentials of an account
//! accounts/….pending.json            those that a change of its key was begun with
//! accounts/….former-<number>.json    those of earlier accounts
//! aliases.json                       generated alias names, by challenge name
//! index.log                          what the certificates' folders contained when last read
//! leases/<kind>@<name>.json          a lease
//! leases/holders/<holder>            locked by the process that holds leases
//! ledger/                            every DNS change, see `crate::ledger`
//! certificates/<id>/settings.toml    the settings it was ordered with, if flags gave them
//! certificates/<id>/order.json       an order under way, with its key
//! certificates/<id>/set-aside/<number>   a certificate that cannot be used, with its key
//! certificates/<id>/deployed         the number of the version that was deployed
//! certificates/<id>/privkey.pem …    links into `current`; there is no `privkey.pem` if only others have the key
//! certificates/<id>/current          a link to the current version
//! certificates/<id>/versions/<number>/privkey.pem, cert.pem, chain.pem, fullchain.pem,
//!                                    version.json
//! ```
//!
//! A version is a folder that appears whole, by a rename, and does not change afterwards. `current`
//! is switched by a rename as well. So a server that reloads at any moment reads a key and a
//! certificate that belong together.
//!
//! On a file system without symbolic links, `current` is a file with the text of the link, and the files beside it
//! are copies.
//!
//! Files and folders whose names begin with `.new-` are being written. In `.probe` a process tests what the file
//! system can do. `.aliases.lock`, `.probe.lock`, `.index.lock` and `leases/.lock` are locked for moments only.

mod access;
#[cfg(test)]
mod access_tests;
mod accounts;
mod atomic;
mod current;
mod errors;
mod file_store;
mod fingerprint;
mod forget;
mod holder;
mod index;
mod index_log;
#[cfg(test)]
mod index_tests;
mod key_access;
mod layout;
#[cfg(test)]
mod lease_tests;
mod leases;
mod leftovers;
mod lock;
mod probe;
mod prune;
mod set_aside;
mod status;
#[cfg(test)]
mod tests;
mod versions;

pub use self::file_store::{FileStore, FileStoreOptions};
