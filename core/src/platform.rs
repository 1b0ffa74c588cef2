//! What Linux has and other systems have not, or have in another way. Nothing else in this crate depends on the system.

mod confinement;

use tokio::process::Child;

pub(crate) use self::confinement::{Confinement, Programs};

/// Limits the memory of a child to so many octets, where that can be done from outside of it.
#[cfg(target_os = "linux")]
pub(crate) fn limit_memory(child: &Child, octets: u64) {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};

    let limit = Rlimit {
        current: Some(octets),
        maximum: Some(octets),
    };
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(id) = id.and_then(Pid::from_raw) {
        // It may have ended.
        let _ = prlimit(Some(id), Resource::Data, limit);
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn limit_memory(_: &Child, _: u64) {}

/// A text that only this machine has, and only until it starts anew; `None` if the system has none.
pub(crate) fn boot_id() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.ok().map(|id| id.trim().to_owned())
}
