use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use super::*;
use crate::operation::Row;
use crate::resource::store::{LONGEST_LOCK, Store};
use crate::{Difference, Operation, Organization, StoreDurability, Verified};

const WINDOW: Duration = Duration::from_secs(300);

fn write() -> Write {
    Write {
        tag: None,
        method: Method::POST,
        url: "/x".to_owned(),
        operation: Operation::Unsafe,
        body_length: Some(0),
        body_digest: None,
        started: SystemTime::UNIX_EPOCH,
        epoch: 0,
        proof: Proof::Nothing,
        kept: None,
    }
}

fn outcome(effect: Effect, role: Role) -> WriteEnd {
    WriteEnd {
        effect,
        role: Some(role),
        attempts: 1,
        ..WriteEnd::unsent()
    }
}

fn ledger() -> Memory {
    Memory::new(WINDOW, 100_000)
}

/// Does the same with a ledger in memory, and with one on disk.
fn each(test: impl Fn(&dyn Ledger, Instant)) {
    let now = Instant::now();
    test(&ledger(), now);
    with_folder(|folder| test(&on_disk(folder, WINDOW), now));
}

fn with_folder(test: impl FnOnce(&Path)) {
    let folder = std::env::temp_dir().join(format!("d365-ledger-{}", Uuid::new_v4()));
    std::fs::create_dir(&folder).unwrap();
    test(&folder);
    std::fs::remove_dir_all(&folder).unwrap();
}

fn on_disk(folder: &Path, window: Duration) -> Sqlite {
    let until = Instant::now() + LONGEST_LOCK;
    let store = Store::open(&folder.join("store"), StoreDurability::Process, until).unwrap();
    let organization = Organization::new("https://contoso.crm.dynamics.com", None, None).unwrap();
    Sqlite::open(store, &organization, window, window * 100, until).unwrap()
}

fn begin(ledger: &dyn Ledger) -> u64 {
    ledger.begin(write()).wait().unwrap()
}

fn end(ledger: &dyn Ledger, id: u64, outcome: WriteEnd, now: Instant) {
    ledger.end(id, outcome, by(now)).wait().unwrap();
}

/// One that was begun and has ended so.
fn ended(ledger: &dyn Ledger, effect: Effect, role: Role, now: Instant) -> u64 {
    let id = begin(ledger);
    end(ledger, id, outcome(effect, role), now);
    id
}

fn list(ledger: &dyn Ledger, selection: LedgerSelection, now: Instant) -> Vec<LedgerEntry> {
    ledger.list(selection, by(now)).wait().unwrap()
}

fn ids(ledger: &dyn Ledger, selection: LedgerSelection, now: Instant) -> Vec<u64> {
    list(ledger, selection, now)
        .iter()
        .map(|entry| entry.id)
        .collect()
}

fn suspect(ledger: &dyn Ledger, from: Role, epoch: u64, now: Instant) -> Suspects {
    ledger.suspect(from, epoch, by(now)).wait().unwrap()
}

fn suspect_since(ledger: &dyn Ledger, since: SystemTime, now: Instant) -> SuspectedSince {
    ledger.suspect_since(since, by(now)).wait().unwrap()
}

fn resolve(ledger: &dyn Ledger, id: u64, found: Resolution, now: Instant) -> Result<(), Error> {
    ledger.resolve(id, found, by(now)).wait()
}

fn by(clock: Instant) -> At {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    let begun = *BEGUN.get_or_init(|| clock);
    At {
        clock,
        time: SystemTime::UNIX_EPOCH + clock.saturating_duration_since(begun),
    }
}

#[test]
fn a_write_is_on_record_while_it_is_in_flight_and_gone_when_it_was_not_executed() {
    each(|ledger, now| {
        let id = begin(ledger);
        assert_eq!(list(ledger, LedgerSelection::All, now)[0].effect, None);
        assert!(ids(ledger, LedgerSelection::Suspects, now).is_empty());
        end(ledger, id, outcome(Effect::NotExecuted, Role::Primary), now);
        assert!(ids(ledger, LedgerSelection::All, now).is_empty());
    });
}

