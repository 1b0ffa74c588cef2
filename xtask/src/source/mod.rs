//! Checks of the source itself: the length of its files, and imports that form a circle.

mod check;
mod cycles;
mod imports;
mod length;
mod modules;
mod tokens;
mod tracked;

pub(crate) use self::check::check;
pub(crate) use self::tracked::tracked;
