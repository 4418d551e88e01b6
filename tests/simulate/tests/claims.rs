//! What is claimed of the preset `safe` against the rules of others, with few clients.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use d365_simulate::arrivals::rate;
use d365_simulate::disaster::disasters;
use d365_simulate::figures::Figures;
use d365_simulate::rules::RuleSet;
use d365_simulate::run::run_all;
use fastrand::Rng;

const CLIENTS: u32 = 300;

const SEED: u64 = 1;

/// Where somebody recovers sooner with as little extra load: who, and after how many seconds 99 of 100
/// clients of `safe` have recovered all the same.
const SOONER: [(&str, f64, &[&str]); 9] = [
    // The other side is probed before it is trusted: one answer more, on the same connection.
    ("refused", 0.4, &["by hand", "dotnet"]),
    ("flapping", 0.4, &["by hand", "dotnet"]),
    ("way home", 0.4, &["by hand", "dotnet"]),
    // An unsafe write is not repeated after 503, which may come of a gateway that had handed it on.
    ("front end", 10.7, &["by hand"]),
    ("faltering", 6.1, &["backoff", "breaker", "by hand"]),
    // A side that throttles a probe does not count as one that serves. MongoDB's rules have 45.3 % more requests
    // than calls here, and `safe` 44 to 50 by the seed: seven of twelve have it among these.
    (
        "recovery",
        24.4,
        &["AWS", "MongoDB", "backoff", "by hand", "dotnet"],
    ),
    // Who answers probes is not left; whoever leaves it all the same pays with duplicates, or leaves
    // it again and again.
    ("losing writes", 11.8, &["MongoDB", "backoff", "by hand"]),
    // Who is throttled comes again when he is told to, and is late; others fail, or go elsewhere.
    (
        "overload",
        5.2,
        &["MongoDB", "backoff", "by hand", "dotnet"],
    ),
    ("overload, one side", 5.0, &["MongoDB", "by hand", "dotnet"]),
];

/// The most requests of calls in 100 ms at the primary and at the alternate, over the rate of the calls,
/// and how many percent more requests than calls, under `safe`: as measured, and a tenth more. One
/// client holds 1.2; clients do not know of each other, and so few make chance large: fifteen calls in
/// 100 ms.
const MOST: [(&str, [f64; 2], f64); 16] = [
    // All that was under way is sent again in one instant, before anybody could have told anybody.
    ("refused", [0.0, 1.5], 8.0),
    ("black hole", [0.0, 1.65], 6.0),
    ("front end", [1.1, 1.4], 9.5),
    // An endpoint that lives and is slow is looked at ever more rarely.
    ("slow", [1.4, 0.0], 60.0),
    ("cut off", [1.4, 0.4], 1.2),
    ("flapping", [0.6, 1.55], 6.0),
    ("both down", [1.65, 0.0], 36.0),
    ("promotion", [0.0, 1.5], 13.0),
    // By the seed: with six of them 1.47 to 2.07, 1.81 in the mean; before 0.13 went beside 1.53 to 2.20, 1.82.
    ("recovery", [2.15, 1.3], 51.5),
    // What fails is looked at anew a second later, and each write fails; a create's row is read before it is repeated.
    ("losing writes", [2.65, 0.0], 76.5),
    ("overload", [3.0, 0.0], 54.5),
    ("overload, one side", [2.75, 0.0], 54.5),
    ("faltering", [1.8, 0.0], 34.5),
    ("few connections", [0.0, 1.95], 8.0),
    ("planned", [1.65, 0.0], 51.0),
    ("way home", [1.4, 1.5], 18.5),
];

/// The same in a second, where all have waited for an outage to end.
const MOST_AFTER_AN_OUTAGE: f64 = 1.3;

/// So many of those who had to wait may leave for each who begins. What begins leaves as it comes, and here
/// that is evenly; when those leave is by chance.
const BESIDE: f64 = 0.13;

