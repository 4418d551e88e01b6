//! By which columns a row is looked for whose id nobody knows: the setting `verify_keys`.

use crate::byte_set::is_identifier;
use crate::{Error, ErrorKind};

/// Columns that name a row, for each entity set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct VerifyKeys(Vec<(String, Vec<String>)>);

impl VerifyKeys {
    /// Reads `accounts=accountnumber,contacts=lastname+emailaddress1`.
    pub(crate) fn parse(text: &str) -> Result<VerifyKeys, Error> {
        let refused = |entry: &str| {
            let message = format!(
                "verify_keys holds {entry:?}; it takes entity sets with the columns that name their \
                 rows: accounts=accountnumber,contacts=lastname+emailaddress1"
            );
            Error::new(ErrorKind::InvalidSetting, message)
        };
        let entry = |entry: &str| {
            let (set, columns) = entry.split_once('=').ok_or_else(|| refused(entry))?;
            let columns: Vec<&str> = columns.split('+').map(str::trim).collect();
            let names = || columns.iter().copied().chain([set.trim()]);
            if !names().all(is_identifier) {
                return Err(refused(entry));
            }
            let columns = columns.into_iter().map(str::to_owned).collect();
            Ok((set.trim().to_owned(), columns))
        };
        if text.trim().is_empty() {
            return Ok(VerifyKeys::default());
        }
        text.split(',')
            .map(entry)
            .collect::<Result<_, _>>()
            .map(VerifyKeys)
    }

    /// The columns for a set, if it has any.
    pub(crate) fn of(&self, set: &str) -> Option<&[String]> {
        let VerifyKeys(entries) = self;
        let entry = entries.iter().find(|(name, _)| name == set)?;
        Some(&entry.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_set_has_its_columns() {
        let keys =
            VerifyKeys::parse("accounts=accountnumber, contacts = lastname + email1").unwrap();
        assert_eq!(keys.of("accounts").unwrap(), ["accountnumber"]);
        assert_eq!(keys.of("contacts").unwrap(), ["lastname", "email1"]);
        assert_eq!(keys.of("leads"), None);
        assert_eq!(VerifyKeys::parse(" ").unwrap(), VerifyKeys::default());
        for text in [
            "accounts",
            "accounts=",
            "=a",
            "accounts=a b",
            "accounts=a+,b=c",
            "a=b,",
            "a=b'",
        ] {
            let error = VerifyKeys::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidSetting, "{text}");
        }
    }
}
