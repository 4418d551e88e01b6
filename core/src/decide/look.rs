//! A look at the endpoints before one is left: which probes are sent when, and what they tell.
//!
//! A dead endpoint is one that answers neither of two probes, the second on a connection of its own.
//! How long it has depends on how fast it was connected to before; and because the same machine asks
//! both endpoints over much the same network, it has several times as long as the other one took.

use std::time::{Duration, Instant};

use crate::{Order, Probed, Role};

/// An endpoint that does not answer is dead after so many times its best connect time…
const CONNECTS: u32 = 100;
/// …but not before this.
const SHORTEST: Duration = Duration::from_millis(400);
/// How many times as long as the other endpoint took this one has.
pub(super) const TIMES_THE_OTHER: u32 = 4;

/// Why an endpoint is not left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stay {
    /// It answers.
    Alive,
    /// The other one does not answer.
    OtherSilent,
    /// The other one could not be asked: there was no token for it.
    OtherUnasked,
    /// It answers, and no other one does…
    Alone,
    /// …or could be asked.
    AloneUnasked,
    /// No endpoint answers, and that is waited out.
    Outage,
    /// Only the application leads back from it.
    ByHand,
    /// A handler has vetoed.
    Vetoed,
    /// Auto-switch is off.
    Off,
    /// The operator says so.
    Ordered(Order),
    /// What was to be found out is found out by another inquiry now: ask again.
    Superseded,
}

impl Stay {
    /// Whether nothing is known for the other endpoint; else, something against leaving this one.
    pub fn is_of_other(self) -> bool {
        matches!(
            self,
            Stay::OtherSilent
                | Stay::OtherUnasked
                | Stay::Alone
                | Stay::AloneUnasked
                | Stay::Outage
        )
    }

    /// Completes the sentence of an error.
    pub fn why(self) -> &'static str {
        match self {
            Stay::Alive => "the endpoint answers a probe, so it was not left",
            Stay::OtherSilent => "the other endpoint does not answer a probe either",
            Stay::OtherUnasked => {
                "the token provider gave no token for the other endpoint in time, so that it could \
                 not be probed"
            }
            Stay::Alone => {
                "the endpoint answers a probe, and the other one, if there is one, does not"
            }
            Stay::AloneUnasked => {
                "the endpoint answers a probe, and the token provider gave no token for the other \
                 one in time, so that it could not be probed"
            }
            Stay::Outage => "no endpoint answers a probe",
            Stay::ByHand => {
                "only the application leads back from the alternate: failback is manual"
            }
            Stay::Vetoed => "a handler vetoed the switch",
            Stay::Off => "auto-switch is off",
            Stay::Ordered(order) => order.why(),
            Stay::Superseded => "what became of it is not known",
        }
    }
}

/// What is to be found out before calls go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// They begin where others are on record to go: no write goes before a look.
    AtRecord,
    /// An old record says that others were elsewhere: nobody goes before a look.
    InSpiteOfRecord,
}

impl First {
    /// Whether a call waits for it. A read may be asked anywhere.
    pub(super) fn holds(self, is_write: bool) -> bool {
        is_write || self == First::InSpiteOfRecord
    }

    /// Whether calls are where the record says.
    pub(super) fn is_at_record(self) -> bool {
        self == First::AtRecord
    }
}

/// What a look has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The endpoint stays.
    Stay(Stay),
    /// It may be left. What the other one answered; `None`: it was not asked.
    Go(Option<Probed>),
}

/// What is to be done for a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// Get what a probe says as `Authorization`.
    Authorize(Role),
    /// Send a probe, on a connection of its own.
    Probe(Role),
    /// The endpoint has not let its `Authorization` in: get a new one.
    Renew(Role),
    /// Come again then.
    Wake(Instant),
}

/// What a look hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The `Authorization` for an endpoint is there. `from_provider`: it was made for it.
    Authorized { role: Role, from_provider: bool },
    /// The token provider has given none in time.
    NoToken(Role),
    /// A probe has ended.
    Probed(Role, Answer),
    /// The time that was asked for has come.
    Woken,
}