/// Those of [`SOONER`] who fail no more calls than `safe` either, and make no more duplicates and
/// unreported losses.
const BETTER: [(&str, &[&str]); 4] = [
    ("front end", &["by hand"]),
    ("faltering", &["backoff", "breaker", "by hand"]),
    ("losing writes", &["MongoDB"]),
    ("overload", &["backoff"]),
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

fn harm(figures: &Figures) -> u32 {
    figures.writes.duplicates + figures.writes.lost_unreported
}

#[test]
fn in_no_disaster_others_have_fewer_duplicates_and_unreported_losses() {
    for (safe, other) in pairs() {
        assert!(harm(safe) <= harm(other), "{safe:?}\n{other:?}");
    }
}

type Pairs = BTreeSet<(&'static str, &'static str)>;

/// Who recovers sooner than `safe` with as little extra load.
fn sooner(is_counted: impl Fn(&Figures, &Figures) -> bool) -> Pairs {
    pairs()
        .filter(|(safe, other)| time(other) < time(safe) && other.extra <= safe.extra)
        .filter(|(safe, other)| is_counted(safe, other))
        .map(|(_, other)| (other.disaster, other.rules))
        .collect()
}

fn time(figures: &Figures) -> f64 {
    figures.recovered[1].unwrap_or(f64::INFINITY)
}

fn said(pairs: impl Iterator<Item = (&'static str, &'static [&'static str])>) -> Pairs {
    pairs
        .flat_map(|(disaster, rules)| rules.iter().map(move |rules| (disaster, *rules)))
        .collect()
}

#[test]
fn nobody_recovers_sooner_with_as_little_extra_load_but_where_it_is_said() {
    let listed = SOONER
        .iter()
        .map(|(disaster, _, rules)| (*disaster, *rules));
    assert_eq!(sooner(|_, _| true), said(listed));
    let times =
        SOONER.map(|(disaster, most, _)| (disaster, most, time(of(disaster, RuleSet::Safe))));
    assert!(
        times.iter().all(|(_, most, time)| time <= most),
        "{times:?}"
    );
}

/// Who gives up sooner has sooner another call that is answered, and who repeats what may have been
/// executed is answered sooner.
#[test]
fn hardly_any_who_recovers_sooner_fails_no_more_and_doubles_no_more() {
    let found = sooner(|safe, other| other.failed <= safe.failed && harm(other) <= harm(safe));
    assert_eq!(found, said(BETTER.into_iter()));
}

/// Where `safe` is beaten after a 503, it is by unsafe writes, which it tells as in doubt: their clients recover
/// with their next call.
#[test]
fn after_a_503_who_may_be_sent_again_recovers_within_a_second_or_so() {
    for (disaster, most) in [("front end", 0.5), ("faltering", 1.2)] {
        let [read, guarded, _] = of(disaster, RuleSet::Safe).recovered_of;
        for times in [read, guarded] {
            assert!(times[1].unwrap() <= most, "{disaster}: {times:?}");
        }
    }
}

#[test]
fn a_fleet_sends_no_more_than_was_measured() {
    let found = MOST.map(|(disaster, peak, extra)| {
        let safe = of(disaster, RuleSet::Safe);
        let [primary, alternate] = safe.peak;
        let holds = primary <= peak[0] && alternate <= peak[1] && safe.extra <= extra;
        (holds, disaster, safe.peak, safe.extra)
    });
    assert!(found.iter().all(|(holds, ..)| *holds), "{found:#?}");
}

/// The most that come in one of so many times of 100 ms, over the mean, when all come as they like.
fn peak_by_chance(mean: f64, times: u32) -> f64 {
    const DRAWS: u32 = 50;
    let mut chance = Rng::with_seed(SEED);
    let mut drawn = || {
        let (mut count, mut at) = (0_u32, 0.0);
        loop {
            at -= (1.0 - chance.f64()).ln() / mean;
            if at > 1.0 {
                return count;
            }
            count += 1;
        }
    };
    let most = |_| f64::from((0..times).map(|_| drawn()).max().unwrap_or(0));
    (0..DRAWS).map(most).sum::<f64>() / f64::from(DRAWS) / mean
}

#[test]
fn after_an_outage_only_those_who_had_to_wait_make_a_peak() {
    let beside = BESIDE * rate(CLIENTS) / 10.0;
    let by_chance = 1.0 + BESIDE * peak_by_chance(beside, 600);
    for (disaster, side) in [("both down", 0), ("promotion", 1), ("planned", 0)] {
        let peak = of(disaster, RuleSet::Safe).peak[side];
        assert!(
            peak <= by_chance + 0.1,
            "{disaster}: {peak}, {by_chance} by chance"
        );
    }
}

#[test]
fn in_an_announced_interruption_nothing_fails() {
    let [safe, unannounced] = ["planned", "both down"].map(|disaster| of(disaster, RuleSet::Safe));
    assert_eq!((safe.failed, harm(safe)), (0, 0), "{safe:?}");
    assert!(unannounced.failed > 0);
}

#[test]
fn looks_lead_all_home_once() {
    let safe = of("way home", RuleSet::Safe);
    assert_eq!(safe.switches % 2, 0, "{safe:?}");
    let in_the_end = safe.series.alternate.iter().rev().take(20);
    assert_eq!(in_the_end.sum::<f64>(), 0.0, "{safe:?}");
    assert!(safe.series.alternate.iter().any(|load| *load > 0.9));
    assert_eq!(harm(safe), 0, "{safe:?}");
}

#[test]
fn after_an_outage_a_fleet_comes_back_at_its_own_rate() {
    for (disaster, side) in [("both down", 0), ("promotion", 1)] {
        let safe = of(disaster, RuleSet::Safe);
        let most = safe.peak_second[side];
        assert!((1.0..=MOST_AFTER_AN_OUTAGE).contains(&most), "{safe:?}");
    }
}

/// Of those whose first call is an unsafe write, some are told after `write_grace` that it is in doubt,
/// and have recovered with their next call.
#[test]
fn a_black_hole_is_left_ten_times_sooner_than_by_dotnet() {
    for disaster in ["black hole", "cut off"] {
        let [safe, dotnet] = [RuleSet::Safe, RuleSet::Dotnet].map(|rules| of(disaster, rules));
        let p99 = |times: [Option<f64>; 3]| times[1].unwrap();
        let all = |figures: &Figures| {
            let [read, guarded, is_unsafe] = figures.recovered_of.map(p99);
            [p99(figures.recovered), read, guarded, is_unsafe]
        };
        let pairs = all(dotnet).into_iter().zip(all(safe));
        let sooner: Vec<f64> = pairs.map(|(dotnet, safe)| dotnet / safe).collect();
        let least = [10.0, 10.0, 10.0, 3.0];
        let holds = sooner
            .iter()
            .zip(least)
            .all(|(sooner, least)| *sooner > least);
        assert!(holds, "{disaster}: {sooner:?} times");
    }
}

/// Else the others were made weaker than they are.
#[test]
fn those_who_monitor_find_a_silent_host_when_they_say_so() {
    for (rules, [from, to]) in [
        (RuleSet::Aws, [16.3, 18.0]),
        (RuleSet::MongoDb, [10.0, 15.0]),
    ] {
        let times = of("black hole", rules).recovered;
        let half = times[0].unwrap();
        assert!((from..to).contains(&half), "{}: {times:?} s", rules.name());
    }
}

#[test]
fn nobody_is_left_who_is_only_slow_or_has_too_much_to_do() {
    for disaster in [
        "slow",
        "overload",
        "overload, one side",
        "losing writes",
        "faltering",
    ] {
        let safe = of(disaster, RuleSet::Safe);
        assert_eq!(safe.switches, 0, "{safe:?}");
    }
}
