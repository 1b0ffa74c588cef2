//! The cause of an error, for messages.

use std::error::Error;
use std::io;

use crate::printable::shortened;

/// Characters of a cause that are shown. Some quote what they are about.
const CAUSE_MAX: usize = 500;

/// Returns the innermost cause of an error, on one line and in short. The outer ones repeat the URL.
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    let cause = causes(error).last();
    let cause = cause.map_or_else(|| error.to_string(), ToString::to_string);
    shortened(&cause, CAUSE_MAX)
}

/// Returns the error and all its causes, outermost first. An [`io::Error`] does not report the error
/// that it wraps as its source, so that one is looked up separately.
pub(super) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| match error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
    {
        Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
        None => (*error).source(),
    })
}
