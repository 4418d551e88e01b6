//! An application that may be killed at any instant: a process that makes the calls of one client of a
//! plan, with a store, and says what it begins and what it was told, a line each.

use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead, Write};
use std::thread;

use d365_failover_core::{Client, Effect, Error, Settings};
use serde_json::{Value, json};

use crate::plan::{CallPlan, Manner, Plan};
use crate::request::request;
use crate::run::THOUGHT;
use crate::work::tag;

/// Whose calls a process makes, and how.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    pub(crate) seed: u64,
    pub(crate) calls: u32,
    pub(crate) clients: usize,
    pub(crate) client: usize,
    pub(crate) url: String,
    pub(crate) settings: Vec<(String, String)>,
    /// Of the rows that are there before.
    pub(crate) versions: HashMap<u32, u64>,
    /// What those before it have begun.
    pub(crate) begun: HashSet<u32>,
}

impl Orders {
    pub(crate) fn line(&self) -> String {
        json!({
            "seed": self.seed,
            "calls": self.calls,
            "clients": self.clients,
            "client": self.client,
            "url": self.url,
            "settings": self.settings,
            "versions": self.versions.iter().collect::<Vec<_>>(),
            "begun": self.begun,
        })
        .to_string()
    }

    fn read(line: &str) -> Option<Orders> {
        let all: Value = serde_json::from_str(line).ok()?;
        let of = |key: &str| serde_json::from_value::<Value>(all[key].clone()).ok();
        Some(Orders {
            seed: all["seed"].as_u64()?,
            calls: all["calls"].as_u64()?.try_into().ok()?,
            clients: all["clients"].as_u64()?.try_into().ok()?,
            client: all["client"].as_u64()?.try_into().ok()?,
            url: all["url"].as_str()?.to_owned(),
            settings: serde_json::from_value(of("settings")?).ok()?,
            versions: serde_json::from_value::<Vec<(u32, u64)>>(of("versions")?)
                .ok()?
                .into_iter()
                .collect(),
            begun: serde_json::from_value(of("begun")?).ok()?,
        })
    }
}

/// What such a process says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Saying {
    Begun(u32),
    /// What a call was told, and its number on record.
    Told(u32, Effect, Option<u64>),
    Done,
}

impl Saying {
    /// None: a kill has cut it off.
    pub(crate) fn read(line: &str) -> Option<Saying> {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["begun", number] => Some(Saying::Begun(number.parse().ok()?)),
            ["told", number, effect, id] => {
                let all = [
                    Effect::None,
                    Effect::Executed,
                    Effect::NotExecuted,
                    Effect::Unknown,
                ];
                let effect = all.into_iter().find(|known| known.name() == effect)?;
                Some(Saying::Told(number.parse().ok()?, effect, id.parse().ok()))
            }
            ["done"] => Some(Saying::Done),
            _ => None,
        }
    }
}

/// In one piece: what was cut by a kill has no end of line.
fn say(text: &str) {
    // Nobody is left to tell when nobody listens.
    let _ = io::stdout().write_all(format!("{text}\n").as_bytes());
}

/// Lives such a life, by the orders in the first line of standard input; a line `switch` switches by
/// hand. It ends when its calls are made, or it is killed.
///
/// # Errors
/// What the orders lack, or why the client cannot be opened.
pub fn live() -> Result<(), String> {
    let mut lines = io::stdin().lock().lines();
    let first = lines.next().and_then(Result::ok).unwrap_or_default();
    let orders = Orders::read(&first).ok_or("no orders came")?;
    let client = open(&orders).map_err(|error| error.to_string())?;
    let by_hand = client.clone();
    thread::spawn(move || {
        for _ in io::stdin().lock().lines().map_while(Result::ok) {
            // Refused where there is nothing to go to.
            let _ = by_hand.switch_endpoint();
        }
    });
    drop(lines);
    let plan = Plan::draw(orders.seed, orders.calls, orders.clients);
    let own = plan.clients.get(orders.client).ok_or("no such client")?;
    thread::scope(|scope| {
        for lane in &own.lanes {
            let (client, orders) = (&client, &orders);
            scope.spawn(move || {
                let left = lane
                    .iter()
                    .filter(|call| !orders.begun.contains(&call.number));
                for call in left {
                    make(client, orders, call);
                }
            });
        }
    });
    say("done");
    client
        .shutdown(crate::plan::DEADLINE)
        .map_err(|error| error.to_string())
}

fn open(orders: &Orders) -> Result<Client, Error> {
    let mut settings = Settings::new(&orders.url)?;
    for (key, value) in &orders.settings {
        settings.set(key, value)?;
    }
    Client::open(&settings)
}

fn make(client: &Client, orders: &Orders, call: &CallPlan) {
    let version = orders.versions.get(&call.number).copied();
    let Ok(mut request) = request(call.number, &call.work, version) else {
        return;
    };
    if request.set_timeout(call.deadline).is_err() || request.set_tag(&tag(call.number)).is_err() {
        return;
    }
    say(&format!("begun {}", call.number));
    let ended = match call.manner {
        Manner::Cancelled(after) => {
            let mut asked = 0;
            client.send_with_check(&request, &mut || {
                asked += 1;
                asked >= after
            })
        }
        Manner::Blocking | Manner::Submitted => client.send(&request),
    };
    let (effect, id) = match &ended {
        Ok(response) => (response.effect(), response.ledger_id()),
        Err(error) => (error.effect(), error.ledger_id()),
    };
    let id = id.map_or_else(|| "-".to_owned(), |id| id.to_string());
    say(&format!("told {} {} {id}", call.number, effect.name()));
    if ended.is_err() {
        thread::sleep(THOUGHT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_and_sayings_are_read_as_they_are_written() {
        let orders = Orders {
            seed: 1 << 40,
            calls: 30,
            clients: 2,
            client: 1,
            url: "https://a.test".into(),
            settings: vec![("preset".into(), "safe".into())],
            versions: [(3, 17)].into(),
            begun: [4, 5].into(),
        };
        let read = Orders::read(&orders.line()).unwrap();
        assert_eq!(format!("{orders:?}").len(), format!("{read:?}").len());
        assert_eq!(read.versions, orders.versions);
        assert_eq!(read.begun, orders.begun);
        assert!(Orders::read("{}").is_none());
        let told = Saying::Told(7, Effect::NotExecuted, Some(12));
        assert_eq!(Saying::read("told 7 not_executed 12"), Some(told));
        let unnamed = Saying::Told(7, Effect::None, None);
        assert_eq!(Saying::read("told 7 none -"), Some(unnamed));
        assert_eq!(Saying::read("begun 7"), Some(Saying::Begun(7)));
        assert_eq!(Saying::read("told 7 exec"), None);
    }
}
