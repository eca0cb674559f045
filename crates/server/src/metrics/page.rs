//! The text form of metrics, as Prometheus reads it.
//!
//! Source: Prometheus, "Exposition formats", text format 0.0.4.

use std::fmt::{Display, Write};

use crate::meter::{BOUNDS, Times};

/// What the text is, for the header of an answer.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page under way.
#[derive(Debug, Default)]
pub struct Page(String);

/// The metrics of one name.
#[derive(Debug)]
pub struct Family<'p> {
    page: &'p mut String,
    name: &'static str,
}

impl Page {
    /// What only grows.
    pub fn counter(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "counter", help)
    }

    /// What goes up and down.
    pub fn gauge(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "gauge", help)
    }

    /// Times in ranges.
    pub fn histogram(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "histogram", help)
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str) -> Family<'_> {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Family { page: &mut self.0, name }
    }

    /// The text.
    #[must_use]
    pub fn finish(self) -> String {
        self.0
    }
}

impl Family<'_> {
    /// One value.
    pub fn value(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.line("", labels, None, value);
    }

    /// Times in ranges, their sum in seconds and their number.
    pub fn times(&mut self, labels: &[(&str, &str)], times: &Times) {
        let mut below = 0;
        for (number, count) in times.ranges.iter().enumerate() {
            below += count;
            let bound =
                BOUNDS.get(number).map_or_else(|| "+Inf".to_owned(), |micros| seconds(*micros).to_string());
            self.line("_bucket", labels, Some(&bound), below);
        }
        self.line("_sum", labels, None, seconds(times.micros));
        self.line("_count", labels, None, times.count());
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], bound: Option<&str>, value: impl Display) {
        let page = &mut *self.page;
        let _ = write!(page, "{}{suffix}", self.name);
        let mut opening = '{';
        for (name, value) in labels.iter().copied().chain(bound.map(|bound| ("le", bound))) {
            let _ = write!(page, "{opening}{name}=\"{}\"", escaped(value));
            opening = ',';
        }
        if opening == ',' {
            page.push('}');
        }
        let _ = writeln!(page, " {value}");
    }
}

/// Microseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "beyond 2^53 microseconds nobody counts single ones")]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::{TIME_CELLS, Table};

    #[test]
    fn the_text_is_prometheuss() {
        let mut page = Page::default();
        let mut family = page.counter("a_total", "As.");
        family.value(&[], 1);
        family.value(&[("x", "say \"hi\"\\\n"), ("y", "z")], 2);
        let table = Table::new(TIME_CELLS);
        table.time(0, 200);
        table.time(0, 3_000);
        page.histogram("t_seconds", "Ts.").times(&[("s", "s3")], &table.times(0));
        let text = page.finish();
        assert!(text.starts_with(
            "# HELP a_total As.\n# TYPE a_total counter\na_total 1\na_total{x=\"say \\\"hi\\\"\\\\\\n\",y=\"z\"} 2\n"
        ));
        for line in [
            "t_seconds_bucket{s=\"s3\",le=\"0.0001\"} 0",
            "t_seconds_bucket{s=\"s3\",le=\"0.00025\"} 1",
            "t_seconds_bucket{s=\"s3\",le=\"0.005\"} 2",
            "t_seconds_bucket{s=\"s3\",le=\"+Inf\"} 2",
            "t_seconds_sum{s=\"s3\"} 0.0032",
            "t_seconds_count{s=\"s3\"} 2",
        ] {
            assert!(text.lines().any(|known| known == line), "{line}\n{text}");
        }
    }
}
