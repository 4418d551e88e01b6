//! What an application was told of its creates, against the rows that there are.

use std::collections::{BTreeMap, BTreeSet};

use d365_twin::RowView;
use uuid::Uuid;

use crate::line::{Effect, Line, Settled, Verified};
use crate::record::Record;
use crate::rows::{Comparison, Row};

/// The creates of one application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Writes {
    /// Creates that are in doubt.
    pub(crate) in_doubt: u64,
    /// Of these, creates whose row is there.
    pub(crate) in_doubt_executed: u64,
    /// Writes that its ledger wants to be verified.
    pub(crate) suspects: u64,
    /// Of these, those that were found to be there for good.
    pub(crate) confirmed: u64,
    /// Of these, those that were found to be missing at the alternate.
    pub(crate) missing: u64,
    /// Of these, those that were sent again, and executed.
    pub(crate) replayed: u64,
    /// Of these, those that are in question still.
    pub(crate) left: u64,
    /// Acknowledged rows that only the primary had when the application had ended: a dead primary
    /// replicates nothing until it is back.
    pub(crate) on_primary_only: u64,
    /// Of these, rows of which the ledger says nothing.
    pub(crate) lost_in_silence: Vec<Row>,
    /// What the application was told and is not so, and what it was not told.
    pub(crate) false_claims: Vec<String>,
}

impl Writes {
    /// `parted` are the rows while the primary was dead; `healed` compares those that there are
    /// after all has crossed; `held` are the names of those that the application was about to create
    /// when it was killed.
    pub(crate) fn new(
        record: &Record,
        parted: &[RowView],
        healed: &Comparison,
        held: BTreeSet<&str>,
    ) -> Writes {
        let told = Told::of(record, held);
        let mut writes = Writes {
            suspects: told.suspects.len() as u64,
            missing: told.found(Verified::Missing),
            confirmed: told.came_to(Settled::Confirmed),
            replayed: told.came_to(Settled::Replayed),
            ..Writes::default()
        };
        writes.left = writes.suspects - writes.confirmed - writes.replayed;
        let on_primary_only: BTreeSet<Uuid> = parted
            .iter()
            .filter(|row| row.primary && !row.alternate)
            .map(|row| row.id)
            .collect();
        for (id, (name, ledger)) in &told.created {
            if !on_primary_only.contains(id) {
                continue;
            }
            writes.on_primary_only += 1;
            if !told.suspects.contains_key(ledger) {
                writes.lost_in_silence.push(Row {
                    id: *id,
                    name: (*name).to_owned(),
                });
            }
        }
        // An application that broke could not say all that it knew.
        if record.done().is_some() {
            writes.hold(&told, healed);
            writes.hold_verdicts(&told, parted);
            writes.hold_settled(&told, parted);
            writes.hold_caught(&told, healed);
        }
        writes
    }

    /// Holds each claim against the rows.
    fn hold(&mut self, told: &Told<'_>, healed: &Comparison) {
        let untold: BTreeSet<&str> = healed.untold.iter().map(|row| row.name.as_str()).collect();
        for (name, (effect, ledger)) in &told.failed {
            let is_there = untold.contains(name);
            match effect {
                Effect::NotExecuted if is_there => {
                    self.claim(format!("{name} was not executed, but its row is there"));
                }
                Effect::Executed if !is_there => {
                    self.claim(format!("{name} was executed, but its row is nowhere"));
                }
                Effect::Unknown => {
                    self.in_doubt += 1;
                    self.in_doubt_executed += u64::from(is_there);
                    if !told.events.contains(ledger) {
                        self.lack(format!("{name} is in doubt, but no WriteInDoubt said so"));
                    }
                    if told.suspects.get(ledger).map(|(effect, _)| *effect) != Some(Effect::Unknown)
                    {
                        self.lack(format!("{name} is in doubt, but no suspect of its ledger"));
                    }
                }
                Effect::NotExecuted | Effect::Executed => {}
            }
        }
        let copied: BTreeSet<&str> = healed
            .duplicates
            .iter()
            .map(|rows| rows.name.as_str())
            .collect();
        for name in untold {
            let is_known = told.failed.contains_key(name) || told.held.contains(name);
            if !is_known && !copied.contains(name) {
                self.lack(format!("{name} is there, and it was never told of it"));
            }
        }
        for ledger in told.suspects.keys() {
            let of_held = || {
                let settled = told.settled.get(ledger);
                settled.is_some_and(|(name, _)| told.held.contains(name))
            };
            if !told.on_record.contains(ledger) && !of_held() {
                self.lack(format!(
                    "its ledger suspects a write {ledger} that it never made"
                ));
            }
        }
        if self.on_primary_only > 0 && !told.is_loss_suspected {
            self.lack("no DataLossSuspected came, but rows are only on the primary".into());
        }
    }