#[test]
fn what_is_in_doubt_stays_until_it_is_resolved() {
    each(|ledger, now| {
        let id = ended(ledger, Effect::Unknown, Role::Primary, now);
        let later = now + WINDOW * 10;
        assert_eq!(ids(ledger, LedgerSelection::Suspects, later), [id]);
        resolve(ledger, id, Resolution::Lost, later).unwrap();
        assert!(ids(ledger, LedgerSelection::Suspects, later).is_empty());
        let list = list(ledger, LedgerSelection::All, later);
        assert_eq!(list[0].resolution, Some(Resolution::Lost));
        let again = resolve(ledger, id, Resolution::Lost, later).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::NotAvailable);
        let is_gone = ids(ledger, LedgerSelection::All, later + WINDOW * 2).is_empty();
        assert_eq!(is_gone, !ledger.is_on_disk());
    });
}

#[test]
fn a_switch_puts_in_question_what_the_old_endpoint_has_acknowledged_within_the_window() {
    each(|ledger, now| {
        ended(ledger, Effect::Executed, Role::Primary, now);
        let later = now + WINDOW + Duration::from_secs(1);
        let recent = ended(ledger, Effect::Executed, Role::Primary, later);
        let elsewhere = ended(ledger, Effect::Executed, Role::Alternate, later);
        let in_doubt = ended(ledger, Effect::Unknown, Role::Primary, later);
        let in_flight = begin(ledger);
        let suspects = suspect(ledger, Role::Primary, 0, later);
        assert_eq!((suspects.in_doubt, suspects.acknowledged), (1, 1));
        assert_eq!(
            ids(ledger, LedgerSelection::Suspects, later),
            [recent, in_doubt]
        );
        let late = outcome(Effect::Executed, Role::Primary);
        let ended = ledger.end(in_flight, late, by(later)).wait().unwrap();
        assert_eq!(ended, Some(Suspected::Late));
        // The way back puts in question what the alternate has acknowledged, and nothing anew.
        let back = suspect(ledger, Role::Alternate, 1, later);
        assert_eq!((back.in_doubt, back.acknowledged), (1, 1));
        assert_eq!(
            ids(ledger, LedgerSelection::Suspects, later),
            [recent, elsewhere, in_doubt, in_flight]
        );
    });
}

#[test]
fn the_bound_takes_the_oldest_acknowledged_and_nothing_in_doubt() {
    let now = Instant::now();
    let ledger = Memory::new(WINDOW, 2);
    let in_doubt = ended(&ledger, Effect::Unknown, Role::Primary, now);
    let acknowledged: Vec<u64> = (0..4).map(|_| begin(&ledger)).collect();
    for id in &acknowledged {
        end(&ledger, *id, outcome(Effect::Executed, Role::Primary), now);
    }
    assert_eq!(
        ids(&ledger, LedgerSelection::All, now),
        [in_doubt, acknowledged[2], acknowledged[3]]
    );
}

#[test]
fn acknowledged_suspects_are_bounded_too() {
    let now = Instant::now();
    let ledger = Memory::new(WINDOW, 2);
    let mut all = Vec::new();
    for epoch in 0..3 {
        for _ in 0..2 {
            let id = begin(&ledger);
            let executed = WriteEnd {
                epoch,
                ..outcome(Effect::Executed, Role::Primary)
            };
            end(&ledger, id, executed, now);
            all.push(id);
        }
        suspect(&ledger, Role::Primary, epoch, now);
    }
    assert_eq!(ids(&ledger, LedgerSelection::Suspects, now), all[4..]);
}

