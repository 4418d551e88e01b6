//! What keeps the preset `safe` from switching: a recent switch, a recent refusal, a recent look.

use std::time::{Duration, Instant};

use super::switchboard::Place;
use crate::evidence::Evidence;
use crate::rule::{Rule, RulesOff};

/// Calls that fail one after the other do not probe one after the other.
const LOOK_HOLDS: Duration = Duration::from_secs(1);

/// Why an endpoint is not left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stay {
    /// It answers.
    Alive,
    /// The other one does not answer.
    OtherSilent,
    /// The other one could not be asked: there was no token for it.
    OtherUnasked,
    /// A handler has vetoed.
    Vetoed,
    /// Auto-switch is off.
    Off,
}

impl Stay {
    /// Whether nothing is known for the other endpoint; else, something against leaving this one.
    pub(crate) fn is_of_other(self) -> bool {
        matches!(self, Stay::OtherSilent | Stay::OtherUnasked)
    }

    /// Completes the sentence of an error.
    pub(crate) fn why(self) -> &'static str {
        match self {
            Stay::Alive => "the endpoint answers a probe, so it was not left",
            Stay::OtherSilent => "the other endpoint does not answer a probe either",
            Stay::OtherUnasked => {
                "the token provider gave no token for the other endpoint in time, so that it could \
                 not be probed"
            }
            Stay::Vetoed => "a handler vetoed the switch",
            Stay::Off => "auto-switch is off",
        }
    }
}

/// What is to be found out before a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inquiry {
    /// Nothing any more: it was refused.
    Refused(Stay),
    /// Whether the other side answers.
    Other,
    /// Besides, whether this side is dead.
    Both,
}

#[derive(Debug)]
pub(crate) struct Caution {
    hold_down: Duration,
    off: RulesOff,
    switched: Option<Instant>,
    /// The last change of what the active endpoint has: a switch, or one behind its URL.
    changed: Option<Instant>,
    refused: Option<(Place, Instant, Stay)>,
    looked: Option<(Place, Instant, Stay)>,
}

impl Caution {
    pub(crate) fn new(hold_down: Duration, off: RulesOff) -> Caution {
        Caution {
            hold_down,
            off,
            switched: None,
            changed: None,
            refused: None,
            looked: None,
        }
    }

    /// What a fault with `evidence` at `place` has to find out.
    pub(crate) fn inquire(
        &self,
        place: Place,
        evidence: Evidence,
        auto_switch: bool,
        now: Instant,
    ) -> Inquiry {
        if let Some((refused_at, since, stay)) = self.refused
            && refused_at == place
            && within(since, self.hold_down, now)
            // Who switches it on wants to be heard.
            && !(stay == Stay::Off && auto_switch)
            && !self.off.has(Rule::RefusalHolds)
        {
            return Inquiry::Refused(stay);
        }
        let must_confirm = evidence < Evidence::Strong || self.holds_down(now);
        if let Some((looked_at, since, stay)) = self.looked
            && looked_at == place
            && within(since, LOOK_HOLDS, now)
            && (stay.is_of_other() || must_confirm)
        {
            return Inquiry::Refused(stay);
        }
        if must_confirm {
            Inquiry::Both
        } else {
            Inquiry::Other
        }
    }

    fn holds_down(&self, now: Instant) -> bool {
        !self.off.has(Rule::HoldDown)
            && self
                .switched
                .is_some_and(|since| within(since, self.hold_down, now))
    }

    /// The endpoint stays.
    pub(crate) fn stays(&mut self, place: Place, stay: Stay, now: Instant) {
        match stay {
            Stay::Alive | Stay::OtherSilent | Stay::OtherUnasked => {
                self.looked = Some((place, now, stay))
            }
            Stay::Vetoed | Stay::Off => self.refused = Some((place, now, stay)),
        }
    }

    /// A switch was made, by whomever.
    pub(crate) fn switched(&mut self, now: Instant) {
        self.switched = Some(now);
        self.changed = Some(now);
    }

