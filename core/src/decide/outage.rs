//! An outage: no endpoint answers. When they are looked at again, and what the looks find.
//!
//! One look for all who wait. The look that has found the outage is its first; the next ones follow
//! after pauses that grow, each with one probe of each endpoint. The first endpoint that answers ends
//! it. Because the same machine asks both over much the same network, the one that calls go to has
//! several times as long as the other one took, so that two that come back together move nobody.

use std::time::{Duration, Instant};

use super::look::{Answer, Asks, Heard, TIMES_THE_OTHER};
use crate::{Probed, Role};

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How much longer than said a pause may be: many clients have met the same outage in one instant.
const JITTER: f64 = 0.25;

/// What an outage was, at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over {
    /// Who answered, and what. `None`: the application has switched by hand.
    pub answered: Option<(Role, Probed)>,
    pub lasted: Duration,
}

#[derive(Debug)]
pub struct Outage {
    began: Instant,
    /// The endpoint that calls go to.
    this: Side,
    /// `None`: there is no other one…
    other: Option<Side>,
    /// …any more: what was known of it. It may answer yet what it was asked.
    lost: Option<Side>,
    /// How often the endpoints were looked at.
    looks: u32,
    /// After how many of these a call was tried last.
    tried: u32,
    /// There is a reason to look again soon after the look that is under way.
    hastens: bool,
    step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The last look was over then, and the next one begins then.
    Pausing { since: Instant, next: Instant },
    /// A look has begun then.
    Looking(Instant),
    /// An endpoint has answered, then.
    Over(Role, Probed, Instant),
}

/// What is known of an endpoint within one look.
#[derive(Clone, Copy, Debug)]
struct Side {
    role: Role,
    from_provider: bool,
    has_renewed: bool,
    state: Said,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Asked,
    /// Nothing that would be enough; perhaps when to come again.
    Silent(Option<Duration>),
    /// What it has answered, and how long it took.
    Answered(Probed, Duration),
}

impl Outage {
    /// It was just found. Tells when the endpoints are looked at next.
    pub fn new(role: Role, has_other: bool, now: Instant, chance: f64) -> (Outage, Instant) {
        let next = now + pause(1, chance);
        let outage = Outage {
            began: now,
            this: Side::new(role),
            other: has_other.then(|| Side::new(role.other())),
            lost: None,
            looks: 1,
            tried: 0,
            hastens: false,
            step: Step::Pausing { since: now, next },
        };
        (outage, next)
    }

    /// How long it has lasted: until an endpoint has answered.
    pub fn lasted(&self, now: Instant) -> Duration {
        let end = match self.step {
            Step::Over(_, _, at) => at,
            _ => now,
        };
        end.saturating_duration_since(self.began)
    }

    /// What it was, if it ends now.
    pub fn over(&self, now: Instant) -> Over {
        Over {
            answered: self.answered(),
            lasted: self.lasted(now),
        }
    }

    /// A call that has waited long enough, and of which nothing was sent, would go in spite of it: one
    /// for each look may. Probes may be refused where calls are not.
    pub fn tries(&mut self) -> bool {
        let may_try = self.answered().is_none() && self.tried < self.looks;
        if may_try {
            self.tried = self.looks;
        }
        may_try
    }

    /// Such a call was answered.
    pub fn is_answered(&mut self, now: Instant) {
        if self.answered().is_none() {
            self.step = Step::Over(self.this.role, Probed::Reachable, now);
        }
    }

    /// A call that was sent before is answered, or another process has gone elsewhere: a reason to look,
    /// and no proof. Who drains a connection answers on it and takes no other.
    pub fn hints(&mut self, now: Instant) {
        match &mut self.step {
            Step::Pausing { since, next } => *next = (*since + FIRST_PAUSE).max(now).min(*next),
            Step::Looking(_) => self.hastens = true,
            Step::Over(..) => {}
        }
    }

    /// There is another endpoint after all. It is asked at once, or by a look soon after this one.
    pub fn gains_other(&mut self, now: Instant) {
        match &mut self.step {
            Step::Pausing { next, .. } => *next = now.min(*next),
            Step::Looking(_) => self.hastens = true,
            Step::Over(..) => {}
        }
        let known = self.lost.take();
        let known = known.unwrap_or_else(|| Side::new(self.this.role.other()));
        self.other.get_or_insert(Side {
            state: Said::Silent(None),
            ..known
        });
    }

