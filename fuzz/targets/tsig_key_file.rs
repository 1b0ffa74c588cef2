#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| acme_alias_rfc2136::fuzzing::tsig_key_file(data));
