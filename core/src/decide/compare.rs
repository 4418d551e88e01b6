//! Whether a row has the values that were sent.
//!
//! A service writes values in its own way: dates in UTC and without fractions of a second, decimals
//! rounded to the column's precision, ids in lower case, lists of options in its own order, an empty
//! text as null. None of this is a difference.

use uuid::Uuid;

use crate::Difference;
use crate::values::{RowValues, Sent, Value};

/// So many differences, and names of what was not compared, are told.
pub(crate) const MOST_TOLD: usize = 50;
/// A longer value is cut.
const LONGEST_SHOWN: usize = 200;
/// Money has at most so many digits before the point, decimals so many after it.
const MOST_DIGITS: usize = 36;

/// What a comparison has found.
#[derive(Default)]
pub(crate) struct Comparison {
    /// How many values are as they were sent.
    pub(crate) same: usize,
    pub(crate) differences: Vec<Difference>,
    /// The names of what could not be compared.
    pub(crate) left_out: Vec<String>,
}

/// Compares what was sent with a row. What the row does not tell is left out.
pub(crate) fn compare(sent: &Sent, row: &RowValues) -> Comparison {
    let mut comparison = Comparison {
        left_out: sent.left_out.clone(),
        ..Comparison::default()
    };
    for value in &sent.values {
        match found(row, &value.column) {
            None => comparison.left_out.push(value.name.clone()),
            Some(there) if is_same(&value.value, there) => comparison.same += 1,
            Some(there) => comparison.differences.push(Difference {
                name: value.name.clone(),
                sent: shown(&value.value),
                found: shown(there),
            }),
        }
    }
    comparison.differences.truncate(MOST_TOLD);
    comparison.left_out.truncate(MOST_TOLD);
    comparison
}

/// What the row has there. A reference that may lead to several tables is named with the table
/// (`customerid_account`), and its column without (`_customerid_value`).
fn found<'a>(row: &'a RowValues, column: &str) -> Option<&'a Value> {
    if let Some(there) = row.columns.get(column) {
        return Some(there);
    }
    let mut name = column
        .strip_prefix('_')
        .and_then(|name| name.strip_suffix("_value"));
    while let Some((shorter, _)) = name.and_then(|name| name.rsplit_once('_')) {
        if let Some(there) = row.columns.get(&format!("_{shorter}_value")) {
            return Some(there);
        }
        name = Some(shorter);
    }
    row.leaves_out_null.then_some(&Value::Null)
}

fn is_same(sent: &Value, found: &Value) -> bool {
    match (sent, found) {
        (Value::Null, Value::Null) => true,
        // Dataverse keeps no empty text.
        (Value::Text(text), Value::Null) | (Value::Null, Value::Text(text)) => text.is_empty(),
        (Value::Bool(sent), Value::Bool(found)) => sent == found,
        (Value::Number(sent), Value::Number(found))
        | (Value::Number(sent), Value::Text(found))
        | (Value::Text(sent), Value::Number(found)) => is_same_number(sent, found),
        (Value::Text(sent), Value::Text(found)) => is_same_text(sent, found),
        (Value::Bool(is_so), Value::Text(text)) | (Value::Text(text), Value::Bool(is_so)) => {
            text.eq_ignore_ascii_case(if *is_so { "true" } else { "false" })
        }
        _ => false,
    }
}

fn is_same_text(sent: &str, found: &str) -> bool {
    let plain = |text: &str| text.replace("\r\n", "\n").trim().to_owned();
    if sent == found || plain(sent) == plain(found) {
        return true;
    }
    if let (Ok(sent), Ok(found)) = (Uuid::try_parse(sent), Uuid::try_parse(found)) {
        return sent == found;
    }
    if let (Some(sent), Some(found)) = (moment(sent), moment(found)) {
        return match (sent.time, found.time) {
            (Some(sent), Some(found)) => sent == found,
            // A column of dates keeps no time.
            _ => sent.day == found.day || sent.utc_day() == found.utc_day(),
        };
    }
    match (options(sent), options(found)) {
        (Some(sent), Some(found)) => sent == found,
        _ => false,
    }
}

/// The numbers of a list of options, in order. `None`: it is none.
fn options(text: &str) -> Option<Vec<i64>> {
    let numbers: Result<Vec<i64>, _> = text.split(',').map(|part| part.trim().parse()).collect();
    let mut numbers = numbers.ok().filter(|numbers| !numbers.is_empty())?;
    numbers.sort_unstable();
    Some(numbers)
}