    /// The other endpoint is none to go to any more.
    pub fn loses_other(&mut self) {
        self.lost = self.other.take().or(self.lost);
    }

    pub fn looks(&self) -> u32 {
        self.looks
    }

    /// Who has answered, and what.
    pub fn answered(&self) -> Option<(Role, Probed)> {
        match self.step {
            Step::Over(role, probed, _) => Some((role, probed)),
            _ => None,
        }
    }

    /// Takes what was heard. Tells what is to be done.
    pub fn hear(&mut self, heard: Heard, now: Instant, chance: f64) -> Vec<Asks> {
        let mut asks = Vec::new();
        match self.step {
            Step::Over(..) => {}
            Step::Pausing { next, .. } if heard == Heard::Woken && now >= next => {
                self.step = Step::Looking(now);
                self.looks += 1;
                self.hastens = false;
                let sides = [Some(&mut self.this), self.other.as_mut()];
                for side in sides.into_iter().flatten() {
                    *side = Side::new(side.role);
                    asks.push(Asks::Authorize(side.role));
                }
            }
            Step::Pausing { next, .. } => asks.push(Asks::Wake(next)),
            Step::Looking(begun) => {
                let took = now.saturating_duration_since(begun);
                let is_this = heard.role() == Some(self.this.role);
                let side = if is_this {
                    Some(&mut self.this)
                } else {
                    self.other
                        .as_mut()
                        .filter(|other| heard.role() == Some(other.role))
                };
                // An answer is enough from where calls go; who would be gone to must let them in.
                asks.extend(side.and_then(|side| side.hear(heard, !is_this, took)));
                asks.extend(self.decide(begun, now, chance).map(Asks::Wake));
            }
        }
        asks
    }

    /// What the look comes to. Tells when to come again, if that is not what is waited for anyway.
    fn decide(&mut self, begun: Instant, now: Instant, chance: f64) -> Option<Instant> {
        let other = self.other.map_or(Said::Silent(None), |other| other.state);
        match (self.this.state, other) {
            (Said::Answered(probed, _), _) => {
                self.step = Step::Over(self.this.role, probed, now);
            }
            (Said::Asked, Said::Answered(_, took)) if now < begun + took * TIMES_THE_OTHER => {
                return Some(begun + took * TIMES_THE_OTHER);
            }
            (_, Said::Answered(probed, _)) => {
                self.step = Step::Over(self.this.role.other(), probed, now);
            }
            (Said::Silent(_), Said::Silent(told)) => {
                let looks = if self.hastens { 1 } else { self.looks };
                // It tells all the same time, as it does those whose calls it turns away.
                let told = told.map(|time| time.mul_f64(1.0 + chance).max(FIRST_PAUSE));
                let pause = pause(looks, chance);
                let next = now + told.map_or(pause, |told| told.min(pause));
                self.step = Step::Pausing { since: now, next };
                return Some(next);
            }
            _ => {}
        }
        None
    }
}

impl Side {
    fn new(role: Role) -> Side {
        Side {
            role,
            from_provider: false,
            has_renewed: false,
            state: Said::Asked,
        }
    }

    fn hear(&mut self, heard: Heard, must_serve: bool, took: Duration) -> Option<Asks> {
        match heard {
            Heard::Authorized { from_provider, .. } => {
                self.from_provider = from_provider;
                return Some(Asks::Probe(self.role));
            }
            // Whoever has credentials for it must be let in. These may have expired.
            Heard::Probed(_, Answer::Came(Probed::Reachable))
                if must_serve && self.from_provider =>
            {
                if !self.has_renewed {
                    self.has_renewed = true;
                    return Some(Asks::Renew(self.role));
                }
                self.state = Said::Silent(None);
            }
            // Nor is one gone to that turns them away, and what it lacks is no better token.
            Heard::Probed(_, Answer::Busy(told)) if must_serve && self.from_provider => {
                self.state = Said::Silent(told);
            }
            Heard::Probed(_, Answer::Busy(_)) => {
                self.state = Said::Answered(Probed::Reachable, took);
            }
            Heard::Probed(_, Answer::Came(probed)) => self.state = Said::Answered(probed, took),
            // Where calls go anyway they may be served all the same.
            Heard::Probed(_, Answer::Odd) if !must_serve => {
                self.state = Said::Answered(Probed::Reachable, took);
            }
            // Who could not ask has learnt nothing, and asks again.
            Heard::Probed(..) | Heard::NoToken(_) => self.state = Said::Silent(None),
            Heard::Woken => {}
        }
        None
    }
}

