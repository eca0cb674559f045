//! Property lists: bytes → dictionary, with the line of each key; dictionary → XML.
//!
//! Reads what real files hold: no XML declaration, any `version`, comments anywhere, CDATA, text over several
//! lines, the binary form. Refuses, with the line: what is not well-formed, elements that property lists do not
//! have, entities other than XML's five, nesting beyond [`MAX_DEPTH`], and files beyond [`MAX_BYTES`]. The format is Apple's
//! PropertyList-1.0 DTD.

use std::collections::BTreeMap;
use std::io::Cursor;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plist::{Date, Dictionary, Value};
use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::Event;

use super::binary_list::is_modest;

/// Dictionaries and lists in one another; real files have three.
const MAX_DEPTH: usize = 32;

/// The longest file; most of a real one is its icon.
const MAX_BYTES: usize = 4 << 20;

/// A dictionary, and where its keys stand.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) dictionary: Dictionary,
    /// The line of each key of the outermost dictionary, from 1; empty for the binary form.
    pub(super) lines: BTreeMap<String, usize>,
    /// The line on which the outermost dictionary begins.
    pub(super) first_line: usize,
}

/// What is wrong, on which line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) line: usize,
    pub(super) text: String,
}

/// Whether these bytes claim to be a property list.
pub(super) fn looks_like_one(bytes: &[u8]) -> bool {
    bytes.starts_with(b"bplist") || without_mark(bytes).trim_ascii_start().starts_with(b"<")
}

/// Reads the XML or the binary form.
pub(super) fn read(bytes: &[u8]) -> Result<Parsed, Problem> {
    if bytes.len() > MAX_BYTES {
        let text = format!("the file has more than {MAX_BYTES} bytes, which no profile has");
        return Err(Problem { line: 1, text });
    }
    if bytes.starts_with(b"bplist") {
        return read_binary(bytes);
    }
    let text = std::str::from_utf8(without_mark(bytes)).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        Problem { line: line_at(before, before.len()), text: "the text is not UTF-8".to_owned() }
    })?;
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    Parser { text, reader, lines: BTreeMap::new(), first_line: 1 }.document()
}

/// Writes the XML form.
pub(super) fn write(dictionary: &Dictionary) -> Result<String, String> {
    if let Some(found) = first_unwritable(&Value::Dictionary(dictionary.clone())) {
        return Err(format!("the text `{}` holds a character that XML cannot hold", found.escape_debug()));
    }
    let mut xml = Vec::new();
    Value::Dictionary(dictionary.clone()).to_writer_xml(&mut xml).map_err(|error| error.to_string())?;
    let mut text = String::from_utf8(xml).map_err(|error| error.to_string())?;
    // A bare carriage return would be read back as a line feed (XML 1.0, section 2.11).
    if text.contains('\r') {
        text = text.replace('\r', "&#13;");
    }
    text.push('\n');
    Ok(text)
}

fn read_binary(bytes: &[u8]) -> Result<Parsed, Problem> {
    if !is_modest(bytes, MAX_DEPTH) {
        let text = "the binary property list is damaged, or stands for more than a profile holds".to_owned();
        return Err(Problem { line: 1, text });
    }
    match Value::from_reader(Cursor::new(bytes)) {
        Ok(Value::Dictionary(dictionary)) => Ok(Parsed { dictionary, lines: BTreeMap::new(), first_line: 1 }),
        Ok(_) => Err(Problem { line: 1, text: "the property list does not hold a dictionary".to_owned() }),
        Err(_) => Err(Problem { line: 1, text: "the binary property list is damaged".to_owned() }),
    }
}

fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes)
}

fn line_at(bytes: &[u8], offset: usize) -> usize {
    1 + bytes.iter().take(offset).filter(|byte| **byte == b'\n').count()
}

struct Parser<'a> {
    text: &'a str,
    reader: Reader<&'a [u8]>,
    lines: BTreeMap<String, usize>,
    first_line: usize,
}

/// What the next element is.
enum Item {
    Start(String),
    End,
    EndOfFile,
}

