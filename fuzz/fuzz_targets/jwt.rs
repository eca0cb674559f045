//! A token and a key set, separated by a NUL: neither may panic, and nothing verifies without a key's signature.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wigeon_core::jwt::{AllowedAlgorithms, KeySet, UnverifiedToken};

fuzz_target!(|data: &[u8]| {
    let (token, keys) = match data.iter().position(|byte| *byte == 0) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &b"{\"keys\":[]}"[..]),
    };
    let keys = KeySet::parse(keys);
    let Ok(text) = std::str::from_utf8(token) else { return };
    let Ok(token) = UnverifiedToken::parse(text) else { return };
    if let Ok(keys) = keys {
        let _ = token.verify(&keys, &AllowedAlgorithms::aws());
    }
});
