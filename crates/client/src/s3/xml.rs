//! S3's XML documents: read with limits, written with every character that XML cannot hold refused.

use std::fmt::Write as _;

use serde::de::DeserializeOwned;

/// Reads an answer's document; the error is a sentence.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let text = std::str::from_utf8(body).map_err(|_| "it is not UTF-8".to_owned())?;
    quick_xml::de::from_str(text).map_err(|error| error.to_string())
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
}
