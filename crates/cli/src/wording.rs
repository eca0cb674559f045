//! Sentences that several commands say in the same words.

use jiff::tz::{Offset, TimeZone};
use wigeon_client::session::Record;
use wigeon_core::arn::Arn;
use wigeon_core::time::{SignedDuration, Timestamp};

/// `Signed in as ada@example.org (lab). Role analyst. Valid 59 min, renews by itself until 18:00.`
pub(crate) fn signed_in(profile: &str, record: &Record, now: Timestamp) -> String {
    let mut text = format!("Signed in as {} ({profile}).", record.identity.user);
    if let Some(role) = role_name(record) {
        text.push_str(&format!(" Role {role}."));
    }
    let end = record.session.as_ref().and_then(|session| session.credentials.expires_at);
    if let Some(end) = end {
        let until = record.refresh_token_ends_at();
        let until = until.map_or_else(String::new, |end| format!(" until {}", clock_time(end, now)));
        let renews = if record.renews() { format!(", renews by itself{until}") } else { String::new() };
        text.push_str(&format!(" Valid {}{renews}.", duration(end.duration_since(now))));
    }
    text
}

/// The role's own name: `analyst` of `arn:aws:iam::1:role/team/analyst`.
pub(crate) fn role_name(record: &Record) -> Option<String> {
    let session = record.session.as_ref()?;
    let arn: Arn = session.role.as_deref().or(session.arn.as_deref())?.parse().ok()?;
    let resource = arn.resource();
    let name = match resource.strip_prefix("assumed-role/") {
        Some(rest) => rest.split('/').next(),
        None => resource.rsplit('/').next(),
    };
    name.map(str::to_owned)
}

/// `59 min`, `2 h 5 min`, `3 days`, `40 s`; rounded down.
pub(crate) fn duration(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// `18:00` by the person's own clock, `18:00 UTC` where that is UTC; with the day where it is another one.
pub(crate) fn clock_time(at: Timestamp, now: Timestamp) -> String {
    clock_time_in(at, now, &TimeZone::system())
}

fn clock_time_in(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let (at, now) = (at.to_zoned_datetime(zone.clone()), now.to_zoned_datetime(zone.clone()));
    let form = if at.date() == now.date() { "%H:%M" } else { "%Y-%m-%d %H:%M" };
    let of_all = if at.offset() == Offset::UTC { " UTC" } else { "" };
    format!("{}{of_all}", at.strftime(form))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_clock() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-11-23T12:00:00Z");
        let utc = |end: &str| clock_time_in(at(end), now, &TimeZone::UTC);
        assert_eq!(utc("2026-11-23T18:00:59Z"), "18:00 UTC");
        assert_eq!(utc("2026-11-24T08:05:00Z"), "2026-11-24 08:05 UTC");
        let east = TimeZone::fixed(Offset::constant(9));
        assert_eq!(clock_time_in(at("2026-11-23T14:59:00Z"), now, &east), "23:59");
        assert_eq!(clock_time_in(at("2026-11-23T15:01:00Z"), now, &east), "2026-11-24 00:01");
    }

    #[test]
    fn durations() {
        let of = |seconds| duration(SignedDuration::from_secs(seconds));
        assert_eq!(
            [of(-5), of(59), of(3599), of(3600), of(7500), of(260_000)],
            ["0 s", "59 s", "59 min", "60 min", "2 h 5 min", "3 days"]
        );
    }
}
