//! What inquiries hear, and what they ask for and come to, in the model.

use super::*;

impl World {
    /// One of the things that are waited for comes about.
    pub(super) fn happens(&mut self, mut which: usize, comes: Comes) {
        let one = self.running.iter_mut().find_map(|one| {
            let has = which < one.awaits.len();
            if !has {
                which -= one.awaits.len();
            }
            has.then_some(one)
        });
        let one = one.expect("there is one");
        let (number, from) = (one.number, one.from);
        let side = |role: Role| usize::from(role != from.role);
        let input = match one.awaits.remove(which) {
            Awaits::Reply => Input::Replied {
                is_vetoed: comes.is_vetoed,
            },
            Awaits::Look(asks) => {
                let heard = match asks {
                    Asks::Authorize(role) | Asks::Renew(role) => {
                        if comes.answer.is_none() {
                            Heard::NoToken(role)
                        } else {
                            if role != from.role {
                                one.is_from_provider = comes.from_provider;
                            }
                            Heard::Authorized {
                                role,
                                from_provider: comes.from_provider,
                            }
                        }
                    }
                    Asks::Probe(role) => {
                        let answer = comes.answer.unwrap_or(Answer::Silent);
                        let said = &mut one.answers[side(role)];
                        // One answer to two probes is an answer.
                        let is_worse = answer == Answer::Silent && said.is_some();
                        if role != from.role || !(is_worse || came(*said)) {
                            *said = Some(answer);
                        }
                        Heard::Probed(role, answer)
                    }
                    Asks::Wake(then) => {
                        self.now = self.now.max(then);
                        Heard::Woken
                    }
                };
                Input::Look(heard, Glance::default())
            }
        };
        let has_wait = !self.wait().is_zero();
        self.one(number).had_wait |= has_wait;
        self.is_on = self.order.is_none() && self.switch.alternate().auto_switch();
        let actions = self.switch.hear(number, input, self.now, 0.5);
        if let Input::Replied { is_vetoed } = input {
            self.replied(number, is_vetoed, &actions);
        }
        self.asked(number, &actions);
    }

    /// What follows from the handlers' reply.
    fn replied(&mut self, number: u64, is_vetoed: bool, actions: &[Action]) {
        let is_current = self.current().is_some_and(|one| one.number == number);
        let switches = actions
            .iter()
            .any(|action| matches!(action, Action::Switched(..)));
        assert_eq!(switches, is_current && !is_vetoed && self.is_on);
        if is_current && !switches && self.one(number).is_failback {
            // No answer to whoever has met a fault meanwhile.
            let [Action::StaysAway(stay), Action::End(Err(Stay::Superseded))] = actions else {
                panic!("{actions:?}");
            };
            assert_eq!(*stay == Stay::Vetoed, is_vetoed);
            self.good_since = None;
        } else if is_current && !switches {
            let off = self.order.map_or(Stay::Off, Stay::Ordered);
            let stay = if is_vetoed { Stay::Vetoed } else { off };
            let over = self.one(number).over().map(Action::OutageEnded);
            let expected: Vec<_> = over.into_iter().chain([Action::End(Err(stay))]).collect();
            assert_eq!(actions, expected);
            self.refused = Some((self.place, self.now, stay));
            self.was_set = false;
            self.seen.vetoes += 1;
        }
    }

    /// An inquiry asks for this.
    pub(super) fn asked(&mut self, number: u64, actions: &[Action]) {
        for (index, action) in actions.iter().enumerate() {
            match action {
                Action::Ask(asks) => {
                    let one = self.one(number);
                    match *asks {
                        Asks::Authorize(role) => {
                            one.answers[usize::from(role != one.from.role)] = None;
                            one.may_try = one.outage.is_some();
                        }
                        Asks::Probe(role) => one.was_probed |= role == one.from.role,
                        _ => {}
                    }
                    one.awaits.push(Awaits::Look(*asks));
                }
                Action::Raise(probed) => self.raises(number, *probed),
                Action::Switched(done, probed) => {
                    assert_eq!(self.one(number).raised, Some(*probed));
                    let is_failback = self.one(number).is_failback;
                    self.seen.went_home += u32::from(is_failback);
                    self.moves(*done);
                    self.is_away = !is_failback && done.to.role == Role::Alternate;
                }
                Action::AwaitHandlers => assert!(self.rules.awaits_switched),
                Action::OutageStarted => {
                    let wait = self.wait();
                    let had_wait = self.one(number).had_wait;
                    assert!(had_wait || !wait.is_zero());
                    assert!(!self.is_out());
                    let now = self.now;
                    let one = self.one(number);
                    assert!(one.was_probed && !came(one.answers[0]), "{one:?}");
                    one.outage = Some(now);
                    one.may_try = true;
                    self.seen.outages += 1;
                }
                Action::OutageEnded(over) => {
                    let now = self.now;
                    let one = self.one(number);
                    let end = one.answered_at.unwrap_or(now);
                    assert_eq!(one.outage.map(|then| end - then), Some(over.lasted));
                    let (role, probed) = over.answered.expect("somebody has answered");
                    let side = usize::from(role != one.from.role);
                    // Before calls go elsewhere the handlers have decided.
                    assert_eq!(side == 1, one.raised.is_some());
                    assert_eq!(one.answers[side], Some(Answer::Came(probed)));
                    one.awaits.clear();
                }
                Action::StaysAway(_) => assert!(self.one(number).is_failback),
                Action::Recalled(holds) => {
                    assert_eq!(index + 2, actions.len());
                    let is_at_record = self.first == Some(First::AtRecord);
                    assert_eq!((self.first.is_some(), *holds), (true, is_at_record));
                }
                Action::End(outcome) => {
                    assert_eq!(index + 1, actions.len());
                    self.ends(number, *outcome);
                }
            }
        }
    }

