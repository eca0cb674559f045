//! Regular expressions as Go reads them (RE2), in the words of the `regex` crate, which is the same kind of engine.
//!
//! They differ in little: here `\d`, `\s` and `\w` mean all of Unicode, `&&`, `~~` and `[` have a meaning inside a
//! class, `\<` and `\>` outside of one, and `\Q…\E` has none. Syntax: <https://golang.org/s/re2syntax>.

use std::iter::Peekable;
use std::str::Chars;

use regex::{Regex, RegexBuilder};

const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

/// Compiles what Go would compile; the error is a sentence. A dot is a line break, too: rclone's rules see the control
/// characters of names as letters that picture them.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    let text = translate(pattern)?;
    let built = RegexBuilder::new(&text).octal(true).dot_matches_new_line(true).build();
    built.map_err(|error| error.to_string().lines().last().unwrap_or_default().trim().to_owned())
}

fn translate(pattern: &str) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern.chars().peekable();
    // What the last letters repeat: nothing, something, or something as seldom as possible.
    let mut repeated = 0;
    while let Some(letter) = rest.next() {
        let repeats = matches!(letter, '*' | '+' | '?');
        repeated = match (repeats, repeated, letter) {
            (true, 0, _) => 1,
            (true, 1, '?') => 2,
            (true, ..) => return Err("a repetition of a repetition".to_owned()),
            (false, ..) => 0,
        };
        match letter {
            '\\' => escaped(&mut rest, &mut out, false)?,
            '[' => class(&mut rest, &mut out)?,
            '{' if !counts(rest.clone()) => out.push_str("\\{"),
            other => out.push(other),
        }
    }
    Ok(out)
}

/// What follows a backslash.
fn escaped(rest: &mut Peekable<Chars<'_>>, out: &mut String, in_class: bool) -> Result<(), String> {
    let set = |inside: &str, negated: bool| match (in_class, negated) {
        (true, false) => inside.to_owned(),
        (_, true) => format!("[^{inside}]"),
        (false, false) => format!("[{inside}]"),
    };
    match rest.next() {
        None => return Err("a backslash at its end".to_owned()),
        Some(letter @ ('d' | 'D')) => out.push_str(&set("0-9", letter == 'D')),
        Some(letter @ ('s' | 'S')) => out.push_str(&set(r"\t\n\f\r ", letter == 'S')),
        Some(letter @ ('w' | 'W')) => out.push_str(&set("0-9A-Za-z_", letter == 'W')),
        Some('b') if !in_class => out.push_str(r"(?-u:\b)"),
        Some('Q') => quoted(rest, out),
        Some(letter @ ('<' | '>')) => out.push(letter),
        Some(other) => out.extend(['\\', other]),
    }
    Ok(())
}

/// Everything up to `\E` stands for itself.
fn quoted(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    while let Some(letter) = rest.next() {
        if letter == '\\' && rest.next_if_eq(&'E').is_some() {
            return;
        }
        out.push_str(&regex::escape(letter.encode_utf8(&mut [0; 4])));
    }
}

/// A class, whose opening bracket has been read.
fn class(rest: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), String> {
    out.push('[');
    if rest.next_if_eq(&'^').is_some() {
        out.push('^');
    }
    // A bracket that comes first is a member.
    if rest.next_if_eq(&']').is_some() {
        out.push_str("\\]");
    }
    while let Some(letter) = rest.next() {
        match letter {
            ']' => {
                out.push(']');
                return Ok(());
            }
            '\\' => escaped(rest, out, true)?,
            '[' if rest.peek() == Some(&':') => posix(rest, out)?,
            '[' | '&' | '~' => out.extend(['\\', letter]),
            other => out.push(other),
        }
    }
    Err("a class without its end".to_owned())
}

/// `[:alpha:]`, whose opening bracket has been read.
fn posix(rest: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), String> {
    let text: String = rest.clone().skip(1).take_while(|letter| *letter != ':').collect();
    let name = text.strip_prefix('^').unwrap_or(&text);
    let closed = rest.clone().nth(text.chars().count() + 2) == Some(']');
    if !closed {
        out.push_str("\\[");
        return Ok(());
    }
    if !POSIX.contains(&name) {
        return Err(format!("there is no class `[:{text}:]`"));
    }
    out.push_str(&format!("[:{text}:]"));
    for _ in 0..text.chars().count() + 3 {
        rest.next();
    }
    Ok(())
}

/// Whether a brace begins a count, such as `{2}` or `{2,}`; else it stands for itself.
fn counts(rest: Peekable<Chars<'_>>) -> bool {
    let text: String = rest.take_while(|letter| *letter != '}').collect();
    let (least, most) = text.split_once(',').unwrap_or((&text, ""));
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !least.is_empty() && number(least) && number(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_said_otherwise() {
        for (go, here) in [
            (r"\d+\D", "[0-9]+[^0-9]"),
            (r"[\d_\W]", "[0-9_[^0-9A-Za-z_]]"),
            ("[a&&[b~~]", r"[a\&\&\[b\~\~]"),
            ("[]a]", r"[\]a]"),
            ("[^]a]", r"[^\]a]"),
            ("[[:alpha:]_]", "[[:alpha:]_]"),
            (r"\Qa.b\E.c", r"a\.b.c"),
            (r"\<a\>", "<a>"),
            ("a{2}b{x}", r"a{2}b\{x}"),
            ("a*?b+?c??(?i)", "a*?b+?c??(?i)"),
        ] {
            assert_eq!(translate(go).as_deref(), Ok(here), "{go}");
            assert!(compile(go).is_ok(), "{go}");
        }
        for bad in ["a**", "a+*", "a*??", "[", "[[:nothing:]]", "\\", "(", "a)", r"\ü", "[z-a]"] {
            assert!(compile(bad).is_err(), "{bad}");
        }
    }
}