/// Equal, or rounded to at least two places, which is where columns of decimals and of money begin in
/// earnest: to fewer, another value would pass as this one.
fn is_same_number(sent: &str, found: &str) -> bool {
    if let (Some(sent), Some(found)) = (Decimal::read(sent), Decimal::read(found)) {
        return sent.same_scale(&found).is_some_and(|(a, b)| a == b)
            || (2..sent.scale).any(|places| {
                sent.rounded(places)
                    .into_iter()
                    .any(|rounded| rounded.same_scale(&found).is_some_and(|(a, b)| a == b))
            });
    }
    match (sent.trim().parse::<f64>(), found.trim().parse::<f64>()) {
        (Ok(sent), Ok(found)) => (sent - found).abs() <= sent.abs().max(found.abs()) * 1e-12,
        _ => false,
    }
}

/// A decimal number: `digits` × 10^-`scale`.
#[derive(Clone, Copy)]
struct Decimal {
    digits: i128,
    scale: u32,
}

impl Decimal {
    /// `None`: it is none, or too long.
    fn read(text: &str) -> Option<Decimal> {
        let text = text.trim();
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        if fraction.starts_with(['+', '-']) || digits.len() > MOST_DIGITS {
            return None;
        }
        let scale = i32::try_from(fraction.len()).ok()?;
        let scale = scale.checked_sub(exponent)?;
        let digits: i128 = digits.parse().ok()?;
        match u32::try_from(scale) {
            Ok(scale) if scale <= MOST_DIGITS as u32 => Some(Decimal { digits, scale }),
            Ok(_) => None,
            Err(_) => Some(Decimal {
                digits: digits.checked_mul(10_i128.checked_pow(scale.unsigned_abs())?)?,
                scale: 0,
            }),
        }
    }

    /// Both numbers as so many of the same unit.
    fn same_scale(&self, other: &Decimal) -> Option<(i128, i128)> {
        let scale = self.scale.max(other.scale);
        let scaled = |number: &Decimal| {
            let factor = 10_i128.checked_pow(scale - number.scale)?;
            number.digits.checked_mul(factor)
        };
        Some((scaled(self)?, scaled(other)?))
    }

    /// Rounded to so many places; a half either way.
    fn rounded(&self, places: u32) -> [Decimal; 2] {
        let unit = 10_i128.pow(self.scale - places);
        let (quotient, rest) = (self.digits.div_euclid(unit), self.digits.rem_euclid(unit));
        let is_up = |half_is_up: bool| rest * 2 > unit || rest * 2 == unit && half_is_up;
        [false, true].map(|half_is_up| Decimal {
            digits: quotient + i128::from(is_up(half_is_up)),
            scale: places,
        })
    }
}

/// A date, and with a time the seconds in UTC.
struct Moment {
    /// As it is written.
    day: i64,
    time: Option<i64>,
}

const DAY: i64 = 86_400;

impl Moment {
    fn utc_day(&self) -> i64 {
        self.time.map_or(self.day, |time| time.div_euclid(DAY))
    }
}