    /// Holds what was found about each suspect against the rows that the alternate had then.
    fn hold_verdicts(&mut self, told: &Told<'_>, parted: &[RowView]) {
        let at_alternate: BTreeSet<Uuid> = parted
            .iter()
            .filter(|row| row.alternate)
            .map(|row| row.id)
            .collect();
        for (id, (name, ledger)) in &told.created {
            if told.is_replayed(*ledger) {
                // The row that was missing then is there since.
                continue;
            }
            match told.suspects.get(ledger) {
                Some((_, Verified::Present)) if !at_alternate.contains(id) => {
                    self.claim(format!(
                        "{name} is present, but the alternate has no such row"
                    ));
                }
                Some((_, Verified::Missing)) if at_alternate.contains(id) => {
                    self.claim(format!("{name} is missing, but the alternate has its row"));
                }
                Some((_, Verified::Unverifiable)) => {
                    self.claim(format!(
                        "no row can tell of {name}, but its answer has named it"
                    ));
                }
                _ => {}
            }
        }
        // A create in doubt without an id of its own: no row can tell.
        for (name, (_, ledger)) in &told.failed {
            if let Some((_, Verified::Present | Verified::Missing)) = told.suspects.get(ledger) {
                self.claim(format!(
                    "the fate of {name} is known, which no row can tell"
                ));
            }
        }
    }

    /// Holds what became of each suspect against the rows that the alternate had then.
    fn hold_settled(&mut self, told: &Told<'_>, parted: &[RowView]) {
        let at_alternate = parted.iter().filter(|row| row.alternate);
        let at_alternate: BTreeSet<&str> =
            at_alternate.filter_map(|row| row.name.as_deref()).collect();
        for (ledger, (name, settled)) in &told.settled {
            let word = match settled {
                Settled::Confirmed => "confirmed",
                Settled::Replayed => "replayed",
                Settled::Left => continue,
            };
            if !at_alternate.contains(name) {
                self.claim(format!(
                    "{name} is {word}, but the alternate has no such row"
                ));
            }
            if *settled == Settled::Replayed
                && told.suspects.get(ledger).map(|(_, verified)| *verified)
                    != Some(Verified::Missing)
            {
                self.lack(format!("{name} was sent again, and was not missing"));
            }
        }
    }

    /// Each create that the application was about to make when it was killed is in doubt on record,
    /// and settled.
    fn hold_caught(&mut self, told: &Told<'_>, healed: &Comparison) {
        for name in &told.held {
            let found = told.settled.iter().find(|(_, (of, _))| of == name);
            let Some((ledger, (_, settled))) = found else {
                self.lack(format!(
                    "{name} was under way when it was killed, and its store says nothing of it"
                ));
                continue;
            };
            self.in_doubt += 1;
            let is_there = healed.untold.iter().any(|row| row.name == *name);
            self.in_doubt_executed += u64::from(is_there);
            if told.suspects.get(ledger).map(|(effect, _)| *effect) != Some(Effect::Unknown) {
                self.lack(format!(
                    "{name} was under way when it was killed, and is not in doubt by its store"
                ));
            }
            if *settled == Settled::Left {
                self.lack(format!(
                    "{name} was under way when it was killed, and is not settled"
                ));
            }
        }
    }

    fn claim(&mut self, text: String) {
        self.false_claims.push(format!("was told that {text}"));
    }

    fn lack(&mut self, text: String) {
        self.false_claims.push(text);
    }
}

