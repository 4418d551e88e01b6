//! The twin and its rows, as the run of a plan needs them.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use d365_failover_core::{Client, Error, Request, Role, Settings};
use d365_twin::{
    Authority, Condition, FaultId, OrgHandle, OrganizationConfig, Replication, SideHandle, Twin,
    TwinConfig, TwinError,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::history::{Receipt, Rows};
use crate::misfortune::Misfortune;
use crate::plan::{CallPlan, ClientPlan, Plan};
use crate::request::{ACCOUNTS, row_of};
use crate::work::{RowOf, named, seeded_name, tagged};

/// How long anything that must happen may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How long a request that was released may take to be executed.
const AFTERMATH: Duration = Duration::from_secs(2);

/// What a side answers within when the weather is fair.
const BRISK: Duration = Duration::from_millis(200);
const WHO_AM_I: &str = "/api/data/v9.2/WhoAmI";
/// What only a row that was seeded has.
const ORIGIN: &str = "origin";

/// Why a history could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The twin.
    #[error("the twin: {0}")]
    Twin(#[from] TwinError),
    /// A client that could not be opened, or a request that could not be made.
    #[error("the client: {0}")]
    Client(#[from] Error),
    /// Something that must work in good weather did not.
    #[error("{0}")]
    Broken(String),
}

/// The running twin.
pub(crate) struct Stage {
    twin: Twin,
    org: OrgHandle,
}

impl Stage {
    pub(crate) fn open(plan: &Plan) -> Result<Stage, RunError> {
        let twin = Twin::start(TwinConfig::new([OrganizationConfig {
            http2: plan.http2,
            replication: Replication::lag(0),
            ..OrganizationConfig::new("contoso")
        }]))?;
        let org = twin.org("contoso")?;
        Ok(Stage { twin, org })
    }

    pub(crate) fn org(&self) -> &OrgHandle {
        &self.org
    }

    pub(crate) fn side(&self, role: Role) -> &SideHandle {
        match role {
            Role::Primary => &self.org.primary,
            Role::Alternate => &self.org.alternate,
        }
    }

    /// Settings of a client at a side's URL.
    fn settings_at(&self, role: Role) -> Result<Settings, Error> {
        let mut settings = Settings::new(&self.side(role).url())?;
        for (key, value) in self.ways() {
            settings.set(&key, &value)?;
        }
        Ok(settings)
    }

    /// Settings of a client of the history.
    pub(crate) fn settings(&self, client: &ClientPlan) -> Result<Settings, Error> {
        let mut settings = Settings::new(&self.url())?;
        for (key, value) in self.pairs(client) {
            settings.set(&key, &value)?;
        }
        Ok(settings)
    }

    pub(crate) fn ca_file(&self) -> PathBuf {
        self.twin.ca_file()
    }

    pub(crate) fn url(&self) -> String {
        self.org.primary.url()
    }

    /// The same as pairs of their names and texts, for another process.
    pub(crate) fn pairs(&self, client: &ClientPlan) -> Vec<(String, String)> {
        let on = |is_on| if is_on { "on" } else { "off" };
        let own = [
            ("auto_switch", "on"),
            ("http2", on(client.http2)),
            ("update_guard", on(client.update_guard)),
        ];
        let own = own.map(|(key, value)| (key.to_owned(), value.to_owned()));
        self.ways().into_iter().chain(own).collect()
    }

    /// How the sides are reached.
    pub(crate) fn ways(&self) -> Vec<(String, String)> {
        let ways = self.twin.connect_to();
        let ways: Vec<String> = ways
            .iter()
            .map(|(from, to)| format!("{from}:{to}"))
            .collect();
        let ca_file = self.twin.ca_file().display().to_string();
        vec![
            ("connect_to".into(), ways.join(",")),
            ("ca_bundle".into(), ca_file),
        ]
    }

    /// A client that stays at one side.
    fn client_of(&self, role: Role) -> Result<Client, Error> {
        let mut settings = self.settings_at(role)?;
        settings.set("auto_switch", "off")?;
        settings.set("preset", "dotnet")?;
        Client::open(&settings)
    }

    /// Makes the rows that calls find; gives their versions.
    pub(crate) fn seed(&self, plan: &Plan) -> Result<HashMap<u32, u64>, RunError> {
        let client = self.client_of(Role::Primary)?;
        let mut versions = HashMap::new();
        let places = [
            (RowOf::Lone, Replication::off()),
            (RowOf::Seeded, Replication::lag(0)),
        ];
        for (place, replication) in places {
            self.org.set_replication(replication);
            for call in plan.calls() {
                if call.work.kind.traits().row == place {
                    versions.insert(call.number, seed_row(&client, call)?);
                }
            }
        }
        Ok(versions)
    }

    /// Sets a call's fault.
    pub(crate) fn strike(&self, misfortune: &Misfortune) -> Result<Vec<(Role, FaultId)>, RunError> {
        let mut set = Vec::new();
        for role in &misfortune.sides {
            set.push((*role, self.side(*role).fault(misfortune.fault.clone())?));
        }
        Ok(set)
    }

    /// Takes faults off, and lets go what they hold.
    pub(crate) fn lift(&self, set: &[(Role, FaultId)]) -> Result<(), RunError> {
        for (role, id) in set {
            self.side(*role).clear_fault(*id)?;
        }
        Ok(())
    }

    /// Ends the weather: no faults, everything crosses.
    pub(crate) fn heal(&self, authority: Authority) -> Result<(), RunError> {
        for role in [Role::Primary, Role::Alternate] {
            self.side(role).clear()?;
        }
        self.org.set_authority(authority);
        self.org.set_replication(Replication::lag(0));
        self.org.replicate()?;
        Ok(())
    }

    /// Waits until both sides answer as they do on a machine that is not busy with other things:
    /// what then fails is no matter of time.
    pub(crate) fn wait_until_fair(&self) -> Result<(), RunError> {
        let until = Instant::now() + PATIENCE;
        for role in [Role::Primary, Role::Alternate] {
            let mut in_a_row = 0;
            while in_a_row < 3 {
                // A connection of its own each time, as probes have.
                let client = self.client_of(role)?;
                let begun = Instant::now();
                let answered = client.send(&Request::new("GET", WHO_AM_I)?);
                let answers = match answered {
                    Ok(_) => true,
                    Err(error) => error.response().is_some(),
                };
                let is_fair = answers && begun.elapsed() < BRISK;
                in_a_row = if is_fair { in_a_row + 1 } else { 0 };
                if Instant::now() >= until {
                    let text = format!("the {} is not itself again after the storm", role.name());
                    return Err(RunError::Broken(text));
                }
            }
        }
        Ok(())
    }

    /// Waits until nothing is under way at either side any more, executions without a client
    /// included.
    pub(crate) fn settle(&self) -> Result<(), RunError> {
        let until = Instant::now() + AFTERMATH;
        // What a fault has held and let go is executed though its client has left; what is refused
        // then leaves no trace, and is waited for until the time is over.
        let held = || {
            self.twin.journal().iter().any(|entry| {
                let was_held = entry.fault.as_deref() == Some("stall_before_commit");
                was_held && entry.method != "GET" && !entry.committed && !entry.answered
            })
        };
        while held() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        for role in [Role::Primary, Role::Alternate] {
            self.side(role).wait_for(Condition::idle(), PATIENCE)?;
        }
        self.org.replicate()?;
        Ok(())
    }

    pub(crate) fn receipts(&self) -> Vec<Receipt> {
        let entries = self.twin.journal().into_iter();
        entries
            .map(|entry| Receipt {
                seq: entry.seq,
                side: match entry.side {
                    d365_twin::Role::Primary => Role::Primary,
                    d365_twin::Role::Alternate => Role::Alternate,
                },
                call: tagged(&entry.path).or_else(|| named(entry.name.as_deref()?)),
                method: entry.method,
                path: entry.path,
                committed: entry.committed,
                fault: entry.fault,
                status: entry.status,
                at_ms: entry.at_ms,
            })
            .collect()
    }

    /// The rows of both sides, as each shows them. Both serve from now on.
    pub(crate) fn rows(&self, plan: &Plan) -> Result<Rows, RunError> {
        self.org.set_authority(Authority::Both);
        let lone: HashSet<Uuid> = plan
            .calls()
            .filter(|call| call.work.kind.traits().row == RowOf::Lone)
            .filter_map(|call| call.work.row)
            .collect();
        let mut rows = Rows::default();
        for role in [Role::Primary, Role::Alternate] {
            for SeenRow { id, name, is_whole } in self.rows_of(role)? {
                if !is_whole && lone.contains(&id) {
                    rows.fragments.push((role, id));
                }
                match role {
                    Role::Primary => rows.primary.insert(id, name),
                    Role::Alternate => rows.alternate.insert(id, name),
                };
            }
        }
        for view in self.org.rows() {
            let agree = view.primary == rows.primary.contains_key(&view.id)
                && view.alternate == rows.alternate.contains_key(&view.id);
            if !agree {
                return Err(RunError::Broken(format!(
                    "the twin shows the row {} at other sides than it has it",
                    view.id
                )));
            }
        }
        Ok(rows)
    }

    fn rows_of(&self, role: Role) -> Result<Vec<SeenRow>, RunError> {
        let client = self.client_of(role)?;
        let mut rows = Vec::new();
        let mut url = format!("{ACCOUNTS}?$select=name,{ORIGIN}");
        loop {
            let response = client.send(&Request::new("GET", &url)?)?;
            let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
            let page = body["value"].as_array().ok_or_else(|| {
                RunError::Broken(format!("no rows, but {}: {body}", response.status()))
            })?;
            for row in page {
                let (id, name) = row_of(row)
                    .ok_or_else(|| RunError::Broken(format!("a row without a name: {row}")))?;
                let is_whole = row[ORIGIN].is_string();
                rows.push(SeenRow { id, name, is_whole });
            }
            match body["@odata.nextLink"].as_str() {
                Some(next) => next.clone_into(&mut url),
                None => return Ok(rows),
            }
        }
    }
}

/// A row, as a side shows it.
struct SeenRow {
    id: Uuid,
    name: String,
    /// It has what it was seeded with.
    is_whole: bool,
}

/// Makes the row of a call; gives its version.
fn seed_row(client: &Client, call: &CallPlan) -> Result<u64, RunError> {
    let mut request = Request::new("POST", ACCOUNTS)?;
    request.add_header("Content-Type", "application/json")?;
    request.add_header("Prefer", "return=representation")?;
    let name = seeded_name(call.number);
    let row = json!({ "name": name, "accountid": call.work.row, ORIGIN: "seed" });
    request.set_body(row.to_string());
    let response = client.send(&request)?;
    let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    let version = body["@odata.etag"].as_str().and_then(|etag| {
        let digits = etag.strip_prefix("W/\"")?.strip_suffix('"')?;
        digits.parse().ok()
    });
    version.ok_or_else(|| {
        RunError::Broken(format!("a row could not be seeded: {}", response.status()))
    })
}
