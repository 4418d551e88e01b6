//! What moves calls without a fault: another process, an operator, a hand, looks home, the policy.

use super::*;

impl World {
    pub(super) fn other_moved(&mut self, role: Role) {
        let is_busy = self.current().is_some();
        let wall = SystemTime::UNIX_EPOCH + MAX_AGE * 1000;
        let record = Whereabouts {
            role,
            switched: wall,
            confirmed: wall,
            by_fault: true,
            switches: self.switch.heard + 1,
        };
        match self.switch.hears_of(&record, MAX_AGE, wall, self.now) {
            Heed::Nothing => {}
            Heed::Later => {
                let is_recent = |found: Option<(Place, Instant, Stay)>| {
                    found.is_some_and(|(place, ..)| place == self.place)
                };
                assert!(is_busy || is_recent(self.found) || is_recent(self.refused));
            }
            Heed::Sooner => assert!(self.is_out()),
            Heed::Look(number, actions) => {
                assert!(role != self.place.role && !is_busy);
                assert!(self.order.is_none() && !self.is_kept());
                self.seen.heeded += 1;
                self.runs(number, true, false, &actions);
            }
        }
    }

    pub(super) fn orders(&mut self, value: Option<Override>) {
        let order = value.map(ordered);
        if order == self.order {
            assert_eq!(self.switch.obey(order, self.now), []);
            return;
        }
        self.order = order;
        (self.refused, self.found) = (None, None);
        let goes = match value {
            Some(Override::Primary) => self.place.role == Role::Alternate,
            Some(Override::Alternate) => self.place.role == Role::Primary,
            Some(Override::Off) | None => false,
        };
        if self.pin().is_some() {
            self.first = None;
        }
        self.seen.obeyed += u32::from(goes);
        let expected = if goes { self.goes() } else { Vec::new() };
        assert_eq!(self.switch.obey(order, self.now), expected);
        let is_alone = self.is_alone();
        if let Some(one) = self.current()
            && !goes
            && one.outage.is_none()
            && one.is_alone != is_alone
        {
            // Whoever waits for it asks anew.
            self.live = None;
        }
    }

    pub(super) fn by_hand(&mut self) {
        let refusal = match self.pin() {
            Some(order) => Some(Refusal::Ordered(order)),
            None if self.switch.alternate().is_available() => None,
            None => Some(Refusal::NoAlternate),
        };
        let found = self.switch.switch_by_hand(self.now);
        let expected = match refusal {
            Some(refusal) => Err(refusal),
            None => Ok(self.goes()),
        };
        assert_eq!(found, expected);
    }

    /// A person moves calls: what is done for it.
    fn goes(&mut self) -> Vec<Action> {
        let current = self.current();
        let now = self.now;
        let over = current.and_then(|one| {
            let then = one.outage?;
            Some(one.over().unwrap_or(Over {
                answered: None,
                lasted: now - then,
            }))
        });
        let had_outage = self.is_out();
        let done = Move::on_from(self.place);
        let over = over.map(Action::OutageEnded);
        let expected: Vec<_> = over
            .into_iter()
            .chain([Action::Switched(done, None)])
            .collect();
        if had_outage {
            self.live = None;
        }
        self.moves(done);
        expected
    }

    pub(super) fn looks_home(&mut self, is_good: bool) {
        let next = self.switch.look_home().map(|(next, _)| next);
        let is_looked_for = self.failback == Failback::Probe && self.is_away;
        assert_eq!(next.is_some(), is_looked_for);
        let Some(next) = next else {
            return;
        };
        self.now = self.now.max(next);
        let found = if is_good {
            Found::Go(Some(Probed::Serves))
        } else {
            Found::Stay(Stay::OtherSilent)
        };
        self.good_since = is_good.then(|| self.good_since.unwrap_or(self.now));
        let is_on = self.order.is_none() && self.switch.alternate().auto_switch();
        let begun = self.switch.looked_home(self.place, found, self.now);
        if !is_on {
            self.good_since = None;
        }
        let Some((number, actions)) = begun else {
            return;
        };
        assert!(
            self.good_since
                .is_some_and(|since| self.now >= since + GOOD_FOR)
        );
        assert!(self.current().is_none() && is_on);
        let is_vetoed = self.is_recent(self.refused, Stay::Vetoed, HOLD_DOWN);
        assert!(!(is_vetoed && self.rules.refusal_holds));
        assert!(self.live.is_none_or(|live| live < number));
        self.runs(number, false, true, &actions);
    }

    pub(super) fn policy(&mut self, policy: Policy) {
        let is_left = self.switch.set_policy(policy, self.now);
        if let Some(left) = is_left {
            assert_eq!(left, self.place);
            assert!(self.pin().is_none());
            assert!(!policy.says.endpoint_enabled && policy.read_from == left.role);
        } else if self.switch.place() != self.place {
            // Where it would have started had it known.
            assert!(!self.has_begun && self.place.epoch == 0);
            self.place.role = self.place.role.other();
        }
    }
}

pub(super) fn ordered(value: Override) -> Order {
    Order {
        value,
        source: OverrideSource::Store,
        until: None,
    }
}
