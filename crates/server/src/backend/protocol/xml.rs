//! S3's XML: answers written, the bodies of requests read.
//!
//! Bodies are bounded by their readers, and a document type declaration is refused, so that no entity expands.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use roxmltree::{Document, Node, ParsingOptions};

use crate::body::{ResponseBody, full};
use crate::refusal::Refusal;

/// The longest XML body of a request, in bytes: a multi-delete of 1,000 keys of 1,024 bytes, escaped, fits.
pub const LONGEST_BODY: usize = 8 << 20;

/// The most attributes and namespaces of a document. S3's own have a handful.
const MOST_ATTRIBUTES: usize = 4096;

/// What an operation answers.
pub type Answer = Result<Response<ResponseBody>, Refusal>;

const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// A document that is being written.
#[derive(Debug)]
pub struct Xml(String);

impl Xml {
    /// A document with its root element, whose content `write` writes.
    #[must_use]
    pub fn document(root: &str, write: impl FnOnce(&mut Self)) -> Self {
        let mut xml =
            Self(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"{NAMESPACE}\">"));
        write(&mut xml);
        xml.0.push_str(&format!("</{root}>"));
        xml
    }

    /// An element with text.
    pub fn text(&mut self, name: &str, text: &str) {
        self.0.push_str(&format!("<{name}>"));
        escape_into(&mut self.0, text);
        self.0.push_str(&format!("</{name}>"));
    }

    /// An element with text, if there is one.
    pub fn optional(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    /// An element with elements.
    pub fn element(&mut self, name: &str, write: impl FnOnce(&mut Self)) {
        self.0.push_str(&format!("<{name}>"));
        write(self);
        self.0.push_str(&format!("</{name}>"));
    }

    /// The document.
    #[must_use]
    pub fn into_text(self) -> String {
        self.0
    }

    /// An element with attributes, which are written as they are, and elements.
    pub fn element_with(&mut self, name: &str, attributes: &str, write: impl FnOnce(&mut Self)) {
        self.0.push_str(&format!("<{name} {attributes}>"));
        write(self);
        self.0.push_str(&format!("</{name}>"));
    }

    /// The answer: 200 with this document.
    #[must_use]
    pub fn answer(self) -> Response<ResponseBody> {
        answer(StatusCode::OK, self.0)
    }
}

/// An answer with an XML document.
#[must_use]
pub fn answer(status: StatusCode, xml: impl Into<Bytes>) -> Response<ResponseBody> {
    let mut response = Response::new(full(xml));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

/// A text as it stands in XML.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    escape_into(&mut written, text);
    written
}

/// Control characters cannot stand in XML 1.0; S3 writes references to them, which its tools understand.
fn escape_into(to: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '&' => to.push_str("&amp;"),
            '<' => to.push_str("&lt;"),
            '>' => to.push_str("&gt;"),
            '"' => to.push_str("&quot;"),
            control if control.is_control() => to.push_str(&format!("&#{};", u32::from(control))),
            other => to.push(other),
        }
    }
}

