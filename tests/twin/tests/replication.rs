//! Rows that cross, wait, are lost, or collide.

mod support;

use d365_twin::{Condition, OrganizationConfig, Replication, SideHandle, Twin};
use serde_json::json;
use support::{ACCOUNTS, LONG, client, twin, url};
use uuid::Uuid;

fn with(replication: Replication) -> OrganizationConfig {
    OrganizationConfig {
        replication,
        ..OrganizationConfig::new("contoso")
    }
}

fn put(twin: &Twin, side: &SideHandle, id: u128, name: &str) -> u16 {
    let row = url(side, &format!("{ACCOUNTS}({})", Uuid::from_u128(id)));
    client(twin)
        .patch(row)
        .json(&json!({"name": name}))
        .send()
        .unwrap()
        .status()
        .as_u16()
}

fn read(twin: &Twin, side: &SideHandle, id: u128) -> Option<(String, String)> {
    let row = url(side, &format!("{ACCOUNTS}({})", Uuid::from_u128(id)));
    let response = client(twin).get(row).send().unwrap();
    if response.status() == 404 {
        return None;
    }
    let row: serde_json::Value = response.json().unwrap();
    Some((
        row["name"].as_str()?.to_owned(),
        row["@odata.etag"].as_str()?.to_owned(),
    ))
}

#[test]
fn off_never_crosses_not_even_later() {
    let (twin, org) = twin(with(Replication::off()));
    put(&twin, &org.primary, 1, "a");
    org.set_replication(Replication::manual());
    assert_eq!(org.replicate().unwrap(), 0);
    assert_eq!(read(&twin, &org.alternate, 1), None);
}

#[test]
fn no_lag_has_crossed_before_the_answer_in_both_directions() {
    let (twin, org) = twin(with(Replication::lag(0)));
    put(&twin, &org.primary, 1, "a");
    assert_eq!(read(&twin, &org.alternate, 1), read(&twin, &org.primary, 1));
    put(&twin, &org.alternate, 1, "b");
    assert_eq!(read(&twin, &org.primary, 1).unwrap().0, "b");
    assert!(org.rows()[0].same);
    let row = url(&org.primary, &format!("{ACCOUNTS}({})", Uuid::from_u128(1)));
    assert_eq!(client(&twin).delete(row).send().unwrap().status(), 204);
    assert!(org.rows().is_empty());
    assert_eq!(org.conflicts(), 0);
    assert_eq!(org.describe().replicated, 3);
}

#[test]
fn a_lag_is_waited_for() {
    let (twin, org) = twin(with(Replication::lag(100)));
    put(&twin, &org.primary, 1, "a");
    org.alternate
        .wait_for(Condition::replicated(), LONG)
        .unwrap();
    assert_eq!(read(&twin, &org.alternate, 1).unwrap().0, "a");
}

#[test]
fn a_long_lag_has_not_crossed_and_can_be_flushed() {
    let (twin, org) = twin(with(Replication::lag(3_600_000)));
    put(&twin, &org.primary, 1, "a");
    assert_eq!(read(&twin, &org.alternate, 1), None);
    assert_eq!(org.describe().replication_waiting, 1);
    assert_eq!(org.replicate().unwrap(), 1);
    assert_eq!(read(&twin, &org.alternate, 1).unwrap().0, "a");
}

#[test]
fn manual_crosses_when_it_is_told() {
    let (twin, org) = twin(with(Replication::manual()));
    put(&twin, &org.primary, 1, "a");
    put(&twin, &org.primary, 2, "b");
    assert!(org.rows().iter().all(|row| row.primary && !row.alternate));
    assert_eq!(org.replicate().unwrap(), 2);
    assert!(org.rows().iter().all(|row| row.same));
    assert_eq!(org.replicate().unwrap(), 0);
}

#[test]
fn a_partition_holds_back_until_it_ends() {
    let (twin, org) = twin(with(Replication::lag(0).partitioned()));
    put(&twin, &org.primary, 1, "a");
    assert_eq!(read(&twin, &org.alternate, 1), None);
    let refused = org.replicate().unwrap_err().to_string();
    assert!(refused.contains("partition"), "{refused}");
    org.set_replication(Replication::lag(0));
    assert_eq!(read(&twin, &org.alternate, 1).unwrap().0, "a");
}

#[test]
fn a_dead_side_still_receives_and_sends() {
    let (twin, org) = twin(with(Replication::lag(0)));
    org.alternate
        .fault(d365_twin::FaultKind::Refuse {
            keep_existing: false,
        })
        .unwrap();
    put(&twin, &org.primary, 1, "a");
    org.alternate.clear().unwrap();
    assert_eq!(read(&twin, &org.alternate, 1).unwrap().0, "a");
}

#[test]
fn the_last_write_wins_and_the_conflict_is_counted_once() {
    let (twin, org) = twin(with(Replication::manual()));
    put(&twin, &org.primary, 1, "first");
    put(&twin, &org.alternate, 1, "last");
    assert!(!org.rows()[0].same);
    org.replicate().unwrap();
    assert_eq!(read(&twin, &org.primary, 1).unwrap().0, "last");
    assert_eq!(read(&twin, &org.primary, 1), read(&twin, &org.alternate, 1));
    assert_eq!(org.conflicts(), 1);
    put(&twin, &org.primary, 1, "later");
    org.replicate().unwrap();
    assert_eq!(org.conflicts(), 1);
}

#[test]
fn what_waits_is_lost_when_replication_ends() {
    let (twin, org) = twin(with(Replication::manual()));
    put(&twin, &org.primary, 1, "a");
    org.set_replication(Replication::off());
    org.set_replication(Replication::manual());
    assert_eq!(org.replicate().unwrap(), 0);
    assert!(!org.rows()[0].alternate);
}

#[test]
fn one_name_with_two_ids_over_the_sides_is_a_duplicate() {
    let (twin, org) = twin(with(Replication::off()));
    put(&twin, &org.primary, 1, "a");
    put(&twin, &org.alternate, 2, "a");
    put(&twin, &org.alternate, 1, "a");
    let duplicates = org.duplicates();
    assert_eq!(duplicates.len(), 1);
    assert_eq!(
        (duplicates[0].name.as_str(), duplicates[0].ids.len()),
        ("a", 2)
    );
}