#[test]
fn what_is_resolved_leaves_its_room_to_what_is_in_question() {
    let now = Instant::now();
    let ledger = Memory::new(WINDOW, 2);
    let mut all = Vec::new();
    for epoch in 0..4 {
        let id = begin(&ledger);
        let executed = WriteEnd {
            epoch,
            ..outcome(Effect::Executed, Role::Primary)
        };
        end(&ledger, id, executed, now);
        suspect(&ledger, Role::Primary, epoch, now);
        if matches!(epoch, 1 | 2) {
            resolve(&ledger, id, Resolution::Confirmed, now).unwrap();
        }
        all.push(id);
    }
    assert_eq!(
        ids(&ledger, LedgerSelection::Suspects, now),
        [all[0], all[3]]
    );
    assert_eq!(ledger.evicted(), 0);
}

#[test]
fn nothing_in_question_cannot_be_resolved() {
    each(|ledger, now| {
        let id = begin(ledger);
        for id in [id, 99] {
            let error = resolve(ledger, id, Resolution::Confirmed, now).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotAvailable);
        }
    });
}

/// When a write has ended, in seconds since the epoch of the clock.
fn end_at(
    ledger: &dyn Ledger,
    id: u64,
    outcome: WriteEnd,
    now: Instant,
    time: u64,
) -> Option<Suspected> {
    let at = At {
        clock: now,
        time: at(time),
    };
    ledger.end(id, outcome, at).wait().unwrap()
}

fn at(time: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(time)
}

#[test]
fn what_may_come_late_is_in_question_until_the_window_is_over() {
    let repeated = || WriteEnd {
        may_come_late: true,
        epoch: 1,
        ..outcome(Effect::Executed, Role::Alternate)
    };
    each(|ledger, now| {
        let (id, resolved) = (begin(ledger), begin(ledger));
        assert_eq!(
            end_at(ledger, id, repeated(), now, 1),
            Some(Suspected::Repeated)
        );
        end_at(ledger, resolved, repeated(), now, 1);
        assert_eq!(ids(ledger, LedgerSelection::Suspects, now), [id, resolved]);
        assert!(ledger.question(id, VERIFIED).wait().unwrap().may_come_late);
        resolve(ledger, resolved, Resolution::Confirmed, now).unwrap();
        assert_eq!(ids(ledger, LedgerSelection::Suspects, now), [id]);
        // A switch that leaves another endpoint counts it all the same.
        assert_eq!(suspect(ledger, Role::Primary, 0, now).acknowledged, 1);
        let later = now + WINDOW + Duration::from_secs(1);
        assert!(ids(ledger, LedgerSelection::Suspects, later).is_empty());
        let is_gone = ids(ledger, LedgerSelection::All, later).is_empty();
        assert_eq!(is_gone, !ledger.is_on_disk());
        assert_eq!(ledger.evicted(), 0);
        // Memory has forgotten it by then, and goes back in time only here.
        let forgotten = resolve(ledger, id, Resolution::Confirmed, now);
        assert_eq!(forgotten.is_ok(), ledger.is_on_disk());
        // What was acknowledged where calls go no more is not over with the window.
        let id = begin(ledger);
        end_at(ledger, id, repeated(), now, 1);
        assert_eq!(suspect(ledger, Role::Alternate, 1, now).acknowledged, 1);
        assert_eq!(ids(ledger, LedgerSelection::Suspects, later), [id]);
        let without = Memory::new(Duration::ZERO, 10);
        let id = begin(&without);
        assert_eq!(end_at(&without, id, repeated(), now, 1), None);
    });
}