/// How many attributes stand in the tags of a document, at least. The parser compares each attribute of an element
/// with the others, and each namespace with its parent's, so without a limit a body of 8 MiB costs hours.
fn attributes(text: &str) -> usize {
    let mut rest = text;
    let mut count = 0;
    while let Some((_, after)) = rest.split_once('<') {
        let ends = [("!--", "-->"), ("![CDATA[", "]]>"), ("?", "?>")];
        if let Some((begin, end)) = ends.iter().find(|(begin, _)| after.starts_with(begin)) {
            let inside = after.get(begin.len()..).unwrap_or_default();
            rest = inside.split_once(end).map_or("", |(_, after)| after);
            continue;
        }
        // A value may hold `>` and `=`, but not its own quote.
        let mut quote = None;
        let mut end = after.len();
        for (at, letter) in after.char_indices() {
            match (quote, letter) {
                (None, '"' | '\'') => quote = Some(letter),
                (Some(open), letter) if open == letter => quote = None,
                (None, '=') => count += 1,
                (None, '>') => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        rest = after.get(end..).unwrap_or_default();
    }
    count
}

/// Reads a body and gives its root to `read`.
///
/// # Errors
/// 400 `MalformedXML`, or what `read` refuses.
pub fn read<T>(
    body: &[u8],
    root: &str,
    read: impl FnOnce(Node<'_, '_>) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let malformed = |why: String| {
        let message =
            "The XML you provided was not well-formed or did not validate against our published schema";
        Refusal::malformed_xml(format!("{message}: {why}."))
    };
    let text = std::str::from_utf8(body).map_err(|_| malformed("it is not UTF-8".to_owned()))?;
    if attributes(text) > MOST_ATTRIBUTES {
        return Err(malformed(format!("it has more than {MOST_ATTRIBUTES} attributes")));
    }
    let options = ParsingOptions { nodes_limit: 100_000, ..ParsingOptions::default() };
    let document =
        Document::parse_with_options(text, options).map_err(|error| malformed(error.to_string()))?;
    let node = document.root_element();
    if node.tag_name().name() != root {
        return Err(malformed(format!("the root element is not {root}")));
    }
    read(node)
}

/// The children of this name.
pub fn children<'a, 'input: 'a>(
    node: Node<'a, 'input>,
    name: &'a str,
) -> impl Iterator<Item = Node<'a, 'input>> {
    node.children().filter(move |child| child.is_element() && child.tag_name().name() == name)
}

/// The text of the child of this name; nothing but text may stand in it.
#[must_use]
pub fn child_text<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    let child = node.children().find(|child| child.is_element() && child.tag_name().name() == name)?;
    if child.children().any(|inner| inner.is_element()) {
        return None;
    }
    Some(child.text().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_as_they_went() {
        let key = " a\r\n<&>\"ü ";
        let xml = Xml::document("R", |xml| xml.text("Key", key));
        let found = read(xml.0.as_bytes(), "R", |node| Ok(child_text(node, "Key").map(str::to_owned)));
        assert_eq!(found.unwrap().as_deref(), Some(key));
    }

    #[test]
    fn refused() {
        let bomb = "<!DOCTYPE R [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><R>&b;</R>";
        for body in [bomb, "", "<R>", "<S/>", "\u{0}", "<R/><R/>"] {
            let refused = read(body.as_bytes(), "R", |_| Ok(())).unwrap_err();
            assert_eq!(refused.code, "MalformedXML", "{body}");
        }
        assert_eq!(read(b"\xff", "R", |_| Ok(())).unwrap_err().code, "MalformedXML");
    }

    #[test]
    fn attributes_are_counted_wherever_they_hide() {
        let text =
            "<?xml version='1'?><!-- <a b='c'> --><R a='>=' b=\"'\"><![CDATA[<x y=1>]]>k=v<c\nd = 'e'/></R>";
        assert_eq!(attributes(text), 3);
        for text in ["<", "<!--", "<![CDATA[", "<?", "<a b='", "a=b>"] {
            assert!(attributes(text) <= 1, "{text}");
        }
    }

    /// Each of these takes minutes or gigabytes in a parser without limits.
    #[test]
    fn documents_that_cost_more_than_they_weigh_are_refused_or_read_quickly() {
        let began = std::time::Instant::now();
        let attributes: String = (0..500_000).map(|n| format!(" a{n:x}=''")).collect();
        let spaces: String = (0..60_000).map(|n| format!(" xmlns:a{n:x}='u'")).collect();
        let children = "<c xmlns:z='v'/>".repeat(90_000);
        let deep = "<a>".repeat(99_000) + &"</a>".repeat(99_000);
        for body in [
            format!("<R{attributes}/>"),
            format!("<R b='>'{attributes}/>"),
            format!("<R{spaces}>{children}</R>"),
            format!("<R>{}</R>", "<x/>".repeat(200_000)),
        ] {
            assert_eq!(read(body.as_bytes(), "R", |_| Ok(())).unwrap_err().code, "MalformedXML");
        }
        let _ = read(format!("<R>{deep}</R>").as_bytes(), "R", |_| Ok(()));
        assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
    }
}
