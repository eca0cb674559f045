//! The parameters of an STS request, from query and form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wigeon_core::sts::{AssumeRoleWithWebIdentity, Parameters};

fuzz_target!(|text: &str| {
    let (query, body) = text.split_once('\n').unwrap_or(("", text));
    if let Ok(parameters) = Parameters::parse(query, body) {
        let _ = parameters.action();
        let _ = AssumeRoleWithWebIdentity::from_parameters(&parameters);
    }
});
