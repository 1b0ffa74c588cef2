//! When a certificate is renewed, and why: pure functions over the time.

mod attempts;
mod due;
mod info;
mod limits;
mod omission;
mod terms;
mod why;

pub use self::attempts::{Attempts, Failure, Pause};
pub use self::due::{Due, InvalidRenewBefore, Reason, RenewBefore, Validity, due};
pub use self::info::{Look, RenewalInfo, Suggestion, Window};
pub use self::limits::{Limits, Rate, Reservation, Spent, WINDOWS, forget_unopened};
pub use self::omission::{InUse, Omission};
pub use self::terms::{Change, Chosen, Terms};
pub use self::why::Why;
