//! Every switch is announced before it is told of, once, and epochs rise by one.

use d365_failover_core::{ItemKind, Role};

use super::{Rule, Violation};
use crate::history::{ClientRecord, EventSeen, History, Terms};

pub(super) fn check(history: &History) -> Vec<Violation> {
    let clients = history.clients.iter().enumerate();
    let of_client = |(number, client): (usize, &ClientRecord)| {
        let texts = Watch::of(client, history.terms);
        let violations = texts
            .into_iter()
            .map(move |text| Violation::of_client(Rule::Events, number, text));
        violations.collect::<Vec<_>>()
    };
    clients.flat_map(of_client).collect()
}

/// What the events so far have said.
struct Watch<'a> {
    terms: Terms,
    epoch: u64,
    role: Role,
    /// Announced, and neither vetoed nor told of.
    required: Option<&'a EventSeen>,
    vetoed: Option<&'a EventSeen>,
    /// What is announced may come to nothing.
    was_held: bool,
    wrong: Vec<String>,
}

impl<'a> Watch<'a> {
    fn of(client: &'a ClientRecord, terms: Terms) -> Vec<String> {
        let mut watch = Watch {
            terms,
            epoch: 0,
            role: Role::Primary,
            required: None,
            vetoed: None,
            was_held: client.was_held,
            wrong: Vec::new(),
        };
        for event in &client.events {
            match event.kind {
                ItemKind::EndpointSwitchRequired => watch.required(event),
                ItemKind::EndpointSwitched => watch.switched(event),
                _ => {}
            }
        }
        if let Some(required) = watch.required
            && !watch.was_held
        {
            let text = format!(
                "EndpointSwitchRequired of epoch {} came to nothing",
                required.epoch
            );
            watch.wrong.push(text);
        }
        if client.epoch != watch.epoch {
            let text = format!(
                "the client is at epoch {}, and its events at {}",
                client.epoch, watch.epoch
            );
            watch.wrong.push(text);
        }
        if client.active.is_some_and(|active| active != watch.role) {
            let text = format!(
                "the client is at the {:?}, and its events are not",
                client.active
            );
            watch.wrong.push(text);
        }
        watch.wrong
    }

    fn leads_on(&mut self, event: &EventSeen) {
        let name = event.kind.name();
        if event.epoch != self.epoch + 1 {
            self.wrong.push(format!(
                "{name} has the epoch {}, after {}",
                event.epoch, self.epoch
            ));
        }
        if event.from != Some(self.role) || event.to != Some(self.role.other()) {
            self.wrong.push(format!(
                "{name} of epoch {} leads from {:?} to {:?}, and the client was at the {}",
                event.epoch,
                event.from,
                event.to,
                self.role.name()
            ));
        }
    }

    fn required(&mut self, event: &'a EventSeen) {
        self.leads_on(event);
        if self.required.is_some() && !self.was_held {
            self.wrong.push(format!(
                "EndpointSwitchRequired of epoch {} was raised twice",
                event.epoch
            ));
        }
        if let (Some(vetoed), Some(hold_down)) = (self.vetoed, self.terms.hold_down) {
            let since = event.time.duration_since(vetoed.time).unwrap_or_default();
            if since < hold_down {
                self.wrong.push(format!(
                    "EndpointSwitchRequired of epoch {} was raised again {since:?} after a veto",
                    event.epoch
                ));
            }
        }
        self.vetoed = event.vetoed.then_some(event);
        self.required = (!event.vetoed).then_some(event);
    }

    fn switched(&mut self, event: &'a EventSeen) {
        self.leads_on(event);
        if event.automatic && self.terms.probes && !event.probed {
            self.wrong.push(format!(
                "EndpointSwitched of epoch {} goes where nothing was asked whether it answers",
                event.epoch
            ));
        }
        if event.automatic && self.required.is_none() {
            self.wrong.push(format!(
                "EndpointSwitched of epoch {} was not announced",
                event.epoch
            ));
        }
        // Where the application has switched by itself, what was announced is done as well.
        self.required = None;
        self.vetoed = None;
        self.epoch = event.epoch;
        self.role = event.to.unwrap_or(self.role.other());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rules::testing::{broken, history, sound, switch};

    fn switched() -> History {
        let mut history = history();
        switch(&mut history);
        history.clients[0].ledger[0].is_suspect = true;
        history
    }

    fn guilty(spoil: fn(&mut History)) {
        let mut bad = switched();
        spoil(&mut bad);
        assert!(
            broken(&bad).contains(&Rule::Events),
            "{:?}",
            bad.clients[0].events
        );
    }

    #[test]
    fn a_pair_for_each_epoch() {
        sound(&switched());
        guilty(|bad| bad.clients[0].events.swap(0, 1));
        guilty(|bad| {
            bad.clients[0].events.remove(0);
        });
        guilty(|bad| {
            bad.clients[0].events.remove(1);
        });
        guilty(|bad| {
            let again = bad.clients[0].events[0].clone();
            bad.clients[0].events.insert(0, again);
        });
        guilty(|bad| {
            let again = bad.clients[0].events[1].clone();
            bad.clients[0].events.push(again);
        });
        guilty(|bad| bad.clients[0].events[1].epoch = 2);
        guilty(|bad| bad.clients[0].events[0].to = Some(Role::Primary));
    }

    #[test]
    fn the_client_is_where_its_events_say() {
        guilty(|bad| bad.clients[0].epoch = 0);
        guilty(|bad| bad.clients[0].active = Some(Role::Primary));
    }

    #[test]
    fn a_switch_by_hand_is_not_announced() {
        let mut fine = switched();
        fine.clients[0].events.remove(0);
        fine.clients[0].events[0].automatic = false;
        sound(&fine);
    }

    #[test]
    fn the_other_side_is_asked_before() {
        let mut fine = switched();
        fine.clients[0].events[1].probed = false;
        sound(&fine);
        fine.terms.probes = true;
        assert!(broken(&fine).contains(&Rule::Events));
    }

    #[test]
    fn while_auto_switch_is_off_announcements_come_to_nothing() {
        let mut fine = switched();
        let again = fine.clients[0].events[0].clone();
        fine.clients[0].events.insert(0, again);
        assert!(broken(&fine).contains(&Rule::Events));
        fine.clients[0].was_held = true;
        sound(&fine);
    }

    #[test]
    fn after_a_veto_nothing_is_asked_again_in_the_hold_down() {
        let mut fine = switched();
        fine.terms.hold_down = Some(Duration::from_secs(1));
        let mut no = fine.clients[0].events[0].clone();
        no.vetoed = true;
        fine.clients[0].events.insert(0, no);
        assert!(broken(&fine).contains(&Rule::Events));
        fine.clients[0].events[1].time += Duration::from_secs(1);
        sound(&fine);
    }
}
