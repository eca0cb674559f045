//! So many bytes per second, and no more, over all connections together and both directions.
//!
//! A timetable says how many at which time of the week, as rclone writes it: `2M`, or `08:00,2M 18:00,off`, or
//! `Mon-08:00,512K Sat-00:00,off`. Sizes are in bytes, with K, M or G for 1024, 1024² or 1024³.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Which day (0 is Monday) and which minute of it this is, where the person is.
pub type LocalTime = Arc<dyn Fn() -> (u8, u16) + Send + Sync>;

/// How many bytes per second, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timetable(Vec<Slot>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    /// `None` for every day.
    day: Option<u8>,
    minute: u16,
    /// `None` for no limit.
    rate: Option<u64>,
}

/// What is wrong with a timetable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no rate: write 2M, or a timetable such as \"08:00,2M 18:00,off\"")]
pub struct TimetableError(String);

/// A limit that connections share.
pub struct RateLimit {
    timetable: Timetable,
    local_time: LocalTime,
    /// When the next byte may go.
    due: Mutex<Instant>,
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Timetable {
    /// Reads one.
    ///
    /// # Errors
    /// With the part that is not understood.
    pub fn parse(text: &str) -> Result<Self, TimetableError> {
        let wrong = || TimetableError(text.trim().to_owned());
        if !text.contains(',') {
            let rate = rate(text.trim()).ok_or_else(wrong)?;
            return Ok(Self(vec![Slot { day: None, minute: 0, rate }]));
        }
        let slots: Option<Vec<_>> = text.split_whitespace().map(slot).collect();
        slots.filter(|slots| !slots.is_empty()).map(Self).ok_or_else(wrong)
    }

    /// The rate at a time: that of the last slot before it, this day or on one before.
    fn at(&self, (today, now): (u8, u16)) -> Option<u64> {
        for back in 0..=7u8 {
            let day = (today + 7 - back % 7) % 7;
            let that_day = self.0.iter().filter(|slot| slot.day.is_none_or(|on| on == day));
            let begun = that_day.filter(|slot| back > 0 || slot.minute <= now);
            if let Some(slot) = begun.max_by_key(|slot| slot.minute) {
                return slot.rate;
            }
        }
        None
    }
}

fn slot(text: &str) -> Option<Slot> {
    let (when, how) = text.split_once(',')?;
    let (day, time) = match when.split_once('-') {
        Some((day, time)) => {
            let day = DAYS.iter().position(|known| day.to_ascii_lowercase().starts_with(known))?;
            (Some(u8::try_from(day).ok()?), time)
        }
        None => (None, when),
    };
    let (hour, minute) = time.split_once(':')?;
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    (hour < 24 && minute < 60).then_some(Slot { day, minute: hour * 60 + minute, rate: rate(how)? })
}

#[allow(clippy::option_option, reason = "no rate is understood, or one that is no limit")]
fn rate(text: &str) -> Option<Option<u64>> {
    if text == "off" {
        return Some(None);
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..)?.to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KIB" => 1 << 10,
        "M" | "MIB" => 1 << 20,
        "G" | "GIB" => 1 << 30,
        _ => return None,
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let whole = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    let scale = 10u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let rate = whole + fraction.parse::<u64>().ok()?.checked_mul(unit)? / scale;
    (rate > 0).then_some(Some(rate))
}

impl RateLimit {
    /// A limit by a timetable.
    #[must_use]
    pub fn new(timetable: Timetable, local_time: LocalTime) -> Self {
        Self { timetable, local_time, due: Mutex::new(Instant::now()) }
    }

    /// Takes the right to move so many bytes, and says when they may go; `None` for now.
    pub(crate) fn reserve(&self, bytes: usize) -> Option<Instant> {
        let rate = self.timetable.at((self.local_time)())?;
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let start = (*due).max(now);
        #[allow(clippy::cast_precision_loss, reason = "a rate need not be exact to the byte")]
        let takes = Duration::from_secs_f64(bytes as f64 / rate as f64);
        *due = start + takes;
        (start > now).then_some(start)
    }

    /// The same, and waits for it.
    pub(crate) async fn take(&self, bytes: usize) {
        if let Some(at) = self.reserve(bytes) {
            tokio::time::sleep_until(at).await;
        }
    }
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RateLimit").field(&self.timetable).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timetables() {
        let always = Timetable::parse("1.5M").unwrap();
        assert_eq!(always.at((3, 700)), Some(3 << 19));
        let office = Timetable::parse("08:00,2M 18:00,off").unwrap();
        for (at, rate) in
            [((0, 480), Some(2 << 20)), ((0, 1079), Some(2 << 20)), ((6, 1080), None), ((2, 0), None)]
        {
            assert_eq!(office.at(at), rate, "{at:?}");
        }
        let week = Timetable::parse("Mon-08:00,512K Sat-00:00,off").unwrap();
        assert_eq!(week.at((4, 1439)), Some(512 << 10));
        assert_eq!(week.at((6, 100)), None);
        assert_eq!(week.at((0, 479)), None);
        for bad in ["", "x", "-1", "0", "2X", "25:00,1M", "08:00,", "08:00,1M bad"] {
            assert!(Timetable::parse(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn bytes_wait_for_their_time() {
        let limit = RateLimit::new(Timetable::parse("1000").unwrap(), Arc::new(|| (0, 0)));
        let begun = Instant::now();
        assert_eq!(limit.reserve(500), None);
        for turn in 1..5 {
            let waits = limit.reserve(500).unwrap() - begun;
            assert!(waits >= Duration::from_millis(500) * turn, "{waits:?}");
        }
        let free = RateLimit::new(Timetable::parse("off").unwrap(), Arc::new(|| (0, 0)));
        assert!((0..9).all(|_| free.reserve(1 << 30).is_none()));
    }
}
