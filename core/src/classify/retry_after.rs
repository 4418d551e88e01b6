//! How long a service asks to wait.

use std::time::Duration;

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

/// More than a day is no wait that a client could serve.
const LONGEST: Duration = Duration::from_secs(86_400);

/// Reads the header (RFC 9110, 10.2.3).
pub(super) fn from_headers(headers: &HeaderMap) -> Option<Duration> {
    parse(headers.get(RETRY_AFTER)?.to_str().ok()?, headers)
}

/// Reads a wait, whoever wrote it and wherever: seconds (`272.5`), a duration of XML Schema
/// (`PT4M32.5S`, `P1DT2H`), .NET's TimeSpan (`00:04:32.5`, `1.02:00:00`), or a date, which is
/// counted from the answer's own `Date` because the two clocks differ. At most a day.
pub(crate) fn parse(text: &str, headers: &HeaderMap) -> Option<Duration> {
    let text = text.trim();
    duration(text).or_else(|| {
        let then = httpdate::parse_http_date(text).ok()?;
        let now = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
        Some(then.duration_since(now).unwrap_or_default().min(LONGEST))
    })
}

fn duration(text: &str) -> Option<Duration> {
    if let Some(iso) = text.strip_prefix(['P', 'p']) {
        return iso_8601(iso);
    }
    if text.contains(':') {
        return clock(text);
    }
    seconds(text)
}

fn seconds(text: &str) -> Option<Duration> {
    // The sign, `inf` and `1e9`, which `f64` takes, are no one's spelling of a wait.
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds: f64 = plain.then(|| text.parse().ok())??;
    Some(Duration::from_secs_f64(seconds.min(LONGEST.as_secs_f64())))
}

/// What follows the `P`. Years and months have no length, so they are refused.
fn iso_8601(text: &str) -> Option<Duration> {
    let (days, time) = match text.split_once(['T', 't']) {
        // `T` announces a time.
        Some((_, "")) => return None,
        Some((days, time)) => (days, time),
        None if text.is_empty() => return None,
        None => (text, ""),
    };
    let days = fields(days, &[('D', 86_400)])?;
    let time = fields(time, &[('H', 3600), ('M', 60), ('S', 1)])?;
    Some(days.saturating_add(time).min(LONGEST))
}

/// Numbers, each followed by a unit; the units in this order, each at most once.
fn fields(mut rest: &str, mut units: &[(char, u32)]) -> Option<Duration> {
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let unit = char::from(rest.as_bytes()[end].to_ascii_uppercase());
        let place = units.iter().position(|(name, _)| *name == unit)?;
        total = total.saturating_add(seconds(&rest[..end])?.saturating_mul(units[place].1));
        units = &units[place + 1..];
        rest = &rest[end + 1..];
    }
    Some(total)
}

/// `mm:ss`, `hh:mm:ss`, `d.hh:mm:ss`.
fn clock(text: &str) -> Option<Duration> {
    let (first, rest) = text.split_once(':')?;
    let parts = rest.split(':').count() + 1;
    let (days, first) = match first.split_once('.') {
        Some((days, hours)) if parts == 3 => (seconds(days)?, hours),
        Some(_) => return None,
        None => (Duration::ZERO, first),
    };
    if !(2..=3).contains(&parts) {
        return None;
    }
    let mut total = days.saturating_mul(24).saturating_add(seconds(first)?);
    for part in rest.split(':') {
        total = total.saturating_mul(60).saturating_add(seconds(part)?);
    }
    Some(total.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling() {
        let expected = Some(Duration::from_millis(272_500));
        for text in [
            "PT4M32.5S",
            "pt4m32.5s",
            "P0DT4M32.5S",
            "PT0H4M32.500S",
            "00:04:32.5",
            "00:04:32.5000000",
            "0.00:04:32.5",
            "04:32.5",
            "272.5",
        ] {
            assert_eq!(duration(text), expected, "{text}");
        }
        for (text, hours) in [
            ("PT1H", 1),
            ("P1D", 24),
            ("P0DT23H", 23),
            ("P2DT1H", 24),
            ("01:00:00", 1),
            ("0.23:00:00", 23),
            ("1.01:00:00", 24),
            ("999999999999", 24),
        ] {
            assert_eq!(
                duration(text),
                Some(Duration::from_secs(hours * 3600)),
                "{text}"
            );
        }
        assert_eq!(duration("PT0S"), Some(Duration::ZERO));
    }

    #[test]
    fn what_is_no_duration() {
        for text in [
            "", "-1", "+1", "inf", "NaN", "1e3", "P", "PT", "PT5", "P1DT", "P1M", "P1Y", "P1W",
            "PT1S1M", "PT1S1S", "P1H", "-PT1S", "PTS", ":", "1:", ":1", "1:2:3:4", "1.2:3", ".",
            "1,5", "٣", "PT٣S", "1 s",
        ] {
            assert_eq!(duration(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_header() {
        let mut headers = HeaderMap::new();
        assert_eq!(from_headers(&headers), None);
        headers.insert(RETRY_AFTER, "7".parse().unwrap());
        assert_eq!(from_headers(&headers), Some(Duration::from_secs(7)));
        headers.insert(
            RETRY_AFTER,
            "Sun, 06 Nov 1994 08:49:47 GMT".parse().unwrap(),
        );
        assert_eq!(from_headers(&headers), None, "no Date to count from");
        headers.insert(DATE, "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap());
        assert_eq!(from_headers(&headers), Some(Duration::from_secs(10)));
        for (text, seconds) in [
            ("Sunday, 06-Nov-94 08:49:47 GMT", 10),
            ("Sun Nov  6 08:49:47 1994", 10),
            ("Sun, 06 Nov 1994 08:49:30 GMT", 0),
            ("Sat, 06 Nov 2094 08:49:30 GMT", 86_400),
            ("PT1M", 60),
            ("00:01:30", 90),
            (" 5 ", 5),
        ] {
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            let expected = Some(Duration::from_secs(seconds));
            assert_eq!(from_headers(&headers), expected, "{text}");
        }
        for text in ["soon", "Sun, 36 Nov 1994 08:49:47 GMT"] {
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            assert_eq!(from_headers(&headers), None, "{text}");
        }
    }
}
