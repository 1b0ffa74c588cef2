//! Writes TXT records by running a program of the user. A provider of [acme-alias](acme_alias_core) for every DNS
//! service that has no provider of its own.
//!
//! ```no_run
//! use acme_alias_core::provider::TxtProvider;
//! use acme_alias_core::txt::{Action, TxtChange};
//! use acme_alias_exec::{Exec, Program};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let program = Program::new(["/etc/acme-alias/dns-program"])?;
//! let provider = Exec::json(program);
//!
//! let change = TxtChange {
//!     name: "_acme-challenge.auth.example.net".parse()?,
//!     value: "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA".parse()?,
//!     action: Action::Add,
//!     ttl: None,
//! };
//! let applied = provider.apply(&"auth.example.net".parse()?, &[change]).await?;
//! println!("{} answered {}", applied.server, applied.response);
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! They depend on the protocol.
//!
//! - [`Exec::json`]: a batch of changes is one run of the program, as one JSON document. The program reports what is
//!   in the zone, so every change is read back.
//! - [`Exec::lego`]: each change is one run, with the arguments of lego's exec provider
//!   (<https://go-acme.github.io/lego/dns/exec/>).
//! - [`Exec::acme_sh`]: each change is one run of a DNS script of an installed acme.sh
//!   (<https://github.com/acmesh-official/acme.sh/wiki/dnsapi>).
//!
//! The last two cannot be read ([`Reading::AtServers`]), and whether other values at a name survive is up to the
//! program. Their runs come one after the other, also in several processes.
//!
//! With every protocol:
//!
//! - A program that others own or can change is not run.
//! - It runs without a shell, in a process group of its own, which is stopped when its time is over.
//! - Of its environment it inherits what is known to hold no secret. Secrets are in no argument, log or error.
//! - Its output is bounded, and what is shown and recorded of it is short.
//!
//! [`Reading::AtServers`]: acme_alias_core::provider::Reading::AtServers
//!
//! # Options
//!
//! Programs that read settings use [`Config::from_options`]. It takes these options:
//!
//! | option | meaning | default |
//! |---|---|---|
//! | `protocol` | `json`, `lego` or `acme.sh` | `json` |
//! | `command` | the program and its first arguments (`json`, `lego`) | |
//! | `home` | the folder of the installed acme.sh | |
//! | `config-home` | the folder of its `account.conf` | that of `home` |
//! | `script` | its script without `.sh`, such as `dns_cf` | |
//! | `environment` | variables of the program that hold secrets | |
//! | `timeout` | how long one run may take | `2m` |
//! | `ttl` | time to live of new records, in seconds (`json`) | `60` |

mod acme_sh;
mod config;
mod error;
mod json;
mod parameters;
mod places;
mod provider;
mod rights;
mod runner;
mod single;
mod turns;

use acme_alias_core::registry::{Provider, ProviderKind};

pub use self::config::Config;
pub use self::parameters::{AcmeSh, Environment, Program};
pub use self::provider::{Exec, GUARANTEES, GUARANTEES_WITHOUT_READING, KIND};

inventory::submit! {
    ProviderKind {
        kind: KIND,
        summary: "A program of yours: your own, one for lego's exec provider, or a DNS script of acme.sh",
        options: config::OPTIONS,
        guarantees: GUARANTEES,
        variants: provider::VARIANTS,
        build: |options| {
            let provider = Exec::from_config(Config::from_options(options)?);
            Ok(Provider::with_local_check(provider))
        },
    }
}
