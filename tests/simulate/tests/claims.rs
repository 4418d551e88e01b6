//! What is claimed of the preset `safe` against the rules of others, with few clients.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use d365_simulate::disaster::disasters;
use d365_simulate::figures::Figures;
use d365_simulate::rules::RuleSet;
use d365_simulate::run::run_all;

const CLIENTS: u32 = 300;

const SEED: u64 = 1;

/// Where somebody recovers sooner with as little extra load: the claim does not hold there.
const SOONER: [(&str, &[&str]); 6] = [
    // The other side is probed before it is trusted: a connection and an answer.
    ("refused", &["by hand", "dotnet"]),
    ("flapping", &["by hand", "dotnet"]),
    // Who waits looks every five seconds; who fails and begins anew finds out with its next call.
    ("promotion", &["by hand", "dotnet"]),
    // A side that throttles a probe does not count as one that serves.
    (
        "recovery",
        &["AWS", "MongoDB", "backoff", "by hand", "dotnet"],
    ),
    // Who answers probes is not left; whoever leaves it all the same pays with duplicates, or leaves
    // it again and again.
    (
        "losing writes",
        &["MongoDB", "backoff", "breaker", "by hand"],
    ),
    // Who is throttled comes again when he is told to, and is late; others fail, or go elsewhere.
    (
        "overload",
        &["AWS", "MongoDB", "backoff", "breaker", "by hand", "dotnet"],
    ),
];

/// The figures of all disasters, played once for all tests.
fn figures() -> &'static [Figures] {
    static FIGURES: OnceLock<Vec<Figures>> = OnceLock::new();
    FIGURES.get_or_init(|| run_all(&disasters(), &RuleSet::ALL, CLIENTS, SEED))
}

fn of(disaster: &str, rules: RuleSet) -> &'static Figures {
    let is_it = |figures: &&Figures| figures.disaster == disaster && figures.rules == rules.name();
    figures().iter().find(is_it).unwrap()
}

/// Each disaster's figures of `safe`, beside those of each other rule set.
fn pairs() -> impl Iterator<Item = (&'static Figures, &'static Figures)> {
    figures()
        .iter()
        .filter(|figures| figures.rules != RuleSet::Safe.name())
        .map(|other| (of(other.disaster, RuleSet::Safe), other))
}

#[test]
fn in_no_disaster_others_have_fewer_duplicates_and_unreported_losses() {
    let harm = |figures: &Figures| figures.writes.duplicates + figures.writes.lost_unreported;
    for (safe, other) in pairs() {
        assert!(harm(safe) <= harm(other), "{safe:?}\n{other:?}");
    }
}

#[test]
fn nobody_recovers_sooner_with_as_little_extra_load_but_where_it_is_said() {
    let time = |figures: &Figures| figures.recovered[1].unwrap_or(f64::INFINITY);
    let is_sooner = |(safe, other): &(&Figures, &Figures)| {
        time(other) < time(safe) && other.extra <= safe.extra
    };
    let found: BTreeSet<_> = pairs()
        .filter(is_sooner)
        .map(|(_, other)| (other.disaster, other.rules))
        .collect();
    let said: BTreeSet<_> = SOONER
        .iter()
        .flat_map(|(disaster, rules)| rules.iter().map(move |rules| (*disaster, *rules)))
        .collect();
    let unsaid: Vec<_> = found.difference(&said).collect();
    assert!(unsaid.is_empty(), "{unsaid:?}");
}

#[test]
fn half_of_the_clients_leave_a_black_hole_ten_times_sooner_than_by_dotnet() {
    let [safe, dotnet] =
        [RuleSet::Safe, RuleSet::Dotnet].map(|rules| of("black hole", rules).recovered[0].unwrap());
    assert!(safe * 10.0 < dotnet, "{safe} s, {dotnet} s");
}

#[test]
fn nobody_is_left_who_is_only_slow_or_has_too_much_to_do() {
    for disaster in ["slow", "overload", "losing writes"] {
        let safe = of(disaster, RuleSet::Safe);
        assert_eq!(safe.switches, 0, "{safe:?}");
    }
}
