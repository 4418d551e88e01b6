//! No call outlives its deadline.

use super::{Rule, Violation};
use crate::history::History;

pub(super) fn check(history: &History) -> Vec<Violation> {
    let slack = history.terms.slack;
    let late = history
        .calls
        .iter()
        .filter(|call| call.took > call.deadline + slack);
    late.map(|call| {
        let text = format!(
            "it took {:?}, and its deadline was {:?}",
            call.took, call.deadline
        );
        Violation::of_call(Rule::Deadline, call, text)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{broken, history};

    #[test]
    fn a_call_that_hangs() {
        let mut bad = history();
        bad.calls[1].took = bad.calls[1].deadline + bad.terms.slack * 2;
        assert_eq!(broken(&bad), [Rule::Deadline]);
    }
}
