//! The disasters: what happens when, and what of the rows is gone afterwards.

use std::time::Duration;

use d365_failover_core::Role;

use crate::Time;
use crate::arrivals::Rush;
use crate::side::Path;

/// What changes at one moment.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    /// How a side is met.
    Path(Role, Path),
    /// Whether it is the organization's.
    Serves(Role, bool),
    /// Whether its front end answers 503 in its place.
    Unavailable(Role, bool),
    /// The share of the calls that its front end answers 503, and no probe.
    Falters(Role, f64),
    /// What its answers are late: to calls, and to probes.
    Delay(Role, Duration, Duration),
    /// Whether it loses writes.
    LosesWrites(Role, bool),
    /// The share of its workers that work.
    Share(Role, f64),
    /// Whether one client in ten reaches the primary no more.
    CutsOff(bool),
}

/// A disaster.
#[derive(Clone, Debug)]
pub struct Disaster {
    /// Its name.
    pub name: &'static str,
    /// What happens.
    pub about: &'static str,
    /// What changes when.
    pub changes: Vec<(Time, Change)>,
    /// From when on it is looked at.
    pub begins: Time,
    /// How long calls begin.
    pub ends: Time,
    /// When more calls begin.
    pub rush: Option<Rush>,
    /// It is one of the clients that are cut off: the others are not in it.
    pub is_of_some: bool,
    /// What the applications of this library have set for it beside their URLs.
    pub settings: &'static [(&'static str, &'static str)],
    /// The interruption that they have announced, from and to.
    pub window: Option<[Time; 2]>,
}

const P: Role = Role::Primary;
const A: Role = Role::Alternate;
const BEGIN: u64 = 20;

/// Whether a client is one of those that can be cut off.
#[must_use]
pub fn is_cut_off(client: u32) -> bool {
    client % 10 == 7
}

fn seconds(seconds: f64) -> Time {
    Duration::from_secs_f64(seconds)
}

fn disaster(name: &'static str, about: &'static str, lasts: u64) -> Disaster {
    Disaster {
        name,
        about,
        changes: Vec::new(),
        begins: Duration::from_secs(BEGIN),
        ends: Duration::from_secs(BEGIN + lasts),
        rush: None,
        is_of_some: false,
        settings: &[],
        window: None,
    }
}

impl Disaster {
    /// So long after its beginning.
    fn at(mut self, after: f64, change: Change) -> Disaster {
        self.changes.push((seconds(BEGIN as f64 + after), change));
        self
    }

    /// Before it.
    fn before(mut self, at: f64, change: Change) -> Disaster {
        self.changes.push((seconds(at), change));
        self
    }

    /// Whether the side ends for good: what had not come over is lost.
    #[must_use]
    pub fn is_lost(&self, role: Role) -> bool {
        let mut paths = self.changes.iter().filter_map(|(_, change)| match change {
            Change::Path(of, path) if *of == role => Some(*path),
            _ => None,
        });
        paths.next_back().is_some_and(|path| path != Path::Open)
    }
}