impl Heard {
    /// Which endpoint it is about.
    pub(super) fn role(self) -> Option<Role> {
        match self {
            Heard::Authorized { role, .. } | Heard::NoToken(role) | Heard::Probed(role, _) => {
                Some(role)
            }
            Heard::Woken => None,
        }
    }
}

/// How a probe has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Came(Probed),
    /// The service asks for less: it is there, and says no more; perhaps when to come again.
    Busy(Option<Duration>),
    /// Who cannot ask has learnt nothing.
    NotAsked,
    /// The service itself has answered, with a fault: it does not serve what was asked.
    Odd,
    Silent,
}

/// How far the probes of the endpoint that may be left have got.
#[derive(Clone, Copy, Debug, Default)]
pub struct Glance {
    /// The shortest time in which it was connected to.
    pub best_connect: Option<Duration>,
    pub has_connected: bool,
    /// How long silent addresses have held up living ones.
    pub head_starts: Duration,
}

#[derive(Debug)]
pub struct Look {
    role: Role,
    /// How long a probe is waited for.
    probe_timeout: Duration,
    this: This,
    other: Other,
}

#[derive(Debug)]
struct This {
    is_wanted: bool,
    /// When its first probe was sent, and when the second one is due.
    begun: Option<(Instant, Instant)>,
    has_second: bool,
    failed: u8,
    is_dead: bool,
    /// The service has answered, whatever it was.
    is_there: bool,
}

#[derive(Debug)]
struct Other {
    is_wanted: bool,
    from_provider: bool,
    has_renewed: bool,
    is_asked: bool,
    answered: Option<(Result<Probed, Stay>, Instant)>,
}

impl Look {
    /// A look whether `role` answers (`this`), whether the other one does (`other`), or both.
    pub fn new(role: Role, this: bool, other: bool, probe_timeout: Duration) -> Look {
        Look {
            role,
            probe_timeout,
            this: This {
                is_wanted: this,
                begun: None,
                has_second: false,
                failed: 0,
                is_dead: false,
                is_there: false,
            },
            other: Other {
                is_wanted: other,
                from_provider: false,
                has_renewed: false,
                is_asked: false,
                answered: None,
            },
        }
    }

    /// What to begin with; nothing: there is nothing to look at.
    pub fn begin(&self) -> Option<Asks> {
        if self.this.is_wanted {
            Some(Asks::Authorize(self.role))
        } else if self.other.is_wanted {
            Some(Asks::Authorize(self.role.other()))
        } else {
            None
        }
    }

    /// Whether the endpoint's service has answered, if only with a fault: that is no outage.
    pub fn is_there(&self) -> bool {
        self.this.is_there
    }

    /// Whether it has looked at the endpoint itself.
    pub fn has_seen_this(&self) -> bool {
        self.this.is_wanted
    }

    /// Whether it is only the other endpoint's answer that is waited for, and no token.
    pub fn asks_only_other(&self) -> bool {
        !self.this.is_wanted && self.other.is_asked
    }

    /// Takes what was heard. Tells what is to be done.
    pub fn hear(&mut self, heard: Heard, glance: Glance, now: Instant) -> Vec<Asks> {
        let mut asks = Vec::new();
        let this = &mut self.this;
        match heard {
            // What was waited for before the endpoint is asked is no silence of its.
            Heard::Authorized { role, .. } | Heard::NoToken(role) if role == self.role => {
                let second = now + window(self.probe_timeout, glance) / 3;
                this.begun = Some((now, second));
                asks.push(Asks::Probe(role));
                if self.other.is_wanted {
                    asks.push(Asks::Authorize(role.other()));
                }
            }
            Heard::Authorized {
                role,
                from_provider,
            } => {
                self.other.from_provider = from_provider;
                self.other.is_asked = true;
                asks.push(Asks::Probe(role));
            }
            Heard::NoToken(_) => self.other.answered = Some((Err(Stay::OtherUnasked), now)),
            Heard::Probed(role, answer @ (Answer::Silent | Answer::Odd)) if role == self.role => {
                this.is_there |= answer == Answer::Odd;
                this.failed += 1;
                this.is_dead |= this.failed == 2;
                asks.extend(this.second(role));
            }
            // It answers: `found` says so.
            Heard::Probed(role, _) if role == self.role => this.failed = u8::MAX,
            Heard::Probed(role, answer) => match self.other.hear(answer) {
                Some(answered) => self.other.answered = Some((answered, now)),
                None => asks.push(Asks::Renew(role)),
            },
            Heard::Woken => {
                if this.begun.is_some_and(|(_, second)| now >= second) {
                    asks.extend(this.second(self.role));
                }
            }
        }
        asks.extend(self.wait_for_this(glance, now).map(Asks::Wake));
        asks
    }

