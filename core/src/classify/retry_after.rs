//! How long a service asks to wait.

use std::time::Duration;

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

/// More than a day is no wait that a client could serve.
const LONGEST: Duration = Duration::from_secs(86_400);

/// Reads the header (RFC 9110, 10.2.3): seconds, or a date, which is counted from the answer's
/// own `Date` because the two clocks differ.
pub(super) fn from_headers(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Some(wait) = seconds(value) {
        return Some(wait);
    }
    let then = httpdate::parse_http_date(value).ok()?;
    let now = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    Some(then.duration_since(now).unwrap_or_default().min(LONGEST))
}

/// Reads a duration as SOAP's ErrorDetails may write it: `PT4M32.5S`, `00:04:32.5`, `272.5`.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Some(iso) = text.strip_prefix("PT").or_else(|| text.strip_prefix("pt")) {
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

fn iso_8601(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let factor = match rest.as_bytes()[end].to_ascii_uppercase() {
            b'H' => 3600,
            b'M' => 60,
            b'S' => 1,
            _ => return None,
        };
        total = total.saturating_add(seconds(&rest[..end])?.saturating_mul(factor));
        rest = &rest[end + 1..];
    }
    Some(total.min(LONGEST))
}

fn clock(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut parts = 0;
    for part in text.split(':') {
        total = total.saturating_mul(60).saturating_add(seconds(part)?);
        parts += 1;
    }
    (2..=3).contains(&parts).then_some(total.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling() {
        let expected = Some(Duration::from_millis(272_500));
        for text in ["PT4M32.5S", "pt4m32.5s", "00:04:32.5", "04:32.5", "272.5"] {
            assert_eq!(parse_duration(text), expected, "{text}");
        }
        assert_eq!(parse_duration("PT1H"), Some(Duration::from_secs(3600)));
        assert_eq!(parse_duration("999999999999"), Some(LONGEST));
    }

    #[test]
    fn what_is_no_duration() {
        for text in [
            "", "-1", "inf", "NaN", "1e3", "PT", "PT5", "P1D", ":", "1:2:3:4", ".",
        ] {
            assert_eq!(parse_duration(text), None, "{text:?}");
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
    }
}