#[test]
fn a_loss_at_a_time_puts_in_question_what_was_acknowledged_since() {
    each(|ledger, now| {
        let all: Vec<u64> = (0..5).map(|_| begin(ledger)).collect();
        for (time, id) in all[..4].iter().enumerate() {
            let effect = if time == 3 {
                Effect::Unknown
            } else {
                Effect::Executed
            };
            end_at(
                ledger,
                *id,
                outcome(effect, Role::Primary),
                now,
                time as u64,
            );
        }
        let found = suspect_since(ledger, at(1), now);
        assert_eq!((found.acknowledged, found.in_doubt), (2, 1));
        assert!(found.on_record_since > at(9));
        assert_eq!(ids(ledger, LedgerSelection::Suspects, now), all[1..4]);
        // What was in flight may have gone to the side that is lost; what comes after has not.
        let late = outcome(Effect::Executed, Role::Primary);
        assert_eq!(end_at(ledger, all[4], late, now, 9), Some(Suspected::Late));
        let new = begin(ledger);
        assert_eq!(
            end_at(
                ledger,
                new,
                outcome(Effect::Executed, Role::Primary),
                now,
                9
            ),
            None
        );
        assert_eq!(suspect_since(ledger, at(10), now).acknowledged, 0);
    });
}

#[test]
fn what_the_bound_takes_unverified_is_counted_and_told_now_and_then() {
    let now = Instant::now();
    let ledger = Memory::new(WINDOW, 2);
    let mut told = Vec::new();
    for time in 0..113 {
        let id = begin(&ledger);
        end_at(
            &ledger,
            id,
            outcome(Effect::Executed, Role::Primary),
            now,
            time,
        );
        told.extend(ledger.evicted_to_tell());
    }
    assert_eq!(told, [1, 10, 100]);
    list(&ledger, LedgerSelection::All, now);
    assert_eq!(ledger.evicted(), 111);
    // The record reaches no further back.
    let found = suspect_since(&ledger, at(0), now);
    assert_eq!(found.acknowledged, 2);
    assert_eq!(found.on_record_since, at(110));
    let later = now + WINDOW * 2;
    list(&ledger, LedgerSelection::All, later);
    assert_eq!(ledger.evicted(), 111);
}

/// What is asked about a write is what it said and what its answers named, however they are kept.
#[test]
fn a_write_is_asked_about_by_what_its_answers_have_named() {
    let (first, second) = ("/accounts(1)", "/accounts(2)");
    let soap = Row::Soap {
        logical_name: "account".to_owned(),
        id: Uuid::from_u128(7),
    };
    let said = [
        Proof::Nothing,
        Proof::Unnamed,
        Proof::UnnamedIn("account".to_owned()),
        Proof::Created(Row::Url(first.to_owned())),
        Proof::Created(soap.clone()),
        Proof::Deleted(soap),
        Proof::Changed(first.to_owned()),
    ];
    let rows = [None, Some(first), Some(second)];
    let told = |row: Option<&str>, id, version: Option<&str>| WriteEnd {
        row_url: row.map(str::to_owned),
        row_id: id,
        version: version.map(str::to_owned),
        may_come_late: true,
        ..outcome(Effect::Executed, Role::Primary)
    };
    let answers: Vec<_> = rows
        .into_iter()
        .flat_map(|row| {
            [
                (row, None, None),
                (row, Some(Uuid::from_u128(8)), Some("W/\"1\"")),
            ]
        })
        .collect();
    each(|ledger, now| {
        for (said, first, then) in said.iter().flat_map(|said| {
            let pairs = answers
                .iter()
                .flat_map(|first| answers.iter().map(move |then| (first, then)));
            pairs.map(move |(first, then)| (said, first, then))
        }) {
            let write = Write {
                proof: said.clone(),
                ..write()
            };
            let id = ledger.begin(write).wait().unwrap();
            let mut proof = said.clone();
            let mut row_url = None;
            for (row, row_id, version) in [first, then] {
                end(ledger, id, told(*row, *row_id, *version), now);
                proof = proof.when_executed(*row, *row_id, *version);
                row_url = row.or(row_url);
                let question = ledger.question(id, VERIFIED).wait().unwrap();
                assert_eq!(question.proof, proof, "{said:?} {first:?} {then:?}");
                assert_eq!(question.entry.row_url.as_deref(), row_url);
                // Of one that is to be verified no more nothing is claimed.
                let _ = ledger.claim(id, by(now)).wait();
            }
        }
    });
}

