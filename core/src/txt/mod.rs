//! TXT records: values, changes, and the quoted format.

mod change;
pub mod quoting;
mod value;

pub use self::change::{Action, TxtChange, TxtRecord, TxtSet, TxtSets};
pub use self::value::{TxtValue, TxtValueError};
