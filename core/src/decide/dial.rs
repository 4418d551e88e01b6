//! Which of a name's addresses is tried when: Happy Eyeballs (RFC 8305). One that is silent costs the
//! others a quarter of a second, and one that fails costs them nothing.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long an address is tried before the next one is tried beside it (RFC 8305, 8: Connection
/// Attempt Delay).
const HEAD_START: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(crate) struct Dial {
    waiting: VecDeque<SocketAddr>,
    under_way: usize,
    /// How long an address is tried before the next one is tried beside it.
    head_start: Duration,
    /// Until when the last one is tried before the next one joins it.
    ahead_until: Option<Instant>,
    head_starts: Duration,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Try(SocketAddr),
    /// For the end of one that is under way, or until then.
    Wait(Option<Instant>),
    /// All have failed.
    Over,
}

impl Dial {
    /// The addresses in the order of the resolver, which knows of routes and preferences. Where there
    /// is a time for all of them, each gets its turn within it.
    pub(crate) fn new(addresses: Vec<SocketAddr>, time: Option<Duration>) -> Dial {
        let count = u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
        Dial {
            waiting: interleaved(addresses),
            head_start: time.map_or(HEAD_START, |time| HEAD_START.min(time / count)),
            under_way: 0,
            ahead_until: None,
            head_starts: Duration::ZERO,
        }
    }

    pub(crate) fn step(&mut self, now: Instant) -> Step {
        if self.waiting.is_empty() {
            return match self.under_way {
                0 => Step::Over,
                _ => Step::Wait(None),
            };
        }
        if let Some(until) = self.ahead_until {
            if now < until {
                return Step::Wait(Some(until));
            }
            self.head_starts += self.head_start;
        }
        self.ahead_until = Some(now + self.head_start);
        self.under_way += 1;
        match self.waiting.pop_front() {
            Some(address) => Step::Try(address),
            None => Step::Over,
        }
    }

    /// One that was under way has failed: the next one need not wait any longer.
    pub(crate) fn failed(&mut self) {
        self.under_way -= 1;
        self.ahead_until = None;
    }

    /// How long addresses have waited for others that were silent.
    pub(crate) fn head_starts(&self) -> Duration {
        self.head_starts
    }
}

/// One of the first's family, one of the other, and so on (RFC 8305, 4): a whole family may lead
/// nowhere.
fn interleaved(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut mixed = VecDeque::new();
    loop {
        let pair = [first.next(), second.next()];
        if pair == [None, None] {
            return mixed;
        }
        mixed.extend(pair.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dial(addresses: &[&str]) -> Dial {
        Dial::new(
            addresses.iter().map(|text| text.parse().unwrap()).collect(),
            None,
        )
    }

    fn tried(step: Step) -> String {
        let Step::Try(address) = step else {
            panic!("{step:?}");
        };
        address.to_string()
    }

    #[test]
    fn families_take_turns_and_keep_their_order() {
        for (given, mixed) in [
            (vec!["1.1.1.1:1", "2.2.2.2:1"], "1.1.1.1:1 2.2.2.2:1"),
            (
                vec!["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"],
                "[::1]:1 1.1.1.1:1 [::2]:1 2.2.2.2:1 [::3]:1",
            ),
            (
                vec!["1.1.1.1:1", "2.2.2.2:1", "[::1]:1"],
                "1.1.1.1:1 [::1]:1 2.2.2.2:1",
            ),
        ] {
            let mixed: Vec<&str> = mixed.split(' ').collect();
            let dial = dial(&given);
            let seen: Vec<String> = dial.waiting.iter().map(SocketAddr::to_string).collect();
            assert_eq!(seen, mixed);
        }
    }

    #[test]
    fn silence_has_a_head_start_and_a_failure_none() {
        let now = Instant::now();
        let mut dial = dial(&["[::1]:1", "1.1.1.1:1", "2.2.2.2:1", "3.3.3.3:1"]);
        assert_eq!(tried(dial.step(now)), "[::1]:1");
        assert_eq!(dial.step(now), Step::Wait(Some(now + HEAD_START)));
        let later = now + HEAD_START;
        assert_eq!(tried(dial.step(later)), "1.1.1.1:1");
        assert_eq!(dial.step(later), Step::Wait(Some(later + HEAD_START)));
        dial.failed();
        assert_eq!(tried(dial.step(later)), "2.2.2.2:1");
        dial.failed();
        assert_eq!(tried(dial.step(later)), "3.3.3.3:1");
        assert_eq!(dial.step(later), Step::Wait(None));
        assert_eq!(dial.head_starts(), HEAD_START);
        dial.failed();
        dial.failed();
        assert_eq!(dial.step(later), Step::Over);
    }

    #[test]
    fn in_a_short_time_each_has_its_turn() {
        let now = Instant::now();
        let addresses = ["[::1]:1", "1.1.1.1:1"].map(|text| text.parse().unwrap());
        let short = Duration::from_millis(100);
        let mut dial = Dial::new(addresses.to_vec(), Some(short));
        assert_eq!(tried(dial.step(now)), "[::1]:1");
        assert_eq!(dial.step(now), Step::Wait(Some(now + short / 2)));
        assert_eq!(tried(dial.step(now + short / 2)), "1.1.1.1:1");
        assert_eq!(dial.head_starts(), short / 2);
    }

    #[test]
    fn no_address_is_over_at_once() {
        assert_eq!(dial(&[]).step(Instant::now()), Step::Over);
    }
}
