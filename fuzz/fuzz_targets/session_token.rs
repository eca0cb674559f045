//! Session tokens that nobody sealed: none opens.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use wigeon_core::time::Timestamp;
use wigeon_server::issue::{KeyRing, Sealer};

static SEALER: LazyLock<Sealer> =
    LazyLock::new(|| Sealer::new(KeyRing::generate(Timestamp::UNIX_EPOCH).expect("a key can be generated")));

fuzz_target!(|text: &str| {
    assert!(SEALER.unseal(text, "ASIAFUZZFUZZFUZZFUZZ", Timestamp::UNIX_EPOCH).is_err());
});
