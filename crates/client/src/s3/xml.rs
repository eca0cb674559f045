//! S3's XML documents: read with limits, written with every character that XML cannot hold refused.

use std::fmt::Write as _;

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;
use serde::de::DeserializeOwned;

/// Reads an answer's document; the error is a sentence.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let text = std::str::from_utf8(body).map_err(|_| "it is not UTF-8".to_owned())?;
    quick_xml::de::from_str(text).map_err(|error| error.to_string())
}

/// Walks through a document, for those of many elements: `closed` is told of each element where it ends, by its path
/// below the root (`Contents/Key`) and the text directly in it. The root itself has the empty path. The error is a
/// sentence.
pub(crate) fn walk(
    body: &[u8],
    mut closed: impl FnMut(&str, &str) -> Result<(), String>,
) -> Result<(), String> {
    let text = std::str::from_utf8(body).map_err(|_| "it is not UTF-8".to_owned())?;
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let (mut path, mut starts, mut content) = (String::new(), Vec::new(), String::new());
    let mut is_seen = false;
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(element) => {
                starts.push(path.len());
                if starts.len() > 1 {
                    if !path.is_empty() {
                        path.push('/');
                    }
                    path.push_str(element.local_name().as_ref());
                }
                content.clear();
                is_seen = true;
            }
            Event::Text(piece) => content.push_str(&piece),
            Event::CData(piece) => content.push_str(&piece),
            Event::GeneralRef(reference) => {
                match reference.resolve_char_ref().map_err(|error| error.to_string())? {
                    Some(c) => content.push(c),
                    None => content.push_str(
                        resolve_predefined_entity(&reference).ok_or("it has an entity of its own")?,
                    ),
                }
            }
            Event::End(_) => {
                closed(&path, &content)?;
                path.truncate(starts.pop().unwrap_or_default());
                content.clear();
            }
            Event::DocType(_) => return Err("it has a document type declaration".to_owned()),
            Event::Eof if is_seen && starts.is_empty() => return Ok(()),
            Event::Eof => return Err("it ends too early".to_owned()),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
}

/// Whether a text can stand in XML 1.0 at all (section 2.2): most control characters cannot, even escaped.
pub(crate) fn can_hold(text: &str) -> bool {
    text.chars().all(
        |c| !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}'),
    )
}

/// Writes `<name>text</name>`. Line ends are written as references: a parser may change bare ones.
pub(crate) fn element(to: &mut String, name: &str, text: &str) {
    let _ = write!(to, "<{name}>");
    for c in text.chars() {
        match c {
            '&' => to.push_str("&amp;"),
            '<' => to.push_str("&lt;"),
            '>' => to.push_str("&gt;"),
            '"' => to.push_str("&quot;"),
            '\t' | '\n' | '\r' => {
                let _ = write!(to, "&#{};", u32::from(c));
            }
            other => to.push(other),
        }
    }
    let _ = write!(to, "</{name}>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements() {
        let mut text = String::new();
        element(&mut text, "Key", "a<b>&\"\r\nü");
        assert_eq!(text, "<Key>a&lt;b&gt;&amp;&quot;&#13;&#10;ü</Key>");
        assert!(can_hold("a\r\n\tü\u{7f}"));
        assert!(!can_hold("a\u{1}") && !can_hold("\u{ffff}"));
    }

    fn walked(document: &str) -> Result<Vec<(String, String)>, String> {
        let mut seen = Vec::new();
        walk(document.as_bytes(), |path, text| {
            seen.push((path.to_owned(), text.to_owned()));
            Ok(())
        })?;
        Ok(seen)
    }

    #[test]
    fn walks() {
        let seen = walked(
            "<?xml version='1.0'?><r xmlns='x'><a>1&amp;2&#x20AC;<![CDATA[<]]></a>\n<b><c> d </c><e/></b></r>",
        )
        .unwrap();
        let seen: Vec<_> = seen.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        assert_eq!(seen, [("a", "1&2\u{20ac}<"), ("b/c", " d "), ("b/e", ""), ("b", ""), ("", "")]);
        for broken in
            ["", "<a>", "<a><b></a></b>", "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "<a>&x;</a>", "html"]
        {
            assert!(walked(broken).is_err(), "{broken}");
        }
    }
}
