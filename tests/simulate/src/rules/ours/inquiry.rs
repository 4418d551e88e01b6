//! Carries out what the switch asks for: probes, the time, the end.

use std::time::{Duration, Instant};

use d365_failover_core::machines::{
    Action, Answer, Asks, Course, Evidence, Found, Glance, Heard, Input, Look, Place, Report, Stay,
    Switch,
};
use d365_failover_core::{Probed, Role};

use super::super::Timer;
use super::{Asker, Ours};
use crate::outcome::Outcome;
use crate::world::World;

/// An inquiry under way.
pub(super) struct Inquiry {
    number: u64,
    probing: Probing,
}

/// A look at an endpoint that was left, and who waits for what it finds.
pub(super) struct LookBack {
    look: Look,
    probing: Probing,
    asking: Vec<(u32, u32)>,
}

/// A look at the primary, which may lead calls back there.
pub(super) struct LookHome {
    from: Place,
    look: Look,
    probing: Probing,
    /// When it begins; `None`: it has.
    due: Option<u32>,
}

/// Who waits for the end of an inquiry.
pub(super) struct Asking {
    call: u32,
    place: Place,
    evidence: Evidence,
    asker: Asker,
    /// It has begun it.
    is_first: bool,
}

/// Probes, and the time to come again.
struct Probing {
    role: Role,
    timeout: Duration,
    probes: Vec<(u32, Role)>,
    /// All that this endpoint got.
    here: Vec<u32>,
    wake: Option<(u32, Instant)>,
}

impl Probing {
    fn new(role: Role, timeout: Duration) -> Probing {
        Probing {
            role,
            timeout,
            probes: Vec::new(),
            here: Vec::new(),
            wake: None,
        }
    }

    fn glance(&self, client: u32, world: &World<'_>) -> Glance {
        Glance {
            best_connect: world.best_connect(client, self.role),
            has_connected: self.here.iter().any(|probe| world.is_connected(*probe)),
            ..Glance::default()
        }
    }

    /// Does what is asked for. What is heard at once.
    fn start(
        &mut self,
        asks: Asks,
        client: u32,
        timer: u32,
        world: &mut World<'_>,
    ) -> Option<Heard> {
        match asks {
            Asks::Authorize(role) | Asks::Renew(role) => {
                if role == self.role {
                    // Another look begins.
                    self.here.clear();
                }
                Some(Heard::Authorized {
                    role,
                    from_provider: true,
                })
            }
            Asks::Probe(role) => {
                let probe = world.probe(client, role, self.timeout);
                self.probes.push((probe, role));
                if role == self.role {
                    self.here.push(probe);
                }
                None
            }
            Asks::Wake(at) => {
                self.wake = Some((timer, at));
                let at = world.time_of(at);
                world.wake(client, at, Timer::Look(timer));
                None
            }
        }
    }

    /// Whether a probe is one of these, and what it has found.
    fn heard(&mut self, probe: u32, outcome: Outcome) -> Option<Heard> {
        let at = self
            .probes
            .iter()
            .position(|(running, _)| *running == probe)?;
        let (_, role) = self.probes.swap_remove(at);
        let answer = match outcome {
            Outcome::Answered => Answer::Came(Probed::Serves),
            Outcome::Throttled(time) => Answer::Busy(Some(time)),
            _ => Answer::Silent,
        };
        Some(Heard::Probed(role, answer))
    }

    fn is_woken(&mut self, timer: u32) -> bool {
        self.wake.take_if(|(number, _)| *number == timer).is_some()
    }

    fn stop(&mut self, world: &mut World<'_>) {
        for (probe, _) in self.probes.drain(..) {
            world.abandon(probe);
        }
        self.wake = None;
    }
}

impl Ours {
    /// Finds out where a call goes on whose attempt at `place` has given `evidence`.
    pub(super) fn consider(
        &mut self,
        call: u32,
        place: Place,
        evidence: Evidence,
        asker: Asker,
        world: &mut World<'_>,
    ) {
        let report = self
            .switch
            .report(place, evidence, false, || true, world.instant());
        let (is_first, actions) = match report {
            Report::Began(number, actions) => {
                self.gate.fault_begins(world.instant());
                let probing = Probing::new(place.role, self.given.probe_timeout);
                self.inquiry = Some(Inquiry { number, probing });
                (true, Some((number, actions)))
            }
            Report::Joined => (false, None),
            Report::Moved => return self.course(call, asker, Course::Elsewhere, world),
            Report::NoAlternate => return self.course(call, asker, Course::NoAlternate, world),
            Report::Stays(stay) => {
                return self.course(call, asker, Course::of_stay(stay, evidence), world);
            }
            Report::ReadPolicy | Report::PolicyUnread => unreachable!("there is an alternate"),
        };
        self.asking.push(Asking {
            call,
            place,
            evidence,
            asker,
            is_first,
        });
        if let Some((number, actions)) = actions {
            self.carry_out(number, actions, world);
        }
    }