#[test]
fn a_write_is_verified_when_it_has_ended() {
    each(|ledger, now| {
        let id = begin(ledger);
        for id in [id, 99] {
            for purpose in [VERIFIED, SENT_AGAIN] {
                let error = ledger.question(id, purpose).wait().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::NotAvailable);
                let said = format!("the write {id} cannot be {purpose}: ");
                assert!(error.message().starts_with(&said), "{error}");
            }
        }
        end_at(ledger, id, outcome(Effect::Unknown, Role::Primary), now, 1);
        let question = ledger.question(id, VERIFIED).wait().unwrap();
        assert_eq!(
            (question.proof, question.entry.ended),
            (Proof::Nothing, Some(at(1)))
        );
        let found = Verification {
            why: "it is not there".to_owned(),
            differences: vec![Difference {
                name: "name".to_owned(),
                sent: "1".to_owned(),
                found: "2".to_owned(),
            }],
            left_out: vec!["x".to_owned()],
            is_there: true,
            version: Some("W/\"1\"".to_owned()),
            ..Verification::new(Verified::Missing, false, at(2))
        };
        ledger.verified(id, found.clone()).wait().unwrap();
        let list = list(ledger, LedgerSelection::Suspects, now);
        assert_eq!(list[0].verification, Some(found));
        assert_eq!(ledger.count_suspects(by(now)).wait().unwrap(), 1);
    });
}

#[test]
fn what_was_found_before_a_switch_is_not_final_after_it() {
    each(|ledger, now| {
        let id = ended(ledger, Effect::Executed, Role::Primary, now);
        let found = Verification::new(Verified::Present, true, at(2));
        ledger.verified(id, found.clone()).wait().unwrap();
        suspect(ledger, Role::Primary, 0, now);
        let before = Verification {
            is_final: false,
            ..found
        };
        let list = list(ledger, LedgerSelection::Suspects, now);
        assert_eq!(list[0].verification, Some(before));
    });
}

#[test]
fn a_write_is_sent_again_by_one_at_a_time_and_its_end_says_what_became_of_it() {
    each(|ledger, now| {
        let doubt = || {
            let id = ended(ledger, Effect::Unknown, Role::Primary, now);
            ledger.claim(id, by(now)).wait().unwrap();
            id
        };
        let all = [doubt(), doubt(), doubt()];
        for again in [
            ledger.claim(all[0], by(now)).wait().unwrap_err(),
            resolve(ledger, all[0], Resolution::Lost, now).unwrap_err(),
        ] {
            assert!(again.message().contains("being sent again"), "{again}");
        }
        let effects = [Effect::Executed, Effect::NotExecuted, Effect::Unknown];
        for (id, effect) in all.into_iter().zip(effects) {
            end(ledger, id, outcome(effect, Role::Alternate), now);
        }
        let list = list(ledger, LedgerSelection::All, now);
        let told =
            |entry: &LedgerEntry| (entry.effect, entry.role, entry.is_suspect, entry.attempts);
        let (here, there) = (Some(Role::Primary), Some(Role::Alternate));
        assert_eq!(told(&list[0]), (Some(Effect::Executed), there, false, 2));
        assert_eq!(list[0].resolution, Some(Resolution::Replayed));
        assert_eq!(told(&list[1]), (Some(Effect::Unknown), here, true, 2));
        assert_eq!(told(&list[2]), (Some(Effect::Unknown), there, true, 2));
        assert!(
            ledger
                .question(all[2], VERIFIED)
                .wait()
                .unwrap()
                .may_come_late
        );
        // What was replayed can be lost by the next switch.
        assert_eq!(suspect(ledger, Role::Alternate, 1, now).acknowledged, 1);
        ledger.claim(all[0], by(now)).wait().unwrap();
    });
}