impl Parser<'_> {
    fn document(mut self) -> Result<Parsed, Problem> {
        loop {
            match self.item()? {
                Item::Start(name) if name == "plist" => {}
                Item::Start(name) if name == "dict" => {
                    self.first_line = self.line();
                    let dictionary = self.dictionary(0)?;
                    return Ok(Parsed { dictionary, lines: self.lines, first_line: self.first_line });
                }
                Item::Start(name) => {
                    return Err(self.problem(&format!("`<{name}>` where a property list has `<dict>`")));
                }
                Item::End | Item::EndOfFile => return Err(self.problem("there is no `<dict>`")),
            }
        }
    }

    fn dictionary(&mut self, depth: usize) -> Result<Dictionary, Problem> {
        let mut dictionary = Dictionary::new();
        loop {
            match self.item()? {
                Item::End => return Ok(dictionary),
                Item::Start(name) if name == "key" => {
                    let line = self.line();
                    let key = self.content()?;
                    let Item::Start(name) = self.item()? else {
                        return Err(Problem { line, text: format!("the key `{key}` has no value") });
                    };
                    if name == "key" {
                        return Err(Problem { line, text: format!("the key `{key}` has no value") });
                    }
                    let value = self.value(&name, depth)?;
                    if depth == 0 {
                        self.lines.insert(key.clone(), line);
                    }
                    dictionary.insert(key, value);
                }
                Item::Start(name) => {
                    return Err(self.problem(&format!("`<{name}>` without a `<key>` before it")));
                }
                Item::EndOfFile => return Err(self.problem("the file ends inside a `<dict>`")),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Value>, Problem> {
        let mut array = Vec::new();
        loop {
            match self.item()? {
                Item::End => return Ok(array),
                Item::Start(name) => array.push(self.value(&name, depth)?),
                Item::EndOfFile => return Err(self.problem("the file ends inside an `<array>`")),
            }
        }
    }

    fn value(&mut self, element: &str, depth: usize) -> Result<Value, Problem> {
        if depth >= MAX_DEPTH {
            return Err(self.problem("the property list is nested too deeply"));
        }
        let line = self.line();
        let not = |what: &str, text: &str| Problem { line, text: format!("`{}` is not {what}", text.trim()) };
        Ok(match element {
            "dict" => Value::Dictionary(self.dictionary(depth + 1)?),
            "array" => Value::Array(self.array(depth + 1)?),
            "string" => Value::String(self.content()?),
            "true" => self.content().map(|_| Value::Boolean(true))?,
            "false" => self.content().map(|_| Value::Boolean(false))?,
            "integer" => {
                let text = self.content()?;
                integer(text.trim()).ok_or_else(|| not("an integer", &text))?
            }
            "real" => {
                let text = self.content()?;
                Value::Real(text.trim().parse().map_err(|_| not("a number", &text))?)
            }
            "date" => {
                let text = self.content()?;
                Value::Date(Date::from_xml_format(text.trim()).map_err(|_| not("a date", &text))?)
            }
            "data" => {
                let mut text = self.content()?;
                text.retain(|c| !c.is_ascii_whitespace());
                Value::Data(
                    STANDARD
                        .decode(&text)
                        .map_err(|_| Problem { line, text: "the `<data>` is not base64".to_owned() })?,
                )
            }
            _ => return Err(self.problem(&format!("property lists have no element `<{element}>`"))),
        })
    }

    /// The next start or end of an element; comments, processing instructions and white space are passed over.
    fn item(&mut self) -> Result<Item, Problem> {
        loop {
            match self.event()? {
                Event::Start(start) => {
                    return Ok(Item::Start(start.local_name().as_ref().to_owned()));
                }
                Event::End(_) => return Ok(Item::End),
                Event::Eof => return Ok(Item::EndOfFile),
                Event::Text(text) if !text.chars().all(char::is_whitespace) => {
                    let text = format!("the text `{}` stands outside of an element", shortened(text.trim()));
                    return Err(self.problem(&text));
                }
                Event::GeneralRef(_) | Event::CData(_) => {
                    return Err(self.problem("text stands outside of an element"));
                }
                _ => {}
            }
        }
    }

    /// The text up to the end of the element.
    fn content(&mut self) -> Result<String, Problem> {
        let mut content = String::new();
        loop {
            match self.event()? {
                Event::Text(text) => content.push_str(&text.replace("\r\n", "\n")),
                Event::CData(text) => content.push_str(&text.replace("\r\n", "\n")),
                Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                    Ok(Some(character)) => content.push(character),
                    _ => match resolve_xml_entity(&reference) {
                        Some(text) => content.push_str(text),
                        None => {
                            let text = format!("the entity `&{};` is unknown", &*reference);
                            return Err(self.problem(&text));
                        }
                    },
                },
                Event::End(_) => return Ok(content),
                Event::Start(start) => {
                    let text = format!("`<{}>` inside a text", start.local_name().as_ref());
                    return Err(self.problem(&text));
                }
                Event::Eof => return Err(self.problem("the file ends inside an element")),
                _ => {}
            }
        }
    }

    fn event(&mut self) -> Result<Event<'static>, Problem> {
        match self.reader.read_event() {
            Ok(event) => Ok(event.into_owned()),
            Err(error) => {
                let offset = usize::try_from(self.reader.error_position()).unwrap_or_default();
                let line = line_at(self.text.as_bytes(), offset);
                Err(Problem { line, text: format!("the XML is not well-formed: {error}") })
            }
        }
    }

    fn line(&self) -> usize {
        line_at(self.text.as_bytes(), usize::try_from(self.reader.buffer_position()).unwrap_or_default())
    }

    fn problem(&self, text: &str) -> Problem {
        Problem { line: self.line(), text: text.to_owned() }
    }
}

fn integer(text: &str) -> Option<Value> {
    if let Some(hex) = text.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).ok().map(Value::from);
    }
    text.parse::<i64>().map(Value::from).or_else(|_| text.parse::<u64>().map(Value::from)).ok()
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

/// XML 1.0, section 2.2: most control characters have no form at all.
fn first_unwritable(value: &Value) -> Option<&str> {
    let bad = |text: &str| {
        text.chars()
            .any(|c| (c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}'))
    };
    match value {
        Value::String(text) => bad(text).then_some(text),
        Value::Array(items) => items.iter().find_map(first_unwritable),
        Value::Dictionary(entries) => entries
            .iter()
            .find_map(|(key, value)| if bad(key) { Some(key.as_str()) } else { first_unwritable(value) }),
        _ => None,
    }
}
