//! The service's error codes that decide something, and how codes are written.

use crate::Cause;

/// 0x8004B065: this datacenter does not serve the organization now.
pub(crate) const DATACENTER_NOT_AVAILABLE: i32 = -2_147_176_347;

/// What a listed code means. Every other code says nothing about the endpoint.
pub(crate) fn cause_of(code: i32) -> Option<Cause> {
    Some(match code {
        DATACENTER_NOT_AVAILABLE => Cause::DatacenterNotAvailable,
        // OrganizationMigrationUnderway, OrganizationDisabled, ScaleGroupDisabled
        -2_147_176_380 | -2_147_180_284 | -2_147_180_281 => Cause::OrganizationOff,
        // ErrorConnectingToOrganizationService
        -2_147_176_344 => Cause::Unavailable,
        // CrmSqlGovernorDatabaseRequestDenied, ThrottlingTimeExceeded,
        // ThrottlingBurstRequestLimitExceeded, AzureSqlMaxConcurrentWorkersLimitExceeded,
        // ThrottlingConcurrencyLimitExceeded
        -2_147_180_543 | -2_147_015_903 | -2_147_015_902 | -2_147_015_900 | -2_147_015_898 => {
            Cause::Throttled
        }
        _ => return None,
    })
}

/// Whether a code leaves open what became of a write: the database did not answer
/// (unManagedidssqlerror, unManagedidssqltimeouterror, CrmSQLNetworkingError), or UnExpected.
pub(crate) fn leaves_doubt(code: i32) -> bool {
    matches!(
        code,
        -2_147_204_784 | -2_147_204_783 | -2_147_012_608 | -2_147_220_970
    )
}

/// Azure SQL's errors while a database moves to another server, or its server has no room for it.
const DATABASE_MOVES: [i32; 6] = [40_197, 40_501, 40_613, 49_918, 49_919, 49_920];

/// Whether a code, or a number in the sentence beside it, says that the database was not to be had
/// for a moment; also CrmSQLNetworkingError.
pub(crate) fn is_database_moving(code: Option<i32>, message: Option<&str>) -> bool {
    let moves = |number: i32| number == -2_147_012_608 || DATABASE_MOVES.contains(&number);
    let mut words = message
        .unwrap_or_default()
        .split(|character: char| !character.is_alphanumeric());
    code.is_some_and(moves) || words.any(|word| word.len() == 5 && word.parse().is_ok_and(moves))
}

/// Whether a code says that what was to be created is there: DuplicateRecord,
/// CrmSQLUniqueIndexOrConstraintViolation, DuplicateRecordEntityKey.
pub(crate) fn is_already_there(code: i32) -> bool {
    matches!(code, -2_147_220_937 | -2_147_012_606 | -2_147_088_238)
}

/// Reads a code as the services write it: `0x8004B065` in any case, signed or unsigned decimal.
pub(crate) fn parse(text: &str) -> Option<i32> {
    let text = text.trim();
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    if let Some(digits) = hexadecimal {
        // `from_str_radix` would take a sign.
        return digits
            .bytes()
            .all(|digit| digit.is_ascii_hexdigit())
            .then(|| u32::from_str_radix(digits, 16).ok())?
            .map(u32::cast_signed);
    }
    from_number(text.parse().ok()?)
}

/// A code that came as a number: the signed form, or its 32 bits read unsigned.
pub(crate) fn from_number(number: i64) -> Option<i32> {
    i32::try_from(number)
        .ok()
        .or_else(|| u32::try_from(number).ok().map(u32::cast_signed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_the_failover_code() {
        for text in [
            "0x8004b065",
            "0x8004B065",
            "0X8004B065",
            "-2147176347",
            "2147790949",
            " -2147176347 ",
        ] {
            assert_eq!(parse(text), Some(DATACENTER_NOT_AVAILABLE), "{text:?}");
        }
    }

    #[test]
    fn a_database_that_moves() {
        for (code, message, expected) in [
            (Some(40_613), None, true),
            (Some(-2_147_012_608), None, true),
            (
                None,
                Some("Database 'a' on server 'b' is not currently available. (40613)"),
                true,
            ),
            (
                Some(-2_147_204_784),
                Some("SQL error: Error Number:49920,State:1"),
                true,
            ),
            (None, Some("Error code 40197."), true),
            (
                Some(-2_147_204_784),
                Some("Sql error 1205: deadlock"),
                false,
            ),
            (Some(-2_147_204_783), Some("SQL timeout"), false),
            (None, Some("row 140613, 406130 and 40613a"), false),
            (None, None, false),
        ] {
            assert_eq!(
                is_database_moving(code, message),
                expected,
                "{code:?} {message:?}"
            );
        }
    }

    #[test]
    fn what_is_no_code() {
        for text in [
            "",
            "0x",
            "8004B065",
            "0x18004B065",
            "4294967296",
            "0x-1",
            "0x+1",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
