//! The operator's override: what the switch does when the operator speaks, and is silent again.

use std::time::Instant;

use super::inquiry::Inquiry;
use super::{Action, Switch};
use crate::decide::look::Stay;
use crate::{Order, Role};

impl Switch {
    /// What the operator says.
    pub fn order(&self) -> Option<Order> {
        self.order
    }

    /// Whether a fault moves calls.
    pub fn auto_switch(&self) -> bool {
        self.order.is_none() && self.alternate.auto_switch()
    }

    /// The order that keeps calls at an endpoint, and which.
    pub(super) fn pin(&self) -> Option<(Order, Role)> {
        let order = self.order?;
        Some((order, order.value.pins()?))
    }

    /// What keeps calls where they are, whatever is found.
    pub fn kept(&self) -> Option<Stay> {
        match self.pin() {
            Some((order, _)) => Some(Stay::Ordered(order)),
            None => self.is_left_by_hand().then_some(Stay::ByHand),
        }
    }

    /// Whether there is an endpoint that calls may be moved to.
    pub(super) fn has_other(&self) -> bool {
        !self.alternate.is_none() && self.kept().is_none()
    }

    /// A client is opened under an order: no switch, but where it begins.
    pub fn begins_under(&mut self, order: Order) {
        self.order = Some(order);
        if let Some((_, role)) = self.pin() {
            self.place.role = role;
            self.first = None;
        }
    }

    /// The operator says something else. What calls are kept at is gone to at once: nobody is asked
    /// whether it answers, and no handler may veto it.
    pub fn obey(&mut self, order: Option<Order>, now: Instant) -> Vec<Action> {
        if self.order == order {
            return Vec::new();
        }
        self.order = order;
        // What was found and said before was said of another question.
        self.looked = None;
        self.refused = None;
        match self.pin() {
            Some((_, role)) if role != self.place.role => return self.goes(now),
            Some(_) => {
                self.first = None;
                self.inquires_anew(false, now);
            }
            None => self.inquires_anew(self.has_other(), now),
        }
        Vec::new()
    }

    /// There is another endpoint to go to now, or none any more. An outage goes on with that; whoever
    /// waits for the end of another question asks anew.
    fn inquires_anew(&mut self, has_other: bool, now: Instant) {
        let place = self.place;
        let is_other =
            |inquiry: &&mut Inquiry| inquiry.from == place && inquiry.has_other != has_other;
        if let Some(inquiry) = self.inquiry.as_mut().filter(is_other) {
            match &mut inquiry.outage {
                Some(outage) => {
                    inquiry.has_other = has_other;
                    if has_other {
                        outage.gains_other(now);
                    } else {
                        outage.loses_other();
                    }
                }
                None => self.inquiry = None,
            }
        }
    }
}

#[cfg(test)]
#[path = "orders_tests.rs"]
mod tests;
