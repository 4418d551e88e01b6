//! Which writes that were executed are to be verified all the same.

use crate::{Effect, Operation, Role};

/// Whether a write that was executed may be executed once more, late: by an earlier attempt of which
/// nobody knows what became. It may stall for long, and undo what was written since. Of several
/// attempts in doubt each may be the one that has executed it.
///
/// `attempts`: where each one went, and what it did, in their order.
///
/// A repeat that a guard refuses does no harm. But a guard is one of one store: at the other side the
/// earlier attempt finds the row as it was there, and replication carries it over.
pub(crate) fn may_come_late(
    operation: Operation,
    attempts: impl Iterator<Item = (Option<Role>, Effect)> + Clone,
) -> bool {
    let mut doubted = attempts
        .clone()
        .take_while(|(_, effect)| *effect != Effect::Executed)
        .filter(|(_, effect)| *effect == Effect::Unknown);
    let executed = attempts
        .clone()
        .find(|(_, effect)| *effect == Effect::Executed);
    let Some((executed_at, _)) = executed.or_else(|| doubted.next()) else {
        return false;
    };
    doubted.any(|(role, _)| operation != Operation::Guarded || role != executed_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Attempts = &'static [(Option<Role>, Effect)];

    #[test]
    fn what_was_executed_after_a_doubt_may_come_late() {
        use Effect::{Executed, NotExecuted, Unknown};
        use Operation::{Guarded, Idempotent, Unsafe};
        const HERE: Option<Role> = Some(Role::Primary);
        const THERE: Option<Role> = Some(Role::Alternate);
        let table: [(Operation, Attempts, bool); 13] = [
            (Guarded, &[(HERE, Unknown)], false),
            (Guarded, &[(HERE, Unknown), (HERE, Unknown)], false),
            (Guarded, &[(HERE, Unknown), (THERE, Unknown)], true),
            (Idempotent, &[(HERE, Unknown), (HERE, Unknown)], true),
            (Idempotent, &[(HERE, Executed)], false),
            (Idempotent, &[(HERE, NotExecuted), (THERE, Executed)], false),
            (Idempotent, &[(HERE, Unknown), (THERE, Executed)], true),
            // In one place as well: the first one stalls, and a newer write overtakes it.
            (Idempotent, &[(HERE, Unknown), (HERE, Executed)], true),
            (Guarded, &[(HERE, Unknown), (HERE, Executed)], false),
            (Guarded, &[(HERE, Unknown), (THERE, Executed)], true),
            (Unsafe, &[(HERE, Unknown), (THERE, Executed)], true),
            (
                Guarded,
                &[(HERE, Unknown), (THERE, NotExecuted), (HERE, Executed)],
                false,
            ),
            (Idempotent, &[(HERE, Unknown), (THERE, NotExecuted)], false),
        ];
        for (operation, attempts, expected) in table {
            let got = may_come_late(operation, attempts.iter().copied());
            assert_eq!(got, expected, "{operation:?} {attempts:?}");
        }
    }
}
