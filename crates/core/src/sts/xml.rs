//! The little XML that STS needs: text leaves by their path in, escaped elements out.
//!
//! Reading ignores namespaces and prefixes, resolves the predefined and numeric entities, and refuses a
//! document type (so there are no entities of the document's own), deep nesting and broken structure.

use quick_xml::Reader;
use quick_xml::escape::{escape, unescape};
use quick_xml::events::Event;

/// The XML namespace of every answer.
pub(super) const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

const MAX_DEPTH: usize = 16;
const MAX_LEAVES: usize = 1000;

/// Why an answer cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// Not well-formed, or too deep.
    #[error("the answer is not the XML that a token service writes")]
    Malformed,
    /// A document type, which could define entities.
    #[error("the answer declares a document type, which is never read")]
    DocumentType,
    /// An element that has to be there is not.
    #[error("the answer has no `{0}`")]
    Missing(&'static str),
    /// `Expiration` is not ISO 8601.
    #[error("the answer's expiration `{0}` is not a time")]
    Expiration(String),
}

/// Every element without child elements: its path of local names, and its text.
pub(super) struct Leaves(Vec<(Vec<String>, String)>);

impl Leaves {
    pub(super) fn read(text: &str) -> Result<Self, XmlError> {
        let mut reader = Reader::from_str(text);
        let mut path: Vec<String> = Vec::new();
        let mut leaves: Vec<(Vec<String>, String)> = Vec::new();
        let mut content = String::new();
        // Whether an element was opened and nothing below it yet.
        let mut at_leaf = false;
        loop {
            match reader.read_event().map_err(|_| XmlError::Malformed)? {
                Event::Start(start) => {
                    path.push(start.local_name().as_ref().to_owned());
                    content.clear();
                    at_leaf = true;
                }
                Event::Empty(start) => {
                    let mut leaf = path.clone();
                    leaf.push(start.local_name().as_ref().to_owned());
                    leaves.push((leaf, String::new()));
                    at_leaf = false;
                }
                Event::Text(part) => content.push_str(&part.xml10_content()),
                Event::CData(part) => content.push_str(&part.xml10_content()),
                Event::GeneralRef(entity) => {
                    let entity = format!("&{};", entity.into_inner());
                    content.push_str(&unescape(&entity).map_err(|_| XmlError::Malformed)?);
                }
                Event::End(_) => {
                    if at_leaf {
                        leaves.push((path.clone(), content.trim().to_owned()));
                    }
                    at_leaf = false;
                    path.pop();
                }
                Event::DocType(_) => return Err(XmlError::DocumentType),
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
                Event::Eof if path.is_empty() && !leaves.is_empty() => return Ok(Self(leaves)),
                Event::Eof => return Err(XmlError::Malformed),
            }
            if path.len() > MAX_DEPTH || leaves.len() > MAX_LEAVES {
                return Err(XmlError::Malformed);
            }
        }
    }

    /// The text of the first element at exactly this path.
    pub(super) fn text(&self, path: &[&str]) -> Option<&str> {
        self.0
            .iter()
            .find(|(at, _)| at.len() == path.len() && at.iter().zip(path).all(|(a, b)| a == b))
            .map(|(_, text)| text.as_str())
    }
}

/// Writes a document element by element.
pub(super) struct Writer(String);

impl Writer {
    pub(super) fn new(root: &str, namespace: &str) -> Self {
        let mut text = String::with_capacity(2048);
        text.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<");
        text.push_str(root);
        text.push_str(" xmlns=\"");
        text.push_str(namespace);
        text.push_str("\">");
        Self(text)
    }

    pub(super) fn open(&mut self, name: &str) {
        self.0.push('<');
        self.0.push_str(name);
        self.0.push('>');
    }

    pub(super) fn close(&mut self, name: &str) {
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    pub(super) fn leaf(&mut self, name: &str, text: &str) {
        self.open(name);
        // Session tokens are long and have nothing to escape: looking is cheaper, all the more without an early
        // end, for then many bytes are looked at together.
        if text.bytes().fold(false, |found, byte| found | matches!(byte, b'<' | b'>' | b'&' | b'\'' | b'"')) {
            self.0.push_str(&escape(text));
        } else {
            self.0.push_str(text);
        }
        self.close(name);
    }

    pub(super) fn optional(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.leaf(name, text);
        }
    }

    pub(super) fn finish(mut self, root: &str) -> String {
        self.close(root);
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_prefixes_and_entities() {
        let leaves =
            Leaves::read("<a:x xmlns:a='u'><a:y> 1 &lt;&#x41;&amp; <![CDATA[<z>]]></a:y><w/></a:x>").unwrap();
        assert_eq!(leaves.text(&["x", "y"]), Some("1 <A& <z>"));
        assert_eq!(leaves.text(&["x", "w"]), Some(""));
        assert_eq!(leaves.text(&["x"]), None);
    }

    #[test]
    fn bombs_and_broken_structure() {
        let bomb = "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>";
        assert!(matches!(Leaves::read(bomb), Err(XmlError::DocumentType)));
        for text in ["<a>", "<a></b>", "<a>&b;</a>", "", "text", &"<a>".repeat(100), &"<a>x</a>".repeat(2000)]
        {
            assert!(matches!(Leaves::read(text), Err(XmlError::Malformed)), "{text:.40}");
        }
    }

    proptest! {
        #[test]
        fn any_text_survives_as_a_leaf(text in "[^\u{0}-\u{1f}\u{fffe}\u{ffff}]{0,40}") {
            let mut to = Writer::new("r", "n");
            to.leaf("l", &text);
            let leaves = Leaves::read(&to.finish("r")).unwrap();
            prop_assert_eq!(leaves.text(&["r", "l"]), Some(text.trim()));
        }

        #[test]
        fn any_bytes_end_without_a_panic(text in "[<>&;a/!\\[\\]\"' -]{0,60}") {
            let _ = Leaves::read(&text);
        }
    }
}
