//! What is written is read, by who has written it and by who has not.

use std::time::Instant;

use super::*;
use crate::StoreDurability;
use crate::resource::state::OnRecord;
use crate::resource::store::LONGEST_LOCK;

const PAIR: &str = "https://a.test https://b.test";
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// A file of its own, which goes with it.
struct File(std::path::PathBuf);

impl File {
    fn new() -> File {
        let name = format!("d365-state-{}", uuid::Uuid::new_v4());
        File(std::env::temp_dir().join(name))
    }

    fn open(&self) -> Table {
        let until = Instant::now() + LONGEST_LOCK;
        let store = Store::open(&self.0, StoreDurability::Process, until).unwrap();
        Table::open(&store).unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        for end in ["", "-wal", "-shm", "-lock"] {
            let mut name = self.0.clone().into_os_string();
            name.push(end);
            let _ = std::fs::remove_file(name);
        }
    }
}

fn then() -> SystemTime {
    UNIX_EPOCH + HOUR * 1000
}

fn went(role: Role) -> News {
    News::Went {
        role,
        by_fault: true,
        max_age: HOUR,
    }
}

fn read(table: &Table) -> OnRecord {
    table.read(PAIR).unwrap()
}

#[test]
fn the_first_one_says_since_when_and_who_follows_that_it_is_so() {
    let file = File::new();
    let (table, other) = (file.open(), file.open());
    assert!(read(&other).whereabouts.is_none());
    let version = other.version().unwrap();
    table.write(PAIR, went(Role::Alternate), then()).unwrap();
    assert_ne!(other.version().unwrap(), version);
    let first = Whereabouts {
        role: Role::Alternate,
        switched: then(),
        confirmed: then(),
        by_fault: true,
        switches: 1,
    };
    assert_eq!(read(&other).whereabouts, Some(first));
    assert!(other.read("another pair").unwrap().whereabouts.is_none());
    // A follower; one who confirms too early, and one who does in time.
    let later = then() + SECOND * 5;
    table.write(PAIR, went(Role::Alternate), later).unwrap();
    let followed = Whereabouts {
        confirmed: later,
        ..first
    };
    assert_eq!(read(&other).whereabouts, Some(followed));
    let confirms = News::Confirmed {
        role: Role::Alternate,
        older_than: SECOND * 10,
    };
    for (after, confirmed) in [(5, later), (11, later + SECOND * 11)] {
        let now = later + SECOND * after;
        table.write(PAIR, confirms, now).unwrap();
        assert_eq!(read(&table).whereabouts.unwrap().confirmed, confirmed);
    }
    // Who is elsewhere confirms nothing.
    let elsewhere = News::Confirmed {
        role: Role::Primary,
        older_than: Duration::ZERO,
    };
    table.write(PAIR, elsewhere, later + HOUR).unwrap();
    assert_eq!(
        read(&table).whereabouts.unwrap().confirmed,
        later + SECOND * 11
    );
    // Back is a switch, and so is what follows an old record, or one of the future.
    for (role, now, switches) in [
        (Role::Primary, later + SECOND * 20, 2),
        (Role::Primary, later + HOUR * 3, 3),
        (Role::Primary, later, 4),
    ] {
        table.write(PAIR, went(role), now).unwrap();
        let found = read(&table).whereabouts.unwrap();
        assert_eq!((found.switched, found.switches), (now, switches));
    }
}

#[test]
fn what_holds_no_more_is_forgotten_and_its_number_is_not() {
    let file = File::new();
    let table = file.open();
    table.write(PAIR, went(Role::Alternate), then()).unwrap();
    table.write(PAIR, News::Forget, then()).unwrap();
    assert!(read(&table).whereabouts.is_none());
    table.write(PAIR, went(Role::Alternate), then()).unwrap();
    assert_eq!(read(&table).whereabouts.unwrap().switches, 2);
}

#[test]
fn a_policy_and_an_override() {
    let file = File::new();
    let (table, other) = (file.open(), file.open());
    let policy = Policy {
        read_from: Role::Alternate,
        says: FailoverPolicy {
            available: true,
            endpoint_enabled: false,
        },
    };
    table.write(PAIR, News::Policy(policy), then()).unwrap();
    let told = read(&other);
    let (found, at) = told.policy.unwrap();
    assert_eq!(
        (found.read_from, found.says),
        (policy.read_from, policy.says)
    );
    assert_eq!(at, then());
    assert!(told.whereabouts.is_none());
    for order in [
        Some((Override::Off, None)),
        Some((Override::Alternate, Some(then() + SECOND))),
        None,
    ] {
        table.write(PAIR, News::Order(order), then()).unwrap();
        assert_eq!(read(&other).order, order);
    }
    // Whatever a hand has written there: nobody guesses.
    let by_hand = "INSERT INTO override (pair, value) VALUES (?1, 'Primary')";
    table
        .0
        .with(|connection| connection.execute(by_hand, [PAIR]))
        .unwrap();
    assert_eq!(read(&other).order, None);
}