/// Looked for is by the numbers of those that ended of late.
#[test]
fn what_ended_long_after_it_began_or_anew_is_found() {
    with_folder(|folder| {
        let ledger = on_disk(folder, WINDOW);
        let executed = |id| {
            let ended = ledger.end(id, outcome(Effect::Executed, Role::Primary), At::now());
            assert_eq!(ended.wait().unwrap(), None);
        };
        let again = begin(&ledger);
        let unknown = outcome(Effect::Unknown, Role::Primary);
        ledger.end(again, unknown, At::now()).wait().unwrap();
        let slow = begin(&ledger);
        let many = || (0..2 * keeping::PORTION_EACH).for_each(|_| executed(begin(&ledger)));
        many();
        ledger.claim(again, At::now()).wait().unwrap();
        let since = SystemTime::now();
        let lost = |since| {
            let found = ledger.suspect_since(since, At::now()).wait().unwrap();
            found.acknowledged
        };
        executed(again);
        executed(slow);
        assert_eq!(lost(since), 2);
        let suspects = ledger.list(LedgerSelection::Suspects, At::now()).wait();
        let suspects: Vec<u64> = suspects.unwrap().iter().map(|entry| entry.id).collect();
        assert_eq!(suspects, [again, slow]);
        many();
        assert_eq!(lost(since), 2 * keeping::PORTION_EACH);
        assert_eq!(lost(SystemTime::now()), 0);
    });
}

/// A clock that is set makes nothing younger or older that was in question, and loses nothing.
#[test]
fn a_clock_that_is_set_loses_nothing() {
    const HOURS: i64 = 7200;
    const LATER: u64 = WINDOW.as_secs() + 10;
    // By how much it is wrong at the ends of two writes, and at a switch; when that is, and how many are in question.
    for (wrong, switched, expected) in [
        ([0, 0, HOURS], 2, 2),
        ([0, HOURS, HOURS], 2, 2),
        ([0, 0, -HOURS], 2, 2),
        ([0, -HOURS, -HOURS], 2, 2),
        ([0, HOURS, 0], 2, 2),
        ([0, -HOURS, 0], 2, 2),
        ([0, 0, 0], LATER, 0),
        ([0, HOURS, HOURS], LATER, 0),
    ] {
        each(|ledger, now| {
            let wrong_at = |after: u64, which: usize| At {
                clock: now + Duration::from_secs(after),
                time: at(100_000u64.saturating_add_signed(wrong[which]) + after),
            };
            for which in 0..2 {
                let (id, executed) = (begin(ledger), outcome(Effect::Executed, Role::Primary));
                let at = wrong_at(which as u64, which);
                ledger.end(id, executed, at).wait().unwrap();
            }
            let switched = wrong_at(switched, 2);
            let suspects = ledger.suspect(Role::Primary, 0, switched).wait().unwrap();
            assert_eq!(suspects.acknowledged, expected, "{wrong:?}");
            let suspects = ledger.list(LedgerSelection::Suspects, switched).wait();
            assert_eq!(suspects.unwrap().len() as u64, expected, "{wrong:?}");
        });
    }
}

