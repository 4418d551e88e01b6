//! A client that goes by others' rules: its calls, while a policy says where they go and what comes
//! after a failure.

use std::collections::HashMap;
use std::time::Duration;

use d365_failover_core::{Operation, Role};

use super::{Client, Timer};
use crate::outcome::Outcome;
use crate::truth::Told;
use crate::world::World;

/// How long an attempt is waited for: what applications commonly set.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// A call that has failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tried {
    pub(super) operation: Operation,
    /// How often it was sent.
    pub(super) attempts: u32,
    /// Where the last time.
    pub(super) at: Role,
    pub(super) outcome: Outcome,
}

/// What comes after a failure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Then {
    /// The application gets the error.
    End,
    /// It is sent again after a pause, to where the policy says then.
    Again(Duration),
}

/// Where a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    To(Role),
    /// Nowhere yet: until something changes, at most so long.
    Wait(Duration),
    /// Nowhere: it fails.
    Nowhere,
}

/// What a policy has heard changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Who waits may go.
    pub(super) lets_go: bool,
    /// What is under way there is broken off.
    pub(super) breaks_off: Option<Role>,
}

pub(super) trait Policy {
    /// At the beginning.
    fn starts(&mut self, _client: u32, _: &mut World<'_>) {}
    /// Where a call goes that was sent so often.
    fn goes(&mut self, attempts: u32, client: u32, world: &mut World<'_>) -> Where;
    /// An attempt was answered.
    fn answered(&mut self, _: Role) {}
    /// One has failed.
    fn failed(&mut self, tried: &Tried, client: u32, world: &mut World<'_>) -> Then;
    /// A probe has ended.
    fn probed(&mut self, _: u32, _: Outcome, _client: u32, _: &mut World<'_>) -> News {
        News::default()
    }
    /// It is the time that was asked for.
    fn woken(&mut self, _: u32, _client: u32, _: &mut World<'_>) -> News {
        News::default()
    }
}

pub(super) struct Rival<P> {
    id: u32,
    policy: P,
    calls: HashMap<u32, Try>,
    /// Who waits for something to change.
    waiting: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Try {
    attempts: u32,
    at: Role,
    attempt: Option<u32>,
    is_in_doubt: bool,
}

impl<P: Policy> Rival<P> {
    pub(super) fn new(id: u32, policy: P) -> Rival<P> {
        Rival {
            id,
            policy,
            calls: HashMap::new(),
            waiting: Vec::new(),
        }
    }

    fn goes(&mut self, call: u32, world: &mut World<'_>) {
        let Some(tried) = self.calls.get_mut(&call) else {
            return;
        };
        match self.policy.goes(tried.attempts, self.id, world) {
            Where::To(role) => {
                let operation = world.call(call).operation;
                let attempt = world.send(call, role, operation, Duration::MAX);
                tried.attempts += 1;
                tried.at = role;
                tried.attempt = Some(attempt);
                let timer = Timer::Attempt(call, attempt);
                world.wake(self.id, world.now() + ATTEMPT_TIMEOUT, timer);
            }
            Where::Wait(longest) => {
                self.waiting.push(call);
                let timer = Timer::Pause(call, u32::MAX);
                world.wake(self.id, world.now() + longest, timer);
            }
            Where::Nowhere => self.fails(call, world),
        }
    }

    fn fails(&mut self, call: u32, world: &mut World<'_>) {
        if let Some(tried) = self.calls.remove(&call) {
            let told = if tried.is_in_doubt {
                Told::InDoubt
            } else {
                Told::Failed
            };
            world.end(call, told, tried.at);
        }
    }

    fn ends(&mut self, call: u32, outcome: Outcome, world: &mut World<'_>) {
        let Some(tried) = self.calls.get_mut(&call) else {
            return;
        };
        tried.attempt = None;
        let operation = world.call(call).operation;
        // What is there already on a repeat is one's own.
        let is_there = outcome == Outcome::AlreadyThere && tried.attempts > 1;
        if outcome == Outcome::Answered || is_there {
            let at = tried.at;
            self.calls.remove(&call);
            self.policy.answered(at);
            return world.end(call, Told::Answered, at);
        }
        tried.is_in_doubt |= operation != Operation::Read && outcome.is_doubtful();
        let failed = Tried {
            operation,
            attempts: tried.attempts,
            at: tried.at,
            outcome,
        };
        match self.policy.failed(&failed, self.id, world) {
            Then::End => self.fails(call, world),
            Then::Again(Duration::ZERO) => self.goes(call, world),
            Then::Again(pause) => {
                let timer = Timer::Pause(call, failed.attempts);
                world.wake(self.id, world.now() + pause, timer);
            }
        }
    }

    fn hears(&mut self, news: News, world: &mut World<'_>) {
        if let Some(role) = news.breaks_off {
            let is_there = |(call, tried): (&u32, &Try)| {
                let attempt = tried.attempt.filter(|_| tried.at == role)?;
                Some((*call, attempt))
            };
            let mut broken: Vec<_> = self.calls.iter().filter_map(is_there).collect();
            broken.sort_unstable();
            for (call, attempt) in broken {
                let phase = world.phase(attempt);
                world.abandon(attempt);
                self.ends(call, Outcome::Left(phase), world);
            }
        }
        if news.lets_go {
            for call in std::mem::take(&mut self.waiting) {
                self.goes(call, world);
            }
        }
    }
}

impl<P: Policy> Client for Rival<P> {
    fn starts(&mut self, world: &mut World<'_>) {
        self.policy.starts(self.id, world);
    }

    fn begins(&mut self, call: u32, world: &mut World<'_>) {
        let tried = Try {
            attempts: 0,
            at: Role::Primary,
            attempt: None,
            is_in_doubt: false,
        };
        self.calls.insert(call, tried);
        self.goes(call, world);
    }

    fn ended(&mut self, call: u32, _: u32, outcome: Outcome, world: &mut World<'_>) {
        self.ends(call, outcome, world);
    }

    fn probed(&mut self, probe: u32, outcome: Outcome, world: &mut World<'_>) {
        let news = self.policy.probed(probe, outcome, self.id, world);
        self.hears(news, world);
    }

    fn woken(&mut self, timer: Timer, world: &mut World<'_>) {
        match timer {
            Timer::Attempt(call, attempt) => {
                let tried = self.calls.get(&call);
                if tried.is_some_and(|tried| tried.attempt == Some(attempt)) {
                    let phase = world.phase(attempt);
                    world.abandon(attempt);
                    self.ends(call, Outcome::TimedOut(phase), world);
                }
            }
            // It has waited long enough for something to change.
            Timer::Pause(call, u32::MAX) => {
                let before = self.waiting.len();
                self.waiting.retain(|waiting| *waiting != call);
                if self.waiting.len() < before {
                    self.fails(call, world);
                }
            }
            Timer::Pause(call, _) => self.goes(call, world),
            Timer::Look(number) => {
                let news = self.policy.woken(number, self.id, world);
                self.hears(news, world);
            }
            Timer::Gate | Timer::Line(..) | Timer::Outage(..) => {}
        }
    }
}
