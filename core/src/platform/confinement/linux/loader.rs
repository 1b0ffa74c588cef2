//! The loader of shared libraries with which the system starts a program.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

const MAGIC: &[u8] = b"\x7fELF";
/// The type of the program header that has the path of the loader.
const INTERPRETER: u64 = 3;
/// Linux allows no longer path.
const PATH_MAX: u64 = 4096;

/// Where the numbers of an ELF file are.
struct Layout {
    headers: Range<usize>,
    header_length: Range<usize>,
    header_count: Range<usize>,
    offset: Range<usize>,
    length: Range<usize>,
}

const OF_32_BITS: Layout = Layout {
    headers: 28..32,
    header_length: 42..44,
    header_count: 44..46,
    offset: 4..8,
    length: 16..20,
};
const OF_64_BITS: Layout = Layout {
    headers: 32..40,
    header_length: 54..56,
    header_count: 56..58,
    offset: 8..16,
    length: 32..40,
};

/// The path of the loader; none if the program needs no shared libraries. A script is an error.
pub(super) fn of(program: &File) -> io::Result<Option<PathBuf>> {
    let mut beginning = [0; 58];
    program.read_exact_at(&mut beginning, 0)?;
    if !beginning.starts_with(MAGIC) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let layout = if beginning[4] == 1 {
        OF_32_BITS
    } else {
        OF_64_BITS
    };
    let at = |range: &Range<usize>| number(&beginning[range.clone()]);
    for header in 0..at(&layout.header_count) {
        let mut octets = [0; 40];
        let place = at(&layout.headers).saturating_add(header * at(&layout.header_length));
        program.read_exact_at(&mut octets[..layout.length.end], place)?;
        if number(&octets[..4]) == INTERPRETER {
            let length = number(&octets[layout.length.clone()]).min(PATH_MAX);
            let mut path = vec![0; usize::try_from(length).unwrap_or_default()];
            program.read_exact_at(&mut path, number(&octets[layout.offset.clone()]))?;
            path.pop_if(|last| *last == 0);
            return Ok(Some(OsString::from_vec(path).into()));
        }
    }
    Ok(None)
}

/// A number as this machine writes it.
fn number(octets: &[u8]) -> u64 {
    let add = |number, octet: &u8| number << 8 | u64::from(*octet);
    if cfg!(target_endian = "little") {
        octets.iter().rev().fold(0, add)
    } else {
        octets.iter().fold(0, add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_names_its_loader() {
        let loader = of(&File::open("/bin/sh").unwrap()).unwrap();
        assert!(loader.is_none_or(|loader| loader.is_file()));
        let script = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&script, format!("#!/bin/sh\n{}", " ".repeat(100))).unwrap();
        assert!(of(script.as_file()).is_err());
    }
}
