//! An organization of the twin, and requests to it.

use std::time::Duration;

use d365_failover_core::{Request, Settings};
use d365_twin::{OrgHandle, OrganizationConfig, Twin, TwinConfig};

pub(crate) const LONG: Duration = Duration::from_secs(30);
pub(crate) const WHO: &str = "/api/data/v9.2/WhoAmI";
pub(crate) const ACCOUNTS: &str = "/api/data/v9.2/accounts";

pub(crate) fn twin() -> (Twin, OrgHandle) {
    let twin = Twin::start(TwinConfig::new([OrganizationConfig::new("contoso")])).unwrap();
    let org = twin.org("contoso").unwrap();
    (twin, org)
}

pub(crate) fn settings(twin: &Twin) -> Settings {
    let mut settings = Settings::new("https://contoso.crm.twin.test").unwrap();
    settings.set("preset", "dotnet").unwrap();
    let rules: Vec<String> = twin
        .connect_to()
        .iter()
        .map(|(from, to)| format!("{from}:{to}"))
        .collect();
    settings.set("connect_to", &rules.join(",")).unwrap();
    settings
        .set("ca_bundle", twin.ca_file().to_str().unwrap())
        .unwrap();
    settings.set("auto_switch", "on").unwrap();
    settings
}

pub(crate) fn get(url: &str) -> Request {
    Request::new("GET", url).unwrap()
}

pub(crate) fn create(name: &str) -> Request {
    let mut request = Request::new("POST", ACCOUNTS).unwrap();
    request
        .add_header("Content-Type", "application/json")
        .unwrap();
    request.set_body(format!("{{\"name\":\"{name}\"}}"));
    request
}
