//! The process itself, as Prometheus' own libraries name it. What the system does not say is left out.

use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};

use super::page::Page;

/// Adds what the kernel says of this process, and which version it is.
pub(super) fn add(page: &mut Page, started_at: i64) {
    page.gauge("wigeon_build_info", "The version that runs; always 1.")
        .value(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.gauge("process_start_time_seconds", "When the server started, in seconds since 1970.")
        .value(&[], started_at);
    if let Some(seconds) = cpu_seconds() {
        page.counter("process_cpu_seconds_total", "Processor time used.").value(&[], seconds);
    }
    if let Some(bytes) = resident_bytes() {
        page.gauge("process_resident_memory_bytes", "Memory in use.").value(&[], bytes);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        page.gauge("process_open_fds", "Open files and connections.").value(&[], open.count());
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    if let Some(limit) = limit {
        page.gauge("process_max_fds", "How many files and connections may be open.").value(&[], limit);
    }
}

fn resident_bytes() -> Option<u64> {
    let pages: u64 = fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(pages * u64::try_from(page_size()).ok()?)
}

/// proc(5): utime and stime are fields 14 and 15; the name before them, in parentheses, may hold spaces.
#[expect(clippy::cast_precision_loss, reason = "a process does not run for 2^53 ticks")]
fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) as f64 / clock_ticks_per_second() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells() {
        if !cfg!(target_os = "linux") {
            return;
        }
        let mut page = Page::default();
        add(&mut page, 5);
        let text = page.finish();
        for name in [
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
            "process_open_fds",
            "process_max_fds",
        ] {
            assert!(text.lines().any(|line| line.starts_with(name)), "{name}: {text}");
        }
        assert!(resident_bytes().unwrap() > 1 << 20);
    }
}