    /// When this one is asked again, or is found dead.
    fn wait_for_this(&mut self, glance: Glance, now: Instant) -> Option<Instant> {
        let (begun, second) = self.this.begun.filter(|_| !self.this.is_dead)?;
        let second = (!self.this.has_second).then_some(second);
        let Some((_, answered)) = self.other.answered else {
            return second;
        };
        // The other one has answered. Where a connection came about meanwhile, the answer gets its
        // time.
        let window = window(self.probe_timeout, glance);
        let end = begun + window.max((answered - begun) * TIMES_THE_OTHER);
        self.this.is_dead = now >= end;
        (!self.this.is_dead).then(|| second.map_or(end, |second| second.min(end)))
    }

    /// What it has found, if that is known by now.
    pub fn found(&self) -> Option<Found> {
        if self.this.failed == u8::MAX {
            return Some(Found::Stay(Stay::Alive));
        }
        if self.this.is_wanted && !self.this.is_dead {
            return None;
        }
        if !self.other.is_wanted {
            return Some(Found::Go(None));
        }
        self.other.answered.map(|(answered, _)| match answered {
            Ok(probed) => Found::Go(Some(probed)),
            Err(stay) => Found::Stay(stay),
        })
    }
}

impl This {
    fn second(&mut self, role: Role) -> Option<Asks> {
        let is_due = !self.has_second && self.failed != u8::MAX;
        self.has_second = true;
        is_due.then_some(Asks::Probe(role))
    }
}

impl Other {
    /// What its answer comes to. `None`: it is to be asked again.
    fn hear(&mut self, answer: Answer) -> Option<Result<Probed, Stay>> {
        match answer {
            // Whoever has credentials for it must be let in. These may have expired.
            Answer::Came(Probed::Reachable) if self.from_provider => {
                if self.has_renewed {
                    return Some(Err(Stay::OtherSilent));
                }
                self.has_renewed = true;
                self.is_asked = false;
                None
            }
            // Nor is one gone to that turns away whom it knows: what is asked then is no better token.
            Answer::Busy(_) if self.from_provider => Some(Err(Stay::OtherSilent)),
            Answer::Busy(_) => Some(Ok(Probed::Reachable)),
            Answer::Came(probed) => Some(Ok(probed)),
            Answer::NotAsked | Answer::Odd | Answer::Silent => Some(Err(Stay::OtherSilent)),
        }
    }
}

