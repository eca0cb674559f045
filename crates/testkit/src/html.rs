//! The forms of a page, read well enough to fill them in. Not a parser of HTML: it looks for tags.

/// A form and what stands in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) action: String,
    pub(crate) post: bool,
    pub(crate) fields: Vec<Field>,
}

/// An input, a button, a text area.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Field {
    /// `text`, `password`, `hidden`, `submit`, …
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) checked: bool,
}

/// All forms of a page, in order.
pub(crate) fn forms(page: &str) -> Vec<Form> {
    let mut forms = Vec::new();
    let mut current: Option<Form> = None;
    let mut rest = page;
    while let Some((_, after)) = rest.split_once('<') {
        if let Some(comment) = after.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, behind)| behind);
            continue;
        }
        let (tag, behind) = split_tag(after);
        rest = behind;
        let name_end = tag.find(|c: char| c.is_whitespace() || c == '/').unwrap_or(tag.len());
        let (name, attributes) = tag.split_at(if tag.starts_with('/') { tag.len() } else { name_end });
        match name.to_ascii_lowercase().as_str() {
            "form" => {
                forms.extend(current.take());
                let method = attribute(attributes, "method").unwrap_or_default();
                current = Some(Form {
                    action: attribute(attributes, "action").unwrap_or_default(),
                    post: method.eq_ignore_ascii_case("post"),
                    fields: Vec::new(),
                });
            }
            "/form" => forms.extend(current.take()),
            element @ ("input" | "button" | "textarea" | "select") => {
                let by_default = if element == "button" { "submit" } else { "text" };
                let kind = attribute(attributes, "type").unwrap_or_else(|| by_default.to_owned());
                if let Some(form) = &mut current {
                    form.fields.push(Field {
                        kind: kind.to_ascii_lowercase(),
                        name: attribute(attributes, "name").unwrap_or_default(),
                        value: attribute(attributes, "value").unwrap_or_default(),
                        checked: attribute(attributes, "checked").is_some(),
                    });
                }
            }
            _ => {}
        }
    }
    forms.extend(current);
    forms
}

/// The tag up to its `>`, which may also stand inside quotes.
fn split_tag(text: &str) -> (&str, &str) {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '>') => return text.split_at(at),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
    }
    (text, "")
}

fn attribute(attributes: &str, wanted: &str) -> Option<String> {
    let mut rest = attributes.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_whitespace() || c == '=' || c == '/').unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let after = after.trim_start();
        let (value, after) = match after.strip_prefix('=') {
            None => ("", after),
            Some(after) => value(after.trim_start()),
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(unescaped(value));
        }
        rest = after.trim_start_matches(|c: char| c.is_whitespace() || c == '/' || (end == 0 && c == '='));
        if end == 0 && rest.len() == after.len() {
            return None;
        }
    }
    None
}

fn value(text: &str) -> (&str, &str) {
    match text.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let inner = text.trim_start_matches(quote);
            let inner = text.get(1..).unwrap_or(inner);
            inner.split_once(quote).unwrap_or((inner, ""))
        }
        _ => text.split_at(text.find(char::is_whitespace).unwrap_or(text.len())),
    }
}

fn unescaped(text: &str) -> String {
    text.replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&#x27;", "'")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_form() {
        let page = r#"<p>a > b</p><!-- <form action="no"> --><form class=x method='POST' action="/login?a=1&amp;b=2">
            <input type="hidden" name="csrf" value="&quot;t&quot;"/><input name=login autofocus>
            <input type=password name="password" ><input type="checkbox" name="stay" checked>
            <button type="submit" name="go" value="yes">Sign in</button></form>"#;
        let [form] = forms(page).try_into().unwrap();
        assert_eq!((form.action.as_str(), form.post), ("/login?a=1&b=2", true));
        let fields: Vec<_> = form
            .fields
            .iter()
            .map(|f| (f.kind.as_str(), f.name.as_str(), f.value.as_str(), f.checked))
            .collect();
        assert_eq!(
            fields,
            [
                ("hidden", "csrf", "\"t\"", false),
                ("text", "login", "", false),
                ("password", "password", "", false),
                ("checkbox", "stay", "", true),
                ("submit", "go", "yes", false)
            ]
        );
    }

    #[test]
    fn broken_pages_end() {
        for page in ["<", "<form", "<form action='", "<input = = =>", "<form><input name", "<!-- "] {
            forms(page);
        }
    }
}
