//! Paths, queries and copy sources: what is read twice is read alike.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wigeon_core::encoding::{percent_decode, percent_encode};
use wigeon_core::s3::uri::Target;
use wigeon_core::sigv4::canonical::Query;
use wigeon_server::classify::CopySource;

fuzz_target!(|text: &str| {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    if let Ok(Target::Object(bucket, key)) = Target::parse("localhost", path, &[]) {
        let again = format!("/{bucket}/{}", percent_encode(key.as_str(), true));
        assert_eq!(Target::parse("localhost", &again, &[]), Ok(Target::Object(bucket, key)));
    }
    if let Ok(query) = Query::parse(query) {
        let again = Query::parse(&query.canonical(None)).expect("what we write we can read");
        assert_eq!(again.canonical(None), query.canonical(None));
    }
    let _ = CopySource::parse(text);
    if let Some(decoded) = percent_decode(text) {
        assert_eq!(percent_decode(&percent_encode(&decoded, false)), Some(decoded));
    }
});
