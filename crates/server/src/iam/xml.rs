//! The XML of IAM's answers, written element by element.

use quick_xml::escape::escape;
use wigeon_core::encoding::percent_encode;
use wigeon_core::time::{Timestamp, iso8601};

/// The namespace of every answer.
pub(super) const NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";

/// A document, or a part of one.
#[derive(Debug, Default)]
pub(super) struct Xml(String);

impl Xml {
    /// The beginning of a document.
    pub(super) fn root(name: &str, namespace: &str) -> Self {
        Self(format!("<{name} xmlns=\"{namespace}\">"))
    }

    /// The end of a document.
    pub(super) fn finish(mut self, root: &str) -> String {
        self.close(root);
        self.0
    }

    /// A part that was written before.
    pub(super) fn append(&mut self, part: &Self) {
        self.0.push_str(&part.0);
    }

    /// An element with elements.
    pub(super) fn within(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        self.0.push('<');
        self.0.push_str(name);
        self.0.push('>');
        fill(self);
        self.close(name);
    }

    /// A list, each of whose members is an element with elements.
    pub(super) fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        fill: impl Fn(&mut Self, T),
    ) {
        self.within(name, |xml| {
            items.into_iter().for_each(|item| xml.within("member", |xml| fill(xml, item)))
        });
    }

    /// A list of texts.
    pub(super) fn texts<'t>(&mut self, name: &str, texts: impl IntoIterator<Item = &'t str>) {
        self.within(name, |xml| texts.into_iter().for_each(|text| xml.leaf("member", text)));
    }

    /// An element with text.
    pub(super) fn leaf(&mut self, name: &str, text: &str) {
        self.within(name, |xml| xml.0.push_str(&escape(text)));
    }

    /// An element with text, if there is any.
    pub(super) fn optional(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.leaf(name, text);
        }
    }

    /// An element with a number.
    pub(super) fn number(&mut self, name: &str, number: usize) {
        self.leaf(name, &number.to_string());
    }

    /// An element with a truth value.
    pub(super) fn flag(&mut self, name: &str, flag: bool) {
        self.leaf(name, if flag { "true" } else { "false" });
    }

    /// An element with a time.
    pub(super) fn time(&mut self, name: &str, at: Timestamp) {
        self.leaf(name, &iso8601(at));
    }

    /// An element with a policy document, percent-encoded (RFC 3986) as IAM does.
    pub(super) fn document(&mut self, name: &str, text: &str) {
        self.leaf(name, &percent_encode(text, false));
    }

    fn close(&mut self, name: &str) {
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }
}
