//! The firewall of the namespace. It looks at what arrives, not at what is sent: a packet that the
//! sender's own machine refuses is no failure of the network.

use serde_json::Value;

use crate::namespace::run;

const CHAIN: [&str; 3] = ["inet", "cases", "input"];

/// Makes the chain that the rules go into. Called once.
pub(crate) fn set_up() {
    run("nft", &["add", "table", CHAIN[0], CHAIN[1]]);
    let hook = "{ type filter hook input priority 0; }";
    nft(&["add", "chain"], &[hook]);
}

fn nft(verb: &[&str], rest: &[&str]) -> Vec<u8> {
    run("nft", &[verb, &CHAIN, rest].concat())
}

/// Rules, as long as this lives. Only one case at a time has some.
pub(crate) struct Rules(());

impl Rules {
    /// Takes the rules in nft's language.
    pub(crate) fn new<'a>(rules: impl IntoIterator<Item = &'a str>) -> Rules {
        let guard = Rules(());
        for rule in rules {
            nft(&["add", "rule"], &[rule]);
        }
        guard
    }

    /// How many packets the rules' counters have seen.
    pub(crate) fn packets(&self) -> u64 {
        let listed: Value = serde_json::from_slice(&nft(&["-j", "list", "chain"], &[])).unwrap();
        let entries = listed["nftables"].as_array().expect("a list");
        entries
            .iter()
            .filter_map(|entry| entry["rule"]["expr"].as_array())
            .flatten()
            .filter_map(|part| part["counter"]["packets"].as_u64())
            .sum()
    }
}

impl Drop for Rules {
    fn drop(&mut self) {
        nft(&["flush", "chain"], &[]);
    }
}
