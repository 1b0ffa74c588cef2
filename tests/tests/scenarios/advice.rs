//! Advice is followed to the letter, and afterwards everything works: what `delegate`, `key policy` and `key audit`
//! print, and the remedies of findings.

mod by_flags;
mod follow;
mod keys;
mod own_zone;
mod records;
mod remedies;
mod unloaded;
