#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| acme_alias_core::fuzzing::certification_request(data));