/// What another process has left while a write was under way there has acknowledged it late, whatever the clock
/// says: by the seconds of their order, and by how many hours the clock is wrong where the write is begun and sent, where
/// the endpoint is left, and where the write ends.
#[test]
fn what_another_process_has_left_is_late_by_any_clock() {
    const BEGUN: u64 = 10;
    for (sent, left, wrong, is_late) in [
        (11, 20, [0, 0, 0], true),
        (11, 5, [0, 0, 0], false),
        // Sent again, where another process had left it before.
        (25, 20, [0, 0, 0], false),
        (11, 20, [0, -1, -1], true),
        (11, 20, [0, -1, 0], true),
        (11, 20, [0, 1, 1], true),
        (11, 20, [0, 1, 0], true),
        (11, 5, [-1, 0, -1], false),
        (11, 5, [1, 0, 1], false),
    ] {
        for begun_as in [Some(Proof::Nothing), None] {
            with_folder(|folder| {
                let (one, other) = (on_disk(folder, WINDOW), on_disk(folder, WINDOW));
                let now = At::now();
                let by = |seconds: u64, hours: i64| At {
                    clock: now.clock + Duration::from_secs(seconds),
                    time: now.time - Duration::from_secs(7200)
                        + Duration::from_secs((7200 + 3600 * hours) as u64 + seconds),
                };
                let leave = || {
                    let at = by(left, wrong[1]);
                    one.suspect(Role::Primary, 0, at).wait().unwrap();
                };
                if left < BEGUN {
                    leave();
                }
                let begun = Write {
                    started: by(BEGUN, wrong[0]).time,
                    ..write()
                };
                let id = other.begin(begun).wait().unwrap();
                if left > BEGUN {
                    leave();
                }
                let executed = WriteEnd {
                    sent: Some(by(sent, wrong[0]).time),
                    begun_as: begun_as.clone(),
                    ..outcome(Effect::Executed, Role::Primary)
                };
                let ended = other.end(id, executed, by(30, wrong[2])).wait().unwrap();
                let case = format!("{sent} {left} {wrong:?} {begun_as:?}");
                assert_eq!(ended, is_late.then_some(Suspected::Late), "{case}");
            });
        }
    }
}

/// Moments that were kept by a clock that was set back for a while hide nothing.
#[test]
fn a_moment_by_another_clock_hides_nothing() {
    with_folder(|folder| {
        let ledger = on_disk(folder, WINDOW);
        let count = 2 * keeping::PORTION_EACH;
        for _ in 0..count {
            let (id, executed) = (begin(&ledger), outcome(Effect::Executed, Role::Primary));
            ledger.end(id, executed, At::now()).wait().unwrap();
        }
        let store = rusqlite::Connection::open(folder.join("store")).unwrap();
        let set = "UPDATE moments SET time = time - 7200000000 WHERE id_from = (SELECT max(id_from) FROM moments)";
        assert_eq!(store.execute(set, []).unwrap(), 1);
        let suspects = ledger.suspect(Role::Primary, 0, At::now()).wait().unwrap();
        assert_eq!(suspects.acknowledged, count);
    });
}

#[test]
fn how_long_ago_a_write_was_is_not_told_by_a_clock_that_was_set() {
    const SOON: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3600);
    // By how many hours the clock is ahead when the write begins and when it ends; and how long ago it began, at most.
    let by = |time: SystemTime, hours: i32| match hours.is_negative() {
        true => time - HOUR * hours.unsigned_abs(),
        false => time + HOUR * hours.unsigned_abs(),
    };
    for (started, ended, at_most) in [
        (0, 0, Some(SOON)),
        (-2, -2, Some(HOUR * 2 + SOON)),
        (-2, 0, Some(HOUR * 2 + SOON)),
        (2, 2, Some(SOON)),
        (2, 0, None),
    ] {
        each(|ledger, _| {
            let At { clock, time } = At::now();
            let begun = Write {
                started: by(time, started),
                ..write()
            };
            let id = ledger.begin(begun).wait().unwrap();
            let at = At {
                clock,
                time: by(time, ended),
            };
            let unknown = outcome(Effect::Unknown, Role::Primary);
            ledger.end(id, unknown, at).wait().unwrap();
            let question = ledger.question(id, VERIFIED).wait().unwrap();
            assert!(question.ended_ago < SOON, "{:?}", question.ended_ago);
            assert_eq!(question.begun_ago.is_some(), at_most.is_some());
            assert!(question.begun_ago <= at_most, "{:?}", question.begun_ago);
        });
    }
}