/// How long an endpoint has to answer one of two probes: little to be connected to, and all of
/// `probe_timeout` once it is.
fn window(probe_timeout: Duration, glance: Glance) -> Duration {
    let most = probe_timeout + glance.head_starts;
    match glance.best_connect {
        Some(best) if !glance.has_connected => {
            ((best * CONNECTS).max(SHORTEST) + glance.head_starts).min(most)
        }
        _ => most,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const HERE: Role = Role::Primary;

    fn authorized() -> Heard {
        Heard::Authorized {
            role: HERE,
            from_provider: false,
        }
    }

    #[test]
    fn a_look_at_one_endpoint_waits_for_both_of_its_probes() {
        let now = Instant::now();
        let mut look = Look::new(HERE, true, false, SECOND);
        assert_eq!(look.begin(), Some(Asks::Authorize(HERE)));
        look.hear(authorized(), Glance::default(), now);
        let silent = Heard::Probed(HERE, Answer::Silent);
        let second = look.hear(silent, Glance::default(), now + SECOND);
        assert_eq!(second, [Asks::Probe(HERE)]);
        assert_eq!(look.found(), None);
        look.hear(silent, Glance::default(), now + SECOND * 2);
        assert_eq!(look.found(), Some(Found::Go(None)));
    }

    #[test]
    fn the_other_endpoint_must_let_in_only_whom_it_knows() {
        let now = Instant::now();
        let there = HERE.other();
        let reachable = Heard::Probed(there, Answer::Came(Probed::Reachable));
        for from_provider in [false, true] {
            let mut look = Look::new(HERE, false, true, SECOND);
            let authorized = Heard::Authorized {
                role: there,
                from_provider,
            };
            let mut hear = |heard| look.hear(heard, Glance::default(), now);
            assert_eq!(hear(authorized), [Asks::Probe(there)]);
            let mut expected = Found::Go(Some(Probed::Reachable));
            let asks = hear(reachable);
            if from_provider {
                assert_eq!(asks, [Asks::Renew(there)]);
                assert_eq!(hear(authorized), [Asks::Probe(there)]);
                assert_eq!(hear(reachable), []);
                expected = Found::Stay(Stay::OtherSilent);
            } else {
                assert_eq!(asks, []);
            }
            assert_eq!(look.found(), Some(expected), "{from_provider}");
        }
    }

    #[test]
    fn who_asks_for_less_is_there_and_needs_no_better_token() {
        let now = Instant::now();
        for (role, from_provider, expected) in [
            (HERE, true, Found::Stay(Stay::Alive)),
            (HERE.other(), true, Found::Stay(Stay::OtherSilent)),
            (HERE.other(), false, Found::Go(Some(Probed::Reachable))),
        ] {
            let mut look = Look::new(HERE, role == HERE, role != HERE, SECOND);
            let mut hear = |heard| look.hear(heard, Glance::default(), now);
            hear(Heard::Authorized {
                role,
                from_provider,
            });
            let busy = Heard::Probed(role, Answer::Busy(Some(SECOND)));
            let asks_more = |asks: &Asks| !matches!(asks, Asks::Wake(_));
            assert!(!hear(busy).iter().any(asks_more), "{role:?}");
            assert_eq!(look.found(), Some(expected), "{role:?} {from_provider}");
        }
    }

    #[test]
    fn who_cannot_ask_has_learnt_nothing() {
        let mut look = Look::new(HERE, true, false, SECOND);
        look.hear(authorized(), Glance::default(), Instant::now());
        let heard = Heard::Probed(HERE, Answer::NotAsked);
        look.hear(heard, Glance::default(), Instant::now());
        assert_eq!(look.found(), Some(Found::Stay(Stay::Alive)));
    }

    #[test]
    fn the_time_to_be_connected_to_is_short_where_it_was_and_all_of_it_once_it_is() {
        let best = |millis| Glance {
            best_connect: Some(Duration::from_millis(millis)),
            ..Glance::default()
        };
        assert_eq!(window(SECOND, Glance::default()), SECOND);
        assert_eq!(window(SECOND, best(1)), SHORTEST);
        assert_eq!(window(SECOND, best(6)), Duration::from_millis(600));
        assert_eq!(window(SECOND, best(60)), SECOND);
        let connected = Glance {
            has_connected: true,
            ..best(1)
        };
        assert_eq!(window(SECOND, connected), SECOND);
        let held_up = Glance {
            head_starts: SECOND / 4,
            ..best(1)
        };
        assert_eq!(window(SECOND, held_up), SHORTEST + SECOND / 4);
        let never_connected = Glance {
            best_connect: None,
            ..held_up
        };
        assert_eq!(window(SECOND, never_connected), SECOND * 5 / 4);
    }

    #[test]
    fn each_reason_is_told_in_words_of_its_own() {
        use Stay::{
            Alive, Alone, AloneUnasked, ByHand, Off, OtherSilent, OtherUnasked, Outage, Superseded,
            Vetoed,
        };
        let all = [
            Alive,
            OtherSilent,
            OtherUnasked,
            Alone,
            AloneUnasked,
            Outage,
            ByHand,
            Vetoed,
            Off,
            Superseded,
        ];
        let words: HashSet<&str> = all.map(Stay::why).into_iter().collect();
        assert_eq!(words.len(), all.len());
        assert!(!words.contains(""));
    }

    #[test]
    fn nothing_to_look_at_is_found_at_once() {
        let look = Look::new(HERE, false, false, SECOND);
        assert_eq!(look.begin(), None);
        assert_eq!(look.found(), Some(Found::Go(None)));
    }
}
