//! What the store says of each write, against what was executed: every write has one true word, whoever
//! was killed in the middle of it.

use std::collections::BTreeMap;
use std::fmt;

use d365_failover_core::Effect;

/// A write of the plan, and what is known of it from outside of the store.
#[derive(Clone, Debug, Default)]
pub struct Claim {
    /// The call's number.
    pub number: u32,
    /// What it is, for stories.
    pub work: String,
    /// Whether a process has begun it.
    pub begun: bool,
    /// What its process was told, and its number on record; none: it was killed before.
    pub told: Option<(Effect, Option<u64>)>,
    /// How often both sides have executed it.
    pub executed: usize,
    /// Whether its rows are as it leaves them at the side that is active in the end; none: that is
    /// not known.
    pub is_there: Option<bool>,
}

/// What the store says of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Its number.
    pub id: u64,
    /// The effect; none: it is in flight.
    pub effect: Option<Effect>,
    /// Whether it is to be verified.
    pub is_suspect: bool,
    /// What it came to when it was settled.
    pub resolution: Option<String>,
}

/// The whole record, by the calls' numbers; those of no call are under none.
pub type Recorded = BTreeMap<Option<u32>, Vec<Word>>;

/// What is not so.
#[must_use]
pub fn judge_record(claims: &[Claim], recorded: &Recorded) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for claim in claims {
        let words = recorded
            .get(&Some(claim.number))
            .map_or(&[][..], Vec::as_slice);
        let of_one = of_claim(claim, words).into_iter();
        found.extend(of_one.map(|text| format!("{claim}: {text}")));
    }
    for (number, words) in recorded {
        let is_known = |number: &u32| claims.iter().any(|claim| claim.number == *number);
        if !number.as_ref().is_some_and(is_known) {
            found.push(format!("{words:?} on record, of no write"));
        }
    }
    found
}

fn of_claim(claim: &Claim, words: &[Word]) -> Vec<String> {
    let mut found = Vec::new();
    if words.len() > 1 {
        found.push(format!("it is on record {} times", words.len()));
    }
    let executed = claim.executed;
    let Some(word) = words.first() else {
        if executed > 0 {
            found.push(format!(
                "it was executed {executed} times, and is not on record"
            ));
        }
        if let Some((effect @ (Effect::Executed | Effect::Unknown), _)) = claim.told {
            found.push(format!(
                "it was told {}, and is not on record",
                effect.name()
            ));
        }
        return found;
    };
    if !claim.begun {
        found.push("it was never begun, and is on record".into());
    }
    match word.effect {
        None => found.push("it is in flight on record, and nobody is there to end it".into()),
        Some(Effect::Executed) if executed == 0 => {
            found.push("it is executed on record, and no side has executed it".into());
        }
        Some(Effect::NotExecuted | Effect::None) if executed > 0 => {
            found.push(format!(
                "it is not executed on record, and was, {executed} times"
            ));
        }
        Some(Effect::Unknown) if !word.is_suspect && word.resolution.is_none() => {
            found.push("it is in doubt on record, and no suspect".into());
        }
        Some(_) => {}
    }
    if let Some((effect, id)) = claim.told
        && word.resolution.is_none()
        && (Some(effect), id) != (word.effect, Some(word.id))
    {
        found.push(format!(
            "it was told {} as number {id:?}, and the record says {:?} of {}",
            effect.name(),
            word.effect,
            word.id
        ));
    }
    let is_acknowledged = word.effect == Some(Effect::Executed);
    let is_settled = word.resolution.is_some();
    if claim.is_there == Some(false) && (is_acknowledged && !word.is_suspect || is_settled) {
        found.push(format!(
            "it is executed on record, not at the active side, and in question for nobody ({:?})",
            word.resolution
        ));
    }
    found
}

