//! Which calls may leave for an endpoint after a switch, so that all who have waited do not arrive in
//! one instant: one at first, and then some beside those who begin.
//!
//! Two bounds hold at once. So many may be *under way*: few at first, more with each answer and with
//! time. And so many may *leave* in a time: for each who begins while others wait one, the first of them,
//! and beside that a part of those who had to wait; or, where nobody begins, what was offered and a fifth
//! more. One leaves at once; the next one by chance up to an interval later than it may, because many
//! clients begin in one instant and none knows of the others. Who begins later, when nobody waits any
//! more, is bounded by what is under way alone.

use std::time::{Duration, Instant};

use super::offered::{Load, beside, more};

/// So many may be under way at first, whatever was offered.
const FIRST: usize = 16;
/// How long it takes until it is trusted with twice as much under way, whatever it does: slow calls
/// must not hold up all others.
pub const STEP: Duration = Duration::from_millis(100);
/// What is not used may be saved up for so long, beside one call…
const SAVED: Duration = STEP;
/// …but not more than so many calls.
const MOST_SAVED: f64 = FIRST as f64;
/// So many times fewer than are offered begin no more by chance.
const FAR_FEWER: f64 = 3.0;
/// A crowd that nobody has had to wait in for so long is over.
const QUIET: Duration = Duration::from_secs(1);

/// What became of one that might leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Became {
    /// It did not leave after all.
    Unsent,
    /// It has left, and its end says nothing of what the endpoint can bear.
    Untold,
    /// The endpoint has answered it.
    Answered,
    /// The endpoint has failed.
    Failed,
}

#[derive(Debug)]
pub struct Ramp {
    began: Instant,
    most: usize,
    under_way: usize,
    /// How many may leave in a second, at least…
    least: f64,
    /// …and by what is offered now.
    offered: Load,
    /// How many a second have come, of those who had to wait.
    came: f64,
    /// How many may leave now.
    saved: f64,
    /// How many more, because others have come.
    brought: f64,
    /// Up to when that was saved up.
    saved_at: Instant,
    /// What the first one costs beside itself.
    delay: f64,
    /// How long calls have waited before it began.
    gathered: Duration,
    /// When somebody has had to wait last.
    held: Instant,
}

impl Ramp {
    /// Calls go to an endpoint from now on that may get so many a second. They have waited for so long.
    /// `chance` is from 0 to 1.
    pub fn new(allowance: f64, gathered: Duration, chance: f64, now: Instant) -> Ramp {
        Ramp {
            began: now,
            most: FIRST,
            under_way: 0,
            least: allowance,
            offered: Load::default(),
            came: 0.0,
            saved: 1.0,
            brought: 0.0,
            saved_at: now,
            delay: chance,
            gathered: gathered.max(STEP),
            held: now,
        }
    }

    /// More is offered by now, perhaps.
    pub fn offer(&mut self, offered: Load, now: Instant) {
        self.save(now);
        self.offered = offered;
    }

    /// So many wait, of whom the last has begun then. They have come in the time in which all had to, and that
    /// is an offer as well. Who has come since brings a leave with him, which whoever waits longest takes:
    /// so what is new goes as it comes, and no estimate of it is needed; of those who had to, it is none.
    pub fn gather(&mut self, waiting: usize, begun: Option<Instant>, now: Instant) {
        self.save(now);
        let is_new = begun.is_some_and(|begun| begun > self.began);
        if is_new {
            self.brought = (self.brought + 1.0).min(self.most_saved());
        }
        let had_to = waiting.saturating_sub(usize::from(is_new));
        self.came = self.came.max(had_to as f64 / self.gathered.as_secs_f64());
    }

    fn allowance(&self) -> f64 {
        let offered = self.least.max(self.offered.allowance);
        offered.max(more(self.came))
    }

    /// How many may leave in a second beside those who begin, each of whom brings a leave: some of what had to
    /// wait, counted and not estimated; and where far fewer begin than are offered, because who waits
    /// begins nothing, as many more.
    fn beside(&self) -> f64 {
        let lacking = self.allowance() - FAR_FEWER * self.offered.begin;
        beside(self.came).max(lacking)
    }

    fn save(&mut self, now: Instant) {
        self.saved = self.saved_by(now);
        self.saved_at = self.saved_at.max(now);
    }

