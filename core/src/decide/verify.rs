//! Which row tells of a write.

use http::{HeaderMap, Method};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::operation::web_api::{self, Service};
use crate::operation::{Class, Guard, Row};

/// What a row says of a write. A store keeps it as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Proof {
    /// Nothing: it changed many rows, or values that are not kept, or nobody knows which row.
    Nothing,
    /// Nothing yet: a create whose row only its answer can name.
    Unnamed,
    /// The same over SOAP, in this table.
    UnnamedIn(String),
    /// The row was created by it.
    Created(Row),
    /// The row was deleted by it.
    Deleted(Row),
    /// The row was changed by it, to what is not kept.
    Changed(String),
    /// The row had this version when it had been changed.
    Version(String, String),
}

impl Proof {
    /// What a write tells before it is sent.
    pub(crate) fn of_request(
        method: &Method,
        url: &str,
        headers: &HeaderMap,
        class: &Class,
    ) -> Proof {
        let path = web_api::path(url);
        if let Some(Guard::Created(row)) = &class.guard {
            return Proof::Created(row.clone());
        }
        if let Some(row) = &class.deletes {
            return Proof::Deleted(row.clone());
        }
        if let Some(table) = &class.creates_in {
            return Proof::UnnamedIn(table.clone());
        }
        if web_api::is_batch(path) || web_api::service(path) == Service::Soap {
            return Proof::Nothing;
        }
        let row = web_api::row(url);
        match (web_api::written_as(method, url, headers), row) {
            (Some(b"DELETE"), Some(row)) => Proof::Deleted(Row::Url(row.to_owned())),
            (Some(b"PATCH" | b"PUT" | b"MERGE"), Some(row)) => Proof::Changed(row.to_owned()),
            (Some(b"POST"), None) if may_create(path) => Proof::Unnamed,
            _ => Proof::Nothing,
        }
    }

    /// What it tells when it was acknowledged: by an answer that names a row, by URL or, over SOAP,
    /// by id; or its version.
    pub(crate) fn when_executed(
        self,
        row: Option<&str>,
        id: Option<Uuid>,
        version: Option<&str>,
    ) -> Proof {
        if let (Proof::UnnamedIn(table), Some(id)) = (&self, id) {
            let logical_name = table.clone();
            return Proof::Created(Row::Soap { logical_name, id });
        }
        match (self, row, version) {
            (Proof::Unnamed, Some(row), _) => Proof::Created(Row::Url(row.to_owned())),
            // By its id, where the request has named it by a key of its own.
            (Proof::Created(Row::Url(_)), Some(row), _) => Proof::Created(Row::Url(row.to_owned())),
            (Proof::Changed(url), row, Some(version)) => {
                Proof::Version(row.unwrap_or(&url).to_owned(), version.to_owned())
            }
            (proof, ..) => proof,
        }
    }
}

/// Whether a `POST` there may create a row that its answer names.
fn may_create(path: &str) -> bool {
    let last = path.trim_end_matches('/').rsplit('/').next();
    last.is_some_and(|last| !last.starts_with('$') && !last.contains("Microsoft.Dynamics.CRM."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::samples::{Header, ID, SOAP_URL, class_of, create, headers, message};

    fn proof(method: &str, url: &str, list: &[Header<'_>]) -> Proof {
        let class = class_of(method, url, list, "");
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        Proof::of_request(&method, url, &headers(list), &class)
    }

    #[test]
    fn an_answer_names_the_row_of_a_create_and_the_version_of_a_change() {
        let by_id = format!("/api/data/v9.2/accounts({ID})");
        let by_key = "/api/data/v9.2/accounts(accountnumber='A1')";
        let set = "/api/data/v9.2/accounts";
        let new = [("if-none-match", "*")];
        let created = || Proof::Created(Row::Url(by_id.clone()));
        let action = format!("{by_id}/Microsoft.Dynamics.CRM.QualifyLead");
        let link = format!("{by_id}/contact_customer_accounts/$ref");
        let seventh = Some("W/\"7\"");
        let version = || Proof::Version(by_id.clone(), "W/\"7\"".to_owned());
        let table = [
            (proof("POST", set, &[]), Some(&*by_id), None, created()),
            (proof("POST", set, &[]), None, None, Proof::Unnamed),
            (proof("PATCH", by_key, &new), Some(&*by_id), None, created()),
            (
                proof("POST", &action, &[]),
                Some(&*by_id),
                None,
                Proof::Nothing,
            ),
            (
                proof("POST", &link, &[]),
                Some(&*by_id),
                None,
                Proof::Nothing,
            ),
            (proof("PATCH", &by_id, &[]), None, seventh, version()),
            (
                proof("PATCH", by_key, &[]),
                Some(&*by_id),
                seventh,
                version(),
            ),
        ];
        for (sent, row, version, expected) in table {
            let got = sent.clone().when_executed(row, None, version);
            assert_eq!(got, expected, "{sent:?}");
        }
    }

    #[test]
    fn an_answer_of_soap_names_the_row_by_id() {
        let message = message(&create("<a:LogicalName>account</a:LogicalName>"));
        let class = class_of("POST", SOAP_URL, &[], &message);
        let sent = Proof::of_request(&Method::POST, SOAP_URL, &headers(&[]), &class);
        let unnamed = Proof::UnnamedIn("account".to_owned());
        assert_eq!(sent, unnamed);
        assert_eq!(sent.clone().when_executed(None, None, None), unnamed);
        let row = Row::Soap {
            logical_name: "account".to_owned(),
            id: ID.parse().unwrap(),
        };
        let id = ID.parse().ok();
        assert_eq!(sent.when_executed(None, id, None), Proof::Created(row));
        let nothing = proof("POST", SOAP_URL, &[]);
        assert_eq!(nothing.when_executed(None, id, None), Proof::Nothing);
    }
}