    fn carry_out(&mut self, number: u64, actions: Vec<Action>, world: &mut World<'_>) {
        for action in actions {
            match action {
                Action::Ask(asks) => {
                    let timer = self.timer();
                    let client = self.id;
                    let inquiry = self.inquiry.as_mut();
                    let Some(inquiry) = inquiry.filter(|inquiry| inquiry.number == number) else {
                        return;
                    };
                    if let Some(heard) = inquiry.probing.start(asks, client, timer, world) {
                        self.hears(heard, world);
                    }
                }
                Action::Raise(_) => {
                    if let Some(inquiry) = &mut self.inquiry {
                        inquiry.probing.stop(world);
                    }
                    let input = Input::Replied { is_vetoed: false };
                    let actions = self.hear(number, input, world);
                    self.carry_out(number, actions, world);
                }
                Action::Switched(done, _) => {
                    if self.rules.ramps {
                        self.gate.ramp(world.chance(), world.instant());
                    }
                    world.leaves(self.id, done.from.role);
                    world.suspects(self.id, done.from.role);
                    self.wakes_from(done.from, world);
                    self.watches_home(world);
                }
                Action::OutageStarted => self.tells(Err(Stay::Outage), world),
                Action::OutageEnded(_) => {
                    if self.rules.ramps {
                        self.gate.ramp(world.chance(), world.instant());
                    }
                    if let Some(inquiry) = &mut self.inquiry {
                        inquiry.probing.stop(world);
                    }
                }
                // They return at once.
                Action::AwaitHandlers => {}
                // There is no store.
                Action::Recalled(_) => {}
                // Nobody refuses.
                Action::StaysAway(_) => {}
                Action::End(outcome) => self.is_decided(outcome, world),
            }
        }
    }

    fn hear(&mut self, number: u64, input: Input, world: &mut World<'_>) -> Vec<Action> {
        let (now, chance) = (world.instant(), world.chance());
        self.switch.hear(number, input, now, chance)
    }

    fn hears(&mut self, heard: Heard, world: &mut World<'_>) {
        let Some(inquiry) = &self.inquiry else {
            return;
        };
        let (number, glance) = (inquiry.number, inquiry.probing.glance(self.id, world));
        let input = Input::Look(heard, glance);
        let actions = self.hear(number, input, world);
        self.carry_out(number, actions, world);
    }

    fn is_decided(&mut self, outcome: Result<(), Stay>, world: &mut World<'_>) {
        if let Some(mut inquiry) = self.inquiry.take() {
            inquiry.probing.stop(world);
            self.gate.fault_ends(world.instant());
        }
        self.tells(outcome, world);
        for call in std::mem::take(&mut self.outlasting) {
            if self.outlasts_no_more(call) {
                self.goes(call, world);
            }
        }
        self.watches_home(world);
    }

    /// Looks at the primary from time to time, if that may lead calls back.
    fn watches_home(&mut self, world: &mut World<'_>) {
        let place = self.switch.place();
        if self
            .look_home
            .as_ref()
            .is_some_and(|look| look.from == place)
        {
            return;
        }
        self.look_home = None;
        let Some((due, look)) = self.switch.look_home() else {
            return;
        };
        let due = world.time_of(due);
        if due < self.end {
            let timer = self.timer();
            self.look_home = Some(LookHome {
                from: place,
                look,
                probing: Probing::new(place.role, self.given.probe_timeout),
                due: Some(timer),
            });
            world.wake(self.id, due, Timer::Look(timer));
        }
    }

    fn looks_home(&mut self, asks: Vec<Asks>, world: &mut World<'_>) {
        for asks in asks {
            let timer = self.timer();
            let client = self.id;
            let Some(look_home) = &mut self.look_home else {
                return;
            };
            if let Some(heard) = look_home.probing.start(asks, client, timer, world) {
                self.look_home_hears(heard, world);
            }
        }
    }

    fn look_home_hears(&mut self, heard: Heard, world: &mut World<'_>) {
        let Some(look_home) = &mut self.look_home else {
            return;
        };
        let glance = look_home.probing.glance(self.id, world);
        let asks = look_home.look.hear(heard, glance, world.instant());
        let Some(found) = look_home.look.found() else {
            return self.looks_home(asks, world);
        };
        let Some(mut look_home) = self.look_home.take() else {
            return;
        };
        look_home.probing.stop(world);
        let from = look_home.from;
        if let Some((number, actions)) = self.switch.looked_home(from, found, world.instant()) {
            self.gate.fault_begins(world.instant());
            let probing = Probing::new(from.role, self.given.probe_timeout);
            self.inquiry = Some(Inquiry { number, probing });
            self.carry_out(number, actions, world);
        }
        self.watches_home(world);
    }