    fn raises(&mut self, number: u64, probed: Option<Probed>) {
        assert_eq!(self.current().map(|one| one.number), Some(number));
        assert!(self.pin().is_none());
        if let Some(order) = self.order {
            assert!(
                !self.is_recent(self.refused, Stay::Ordered(order), HOLD_DOWN)
                    || !self.rules.refusal_holds
            );
        }
        if self.rules.refusal_holds && !self.one(number).is_failback {
            // A veto holds, and so does auto-switch that is off, until it is set.
            assert!(!self.is_recent(self.refused, Stay::Vetoed, HOLD_DOWN));
            assert!(self.was_set || !self.is_recent(self.refused, Stay::Off, HOLD_DOWN));
        }
        let (asks_other, now) = (self.rules.asks_other, self.now);
        let one = self.one(number);
        assert_eq!(one.raised, None);
        one.answered_at = one.outage.map(|_| now);
        if one.is_failback {
            assert_eq!(probed, Some(Probed::Serves));
        } else if asks_other || one.outage.is_some() {
            let probed = probed.expect("none is left unless the other one answers");
            assert_eq!(one.answers[1], Some(Answer::Came(probed)));
            assert!(!one.is_from_provider || probed == Probed::Serves);
        }
        if one.doubts {
            assert!(one.was_probed && !came(one.answers[0]), "{one:?}");
        }
        one.raised = Some(probed);
        one.awaits = vec![Awaits::Reply];
    }

    pub(super) fn moves(&mut self, done: Move) {
        assert_eq!(done.from, self.place);
        assert_eq!(done.to.epoch, self.place.epoch + 1);
        assert_eq!(done.to.role, self.place.role.other());
        self.before.push(self.place);
        self.place = done.to;
        self.switched = Some(self.now);
        (self.is_away, self.good_since) = (false, None);
        self.first = None;
        self.seen.switched += 1;
    }

    fn ends(&mut self, number: u64, outcome: Result<(), Stay>) {
        let is_live = self.live == Some(number);
        let index = self.running.iter().position(|one| one.number == number);
        let one = self.running.remove(index.expect("it has not ended before"));
        match outcome {
            Ok(()) => assert_ne!(one.from, self.place),
            Err(Stay::Superseded) => {
                assert!(!is_live || one.is_failback);
                self.seen.superseded += 1;
            }
            Err(Stay::Vetoed | Stay::Off) => assert!(one.raised.is_some()),
            Err(Stay::Ordered(order)) => {
                assert_eq!(Some(order), self.order);
                let is_dead = one.was_probed && !came(one.answers[0]);
                assert!(one.raised.is_some() || self.pin().is_some() && is_dead);
            }
            Err(Stay::Alive | Stay::Alone | Stay::AloneUnasked) => {
                let has_no_alternate = one.answers[0] == Some(Answer::NotAsked);
                assert!(came(one.answers[0]) || has_no_alternate, "{one:?}");
            }
            Err(stay) => {
                assert!(stay != Stay::Outage && self.wait().is_zero());
                // With credentials that it does not let in, an answer is none.
                let is_refused = one.answers[1] == Some(Answer::Came(Probed::Reachable));
                assert!(!came(one.answers[1]) || is_refused, "{one:?}");
            }
        }
        if let Err(stay) = outcome
            && one.raised.is_none()
            && !matches!(stay, Stay::Vetoed | Stay::Off | Stay::Superseded)
        {
            self.found = Some((one.from, self.now, stay));
        }
        if is_live {
            (self.live, self.first) = (None, None);
        }
    }
}

fn came(answer: Option<Answer>) -> bool {
    matches!(answer, Some(Answer::Came(_)))
}
