//! The only place that writes to the terminal: results to standard output, messages to standard error.
//!
//! A command hands over data once and gets either the text for people or, with `--json`, one JSON document.
//! Text that came from elsewhere (a provider's error, an object's key) is shown without control characters,
//! so that it cannot drive the terminal.

use std::io::{self, ErrorKind, Write};
use std::sync::Mutex;

use serde::Serialize;
use serde_json::{Value, json};

use crate::environment::Environment;
use crate::errors::{Failure, Kind};

/// Where results and messages go, and in which form.
pub(crate) struct Output {
    /// `--json`: data as JSON, failures too.
    json: bool,
    /// `--quiet`: no messages except failures.
    quiet: bool,
    /// `-v`: failures with everything that is known.
    verbose: bool,
    color: bool,
    stdout: Mutex<Box<dyn Write + Send>>,
    stderr: Mutex<Box<dyn Write + Send>>,
}

impl Output {
    /// Writes to the process's own streams.
    pub(crate) fn of_process(environment: &Environment, json: bool, quiet: bool, verbose: bool) -> Self {
        Self {
            json,
            quiet,
            verbose,
            color: environment.color(),
            stdout: Mutex::new(Box::new(io::stdout())),
            stderr: Mutex::new(Box::new(io::stderr())),
        }
    }

    /// The same form, for a task of its own.
    pub(crate) fn again(&self, environment: &Environment) -> Self {
        Self::of_process(environment, self.json, self.quiet, self.verbose)
    }

    /// Whether data are printed as JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a command's result: as one JSON document, or as the text that `human` makes of it (which may
    /// have many lines; nothing is printed for an empty one).
    pub(crate) fn result<T: Serialize>(
        &self,
        data: &T,
        human: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        if self.json {
            return self.document(data);
        }
        let text = human(data);
        if text.is_empty() { Ok(()) } else { self.line(&text) }
    }

    /// Prints one item of a long or endless result: a line of JSON, or a line of text.
    pub(crate) fn item<T: Serialize>(
        &self,
        data: &T,
        human: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        if self.json {
            let text = serde_json::to_string(data).map_err(|error| Failure::because(Kind::Error, &error))?;
            return self.line(&text);
        }
        self.line(&human(data))
    }

    /// Prints a JSON document, whatever `--json` says: for formats that are JSON by definition.
    pub(crate) fn document<T: Serialize>(&self, data: &T) -> Result<(), Failure> {
        let text =
            serde_json::to_string_pretty(data).map_err(|error| Failure::because(Kind::Error, &error))?;
        self.line(&text)
    }

    /// Prints a line to standard output.
    pub(crate) fn line(&self, text: &str) -> Result<(), Failure> {
        self.bytes(format!("{text}\n").as_bytes())
    }

    /// Writes bytes to standard output, as they are, and flushes. Whoever closed the pipe has seen enough:
    /// the process ends without a word, as others do on SIGPIPE.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = self.stdout.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
            Err(error) => Err(Failure {
                causes: vec![error.to_string()],
                ..Failure::error("cannot write to standard output")
            }),
        }
    }

    /// Says something to the person, on standard error; `--quiet` silences it.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            self.message(text);
        }
    }

    /// Says something that the person has to see to go on, such as the address to sign in at.
    pub(crate) fn message(&self, text: &str) {
        let mut stderr = self.stderr.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Where standard error is closed nobody is listening, and there is nowhere to say so.
        let _ = writeln!(stderr, "{text}").and_then(|()| stderr.flush());
    }

    /// The one renderer of failures.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.json {
            let document = json!({ "error": {
                "kind": failure.kind.name(),
                "message": failure.message,
                "causes": failure.causes,
                "hints": failure.hints,
            }});
            return self.message(&Value::to_string(&document));
        }
        let mut text = if failure.kind == Kind::SignInNeeded {
            capitalized(&printable(&failure.message))
        } else {
            format!("{} {}", self.paint("31;1", "error:"), printable(&failure.message))
        };
        if failure.one_line && !self.verbose {
            return self.message(&text);
        }
        for cause in &failure.causes {
            text.push_str(&format!("\n  because: {}", printable(cause)));
        }
        for hint in &failure.hints {
            text.push_str(&format!("\n  {} {}", self.paint("36", "hint:"), printable(hint)));
        }
        self.message(&text);
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Writes into memory.
    #[cfg(test)]
    pub(crate) fn into_memory(json: bool, stdout: Memory, stderr: Memory) -> Self {
        let (stdout, stderr) = (Mutex::new(Box::new(stdout) as _), Mutex::new(Box::new(stderr) as _));
        Self { json, quiet: false, verbose: false, color: false, stdout, stderr }
    }
}

/// Foreign text without what could drive a terminal: control characters other than a line break are escaped,
/// as are the marks that reorder text.
pub(crate) fn printable(text: &str) -> String {
    let reorders = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        if (c.is_control() && c != '\n') || reorders(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
        shown
    })
}

fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// A stream that tests can read afterwards.
#[cfg(test)]
#[derive(Clone, Default)]
pub(crate) struct Memory(std::sync::Arc<Mutex<Vec<u8>>>);

#[cfg(test)]
impl Memory {
    /// What has been written.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[cfg(test)]
impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::sign_in_needed;

    fn rendered(json: bool, failure: &Failure) -> String {
        let stderr = Memory::default();
        Output::into_memory(json, Memory::default(), stderr.clone()).failure(failure);
        stderr.text()
    }

    #[test]
    fn failures_for_people() {
        let mut failure = Failure::error("cannot read `x`").hint("look at y");
        failure.causes.push("no such file".to_owned());
        assert_eq!(
            rendered(false, &failure),
            "error: cannot read `x`\n  because: no such file\n  hint: look at y\n"
        );
        let mut needed = sign_in_needed("lab");
        needed.causes.push("the provider has ended the sign-in".to_owned());
        let line = "Sign-in needed for profile \"lab\". Run: wigeon login lab\n";
        assert_eq!(rendered(false, &needed), line);
        let stderr = Memory::default();
        Output { verbose: true, ..Output::into_memory(false, Memory::default(), stderr.clone()) }
            .failure(&needed);
        assert_eq!(stderr.text(), format!("{line}  because: the provider has ended the sign-in\n"));
    }

    #[test]
    fn failures_for_programs() {
        let text = rendered(true, &Failure::new(Kind::Denied, "no").hint("ask"));
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            document,
            json!({"error": {"kind": "denied", "message": "no", "causes": [], "hints": ["ask"]}})
        );
    }

    #[test]
    fn foreign_text_cannot_drive_the_terminal() {
        let shown = rendered(false, &Failure::error("a\u{1b}[2Jb\u{202e}c\r"));
        assert_eq!(shown, "error: a\\u{1b}[2Jb\\u{202e}c\\r\n");
    }

    #[test]
    fn data_in_both_forms() {
        for (json, expected) in [(false, "3 items\n"), (true, "{\n  \"count\": 3\n}\n")] {
            let stdout = Memory::default();
            let output = Output::into_memory(json, stdout.clone(), Memory::default());
            output.result(&json!({"count": 3}), |data| format!("{} items", data["count"])).unwrap();
            assert_eq!(stdout.text(), expected);
        }
    }
}