    fn saved_by(&self, now: Instant) -> f64 {
        let since = now.saturating_duration_since(self.saved_at).as_secs_f64();
        (self.saved + since * self.beside()).min(self.most_saved())
    }

    fn most_saved(&self) -> f64 {
        (1.0 + self.allowance() * SAVED.as_secs_f64()).min(MOST_SAVED)
    }

    /// Whether one more may leave now; it is counted. Of the crowd, but where `begun` says when a call began
    /// that has not been sent and before which nobody waits. Who began since is no crowd: it comes when
    /// the application offers it, and one that calls again when it was answered may have offered next to
    /// nothing before, a script that has only begun, or nothing for minutes.
    pub fn enter(&mut self, begun: Option<Instant>, now: Instant) -> bool {
        self.save(now);
        let has_room = self.has_room(now);
        if has_room && begun.is_some_and(|begun| begun > self.began) {
            self.under_way += 1;
            self.saved = (self.saved - 1.0).max(0.0);
            return true;
        }
        let may_leave = has_room && self.saved + self.brought >= 1.0;
        if may_leave {
            self.under_way += 1;
            let brought = self.brought.min(1.0);
            self.brought -= brought;
            self.saved -= 1.0 - brought + std::mem::take(&mut self.delay);
        } else {
            self.held = now;
        }
        may_leave
    }

    fn has_room(&self, now: Instant) -> bool {
        let steps = now.saturating_duration_since(self.began).as_millis() / STEP.as_millis();
        let by_time = u32::try_from(steps)
            .ok()
            .and_then(|steps| FIRST.checked_shl(steps))
            .filter(|most| *most >= FIRST)
            .unwrap_or(usize::MAX);
        self.under_way < self.most.max(by_time)
    }

    /// How long somebody waits at least before whom so many wait, if nothing more is offered.
    pub fn wait(&self, before: usize) -> Duration {
        let missing = (before as f64 + 1.0 - self.saved - self.brought).max(0.0);
        // What is a little too early has to come again.
        let wait = Duration::try_from_secs_f64(missing / self.beside() + 1e-9);
        if missing > 0.0 {
            wait.unwrap_or(Duration::MAX)
        } else {
            Duration::ZERO
        }
    }

    /// One that was counted has ended. An answer makes room for two; a fault of the endpoint halves
    /// what it is trusted with. What has not left is as if it had never come; whatever has left has
    /// used its part of the time, also where its end says nothing.
    pub fn leave(&mut self, became: Became) {
        self.under_way = self.under_way.saturating_sub(1);
        match became {
            Became::Unsent => self.saved += 1.0,
            Became::Untold => {}
            Became::Answered => self.most = self.most.saturating_add(1),
            Became::Failed => self.most = (self.most / 2).max(FIRST),
        }
    }

