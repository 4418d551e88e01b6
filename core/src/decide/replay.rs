//! Whether a write is sent again that is missing, and under which condition.
//!
//! Never one that could be done twice: what it finds must be what was seen, or nothing.

use super::subject::{Aim, Subject};
use crate::operation::Row;
use crate::{LedgerEntry, Verified};

/// How a write is sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// As it is: it has a condition of its own, or the application wants it so.
    AsItIs,
    /// As the create of this row, which must not be there.
    Create(Row),
    /// If its row still has this version.
    Match(String),
}

/// What of a write on record decides it.
pub(crate) struct Missing<'a> {
    pub(crate) entry: &'a LedgerEntry,
    pub(crate) subject: &'a Result<Subject, &'static str>,
    /// It holds several requests.
    pub(crate) is_compound: bool,
    /// The application has declared that a repeat is done twice.
    pub(crate) is_declared_unsafe: bool,
    /// Its request declares that it may create its row.
    pub(crate) is_upsert: bool,
    /// The request itself, and each inside of it, says that its row must not be there, or, over SOAP,
    /// brings the row's id.
    pub(crate) creates_only: bool,
}

/// # Errors
/// Why it is not sent again: for a person.
///
/// `is_wanted`: the application wants it for just this write, whatever was found and whatever a repeat
/// does.
pub(crate) fn again(missing: &Missing<'_>, is_wanted: bool) -> Result<Again, &'static str> {
    let found = missing.entry.verification.as_ref();
    if !missing.entry.is_suspect {
        return Err("nothing is in question about it");
    }
    if !is_wanted {
        match found {
            None => return Err("nobody has looked whether it is missing"),
            Some(found) if found.verdict != Verified::Missing => return Err("it is not missing"),
            Some(found) if !found.is_final => {
                return Err("it may still come over: replication_window is not over");
            }
            Some(_) => {}
        }
    }
    let guarded = guarded(missing);
    match guarded {
        Err(_) if is_wanted => Ok(Again::AsItIs),
        guarded => guarded,
    }
}

/// Under a condition that makes a repeat harmless.
fn guarded(missing: &Missing<'_>) -> Result<Again, &'static str> {
    if missing.is_declared_unsafe {
        return Err("the application has declared it unsafe");
    }
    if missing.is_compound {
        return match missing.creates_only {
            true => Ok(Again::AsItIs),
            false => Err("it holds several requests, some of which may be done twice"),
        };
    }
    let subject = match missing.subject {
        Ok(subject) => subject,
        Err(why) => return Err(why),
    };
    let found = missing.entry.verification.as_ref();
    let is_there = found.is_some_and(|found| found.is_there);
    let version = found.and_then(|found| found.version.clone());
    match &subject.aim {
        Aim::Created(_) if missing.creates_only => Ok(Again::AsItIs),
        Aim::Created(row) => Ok(Again::Create(row.clone())),
        Aim::Changed(row, _) if !is_there => match row {
            Row::Url(_) if missing.is_upsert && subject.condition.is_none() => {
                Ok(Again::Create(row.clone()))
            }
            _ => Err("its row is not there, and it would create a fragment of it"),
        },
        Aim::Changed(..) | Aim::Deleted(_) => {
            let version = version.ok_or("its row has told no version")?;
            match &subject.condition {
                Some(wanted) if *wanted != version => {
                    Err("its row has another version than the write wanted")
                }
                _ => Ok(Again::Match(version)),
            }
        }
        Aim::Keyed(_) => Err("it could be done twice: a create without an id of its own"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::operation::samples::ID;
    use crate::{Operation, Verification};

    fn entry(verdict: Option<Verified>, is_final: bool) -> LedgerEntry {
        LedgerEntry {
            verification: verdict.map(|verdict| Verification {
                is_there: true,
                version: Some("7".to_owned()),
                ..Verification::new(verdict, is_final, SystemTime::UNIX_EPOCH)
            }),
            is_suspect: true,
            ..LedgerEntry::begun("PATCH", "/x", Operation::Idempotent, SystemTime::UNIX_EPOCH)
        }
    }

    fn subject(aim: Aim, condition: Option<&str>) -> Result<Subject, &'static str> {
        Ok(Subject {
            aim,
            sent: None,
            condition: condition.map(str::to_owned),
        })
    }

    fn missing<'a>(
        entry: &'a LedgerEntry,
        subject: &'a Result<Subject, &'static str>,
    ) -> Missing<'a> {
        Missing {
            entry,
            subject,
            is_compound: false,
            is_declared_unsafe: false,
            is_upsert: false,
            creates_only: false,
        }
    }

    fn row() -> Row {
        Row::Url(format!("/api/data/v9.2/accounts({ID})"))
    }

    #[test]
    fn only_what_is_missing_for_good_is_sent_again() {
        use Verified::{Conflicting, Missing, Present, Unverifiable};
        let subject = subject(Aim::Deleted(row()), None);
        let table = [
            (Some(Missing), true, true, true),
            (Some(Missing), false, true, false),
            (Some(Present), true, true, false),
            (Some(Conflicting), true, true, false),
            (Some(Unverifiable), true, true, false),
            (None, true, true, false),
            (Some(Missing), true, false, false),
        ];
        for (verdict, is_final, is_suspect, expected) in table {
            let mut entry = entry(verdict, is_final);
            entry.is_suspect = is_suspect;
            let got = again(&missing(&entry, &subject), false);
            assert_eq!(got.is_ok(), expected, "{verdict:?} {is_final} {got:?}");
            // What the application wants is sent again whatever was found, if it is in question at all.
            let got = again(&missing(&entry, &subject), true);
            assert_eq!(got.is_ok(), is_suspect, "{verdict:?} {is_final} {got:?}");
        }
    }

    #[test]
    fn under_a_condition_that_makes_a_repeat_harmless() {
        let seventh = || Ok(Again::Match("7".to_owned()));
        let soap = Row::Soap {
            logical_name: "account".to_owned(),
            id: ID.parse().unwrap(),
        };
        let keyed = Aim::Keyed("/x".to_owned());
        // aim, the write's own condition, whether the row is there, upsert, creates only
        let table = [
            (
                Aim::Created(row()),
                None,
                false,
                false,
                true,
                Some(Ok(Again::AsItIs)),
            ),
            (
                Aim::Created(row()),
                None,
                false,
                false,
                false,
                Some(Ok(Again::Create(row()))),
            ),
            (
                Aim::Created(soap.clone()),
                None,
                false,
                false,
                false,
                Some(Ok(Again::Create(soap.clone()))),
            ),
            (
                Aim::Deleted(row()),
                None,
                true,
                false,
                false,
                Some(seventh()),
            ),
            (
                Aim::Deleted(row()),
                Some("7"),
                true,
                false,
                false,
                Some(seventh()),
            ),
            (Aim::Deleted(row()), Some("6"), true, false, false, None),
            (
                Aim::Changed(row(), None),
                None,
                true,
                false,
                false,
                Some(seventh()),
            ),
            (
                Aim::Changed(soap.clone(), None),
                None,
                true,
                false,
                false,
                Some(seventh()),
            ),
            (
                Aim::Changed(row(), None),
                Some("6"),
                true,
                true,
                false,
                None,
            ),
            (Aim::Changed(row(), None), None, false, false, false, None),
            (
                Aim::Changed(row(), None),
                None,
                false,
                true,
                false,
                Some(Ok(Again::Create(row()))),
            ),
            (
                Aim::Changed(row(), None),
                Some("7"),
                false,
                true,
                false,
                None,
            ),
            (Aim::Changed(soap, None), None, false, true, false, None),
            (keyed, None, false, false, false, None),
        ];
        for (aim, condition, is_there, is_upsert, creates_only, expected) in table {
            let subject = subject(aim.clone(), condition);
            let mut entry = entry(Some(Verified::Missing), true);
            let found = entry.verification.as_mut().unwrap();
            found.is_there = is_there;
            found.version = is_there.then(|| "7".to_owned());
            let missing = Missing {
                is_upsert,
                creates_only,
                ..missing(&entry, &subject)
            };
            let got = again(&missing, false);
            match expected {
                Some(expected) => assert_eq!(got, expected, "{aim:?} {condition:?}"),
                None => assert!(got.is_err(), "{aim:?} {condition:?} {got:?}"),
            }
            let forced = got.unwrap_or(Again::AsItIs);
            assert_eq!(again(&missing, true), Ok(forced), "{aim:?} {condition:?}");
        }
    }

    #[test]
    fn what_may_be_done_twice_is_the_applications_to_say() {
        let entry = entry(Some(Verified::Missing), true);
        let (known, unknown) = (subject(Aim::Created(row()), None), Err("nobody knows"));
        let table = [
            (&known, true, false),
            (&known, false, true),
            (&unknown, false, false),
        ];
        for (subject, is_compound, is_declared_unsafe) in table {
            let missing = Missing {
                is_compound,
                is_declared_unsafe,
                ..missing(&entry, subject)
            };
            assert!(again(&missing, false).is_err());
            assert_eq!(again(&missing, true), Ok(Again::AsItIs));
        }
    }

    #[test]
    fn a_row_that_tells_no_version_is_left_alone() {
        let subject = subject(Aim::Deleted(row()), None);
        let mut entry = entry(Some(Verified::Missing), true);
        entry.verification.as_mut().unwrap().version = None;
        assert!(again(&missing(&entry, &subject), false).is_err());
    }
}