/// How long to wait after so many looks. `chance` is from 0 to 1.
fn pause(looks: u32, chance: f64) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1u32.checked_shl(looks - 1).unwrap_or(u32::MAX));
    doubled.min(LONGEST_PAUSE).mul_f64(1.0 + JITTER * chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Role = Role::Primary;
    const THERE: Role = Role::Alternate;
    const MILLI: Duration = Duration::from_millis(1);

    struct World {
        outage: Outage,
        now: Instant,
    }

    impl World {
        fn new(has_other: bool) -> World {
            let now = Instant::now();
            let (outage, next) = Outage::new(HERE, has_other, now, 0.0);
            assert_eq!(next, now + FIRST_PAUSE);
            World { outage, now }
        }

        fn hear(&mut self, heard: Heard) -> Vec<Asks> {
            self.outage.hear(heard, self.now, 0.0)
        }

        /// Waits for the next look, and has its endpoints asked.
        fn look(&mut self, next: Instant) {
            self.now = next;
            for asks in self.hear(Heard::Woken) {
                let Asks::Authorize(role) = asks else {
                    panic!("{asks:?}");
                };
                assert_eq!(self.hear(authorized(role)), [Asks::Probe(role)]);
            }
        }

        fn first_look(has_other: bool) -> World {
            let mut world = World::new(has_other);
            world.look(world.now + FIRST_PAUSE);
            world
        }
    }

    fn authorized(role: Role) -> Heard {
        Heard::Authorized {
            role,
            from_provider: true,
        }
    }

    fn came(role: Role, probed: Probed) -> Heard {
        Heard::Probed(role, Answer::Came(probed))
    }

    #[test]
    fn the_pauses_grow_to_five_seconds_and_jitter_makes_none_shorter() {
        let pauses = [500, 1000, 2000, 4000, 5000, 5000].map(Duration::from_millis);
        for (looks, expected) in (1..).zip(pauses) {
            assert_eq!(pause(looks, 0.0), expected);
            assert_eq!(pause(looks, 1.0), expected * 5 / 4);
        }
        for looks in [31, 32, 33, 34, u32::MAX] {
            assert_eq!(pause(looks, 0.0), LONGEST_PAUSE);
        }
    }

    #[test]
    fn each_look_probes_each_endpoint_once_and_the_next_comes_after_its_pause() {
        let mut world = World::first_look(true);
        for (looks, pause) in [(2, 1000), (3, 2000), (4, 4000), (5, 5000), (6, 5000)] {
            assert_eq!(world.outage.looks(), looks);
            world.now += MILLI * 7;
            assert_eq!(world.hear(Heard::Probed(HERE, Answer::Silent)), []);
            let next = world.now + Duration::from_millis(pause);
            let silent = Heard::Probed(THERE, Answer::Silent);
            assert_eq!(world.hear(silent), [Asks::Wake(next)]);
            // Not before its time.
            assert_eq!(world.hear(Heard::Woken), [Asks::Wake(next)]);
            assert_eq!(world.outage.answered(), None);
            world.look(next);
        }
    }

    #[test]
    fn the_first_that_answers_ends_it() {
        let mut world = World::first_look(true);
        assert_eq!(world.hear(came(HERE, Probed::Reachable)), []);
        let here = Some((HERE, Probed::Reachable));
        assert_eq!(world.outage.answered(), here);
        assert_eq!(world.outage.lasted(world.now), FIRST_PAUSE);

        let mut world = World::first_look(true);
        world.hear(Heard::Probed(HERE, Answer::Silent));
        world.hear(came(THERE, Probed::Serves));
        assert_eq!(world.outage.answered(), Some((THERE, Probed::Serves)));
    }

    #[test]
    fn where_calls_go_has_several_times_as_long_as_the_other_one_took() {
        let mut world = World::first_look(true);
        let begun = world.now;
        world.now += MILLI * 10;
        let end = begun + MILLI * 40;
        let wake = [Asks::Wake(end)];
        assert_eq!(world.hear(came(THERE, Probed::Serves)), wake);
        assert_eq!(world.outage.answered(), None);
        let mut both = World {
            now: end - MILLI,
            ..world
        };
        assert_eq!(both.hear(Heard::Woken), wake);
        both.now = end;
        both.hear(Heard::Woken);
        assert_eq!(both.outage.answered(), Some((THERE, Probed::Serves)));

        let mut world = World::first_look(true);
        world.now += MILLI * 10;
        world.hear(came(THERE, Probed::Serves));
        world.hear(came(HERE, Probed::Serves));
        assert_eq!(world.outage.answered(), Some((HERE, Probed::Serves)));
    }

    #[test]
    fn who_would_be_gone_to_must_let_the_provider_s_token_in() {
        let mut world = World::first_look(true);
        world.hear(Heard::Probed(HERE, Answer::Silent));
        let reachable = came(THERE, Probed::Reachable);
        assert_eq!(world.hear(reachable), [Asks::Renew(THERE)]);
        assert_eq!(world.hear(authorized(THERE)), [Asks::Probe(THERE)]);
        let pausing = world.hear(reachable);
        assert!(matches!(pausing[..], [Asks::Wake(_)]), "{pausing:?}");
        assert_eq!(world.outage.answered(), None);
    }

    #[test]
    fn who_could_not_be_asked_has_not_answered() {
        let mut world = World::first_look(true);
        world.hear(Heard::Probed(HERE, Answer::NotAsked));
        let pausing = world.hear(Heard::NoToken(THERE));
        assert!(matches!(pausing[..], [Asks::Wake(_)]), "{pausing:?}");
    }

    #[test]
    fn a_service_that_answers_with_a_fault_is_there_but_nowhere_to_go() {
        let mut world = World::first_look(true);
        world.hear(Heard::Probed(THERE, Answer::Odd));
        assert_eq!(world.outage.answered(), None);
        world.hear(Heard::Probed(HERE, Answer::Odd));
        assert_eq!(world.outage.answered(), Some((HERE, Probed::Reachable)));
    }

    #[test]
    fn one_call_for_each_look_is_tried_and_its_answer_ends_it() {
        let mut world = World::new(true);
        assert!(world.outage.tries());
        assert!(!world.outage.tries());
        world.look(world.now + FIRST_PAUSE);
        assert!(world.outage.tries());
        world.outage.is_answered(world.now);
        assert_eq!(world.outage.answered(), Some((HERE, Probed::Reachable)));
        assert!(!world.outage.tries());
    }

    #[test]
    fn an_answer_to_a_call_that_was_sent_before_has_the_next_look_begin() {
        let mut world = World::first_look(true);
        let pausing = |world: &mut World| {
            world.hear(Heard::Probed(HERE, Answer::Silent));
            match world.hear(Heard::Probed(THERE, Answer::Silent))[..] {
                [Asks::Wake(next)] => next,
                ref asks => panic!("{asks:?}"),
            }
        };
        for _ in 0..4 {
            let next = pausing(&mut world);
            world.look(next);
        }
        let begun = world.now;
        let next = pausing(&mut world);
        assert_eq!(next, begun + LONGEST_PAUSE);
        // Many answers are one reason, and no look follows another one at once.
        for at in [begun, begun + MILLI] {
            world.now = at;
            world.outage.hints(at);
            let wake = [Asks::Wake(begun + FIRST_PAUSE)];
            assert_eq!(world.hear(Heard::Woken), wake);
        }
        world.now = begun + FIRST_PAUSE * 3;
        world.outage.hints(world.now);
        world.look(world.now);
        // One that comes while it is looked is a reason to look again; the pause after that is a long one.
        world.outage.hints(world.now);
        let next = pausing(&mut world);
        assert_eq!(next, world.now + FIRST_PAUSE);
        world.look(next);
        assert_eq!(pausing(&mut world), world.now + LONGEST_PAUSE);
        // It puts none off, and ends nothing by itself.
        world.now += LONGEST_PAUSE - MILLI;
        world.outage.hints(world.now);
        world.look(world.now);
        assert_eq!(world.outage.answered(), None);
    }

    #[test]
    fn who_asks_for_less_is_asked_again_when_he_has_said_and_for_no_other_token() {
        let seconds = Duration::from_secs;
        // What he asks for, and how long it is until the next look, after one look and after many.
        for (told, first, later) in [
            (None, seconds(1), LONGEST_PAUSE),
            (Some(Duration::ZERO), FIRST_PAUSE, FIRST_PAUSE),
            (Some(seconds(2)), seconds(1), seconds(2)),
            (Some(seconds(60)), seconds(1), LONGEST_PAUSE),
        ] {
            let mut world = World::first_look(true);
            let busy = Heard::Probed(THERE, Answer::Busy(told));
            for expected in [first, later] {
                assert_eq!(world.hear(Heard::Probed(HERE, Answer::Silent)), []);
                let next = world.now + expected;
                assert_eq!(world.hear(busy), [Asks::Wake(next)], "{told:?}");
                for _ in 0..5 {
                    world.look(world.now + LONGEST_PAUSE);
                    world.hear(Heard::Probed(HERE, Answer::Silent));
                    world.hear(Heard::Probed(THERE, Answer::Silent));
                }
                world.look(world.now + LONGEST_PAUSE);
            }
            // Many are told the same.
            world.outage.hear(busy, world.now, 1.0);
            let silent = Heard::Probed(HERE, Answer::Silent);
            let wake = world.outage.hear(silent, world.now, 1.0);
            let spread = told.map_or(LONGEST_PAUSE * 2, |told| (told * 2).max(FIRST_PAUSE));
            let spread = spread.min(LONGEST_PAUSE * 5 / 4);
            assert_eq!(wake, [Asks::Wake(world.now + spread)], "{told:?}");
            // Where calls go anyway, and without a token, he is there.
            for (role, from_provider) in [(HERE, true), (THERE, false)] {
                let mut world = World::new(true);
                world.now += FIRST_PAUSE;
                world.hear(Heard::Woken);
                world.hear(Heard::Authorized {
                    role,
                    from_provider,
                });
                world.hear(Heard::Probed(role.other(), Answer::Silent));
                world.hear(Heard::Probed(role, Answer::Busy(told)));
                let answered = Some((role, Probed::Reachable));
                assert_eq!(world.outage.answered(), answered, "{told:?}");
            }
        }
    }

    #[test]
    fn its_time_ends_with_the_answer() {
        let mut world = World::first_look(true);
        world.hear(came(HERE, Probed::Serves));
        let over = Over {
            answered: Some((HERE, Probed::Serves)),
            lasted: FIRST_PAUSE,
        };
        assert_eq!(world.outage.over(world.now + LONGEST_PAUSE), over);
    }

    #[test]
    fn an_alternate_that_becomes_known_is_asked_at_once() {
        let mut world = World::new(false);
        world.now += MILLI;
        world.outage.gains_other(world.now);
        world.look(world.now);
        world.hear(Heard::Probed(HERE, Answer::Silent));
        world.hear(came(THERE, Probed::Serves));
        assert_eq!(world.outage.answered(), Some((THERE, Probed::Serves)));
        // A look that is under way goes on without it, and the next one is no later than the second.
        let mut world = World::first_look(false);
        world.outage.gains_other(world.now);
        let silent = Heard::Probed(HERE, Answer::Silent);
        let next = world.now + FIRST_PAUSE;
        assert_eq!(world.hear(silent), [Asks::Wake(next)]);
        world.look(next);
        world.hear(silent);
        world.hear(came(THERE, Probed::Serves));
        assert_eq!(world.outage.answered(), Some((THERE, Probed::Serves)));
    }

    #[test]
    fn one_endpoint_alone_is_looked_at_alike() {
        let mut world = World::first_look(false);
        let next = world.now + Duration::from_secs(1);
        let silent = Heard::Probed(HERE, Answer::Silent);
        assert_eq!(world.hear(silent), [Asks::Wake(next)]);
        world.look(next);
        world.hear(came(HERE, Probed::Serves));
        assert_eq!(world.outage.answered(), Some((HERE, Probed::Serves)));
    }
}
