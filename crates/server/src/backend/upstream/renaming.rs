//! Names in an upstream's documents, as they are here.
//!
//! Enters: a listing, or the answer of a multipart upload, as the upstream wrote it. Leaves: the same text with the
//! bucket's name and its keys exchanged, everything else byte for byte. Refused: a document that is not XML, and an
//! entry whose key is not under the bucket's prefix.

use roxmltree::{Document, Node, ParsingOptions};

use super::mapping::Place;
use crate::backend::protocol::xml::escaped;

/// Elements that hold a bucket's name.
const BUCKETS: [&str; 2] = ["Name", "Bucket"];

/// Elements that hold a key, or what one begins with.
const KEYS: [&str; 7] = ["Key", "Prefix", "Marker", "NextMarker", "KeyMarker", "NextKeyMarker", "StartAfter"];

/// Exchanges the names; `None` for a document that does not fit.
pub(super) fn here(text: &str, place: &Place, root: &str) -> Option<String> {
    let options = ParsingOptions { nodes_limit: 1_000_000, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).ok()?;
    if document.root_element().tag_name().name() != root {
        return None;
    }
    let encoded = document
        .root_element()
        .children()
        .any(|node| node.tag_name().name() == "EncodingType" && node.text() == Some("url"));
    let mut written = String::with_capacity(text.len());
    let mut copied = 0;
    for node in document.descendants().filter(Node::is_element) {
        let name = node.tag_name().name();
        let value = node.text().unwrap_or_default();
        let value = if BUCKETS.contains(&name) && is_leaf(node) {
            place.name().as_str().to_owned()
        } else if name == "Location" && root == "CompleteMultipartUploadResult" {
            let key = node.parent()?.children().find(|sibling| sibling.tag_name().name() == "Key")?;
            format!("/{}/{}", place.name(), place.strip(key.text().unwrap_or_default())?)
        } else if KEYS.contains(&name) && is_leaf(node) {
            match (value.is_empty(), encoded) {
                (true, _) => continue,
                (false, true) => place.strip_encoded(value)?.to_owned(),
                (false, false) => place.strip(value)?.to_owned(),
            }
        } else {
            continue;
        };
        let range = node.range();
        written.push_str(text.get(copied..range.start)?);
        written.push_str(&format!("<{name}>{}</{name}>", escaped(&value)));
        copied = range.end;
    }
    written.push_str(text.get(copied..)?);
    Some(written)
}

fn is_leaf(node: Node<'_, '_>) -> bool {
    !node.children().any(|child| child.is_element())
}

#[cfg(test)]
mod tests {
    use wigeon_core::s3::BucketName;

    use super::*;
    use crate::backend::upstream::settings::Mapping;

    fn place() -> Place {
        let name = BucketName::parse("here").unwrap();
        let bucket = BucketName::parse("there").unwrap();
        Place::mapped(&Mapping { name, bucket, prefix: "a b/".to_owned() })
    }

    #[test]
    fn a_listing() {
        let there = "<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"u\"><Name>there</Name><Prefix>a b/x&amp;</Prefix><Marker/>\
                     <Contents><Key>a b/x&amp;1</Key><ETag>&quot;e&quot;</ETag><Owner><ID>o</ID></Owner></Contents>\
                     <CommonPrefixes><Prefix>a b/x&amp;/</Prefix></CommonPrefixes></ListBucketResult>";
        let here_expected = "<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"u\"><Name>here</Name><Prefix>x&amp;</Prefix><Marker/>\
                    <Contents><Key>x&amp;1</Key><ETag>&quot;e&quot;</ETag><Owner><ID>o</ID></Owner></Contents>\
                    <CommonPrefixes><Prefix>x&amp;/</Prefix></CommonPrefixes></ListBucketResult>";
        assert_eq!(here(there, &place(), "ListBucketResult").as_deref(), Some(here_expected));
    }

    #[test]
    fn an_encoded_listing() {
        let there = "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>a+b/%C3%BC%2f</Key></Contents></ListBucketResult>";
        let expected = "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>%C3%BC%2f</Key></Contents></ListBucketResult>";
        assert_eq!(here(there, &place(), "ListBucketResult").as_deref(), Some(expected));
    }

    #[test]
    fn a_finished_upload_does_not_say_where_it_is() {
        let there = "<CompleteMultipartUploadResult><Location>http://10.0.0.1/there/a b/k</Location><Bucket>there</Bucket><Key>a b/k</Key></CompleteMultipartUploadResult>";
        let expected = "<CompleteMultipartUploadResult><Location>/here/k</Location><Bucket>here</Bucket><Key>k</Key></CompleteMultipartUploadResult>";
        assert_eq!(here(there, &place(), "CompleteMultipartUploadResult").as_deref(), Some(expected));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for there in [
            "",
            "<Error/>",
            "<ListBucketResult><Contents><Key>other/k</Key></Contents></ListBucketResult>",
            "<!DOCTYPE x [<!ENTITY a 'b'>]><ListBucketResult/>",
        ] {
            assert_eq!(here(there, &place(), "ListBucketResult"), None, "{there}");
        }
    }
}