    /// Behind the active endpoint there is another side now, says the application.
    pub(crate) fn has_lost(&mut self, now: Instant) {
        self.changed = Some(now);
    }

    /// Whether it is not longer ago than this that the active endpoint may lack rows.
    pub(crate) fn has_changed_within(&self, time: Duration, now: Instant) -> bool {
        self.changed.is_some_and(|since| within(since, time, now))
    }
}

fn within(since: Instant, time: Duration, now: Instant) -> bool {
    now.saturating_duration_since(since) < time
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;

    const HOLD_DOWN: Duration = Duration::from_secs(30);
    const PLACE: Place = Place {
        role: Role::Primary,
        epoch: 0,
    };
    const ELSEWHERE: Place = Place {
        role: Role::Alternate,
        epoch: 1,
    };

    fn caution() -> (Caution, Instant) {
        (Caution::new(HOLD_DOWN, RulesOff::default()), Instant::now())
    }

    fn inquire(caution: &Caution, place: Place, evidence: Evidence, now: Instant) -> Inquiry {
        caution.inquire(place, evidence, true, now)
    }

    #[test]
    fn strong_evidence_asks_the_other_side_and_weak_evidence_both() {
        let (caution, now) = caution();
        assert_eq!(
            inquire(&caution, PLACE, Evidence::Strong, now),
            Inquiry::Other
        );
        assert_eq!(inquire(&caution, PLACE, Evidence::Weak, now), Inquiry::Both);
    }

    #[test]
    fn in_the_hold_down_strong_evidence_asks_both() {
        let (mut caution, now) = caution();
        caution.switched(now);
        let strong = |later| inquire(&caution, ELSEWHERE, Evidence::Strong, now + later);
        assert_eq!(strong(HOLD_DOWN / 2), Inquiry::Both);
        assert_eq!(strong(HOLD_DOWN), Inquiry::Other);
    }

    #[test]
    fn a_veto_holds_for_its_time_and_its_place() {
        let (mut caution, now) = caution();
        caution.stays(PLACE, Stay::Vetoed, now);
        let vetoed = Inquiry::Refused(Stay::Vetoed);
        assert_eq!(inquire(&caution, PLACE, Evidence::Strong, now), vetoed);
        assert_eq!(
            inquire(&caution, ELSEWHERE, Evidence::Strong, now),
            Inquiry::Other
        );
        let later = now + HOLD_DOWN;
        assert_eq!(
            inquire(&caution, PLACE, Evidence::Strong, later),
            Inquiry::Other
        );
    }

    #[test]
    fn auto_switch_that_is_set_on_is_heard_at_once() {
        let (mut caution, now) = caution();
        caution.stays(PLACE, Stay::Off, now);
        let off = caution.inquire(PLACE, Evidence::Strong, false, now);
        assert_eq!(off, Inquiry::Refused(Stay::Off));
        let on = caution.inquire(PLACE, Evidence::Strong, true, now);
        assert_eq!(on, Inquiry::Other);
    }

    #[test]
    fn what_a_look_has_found_holds_for_a_moment() {
        let (mut caution, now) = caution();
        caution.stays(PLACE, Stay::Alive, now);
        let alive = Inquiry::Refused(Stay::Alive);
        assert_eq!(inquire(&caution, PLACE, Evidence::Weak, now), alive);
        // It says nothing against what needs no confirmation.
        assert_eq!(
            inquire(&caution, PLACE, Evidence::Strong, now),
            Inquiry::Other
        );
        let later = now + LOOK_HOLDS;
        assert_eq!(
            inquire(&caution, PLACE, Evidence::Weak, later),
            Inquiry::Both
        );
        caution.stays(PLACE, Stay::OtherSilent, later);
        let silent = Inquiry::Refused(Stay::OtherSilent);
        assert_eq!(inquire(&caution, PLACE, Evidence::Strong, later), silent);
    }
}