impl fmt::Display for Claim {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "call {} ({}", self.number, self.work)?;
        match self.told {
            Some(_) => write!(out, ")"),
            None if self.begun => write!(out, ", killed)"),
            None => write!(out, ", never begun)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(effect: Effect, is_suspect: bool) -> Word {
        Word {
            id: 5,
            effect: Some(effect),
            is_suspect,
            resolution: None,
        }
    }

    fn told(effect: Effect, executed: usize) -> Claim {
        Claim {
            number: 1,
            work: "Create".into(),
            begun: true,
            told: Some((effect, Some(5))),
            executed,
            is_there: (executed > 0).then_some(true),
        }
    }

    fn killed(executed: usize) -> Claim {
        Claim {
            told: None,
            ..told(Effect::None, executed)
        }
    }

    fn judged(claim: &Claim, words: &[Word]) -> Vec<String> {
        let mut recorded = Recorded::new();
        if !words.is_empty() {
            recorded.insert(Some(1), words.to_vec());
        }
        judge_record(std::slice::from_ref(claim), &recorded)
    }

    #[test]
    fn what_is_so_is_sound() {
        let settled = Word {
            resolution: Some("Confirmed".into()),
            ..word(Effect::Unknown, false)
        };
        for (claim, words) in [
            (
                told(Effect::Executed, 1),
                vec![word(Effect::Executed, false)],
            ),
            (
                told(Effect::Executed, 2),
                vec![word(Effect::Executed, true)],
            ),
            (told(Effect::Unknown, 0), vec![word(Effect::Unknown, true)]),
            (told(Effect::Unknown, 1), vec![word(Effect::Unknown, true)]),
            (told(Effect::NotExecuted, 0), vec![]),
            (killed(0), vec![]),
            (killed(0), vec![word(Effect::Unknown, true)]),
            (killed(1), vec![word(Effect::Unknown, true)]),
            (killed(1), vec![word(Effect::Executed, false)]),
            (told(Effect::Unknown, 1), vec![settled]),
            (Claim::default(), vec![]),
        ] {
            assert_eq!(judged(&claim, &words), Vec::<String>::new(), "{words:?}");
        }
    }

    #[test]
    fn each_untrue_word_is_found() {
        let in_flight = Word {
            effect: None,
            ..word(Effect::None, false)
        };
        let other = Word {
            id: 6,
            ..word(Effect::Executed, false)
        };
        let lost = Claim {
            is_there: Some(false),
            ..told(Effect::Executed, 1)
        };
        let settled = Word {
            resolution: Some("Confirmed".into()),
            ..word(Effect::Executed, false)
        };
        let never = Claim {
            begun: false,
            ..killed(0)
        };
        let twice = vec![word(Effect::Executed, false), word(Effect::Executed, false)];
        for (claim, words, what) in [
            (killed(1), vec![], "executed 1 times, and is not on record"),
            (
                told(Effect::Executed, 0),
                vec![],
                "told executed, and is not on record",
            ),
            (
                told(Effect::Unknown, 0),
                vec![],
                "told unknown, and is not on record",
            ),
            (killed(0), vec![in_flight], "in flight on record"),
            (
                killed(0),
                vec![word(Effect::Executed, false)],
                "no side has executed it",
            ),
            (
                killed(1),
                vec![word(Effect::NotExecuted, false)],
                "is not executed on record",
            ),
            (
                killed(0),
                vec![word(Effect::Unknown, false)],
                "and no suspect",
            ),
            (
                told(Effect::Executed, 1),
                vec![word(Effect::Unknown, true)],
                "the record says",
            ),
            (told(Effect::Executed, 1), vec![other], "the record says"),
            (told(Effect::Executed, 1), twice, "on record 2 times"),
            (
                lost.clone(),
                vec![word(Effect::Executed, false)],
                "in question for nobody",
            ),
            (lost, vec![settled], "in question for nobody"),
            (never, vec![word(Effect::Unknown, true)], "never begun"),
        ] {
            let found = judged(&claim, &words);
            assert_eq!(found.len(), 1, "{what}: {found:?}");
            assert!(found[0].contains(what), "{what}: {found:?}");
        }
        let stray = [(Some(9), vec![word(Effect::Executed, false)])].into();
        assert!(judge_record(&[], &stray)[0].contains("of no write"));
        let nameless = [(None, vec![word(Effect::Executed, false)])].into();
        assert!(judge_record(&[], &nameless)[0].contains("of no write"));
    }
}
