//! The time of a file's last change as objects carry it: rclone's `mtime` metadata, seconds since 1970 with a fraction.

use std::fs::{File, FileTimes, Metadata};
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::s3::ObjectHead;

/// The metadata's name, without `x-amz-meta-`.
pub const MTIME: &str = "mtime";

/// `1700000000.123456789`; `None` where the system does not say.
pub(crate) fn written(metadata: &Metadata) -> Option<String> {
    metadata.modified().ok().map(mtime_text)
}

/// As the metadata has it.
#[must_use]
pub fn mtime_text(at: SystemTime) -> String {
    match at.duration_since(UNIX_EPOCH) {
        Ok(after) => format!("{}.{:09}", after.as_secs(), after.subsec_nanos()),
        Err(before) => {
            let before = before.duration();
            format!("-{}.{:09}", before.as_secs(), before.subsec_nanos())
        }
    }
}

/// Reads the metadata; `None` for what is no time.
#[must_use]
pub fn mtime_of(text: &str) -> Option<SystemTime> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (seconds, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if fraction.len() > 18 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    let distance = Duration::new(seconds.parse().ok()?, nanos);
    if negative { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) }
}

/// The metadata of an object with its time: the one that it carries, or else when it was written, as rclone has it.
pub(crate) fn with_time(head: &ObjectHead) -> Vec<(String, String)> {
    let mut metadata = head.metadata.clone();
    let carries = metadata.iter().any(|(name, text)| name == MTIME && mtime_of(text).is_some());
    if let Some(written) = head.last_modified.filter(|_| !carries) {
        metadata.retain(|(name, _)| name != MTIME);
        metadata
            .push((MTIME.to_owned(), format!("{}.{:09}", written.as_second(), written.subsec_nanosecond())));
    }
    metadata
}

/// Gives a file the time that its object carries, if it carries one.
pub(crate) fn restore(file: &File, metadata: &[(String, String)]) -> io::Result<()> {
    let carried = metadata.iter().find(|(name, _)| name == MTIME);
    match carried.and_then(|(_, text)| mtime_of(text)) {
        Some(at) => file.set_times(FileTimes::new().set_modified(at)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_without_a_time_has_that_of_its_writing() {
        let written = "2026-11-03T04:05:06Z".parse().unwrap();
        let head = |time: Option<&str>| ObjectHead {
            metadata: time.map(|time| (MTIME.to_owned(), time.to_owned())).into_iter().collect(),
            last_modified: Some(written),
            ..ObjectHead::default()
        };
        let time_of =
            |head: &ObjectHead| with_time(head).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
        assert_eq!(time_of(&head(Some("1.5"))), ["1.5"]);
        assert_eq!(time_of(&head(None)), ["1793678706.000000000"]);
        assert_eq!(time_of(&head(Some("no time"))), ["1793678706.000000000"]);
    }

    #[test]
    fn times_as_rclone_writes_them() {
        for text in ["1700000000.123456789", "0.000000000", "-1.500000000"] {
            assert_eq!(mtime_text(mtime_of(text).unwrap()), text);
        }
        assert_eq!(mtime_of("1700000000"), mtime_of("1700000000.0"));
        assert_eq!(mtime_of("1.5"), Some(UNIX_EPOCH + Duration::from_millis(1500)));
        for bad in ["", "x", "1.x", "1.-5", "--1", "2026-11-30T00:00:00Z"] {
            assert_eq!(mtime_of(bad), None, "{bad}");
        }
    }
}
