//! S3's error document, written by the server and read by the client.
//!
//! Source: Amazon S3 API Reference, "Error responses". Ceph RGW answers STS errors in this form too.

use quick_xml::escape::escape;
use serde::Deserialize;

/// The body of an S3 error answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ErrorDocument {
    /// `NoSuchKey`, `AccessDenied`, …
    pub code: String,
    /// For people; may be empty.
    pub message: String,
    /// The bucket or key it is about.
    pub resource: Option<String>,
    /// For the server's operator.
    pub request_id: String,
    /// Where a bucket is, with `AuthorizationHeaderMalformed` and redirects.
    pub region: Option<String>,
    /// The endpoint to use, with redirects.
    pub endpoint: Option<String>,
    /// What an administrator can decode with `sts:DecodeAuthorizationMessage`, with `AccessDenied`.
    pub encoded_message: Option<String>,
}

impl ErrorDocument {
    /// The XML document.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>");
        let fields = [
            ("Code", Some(self.code.as_str())),
            ("Message", Some(self.message.as_str())),
            ("Region", self.region.as_deref()),
            ("Endpoint", self.endpoint.as_deref()),
            ("EncodedMessage", self.encoded_message.as_deref()),
            ("Resource", self.resource.as_deref()),
            ("RequestId", Some(self.request_id.as_str())),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                xml.push_str(&format!("<{name}>{}</{name}>", escape(value)));
            }
        }
        xml.push_str("</Error>");
        xml
    }

    /// Reads a document; `None` where the text is something else.
    #[must_use]
    pub fn from_xml(text: &str) -> Option<Self> {
        let document: Self = quick_xml::de::from_str(text).ok()?;
        (!document.code.is_empty()).then_some(document)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        let document = ErrorDocument {
            code: "NoSuchKey".into(),
            message: "no <such> & key".into(),
            resource: Some("/b/ü".into()),
            request_id: "1".into(),
            ..ErrorDocument::default()
        };
        assert_eq!(ErrorDocument::from_xml(&document.to_xml()), Some(document));
    }

    #[test]
    fn other_texts() {
        for text in ["", "<html></html>", "<Error/>", "not xml"] {
            assert_eq!(ErrorDocument::from_xml(text), None, "{text}");
        }
        let ceph = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message></Message><RequestId>tx1</RequestId><HostId>x</HostId></Error>";
        assert_eq!(ErrorDocument::from_xml(ceph).unwrap().code, "AccessDenied");
    }
}