/// All of them.
#[must_use]
pub fn disasters() -> Vec<Disaster> {
    let mut flapping = disaster("flapping", "the primary refuses for 3 s of every 10", 80);
    for round in 0..6 {
        let from = f64::from(round * 10);
        flapping = flapping
            .at(from, Change::Path(P, Path::Refuses))
            .at(from + 3.0, Change::Path(P, Path::Open));
    }
    let slow = (Duration::from_secs(2), Duration::from_millis(700));
    let mut cut_off = disaster(
        "cut off",
        "for a tenth of the clients the primary is a black hole for 60 s",
        90,
    )
    .at(0.0, Change::CutsOff(true))
    .at(60.0, Change::CutsOff(false));
    cut_off.is_of_some = true;
    let mut overload = disaster(
        "overload",
        "twice as many calls for 20 s, a third more than a side can do; it queues for 0.7 s, and \
         throttles the rest",
        60,
    );
    overload.rush = Some(Rush {
        from: overload.begins,
        to: overload.begins + seconds(20.0),
        factor: 2.0,
    });
    let mut few_connections = disaster(
        "few connections",
        "the primary is silent from now on; clients have two connections to a side",
        120,
    )
    .at(0.0, Change::Path(P, Path::Hole));
    few_connections.settings = &[("max_connections", "2")];
    let mut planned = disaster(
        "planned",
        "both sides refuse for 40 s, which clients of this library were told of: a window of 60 s",
        100,
    )
    .at(0.0, Change::Path(P, Path::Refuses))
    .at(0.0, Change::Path(A, Path::Refuses))
    .at(40.0, Change::Path(P, Path::Open))
    .at(40.0, Change::Path(A, Path::Open));
    planned.window = Some([planned.begins, planned.begins + seconds(60.0)]);
    let mut way_home = disaster(
        "way home",
        "the primary refuses for 10 s; clients of this library look at it each 5 s, and go back after 20 s of \
         good looks",
        90,
    )
    .at(0.0, Change::Path(P, Path::Refuses))
    .at(10.0, Change::Path(P, Path::Open));
    way_home.settings = &[
        ("failback", "probe"),
        ("failback_interval_ms", "5000"),
        ("failback_after_ms", "20000"),
    ];
    let mut overload_alone = overload.clone().before(0.0, Change::Serves(A, false));
    overload_alone.name = "overload, one side";
    overload_alone.about = "the same where only the primary is the organization's";
    vec![
        disaster("refused", "the primary's machines end, and refuse", 60)
            .at(0.0, Change::Path(P, Path::Refuses)),
        disaster("black hole", "the primary is silent from now on", 180)
            .at(0.0, Change::Path(P, Path::Hole)),
        disaster("front end", "the primary's front end answers 503 for 60 s, and has nobody behind it", 90)
            .at(0.0, Change::Unavailable(P, true))
            .at(60.0, Change::Unavailable(P, false)),
        disaster("slow", "the primary answers 2 s late for 60 s, a probe 0.7 s", 80)
            .at(0.0, Change::Delay(P, slow.0, slow.1))
            .at(60.0, Change::Delay(P, Duration::ZERO, Duration::ZERO)),
        cut_off,
        flapping,
        disaster("both down", "both sides refuse for 40 s; then the primary is back, and the alternate", 100)
            .at(0.0, Change::Path(P, Path::Refuses))
            .at(0.0, Change::Path(A, Path::Refuses))
            .at(40.0, Change::Path(P, Path::Open))
            .at(40.0, Change::Path(A, Path::Open)),
        disaster("promotion", "the primary ends; 90 s later the alternate is the organization's", 150)
            .before(0.0, Change::Serves(A, false))
            .at(0.0, Change::Path(P, Path::Refuses))
            .at(90.0, Change::Serves(A, true)),
        disaster(
            "recovery",
            "the primary, which had ended, is the organization's again, with a third of its workers for \
             20 s",
            80,
        )
        .before(4.0, Change::Path(P, Path::Refuses))
        .before(12.0, Change::Serves(P, false))
        .before(12.0, Change::Path(P, Path::Open))
        .before(12.0, Change::Share(P, 0.34))
        .at(0.0, Change::Serves(A, false))
        .at(0.0, Change::Serves(P, true))
        .at(20.0, Change::Share(P, 1.0)),
        disaster(
            "losing writes",
            "the primary answers probes and reads; it closes the connection of each write for 60 s, and \
             executes one half of them",
            90,
        )
        .at(0.0, Change::LosesWrites(P, true))
        .at(60.0, Change::LosesWrites(P, false)),
        overload,
        overload_alone,
        disaster(
            "faltering",
            "the primary's front end answers one call in five 503 for 60 s, and probes as ever",
            80,
        )
        .at(0.0, Change::Falters(P, 0.2))
        .at(60.0, Change::Falters(P, 0.0)),
        few_connections,
        planned,
        way_home,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_sixteen_each_with_changes_in_order_or_a_rush() {
        let all = disasters();
        assert_eq!(all.len(), 16);
        for disaster in &all {
            let times = disaster.changes.iter().map(|(at, _)| *at);
            assert!(times.is_sorted(), "{}", disaster.name);
            let has_any = !disaster.changes.is_empty() || disaster.rush.is_some();
            assert!(has_any, "{}", disaster.name);
        }
    }

    #[test]
    fn rows_are_lost_where_a_side_does_not_come_back() {
        let lost = disasters()
            .into_iter()
            .filter(|disaster| disaster.is_lost(P));
        let names: Vec<_> = lost.map(|disaster| disaster.name).collect();
        assert_eq!(
            names,
            ["refused", "black hole", "promotion", "few connections"]
        );
    }
}
