//! A setting's text, as what it means.

use std::time::Duration;

use crate::{Error, ErrorKind};

/// Ten years.
pub(super) const LONGEST_RETENTION: usize = 315_360_000_000;

/// Longer waits overflow some platforms' timers and are no one's intent.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(86_400);

/// As much of a text as helps whoever wrote it.
pub(super) fn cut(text: &str) -> String {
    const LONGEST: usize = 200;
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

pub(super) fn invalid(key: &str, value: &str, expected: &str) -> Error {
    Error::new(
        ErrorKind::InvalidSetting,
        format!(
            "{key} = {:?} cannot be used; it takes {expected}",
            cut(value)
        ),
    )
}

pub(super) fn word<T: Copy>(key: &str, value: &str, words: &[(&str, T)]) -> Result<T, Error> {
    words
        .iter()
        .find(|(name, _)| *name == value)
        .map(|(_, meaning)| *meaning)
        .ok_or_else(|| {
            let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
            invalid(key, value, &names.join(" or "))
        })
}

pub(super) fn number(key: &str, value: &str, least: usize, most: usize) -> Result<usize, Error> {
    amount(key, value, "", least, most)
}

pub(super) fn bytes(key: &str, value: &str, least: usize, most: usize) -> Result<usize, Error> {
    amount(key, value, " of bytes", least, most)
}

pub(super) fn amount(
    key: &str,
    value: &str,
    of: &str,
    least: usize,
    most: usize,
) -> Result<usize, Error> {
    value
        .parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| {
            invalid(
                key,
                value,
                &format!("a whole number{of} from {least} to {most}"),
            )
        })
}

/// A time that may be none.
pub(super) fn pause(key: &str, value: &str) -> Result<Duration, Error> {
    wait(key, value, 0)
}

pub(super) fn duration(key: &str, value: &str) -> Result<Duration, Error> {
    wait(key, value, 1)
}

pub(super) fn wait(key: &str, value: &str, least: usize) -> Result<Duration, Error> {
    let most = LONGEST_WAIT.as_millis() as usize;
    let milliseconds = amount(key, value, " of milliseconds", least, most)?;
    Ok(Duration::from_millis(milliseconds as u64))
}