    /// Those hear it who wait for what an inquiry finds.
    fn tells(&mut self, outcome: Result<(), Stay>, world: &mut World<'_>) {
        for asking in std::mem::take(&mut self.asking) {
            let Asking {
                call,
                place,
                evidence,
                asker,
                is_first,
            } = asking;
            if !self.flights.contains_key(&call) {
                continue;
            }
            if Switch::answers(evidence, is_first, outcome) {
                self.course(call, asker, Course::of(outcome), world);
            } else {
                self.consider(call, place, evidence, asker, world);
            }
        }
        for call in std::mem::take(&mut self.held) {
            self.goes(call, world);
        }
    }

    /// Whether the endpoint of a silent call, which was left, still answers.
    pub(super) fn looks_back(
        &mut self,
        call: u32,
        attempt: u32,
        role: Role,
        world: &mut World<'_>,
    ) {
        if let Some(look_back) = &mut self.look_back {
            return look_back.asking.push((call, attempt));
        }
        match self.switch.look_back(role, world.instant()) {
            Err(is_alive) => self.has_looked_back(vec![(call, attempt)], is_alive, world),
            Ok(look) => {
                let first = look.begin();
                self.look_back = Some(LookBack {
                    look,
                    probing: Probing::new(role, self.given.probe_timeout),
                    asking: vec![(call, attempt)],
                });
                self.looks(first.into_iter().collect(), world);
            }
        }
    }

    fn looks(&mut self, asks: Vec<Asks>, world: &mut World<'_>) {
        for asks in asks {
            let timer = self.timer();
            let client = self.id;
            let Some(look_back) = &mut self.look_back else {
                return;
            };
            if let Some(heard) = look_back.probing.start(asks, client, timer, world) {
                self.look_hears(heard, world);
            }
        }
    }

    fn look_hears(&mut self, heard: Heard, world: &mut World<'_>) {
        let Some(look_back) = &mut self.look_back else {
            return;
        };
        let glance = look_back.probing.glance(self.id, world);
        let asks = look_back.look.hear(heard, glance, world.instant());
        let Some(found) = look_back.look.found() else {
            return self.looks(asks, world);
        };
        let is_alive = found == Found::Stay(Stay::Alive);
        if let Some(mut look_back) = self.look_back.take() {
            look_back.probing.stop(world);
            let role = look_back.probing.role;
            self.switch.looked_back(role, is_alive, world.instant());
            self.has_looked_back(look_back.asking, is_alive, world);
        }
    }

    fn has_looked_back(&mut self, asking: Vec<(u32, u32)>, is_alive: bool, world: &mut World<'_>) {
        for (call, attempt) in asking {
            self.hears_of_silence(call, attempt, world, |watch, _, executed, now| {
                watch.looked_back(is_alive, executed, now)
            });
        }
    }

    pub(super) fn probe_ended(&mut self, probe: u32, outcome: Outcome, world: &mut World<'_>) {
        let inquiry = self.inquiry.as_mut();
        if let Some(heard) = inquiry.and_then(|inquiry| inquiry.probing.heard(probe, outcome)) {
            return self.hears(heard, world);
        }
        let look_back = self.look_back.as_mut();
        if let Some(heard) = look_back.and_then(|look| look.probing.heard(probe, outcome)) {
            return self.look_hears(heard, world);
        }
        let look_home = self.look_home.as_mut();
        if let Some(heard) = look_home.and_then(|look| look.probing.heard(probe, outcome)) {
            self.look_home_hears(heard, world);
        }
    }

    pub(super) fn look_woken(&mut self, timer: u32, world: &mut World<'_>) {
        let inquiry = self.inquiry.as_mut();
        if inquiry.is_some_and(|inquiry| inquiry.probing.is_woken(timer)) {
            return self.hears(Heard::Woken, world);
        }
        let look_back = self.look_back.as_mut();
        if look_back.is_some_and(|look| look.probing.is_woken(timer)) {
            return self.look_hears(Heard::Woken, world);
        }
        let Some(look_home) = &mut self.look_home else {
            return;
        };
        if look_home.due.take_if(|due| *due == timer).is_some() {
            let first = look_home.look.begin();
            self.looks_home(first.into_iter().collect(), world);
        } else if look_home.probing.is_woken(timer) {
            self.look_home_hears(Heard::Woken, world);
        }
    }
}