    /// Whether there is no crowd any more: where nobody waits, less leaves than may.
    pub fn is_over(&self, now: Instant) -> bool {
        let is_quiet = now.saturating_duration_since(self.held) >= QUIET;
        is_quiet || self.saved_by(now) >= self.most_saved()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many a second as never bound.
    const PLENTY: f64 = 1e12;
    const MOMENT: Duration = Duration::from_micros(1);

    fn load(allowance: f64, begin: f64) -> Load {
        Load { allowance, begin }
    }

    /// One that nobody has waited for, and where chance delays nobody.
    fn ramp(allowance: f64, now: Instant) -> Ramp {
        Ramp::new(allowance, Duration::ZERO, 0.0, now)
    }

    /// One of which nothing is saved up any more, and whose first call is answered.
    fn used_up(allowance: f64, now: Instant) -> Ramp {
        let mut ramp = ramp(allowance, now);
        assert!(ramp.enter(None, now));
        ramp.leave(Became::Answered);
        assert!(!ramp.enter(None, now));
        ramp
    }

    /// How many leave within a millisecond or so.
    fn entered(ramp: &mut Ramp, mut now: Instant) -> usize {
        (0..100_000)
            .take_while(|_| {
                now += Duration::from_nanos(10);
                ramp.enter(None, now)
            })
            .count()
    }

    #[test]
    fn time_doubles_what_may_be_under_way() {
        let now = Instant::now();
        let mut ramp = ramp(PLENTY, now);
        assert_eq!(entered(&mut ramp, now), FIRST);
        assert_eq!(entered(&mut ramp, now + STEP), FIRST);
        assert_eq!(entered(&mut ramp, now + STEP * 3), FIRST * 6);
        assert_eq!(entered(&mut ramp, now + STEP * 1000), 100_000);
    }

    #[test]
    fn answers_double_what_may_be_under_way_and_faults_halve_it() {
        let now = Instant::now();
        let mut ramp = ramp(PLENTY, now);
        assert_eq!(entered(&mut ramp, now), FIRST);
        for _ in 0..FIRST {
            ramp.leave(Became::Answered);
        }
        assert_eq!(entered(&mut ramp, now + MOMENT), FIRST * 2);
        for _ in 0..FIRST * 2 {
            ramp.leave(Became::Answered);
        }
        assert_eq!(entered(&mut ramp, now + MOMENT * 2), FIRST * 4);
        ramp.leave(Became::Failed);
        for _ in 1..FIRST * 4 {
            ramp.leave(Became::Untold);
        }
        assert_eq!(entered(&mut ramp, now + MOMENT * 3), FIRST * 2);
        for _ in 0..FIRST * 2 {
            ramp.leave(Became::Failed);
        }
        assert_eq!(entered(&mut ramp, now + MOMENT * 4), FIRST);
    }

    /// Those who wait, an endpoint that is done with each at once, and looks every so often.
    #[test]
    fn in_any_time_leaves_what_may_and_what_is_saved_up() {
        use Became::{Answered, Failed, Untold};
        // At least so many leave in four seconds.
        for (allowance, look, became, least) in [
            (1200.0, 1, Answered, 4790),
            (1200.0, 7, Answered, 4700),
            (12_000.0, 1, Answered, 10_000),
            (16.0, 100, Answered, 64),
            (0.5, 100, Answered, 2),
            // Each is throttled.
            (1200.0, 1, Untold, 4790),
            (1200.0, 1, Failed, 4790),
        ] {
            let begin = Instant::now();
            let mut ramp = ramp(allowance, begin);
            let mut left: Vec<u64> = Vec::new();
            for millis in (0..=4000).step_by(look) {
                let now = begin + Duration::from_millis(millis);
                while left.len() < 10_000 && ramp.enter(None, now) {
                    left.push(millis);
                    ramp.leave(became);
                }
            }
            let saved = (1.0 + allowance / 10.0).min(MOST_SAVED);
            let most = (allowance / 10.0 + saved) as usize;
            for (index, first) in left.iter().enumerate() {
                let within = left[index..].iter().take_while(|at| *at - first < 100);
                let within = within.count();
                assert!(within <= most, "{within} of {most} from {first} ms on");
            }
            assert!(
                left.len() >= least,
                "{allowance}: {} of {least}",
                left.len()
            );
        }
    }

    /// A script that has only begun, and calls again when it was answered.
    #[test]
    fn who_begins_later_and_alone_is_bounded_by_what_is_under_way() {
        let begin = Instant::now();
        let mut ramp = ramp(0.5, begin);
        assert!(ramp.enter(None, begin));
        ramp.leave(Became::Answered);
        for call in 1..=1000 {
            let now = begin + Duration::from_millis(call);
            assert!(!ramp.enter(Some(begin), now), "of the crowd");
            assert!(ramp.enter(Some(now), now));
            ramp.leave(Became::Answered);
        }
        let now = begin + Duration::from_millis(1);
        let mut ramp = Ramp::new(0.5, Duration::ZERO, 0.0, begin);
        let entered = (0..FIRST * 2).filter(|_| ramp.enter(Some(now), now));
        assert_eq!(entered.count(), FIRST);
        // What it takes is no other's any more.
        let mut ramp = Ramp::new(0.5, Duration::ZERO, 0.0, begin);
        assert!(ramp.enter(Some(now), now));
        assert!(!ramp.enter(None, now));
    }

    /// Many clients, of each of which ten calls wait, in one instant.
    #[test]
    fn a_fleet_that_begins_in_one_instant_is_even_after_the_first_call_of_each() {
        const CLIENTS: usize = 1000;
        let begin = Instant::now();
        let mut left = [0_usize; 100];
        for client in 0..CLIENTS {
            let chance = (client as f64 + 0.5) / CLIENTS as f64;
            let mut ramp = Ramp::new(1.0, Duration::ZERO, chance, begin);
            let mut waiting = 10;
            for millis in (0..10_000).step_by(10) {
                while waiting > 0 && ramp.enter(None, begin + Duration::from_millis(millis)) {
                    waiting -= 1;
                    ramp.leave(Became::Answered);
                    left[millis as usize / 100] += 1;
                }
            }
        }
        let (at_once, then) = left.split_at(10);
        assert_eq!((at_once[0], &at_once[1..]), (CLIENTS, &[0; 9][..]));
        assert!(
            then.iter().all(|left| left.abs_diff(CLIENTS / 10) <= 20),
            "{then:?}"
        );
    }

    #[test]
    fn what_is_offered_now_counts_as_well_and_only_as_long_as_it_is() {
        let now = Instant::now();
        let mut ramp = used_up(0.0, now);
        assert!(!ramp.enter(None, now + STEP * 10_000));
        ramp.offer(load(1000.0, 0.0), now);
        assert!(ramp.enter(None, now + STEP * 10_001));
        ramp.offer(Load::default(), now + STEP * 10_001);
        // Nothing may be saved up any more, beside one call.
        assert_eq!(entered(&mut ramp, now + STEP * 10_001), 1);
        assert!(!ramp.enter(None, now + STEP * 20_000));
    }

    #[test]
    fn those_who_have_waited_go_in_the_time_in_which_they_have_come() {
        for (waiting, seconds) in [(4, 1), (16, 1), (10, 40), (600, 40)] {
            let now = Instant::now();
            let gathered = Duration::from_secs(seconds);
            let mut ramp = Ramp::new(0.0, gathered, 0.0, now);
            ramp.gather(1, None, now);
            ramp.gather(waiting, None, now);
            // Who waits when most have gone is no reason to be slower.
            ramp.gather(1, None, now);
            let mut looks = (0..20_000).map(|look| now + gathered * look / 10_000);
            let mut left = 0;
            let done = looks.find(|now| {
                if ramp.enter(None, *now) {
                    ramp.leave(Became::Answered);
                    left += 1;
                }
                left == waiting
            });
            let took = (done.unwrap() - now).as_secs_f64() / gathered.as_secs_f64();
            let expected = (waiting - 1) as f64 / waiting as f64 / 1.2;
            assert!(
                (took - expected).abs() < 0.02,
                "{waiting}: {took} {expected}"
            );
        }
    }

    /// Ten have come in forty seconds, and as many go on to begin.
    #[test]
    fn who_begins_brings_a_leave_that_the_first_takes() {
        let begin = Instant::now();
        let seconds = |seconds: f64| begin + Duration::from_secs_f64(seconds);
        let mut ramp = Ramp::new(more(0.25), Duration::from_secs(40), 0.5, begin);
        let mut waiting = 10;
        ramp.gather(waiting, None, begin);
        assert!(ramp.enter(None, begin));
        waiting -= 1;
        // One every four seconds; what is looked at in between is time alone.
        let (mut at_once, mut by_time) = (0, 0);
        for look in 1..=1600 {
            let now = seconds(f64::from(look) / 10.0);
            let begins = look % 40 == 0;
            if begins {
                waiting += 1;
                ramp.gather(waiting, Some(now), now);
            }
            ramp.offer(load(more(0.25), 0.25), now);
            while waiting > 0 && ramp.enter(None, now) {
                ramp.leave(Became::Answered);
                waiting -= 1;
                *(if begins { &mut at_once } else { &mut by_time }) += 1;
            }
        }
        // The first one and its delay are paid for by those who come next.
        assert_eq!(at_once, 40 - 3);
        let expected = (160.0 * (0.25 + beside(0.25))) as i32 - 1;
        let left = at_once + by_time;
        assert!((left - expected).abs() <= 1, "{left} of {expected}");
        // An estimate that is a third too large makes nobody go sooner.
        ramp.offer(load(more(0.25) * 1.33, 0.25), seconds(160.0));
        assert_eq!(ramp.beside(), beside(ramp.came));
    }

    /// It brings its leave, and none beside.
    #[test]
    fn who_begins_is_none_of_those_who_had_to_wait() {
        let begin = Instant::now();
        for (waiting, is_new, had_to) in [
            (1, false, 1_usize),
            (5, false, 5),
            (1, true, 0),
            (5, true, 4),
        ] {
            let mut ramp = Ramp::new(0.0, Duration::from_secs(1), 0.0, begin);
            ramp.gather(waiting, is_new.then(|| begin + STEP), begin + STEP);
            assert_eq!(ramp.came, had_to as f64, "{waiting} {is_new}");
        }
    }

    /// Those who wait for an answer begin nothing meanwhile.
    #[test]
    fn where_far_fewer_begin_than_did_as_many_more_leave() {
        let now = Instant::now();
        for (begin, leave) in [(0.0, 100.0), (10.0, 70.0), (30.0, 10.0), (100.0, 0.0)] {
            let mut ramp = ramp(100.0, now);
            ramp.offer(load(0.0, begin), now);
            assert_eq!(ramp.beside(), leave, "{begin}");
            ramp.gather(1, None, now);
            // One in a tenth of a second.
            let came = beside(10.0);
            assert_eq!(ramp.beside(), came.max(leave), "{begin}");
        }
    }

    #[test]
    fn who_waits_knows_how_long_at_least() {
        let now = Instant::now();
        let mut ramp = ramp(100.0, now);
        assert_eq!(ramp.wait(0), Duration::ZERO);
        assert!(ramp.enter(None, now) && !ramp.enter(None, now));
        for (before, millis) in [(0, 10), (99, 1000)] {
            let wait = ramp.wait(before);
            let expected = Duration::from_millis(millis);
            assert!(wait >= expected && wait < expected + MOMENT, "{wait:?}");
        }
        assert!(ramp.enter(None, now + ramp.wait(0)));
        assert!(!ramp.enter(None, now + ramp.wait(0)));
        let never = Ramp::new(0.0, Duration::ZERO, 0.0, now);
        assert_eq!(never.wait(1), Duration::MAX);
        // Those who have gathered in no time go in a tenth of a second.
        let mut crowd = Ramp::new(0.0, Duration::ZERO, 0.0, now);
        crowd.gather(12, None, now);
        assert!(crowd.wait(11) > STEP / 2 && crowd.wait(11) < STEP);
        // Who has come since the ramp began is waited for no longer.
        let mut crowd = used_up(0.0, now);
        crowd.gather(1, Some(now), now);
        assert!(crowd.wait(0) > Duration::ZERO);
        crowd.gather(2, Some(now + MOMENT), now);
        assert_eq!(crowd.wait(0), Duration::ZERO);
        assert!(crowd.wait(1) > Duration::ZERO);
    }

    #[test]
    fn what_did_not_leave_is_as_if_it_had_never_come() {
        let now = Instant::now();
        let mut ramp = ramp(100.0, now);
        assert!(ramp.enter(None, now) && !ramp.enter(None, now));
        ramp.leave(Became::Unsent);
        assert!(ramp.enter(None, now) && !ramp.enter(None, now));
        // No more than may be saved up.
        let later = now + STEP * 20;
        assert!(!ramp.enter(None, now));
        ramp.save(later);
        ramp.leave(Became::Unsent);
        assert_eq!(entered(&mut ramp, later), 11);
    }

    #[test]
    fn a_crowd_is_over_when_less_leaves_than_may_or_nobody_has_waited_for_a_while() {
        let now = Instant::now();
        let crowd = used_up(100.0, now);
        assert!(!crowd.is_over(now + STEP));
        assert!(crowd.is_over(now + STEP * 11 / 10 + MOMENT));
        let mut crowd = used_up(0.0, now);
        assert!(!crowd.is_over(now + QUIET - STEP));
        // Somebody has had to wait.
        assert!(!crowd.enter(None, now + QUIET - STEP));
        assert!(!crowd.is_over(now + QUIET * 2 - STEP * 2));
        assert!(crowd.is_over(now + QUIET * 2 - STEP));
    }

    /// Threads read the clock before they have the lock.
    #[test]
    fn who_comes_with_an_earlier_time_saves_nothing_up_twice() {
        let now = Instant::now();
        let mut ramp = used_up(10.0, now);
        assert!(!ramp.enter(None, now + STEP * 9 / 10));
        assert!(!ramp.enter(None, now));
        assert!(!ramp.enter(None, now + STEP * 9 / 10));
        assert!(ramp.enter(None, now + STEP + MOMENT));
    }
}
