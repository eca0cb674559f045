//! XML that servers answer and that clients post.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wigeon_core::s3::error::ErrorDocument;
use wigeon_core::sts::{AssumedRole, CallerIdentity, Fault};
use wigeon_server::backend::protocol::xml;

fuzz_target!(|data: &[u8]| {
    for root in ["Delete", "CompleteMultipartUpload", "Tagging", "CreateBucketConfiguration"] {
        let _ = xml::read(data, root, |node| Ok(xml::children(node, "Object").count()));
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = (AssumedRole::from_xml(text), CallerIdentity::from_xml(text));
    let _ = (Fault::from_xml(text), ErrorDocument::from_xml(text));
});