/// Reads `2026-01-02`, `2026-01-02T03:04:05.678Z`, `2026-01-02T03:04:05+02:00`; without a zone it is
/// UTC, as the service takes it. A fraction of a second is left out: no column keeps it.
fn moment(text: &str) -> Option<Moment> {
    let number = |text: Option<&str>, digits: usize| -> Option<i64> {
        let text = text.filter(|text| text.len() == digits)?;
        text.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| text.parse().ok())?
    };
    let text = text.trim();
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut parts = date.split('-');
    let (year, month, day) = (
        number(parts.next(), 4)?,
        number(parts.next(), 2)?,
        number(parts.next(), 2)?,
    );
    if parts.next().is_some() || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let day = days(year, month, day);
    let Some(time) = time else {
        return Some(Moment { day, time: None });
    };
    let (clock, zone) = match time.find(['Z', 'z', '+', '-']) {
        Some(at) => (&time[..at], &time[at..]),
        None => (time, "Z"),
    };
    let offset = match zone.as_bytes()[0] {
        b'Z' | b'z' if zone.len() == 1 => 0,
        sign @ (b'+' | b'-') => {
            let (hours, minutes) = zone[1..].split_once(':')?;
            let seconds = number(Some(hours), 2)? * 3600 + number(Some(minutes), 2)? * 60;
            if sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    let clock = clock.split_once('.').map_or(clock, |(clock, _)| clock);
    let mut parts = clock.split(':');
    let (hours, minutes) = (number(parts.next(), 2)?, number(parts.next(), 2)?);
    let seconds = match parts.next() {
        None => 0,
        seconds => number(seconds, 2)?,
    };
    let time = day * DAY + hours * 3600 + minutes * 60 + seconds - offset;
    parts.next().is_none().then_some(Moment {
        day,
        time: Some(time),
    })
}

/// The seconds since 1970 that a column of dates and times holds. `None`: it holds none.
pub(crate) fn seconds(value: &Value) -> Option<i64> {
    match value {
        Value::Text(text) => moment(text)?.time,
        _ => None,
    }
}

/// Days since 1970-01-01 in the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Counted from March on: the leap day is a year's last.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// A value as JSON.
fn shown(value: &Value) -> String {
    let whole = match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(text) => text.clone(),
        Value::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
    };
    match whole.char_indices().nth(LONGEST_SHOWN) {
        Some((at, _)) => format!("{}…", &whole[..at]),
        None => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::{SentValue, odata};

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    fn number(text: &str) -> Value {
        Value::Number(text.to_owned())
    }

    #[test]
    fn a_value_is_the_same_however_the_service_writes_it() {
        const ID: &str = "AAAAAAAA-0000-0000-0000-00000000000a";
        let yes = Value::Bool(true);
        let of_36_digits = |last: u8| format!("{}{last}", "1".repeat(MOST_DIGITS - 1));
        let table = [
            (text("a"), text("a"), true),
            (text("a"), text("A"), false),
            (text(" a\r\nb "), text("a\nb"), true),
            (text(""), Value::Null, true),
            (text("a"), Value::Null, false),
            (Value::Null, Value::Null, true),
            (Value::Null, text("a"), false),
            (number("0"), Value::Null, false),
            (text(ID), text(&ID.to_lowercase()), true),
            (text(&format!("{{{ID}}}")), text(&ID.to_lowercase()), true),
            (
                text(ID),
                text("aaaaaaaa-0000-0000-0000-00000000000b"),
                false,
            ),
            (yes.clone(), Value::Bool(true), true),
            (yes.clone(), Value::Bool(false), false),
            (yes.clone(), text("true"), true),
            (yes, number("1"), false),
            (number("1"), number("1"), true),
            (number("1"), number("1.0"), true),
            (number("1e3"), number("1000"), true),
            (number("1E-05"), number("0.00001"), true),
            (number("1e-5"), number("0.00002"), false),
            (number("1"), text("1"), true),
            (number("-0"), number("0"), true),
            (
                number("922337203685477.5807"),
                number("922337203685477.5807"),
                true,
            ),
            (
                number("922337203685477.5807"),
                number("922337203685477.5806"),
                false,
            ),
            // To the column's precision, a half either way.
            (number("10.129"), number("10.13"), true),
            (number("10.125"), number("10.12"), true),
            (number("10.125"), number("10.13"), true),
            (number("-10.125"), number("-10.13"), true),
            (number("10.126"), number("10.13"), true),
            (number("10.12349"), number("10.12"), true),
            (number("10.101"), number("10.1"), true),
            (number("10.14"), number("10.1"), false),
            (number("10.4"), number("10"), false),
            (number("10.129"), number("10.12"), false),
            (
                number("1.7976931348623157e308"),
                number("1.7976931348623157E+308"),
                true,
            ),
            (
                number("1.7976931348623157e308"),
                number("1.7976931348623155e308"),
                true,
            ),
            (number("1.7e308"), number("1.6e308"), false),
            (number("1e17"), number("100000000000000001"), false),
            (number("1e-50"), number("0"), false),
            (number("1e-2147483648"), number("1"), false),
            (number(&of_36_digits(8)), number(&of_36_digits(9)), false),
            (text(".-5"), number("-0.05"), false),
            (number("1.5"), text("x"), false),
            (
                text("2026-01-02T03:04:05Z"),
                text("2026-01-02T03:04:05Z"),
                true,
            ),
            (
                text("2026-01-02T03:04:05.999Z"),
                text("2026-01-02T03:04:05Z"),
                true,
            ),
            (
                text("2026-01-02T03:04:05+02:00"),
                text("2026-01-02T01:04:05Z"),
                true,
            ),
            (
                text("2026-01-01T23:30:00-01:00"),
                text("2026-01-02T00:30:00Z"),
                true,
            ),
            (
                text("2026-01-02T03:04:05+05:30"),
                text("2026-01-01T21:34:05Z"),
                true,
            ),
            (text("2026-01-02T03:04"), text("2026-01-02T03:04:00Z"), true),
            (
                text("2026-01-02T03:04:05Z"),
                text("2026-01-02T03:04:06Z"),
                false,
            ),
            (text("2026-01-02"), text("2026-01-02"), true),
            (text("2026-01-02T00:00:00Z"), text("2026-01-02"), true),
            (text("2026-01-02T23:30:00-01:00"), text("2026-01-03"), true),
            (text("2026-01-02"), text("2026-01-03"), false),
            (text("3,1,2"), text("1,2,3"), true),
            (text("3, 1"), text("1,3"), true),
            (text("1,2"), text("1,2,3"), false),
        ];
        for (sent, found, expected) in table {
            let (a, b) = (shown(&sent), shown(&found));
            assert_eq!(is_same(&sent, &found), expected, "{a} {b}");
        }
    }

    #[test]
    fn the_days_of_the_calendar() {
        let table = [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T00:00:00Z", 951_782_400),
            ("2026-11-29T03:23:57Z", 1_795_922_637),
            ("1900-03-01T00:00:00Z", -2_203_891_200),
        ];
        for (date, expected) in table {
            assert_eq!(seconds(&text(date)), Some(expected), "{date}");
        }
        for none in [
            "2026-01-02",
            "2026-00-01T03:04:05Z",
            "2026-13-01T03:04:05Z",
            "2026-01-00T03:04:05Z",
            "2026-01-32T03:04:05Z",
            "2026-01-02-03T03:04:05Z",
            "2026-1-01T03:04:05Z",
            "26-01-01T03:04:05Z",
            "x",
            "2026-01-02T3:4",
            "2026-01-02T03:04:05Q",
            "2026-01-02T03:04:05Zulu",
        ] {
            assert!(seconds(&text(none)).is_none(), "{none}");
        }
    }

    #[test]
    fn what_differs_and_what_could_not_be_compared() {
        let sent = odata::sent(
            br#"{"name":"a","n":1,"secret":"x","inner":{},
                "customerid_account@odata.bind":"/accounts(aaaaaaaa-0000-0000-0000-00000000000a)"}"#,
        );
        let row = odata::row(
            br#"{"name":"b","n":1,"_customerid_value":"aaaaaaaa-0000-0000-0000-00000000000a"}"#,
        );
        let found = compare(&sent.unwrap(), &row.unwrap());
        assert_eq!(found.same, 2);
        assert_eq!(found.left_out, ["inner", "secret"]);
        let [difference] = &found.differences[..] else {
            panic!("{:?}", found.differences);
        };
        let told = (&*difference.name, &*difference.sent, &*difference.found);
        assert_eq!(told, ("name", "\"a\"", "\"b\""));
    }

    #[test]
    fn what_a_row_leaves_out_is_null_where_it_says_so() {
        let sent = |value| Sent {
            values: vec![SentValue {
                name: "name".to_owned(),
                column: "name".to_owned(),
                value,
            }],
            left_out: Vec::new(),
        };
        let soap = RowValues {
            leaves_out_null: true,
            ..RowValues::default()
        };
        assert_eq!(compare(&sent(Value::Null), &soap).same, 1);
        assert_eq!(compare(&sent(text("a")), &soap).differences.len(), 1);
        assert_eq!(
            compare(&sent(text("a")), &RowValues::default()).left_out,
            ["name"]
        );
    }

    #[test]
    fn a_long_value_is_cut_and_many_differences_are_too() {
        assert_eq!(
            shown(&text(&"ä".repeat(500))).chars().count(),
            LONGEST_SHOWN + 1
        );
        let body = |value: &str| {
            let pairs: Vec<String> = (0..200).map(|n| format!("\"c{n}\":{value}")).collect();
            format!("{{{}}}", pairs.join(","))
        };
        let sent = odata::sent(body("1").as_bytes()).unwrap();
        let row = odata::row(body("2").as_bytes()).unwrap();
        assert_eq!(compare(&sent, &row).differences.len(), MOST_TOLD);
    }
}