/// What the application said of writes.
#[derive(Debug, Default)]
struct Told<'a> {
    /// Rows, each with its name and the write on record.
    created: BTreeMap<Uuid, (&'a str, u64)>,
    /// Creates that failed, by the row's name.
    failed: BTreeMap<&'a str, (Effect, u64)>,
    /// All creates, by the number on record.
    on_record: BTreeSet<u64>,
    /// The writes of which a WriteInDoubt came.
    events: BTreeSet<u64>,
    suspects: BTreeMap<u64, (Effect, Verified)>,
    /// The names of their rows, and what became of them.
    settled: BTreeMap<u64, (&'a str, Settled)>,
    /// The names of rows whose creates were under way when it was killed.
    held: BTreeSet<&'a str>,
    is_loss_suspected: bool,
}

impl<'a> Told<'a> {
    fn of(record: &'a Record, held: BTreeSet<&'a str>) -> Told<'a> {
        let mut told = Told {
            held,
            ..Told::default()
        };
        for (_, line) in &record.said {
            match line {
                Line::Created { id, name, ledger } => {
                    told.created.insert(*id, (name, *ledger));
                    told.on_record.insert(*ledger);
                }
                Line::Failed {
                    name,
                    effect,
                    ledger,
                } => {
                    told.failed.insert(name, (*effect, *ledger));
                    told.on_record.insert(*ledger);
                }
                Line::InDoubt(ledger) => {
                    told.events.insert(*ledger);
                }
                Line::LossSuspected { .. } => told.is_loss_suspected = true,
                Line::Suspect {
                    ledger,
                    effect,
                    verified,
                } => {
                    told.suspects.insert(*ledger, (*effect, *verified));
                }
                Line::Settled {
                    ledger,
                    name,
                    settled,
                } => {
                    told.settled.insert(*ledger, (name, *settled));
                }
                _ => {}
            }
        }
        told
    }

    fn is_replayed(&self, ledger: u64) -> bool {
        let settled = self.settled.get(&ledger);
        settled.is_some_and(|(_, settled)| *settled == Settled::Replayed)
    }

    fn came_to(&self, wanted: Settled) -> u64 {
        let settled = self.settled.values();
        settled.filter(|(_, settled)| *settled == wanted).count() as u64
    }

    fn found(&self, wanted: Verified) -> u64 {
        let found = self.suspects.values();
        found.filter(|(_, verified)| *verified == wanted).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ID: &str = "00000000-0000-0000-0000-000000000001";

    fn record(lines: &[&str]) -> Record {
        let mut record = Record::default();
        for line in lines {
            record.hear(Duration::ZERO, line);
        }
        assert!(!record.broken, "{:?}", record.troubles);
        record
    }

    fn row(id: u128, name: &str, alternate: bool) -> RowView {
        RowView {
            id: Uuid::from_u128(id),
            entity: "account".into(),
            name: Some(name.into()),
            primary: true,
            alternate,
            same: false,
            attributes: Default::default(),
        }
    }

    fn writes(lines: &[&str], rows: &[RowView]) -> Writes {
        let record = record(lines);
        let healed = Comparison::new("c", &record.told(), rows);
        Writes::new(&record, rows, &healed, BTreeSet::new())
    }

    /// The application was killed while it created `c-web-2`.
    fn caught(lines: &[&str], rows: &[RowView]) -> Writes {
        let record = record(lines);
        let healed = Comparison::new("c", &record.told(), rows);
        Writes::new(&record, rows, &healed, BTreeSet::from(["c-web-2"]))
    }

    #[test]
    fn an_acknowledged_row_that_the_alternate_lacks_must_be_a_suspect() {
        let created = format!("created {ID} c-web-1 3");
        let rows = [row(1, "c-web-1", false)];
        let event = "event DataLossSuspected 0 1";
        let suspect = "suspect 3 executed POST https://a missing";
        let known = writes(&[&created, event, suspect, "done 1"], &rows);
        assert_eq!((known.on_primary_only, known.suspects), (1, 1));
        assert_eq!((known.missing, known.left), (1, 1));
        assert_eq!(
            (known.lost_in_silence, known.false_claims),
            (vec![], vec![])
        );

        let confirmed = "suspect 3 executed POST https://a present";
        let lies = writes(&[&created, event, confirmed, "done 1"], &rows);
        assert!(lies.false_claims[0].contains("has no such row"));
        let there = [row(1, "c-web-1", true)];
        let honest = writes(&[&created, event, confirmed, "done 1"], &there);
        assert_eq!((honest.missing, honest.false_claims.len()), (0, 0));
        let lies = writes(&[&created, event, suspect, "done 1"], &there);
        assert!(lies.false_claims[0].contains("has its row"));
        let unasked = "suspect 3 executed POST https://a unverifiable";
        let blind = writes(&[&created, event, unasked, "done 1"], &there);
        assert!(blind.false_claims[0].contains("answer has named it"));

        let silent = writes(&[&created, event, "done 1"], &rows);
        assert_eq!(silent.lost_in_silence.len(), 1);
        let no_event = writes(&[&created, suspect, "done 1"], &rows);
        assert!(no_event.false_claims[0].contains("no DataLossSuspected"));
        let crossed = writes(&[&created, "done 1"], &[row(1, "c-web-1", true)]);
        assert_eq!(
            (crossed.on_primary_only, crossed.lost_in_silence.len()),
            (0, 0)
        );
    }

    #[test]
    fn what_is_in_doubt_must_be_told_by_an_event_and_the_ledger() {
        let failed = "failed c-web-1 unknown 3";
        let event = "event WriteInDoubt 3 POST https://a timeout";
        let suspect = "suspect 3 unknown POST https://a unverifiable";
        let rows = [row(1, "c-web-1", true)];
        let known = writes(&[failed, event, suspect, "done 1"], &rows);
        assert_eq!((known.in_doubt, known.in_doubt_executed), (1, 1));
        assert_eq!(known.false_claims, Vec::<String>::new());
        let gone = writes(&[failed, event, suspect, "done 1"], &[]);
        assert_eq!((gone.in_doubt, gone.in_doubt_executed), (1, 0));
        assert_eq!(gone.false_claims, Vec::<String>::new());

        let guess = "suspect 3 unknown POST https://a present";
        for (lines, word) in [
            (vec![failed, event, guess, "done 1"], "no row can tell"),
            (vec![failed, suspect, "done 1"], "no WriteInDoubt"),
            (vec![failed, event, "done 1"], "no suspect"),
            (
                vec!["failed c-web-1 not_executed 3", "done 1"],
                "its row is there",
            ),
            (vec!["done 1"], "never told of it"),
        ] {
            let claims = writes(&lines, &rows).false_claims;
            assert_eq!(claims.len(), 1, "{claims:?}");
            assert!(claims[0].contains(word), "{claims:?}");
        }
        let nowhere = writes(&["failed c-web-1 executed 3", "done 1"], &[]).false_claims;
        assert!(nowhere[0].contains("is nowhere"), "{nowhere:?}");
        let foreign = writes(
            &["suspect 9 executed POST https://a present", "done 1"],
            &[],
        )
        .false_claims;
        assert!(foreign[0].contains("write 9"), "{foreign:?}");
        assert!(writes(&[], &rows).false_claims.is_empty(), "it broke");
    }
    #[test]
    fn what_is_settled_is_there() {
        let created = format!("created {ID} c-web-1 3");
        let missing = "suspect 3 executed POST https://a missing";
        let present = "suspect 3 executed POST https://a present";
        let (replayed, confirmed) = ("settled 3 c-web-1 replayed", "settled 3 c-web-1 confirmed");
        let there = [row(1, "c-web-1", true)];
        let sent_again = writes(&[&created, missing, replayed, "done 1"], &there);
        assert_eq!(sent_again.false_claims, Vec::<String>::new());
        let counts = (sent_again.missing, sent_again.replayed, sent_again.left);
        assert_eq!(counts, (1, 1, 0));
        let found = writes(&[&created, present, confirmed, "done 1"], &there);
        assert_eq!(found.false_claims, Vec::<String>::new());
        assert_eq!((found.confirmed, found.left), (1, 0));

        let needless = writes(&[&created, present, replayed, "done 1"], &there);
        assert!(needless.false_claims[0].contains("was not missing"));
        let event = "event DataLossSuspected 0 1";
        let not_there = [row(1, "c-web-1", false)];
        for (verdict, word, end) in [
            (missing, "replayed", replayed),
            (present, "confirmed", confirmed),
        ] {
            let lies = writes(&[&created, event, verdict, end, "done 1"], &not_there);
            let claim = format!("c-web-1 is {word}, but the alternate has no such row");
            assert!(lies.false_claims.iter().any(|text| text.contains(&claim)));
        }
    }

    #[test]
    fn what_was_under_way_at_a_kill_is_in_doubt_on_record_and_settled() {
        let suspect = "suspect 4 unknown PATCH https://a missing";
        let settled = "settled 4 c-web-2 replayed";
        let rows = [row(2, "c-web-2", true)];
        let known = caught(&[suspect, settled, "done 1"], &rows);
        assert_eq!(known.false_claims, Vec::<String>::new());
        let counts = (known.in_doubt, known.in_doubt_executed, known.replayed);
        assert_eq!(counts, (1, 1, 1));

        for (lines, word) in [
            (vec!["done 1"], "says nothing of it"),
            (
                vec![
                    "suspect 4 executed PATCH https://a missing",
                    settled,
                    "done 1",
                ],
                "not in doubt by its store",
            ),
            (
                vec![suspect, "settled 4 c-web-2 left", "done 1"],
                "is not settled",
            ),
        ] {
            let claims = caught(&lines, &rows).false_claims;
            assert_eq!(claims.len(), 1, "{claims:?}");
            assert!(claims[0].contains(word), "{claims:?}");
        }
        let nowhere = caught(&[suspect, settled, "done 1"], &[]).false_claims;
        assert!(
            nowhere[0].contains("the alternate has no such row"),
            "{nowhere:?}"
        );
    }
}
