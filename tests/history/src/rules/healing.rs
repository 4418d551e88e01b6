//! After everything is healed, calls succeed.

use super::{Rule, Violation};
use crate::history::{History, Season};

pub(super) fn check(history: &History) -> Vec<Violation> {
    let calls = history.calls.iter();
    let failed = calls.filter(|call| call.season == Season::Healed && !call.succeeded());
    failed
        .map(|call| {
            let text = format!(
                "everything was healed, and it ended with {:?}",
                call.told.end
            );
            Violation::of_call(Rule::Healed, call, text)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::End;
    use crate::rules::testing::{broken, history, sound};

    #[test]
    fn a_call_that_fails_when_nothing_is_wrong_any_more() {
        let mut bad = history();
        bad.calls[1].told.end = End::Error("timeout".into());
        sound(&bad);
        bad.calls[1].season = Season::Healed;
        assert_eq!(broken(&bad), [Rule::Healed]);
    }
}
