//! TXT records: their values, changes to them, and their quoted form.

mod change;
pub mod quoting;
mod value;

pub use self::change::{Action, TxtChange, TxtRecord, TxtSets};
pub use self::value::{TxtValue, TxtValueError};
