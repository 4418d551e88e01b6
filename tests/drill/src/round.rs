//! The rounds of a drill: each is one disaster under one preset.

use std::collections::BTreeMap;

use d365_twin::FaultKind;
use serde_json::json;

/// The presets of a drill that names none.
pub(crate) const PRESETS: [&str; 2] = ["safe", "dotnet"];

/// A round to be made.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    /// The preset of every client.
    pub(crate) preset: String,
    /// What happens to the primary.
    pub(crate) fault: FaultKind,
    /// Whether a gateway gives up on creates before that: they are executed and answered with 504.
    pub(crate) gateway: bool,
    /// Whether the applications are killed in the middle of their writes as it begins, and started
    /// again with the store that they had.
    pub(crate) killed: bool,
    /// How many before it would have its name: faults of one kind, or a preset that is named twice.
    pub(crate) twins: usize,
}

/// The disasters of a drill that names none.
pub(crate) fn disasters() -> Vec<FaultKind> {
    vec![
        FaultKind::Refuse {
            keep_existing: false,
        },
        FaultKind::BlackHole,
        FaultKind::HtmlPage {
            status: 503,
            commit: false,
        },
        FaultKind::DatacenterNotAvailable { status: 503 },
    ]
}

/// All rounds: each disaster under each preset, and one in which the applications are killed, with the
/// first for which it leaves the primary.
pub(crate) fn rounds(presets: &[String], faults: &[FaultKind], killed: bool) -> Vec<Round> {
    let mut rounds = Vec::new();
    for preset in presets {
        let mut killed = killed;
        for (number, fault) in faults.iter().enumerate() {
            let round = |gateway| Round {
                preset: preset.clone(),
                fault: fault.clone(),
                gateway,
                killed: false,
                twins: 0,
            };
            // After a 504 `dotnet` has left the primary before it dies: that has a round of its own.
            let is_blind = round(false).is_blind();
            rounds.push(round(!is_blind));
            if is_blind && number == 0 {
                rounds.push(round(true));
            }
            if killed && round(false).is_left() {
                killed = false;
                rounds.push(Round {
                    killed: true,
                    ..round(false)
                });
            }
        }
    }
    // Each has a folder of its own, and rounds may be made at once.
    let mut named = BTreeMap::new();
    for round in &mut rounds {
        let before = named.entry(round.name()).or_insert(0);
        round.twins = *before;
        *before += 1;
    }
    rounds
}

/// A kind of the twin's faults by its name, or a fault in JSON.
pub(crate) fn fault(text: &str) -> Result<FaultKind, String> {
    let value = match text.starts_with('{') {
        true => serde_json::from_str(text).map_err(|error| error.to_string())?,
        false => json!({ "kind": text }),
    };
    serde_json::from_value(value).map_err(|error| error.to_string())
}

impl Round {
    /// Its name as a folder's, which no other round has: `safe-refuse`, `safe-refuse-2`.
    pub(crate) fn name(&self) -> String {
        let gateway = if self.is_blind() && self.gateway {
            "-504"
        } else {
            ""
        };
        let killed = if self.killed { "-killed" } else { "" };
        let number = match self.twins {
            0 => String::new(),
            before => format!("-{}", before + 1),
        };
        format!(
            "{}-{}{gateway}{killed}{number}",
            self.preset,
            self.fault.name()
        )
    }

    /// What happens, in a few words.
    pub(crate) fn words(&self) -> String {
        let words = match &self.fault {
            FaultKind::Refuse { .. } => "connections refused",
            FaultKind::BlackHole => "silence, a black hole",
            FaultKind::HtmlPage { status, .. } => {
                return format!("a page with {status}");
            }
            FaultKind::DatacenterNotAvailable { .. } => "the fault 0x8004B065",
            other => other.name(),
        };
        if self.killed {
            return format!("killed, then {words}");
        }
        match self.is_blind() && self.gateway {
            true => format!("504 after creates, {words}"),
            false => words.to_owned(),
        }
    }

    /// A preset that switches on a doubt and resends unsafe writes blindly, as .NET, may switch when
    /// a gateway gives up, and double rows. Another one must do neither.
    pub(crate) fn is_blind(&self) -> bool {
        self.preset == "dotnet"
    }

    /// Whether the primary is left for this disaster: .NET took a page of a front end for an error
    /// of the call.
    pub(crate) fn is_left(&self) -> bool {
        !(self.is_blind() && matches!(self.fault, FaultKind::HtmlPage { .. }))
    }

    /// Settings of the applications, by their variables: what is long by default and would be waited
    /// for.
    pub(crate) fn settings(&self) -> Vec<(&'static str, &'static str)> {
        if self.killed {
            return vec![
                ("D365_GUARDED_CREATES", "on"),
                ("D365_LEDGER_BODIES", "full"),
            ];
        }
        match (&self.fault, self.is_blind()) {
            (FaultKind::BlackHole, true) => vec![("D365_ATTEMPT_TIMEOUT_MS", "2000")],
            (FaultKind::BlackHole, false) => vec![("D365_WRITE_GRACE_MS", "2000")],
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_disaster_has_a_round_under_each_preset() {
        let all = rounds(&PRESETS.map(str::to_owned), &disasters(), true);
        let names: Vec<String> = all.iter().map(Round::name).collect();
        assert_eq!(
            names,
            [
                "safe-refuse",
                "safe-refuse-killed",
                "safe-black_hole",
                "safe-html_page",
                "safe-datacenter_not_available",
                "dotnet-refuse",
                "dotnet-refuse-504",
                "dotnet-refuse-killed",
                "dotnet-black_hole",
                "dotnet-html_page",
                "dotnet-datacenter_not_available",
            ]
        );
        let stay = all.iter().filter(|round| !round.is_left());
        assert_eq!(
            stay.map(Round::name).collect::<Vec<_>>(),
            ["dotnet-html_page"]
        );
        for round in &all {
            // The table of all rounds has as much room.
            assert!(round.words().len() <= 38, "{}", round.words());
        }
    }

    #[test]
    fn no_two_rounds_share_a_name() {
        let page = |status| FaultKind::HtmlPage {
            status,
            commit: false,
        };
        let presets = ["safe", "dotnet", "safe"].map(str::to_owned);
        let all = rounds(&presets, &[page(502), page(503), page(502)], true);
        assert_eq!(
            all.iter().map(Round::name).collect::<Vec<_>>(),
            [
                "safe-html_page",
                "safe-html_page-killed",
                "safe-html_page-2",
                "safe-html_page-3",
                "dotnet-html_page",
                "dotnet-html_page-504",
                "dotnet-html_page-2",
                "dotnet-html_page-3",
                "safe-html_page-4",
                "safe-html_page-killed-2",
                "safe-html_page-5",
                "safe-html_page-6",
            ]
        );
    }

    #[test]
    fn a_fault_is_named_or_written_out() {
        assert_eq!(fault("refuse").unwrap().name(), "refuse");
        let page = fault(r#"{"kind": "html_page", "status": 502}"#).unwrap();
        assert!(matches!(page, FaultKind::HtmlPage { status: 502, .. }));
        assert!(fault("earthquake").is_err());
        assert!(fault("{").is_err());
    }
}
