//! A pattern of rclone's made a regular expression.
//!
//! `*` is any run without a slash, `**` any run, `?` one letter that is no slash, `[…]` a class, `{a,b}` a choice
//! (which may hold further ones), `{{…}}` a regular expression, `\` takes the next letter's meaning. A leading `/`
//! ties the pattern to the root; without it, it may begin after any slash.

use regex::Regex;

use super::error::FilterError;
use super::re2;

/// Makes a pattern a regular expression over whole paths.
pub(super) fn compile(pattern: &str, ignore_case: bool) -> Result<Regex, FilterError> {
    let text = Translation::of(pattern)?;
    let text = if ignore_case { format!("(?i){text}") } else { text };
    re2::compile(&text).map_err(|reason| FilterError::Pattern { pattern: pattern.to_owned(), reason })
}

/// Where in the pattern we are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    /// Letters, stars and braces.
    Pattern,
    /// After a backslash.
    Escape,
    /// Between brackets, so many deep.
    Class(u32),
    /// Between `{{` and `}}`.
    Expression,
    /// After `}}`: the longest expression is meant, so a further `}` belongs to it.
    AfterExpression,
}

struct Translation<'a> {
    pattern: &'a str,
    out: String,
    within: Within,
    braces: u32,
    stars: u32,
}

impl<'a> Translation<'a> {
    fn of(pattern: &'a str) -> Result<String, FilterError> {
        let (anchor, body) = match pattern.strip_prefix('/') {
            Some(body) => ("^", body),
            None => ("(^|/)", pattern),
        };
        let out = anchor.to_owned();
        let mut this = Self { pattern, out, within: Within::Pattern, braces: 0, stars: 0 };
        let mut last = None;
        for letter in body.chars() {
            this.step(letter, last)?;
            last = Some(letter);
        }
        this.end()
    }

    fn step(&mut self, letter: char, last: Option<char>) -> Result<(), FilterError> {
        match self.within {
            Within::Escape => {
                self.out.push(letter);
                self.within = Within::Pattern;
            }
            Within::AfterExpression if letter == '}' => {
                self.out.pop();
                self.out.push_str("})");
            }
            Within::Expression if letter == '}' && last == Some('}') => {
                self.out.pop();
                self.out.push(')');
                self.within = Within::AfterExpression;
            }
            Within::Expression => self.out.push(letter),
            Within::Class(depth) => {
                self.out.push(letter);
                self.within = match (letter, depth) {
                    ('[', _) => Within::Class(depth + 1),
                    (']', 0 | 1) => Within::Pattern,
                    (']', _) => Within::Class(depth - 1),
                    _ => self.within,
                };
            }
            Within::Pattern | Within::AfterExpression => {
                self.within = Within::Pattern;
                self.plain(letter, last)?;
            }
        }
        Ok(())
    }

    fn plain(&mut self, letter: char, last: Option<char>) -> Result<(), FilterError> {
        if letter == '*' {
            self.stars += 1;
            return Ok(());
        }
        self.write_stars()?;
        match letter {
            '\\' => {
                self.out.push('\\');
                self.within = Within::Escape;
            }
            '?' => self.out.push_str("[^/]"),
            '[' => {
                self.out.push('[');
                self.within = Within::Class(1);
            }
            ']' => return Err(self.unbalanced("]")),
            // The parenthesis of the first brace is the expression's.
            '{' if self.braces > 0 && last == Some('{') => {
                self.braces -= 1;
                self.within = Within::Expression;
            }
            '{' => {
                self.braces += 1;
                self.out.push('(');
            }
            '}' if self.braces == 0 => return Err(self.unbalanced("}")),
            '}' => {
                self.braces -= 1;
                self.out.push(')');
            }
            ',' if self.braces > 0 => self.out.push('|'),
            '.' | '+' | '(' | ')' | '|' | '^' | '$' => self.out.extend(['\\', letter]),
            other => self.out.push(other),
        }
        Ok(())
    }

    fn write_stars(&mut self) -> Result<(), FilterError> {
        match std::mem::take(&mut self.stars) {
            0 => {}
            1 => self.out.push_str("[^/]*"),
            2 => self.out.push_str(".*"),
            _ => return Err(FilterError::Stars(self.pattern.to_owned())),
        }
        Ok(())
    }

    fn end(mut self) -> Result<String, FilterError> {
        self.write_stars()?;
        match self.within {
            Within::Class(_) => return Err(self.unbalanced("[")),
            Within::Expression => return Err(self.unbalanced("{{")),
            Within::Pattern | Within::Escape | Within::AfterExpression => {}
        }
        if self.braces > 0 {
            return Err(self.unbalanced("{"));
        }
        self.out.push('$');
        Ok(self.out)
    }

    fn unbalanced(&self, bracket: &'static str) -> FilterError {
        FilterError::Unbalanced { pattern: self.pattern.to_owned(), bracket }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_become_expressions() {
        for (pattern, expression) in [
            ("", "(^|/)$"),
            ("/", "^$"),
            ("*.jpg", r"(^|/)[^/]*\.jpg$"),
            ("/a/**", "^a/.*$"),
            ("{a,b?}", "(^|/)(a|b[^/])$"),
            ("{a,{b,c}}", "(^|/)(a|(b|c))$"),
            ("x{{\\d+}}", r"(^|/)x(\d+)$"),
            ("{{a{2}}}", "(^|/)(a{2})$"),
            ("[a-c]*", "(^|/)[a-c][^/]*$"),
            (r"\*\{{x}", r"(^|/)\*\{(x)$"),
            ("a,b", "(^|/)a,b$"),
        ] {
            assert_eq!(Translation::of(pattern).as_deref(), Ok(expression), "{pattern}");
        }
    }

    #[test]
    fn refused() {
        for bad in ["***", "[a", "a]", "{a", "a}", "{{a", "{{a}", "{{*}}", "{{(}}", "[z-a]"] {
            assert!(compile(bad, false).is_err(), "{bad}");
        }
    }
}
