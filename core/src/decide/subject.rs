//! What of a write on record can be looked at, and what is read for it.

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, IF_MATCH};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use super::verify::Proof;
use crate::inner::inside;
use crate::kept::Kept;
use crate::operation::web_api::{self, Service};
use crate::operation::{Guard, Operation, Row, classify};
use crate::soap_request::{SoapRequest, text};
use crate::values::{Sent, Value, odata, soap};
use crate::verify_keys::VerifyKeys;

/// What an activity's row is named by, of whichever table: `activityid`.
const ACTIVITY: &str = "activity";
/// The sets of activities; and all with a prefix that have the column, because a column of another's own
/// would have one as well.
const ACTIVITIES: [&str; 13] = [
    "activitypointers",
    "appointments",
    "bulkoperations",
    "campaignactivities",
    "campaignresponses",
    "emails",
    "faxes",
    "letters",
    "phonecalls",
    "recurringappointmentmasters",
    "serviceappointments",
    "socialactivities",
    "tasks",
];
/// A longer list of columns makes a URL that some front ends refuse: the whole row is read.
const LONGEST_SELECT: usize = 1500;
/// When a row was written last, in most tables.
pub(crate) const MODIFIED: &str = "modifiedon";
/// RFC 3986's unreserved characters stand as they are in a query.
const IN_A_QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

const NOT_KEPT: &str = "its request is not kept: the setting ledger_bodies";
const NOT_COMPARED: &str = "what it sends cannot be compared with a row";
const UNNAMED: &str = "nobody knows the row that it has created; name a key by the setting verify_keys, or \
                       the row by verify_with";
const NO_ROW: &str = "no row tells of it";
const NOT_READ: &str = "the requests inside of it cannot be read one by one";

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// The row that it has created.
    Created(Row),
    /// The row that it has deleted.
    Deleted(Row),
    /// The row that it has changed, and the version that the row had then.
    Changed(Row, Option<String>),
    /// The row that has a key's values: the URL of a list, or of a row.
    Keyed(String),
}

/// What of a row is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Whether it is there, and its version. The Web API has no shorter answer to that than the whole.
    Nothing,
    These(Vec<String>),
    All,
}

/// What can be asked about one write.
pub(crate) struct Subject {
    pub(crate) aim: Aim,
    /// `None`: only whether the row is there can be seen, or its version.
    pub(crate) sent: Option<Sent>,
    /// The version that the write itself wanted its row to have.
    pub(crate) condition: Option<String>,
}

impl Subject {
    /// Of a write on record.
    ///
    /// # Errors
    /// Why nothing can be asked: for a person.
    pub(crate) fn of(
        proof: &Proof,
        kept: Option<&Kept>,
        keys: &VerifyKeys,
    ) -> Result<Subject, &'static str> {
        let headers = kept.map(Kept::header_map).unwrap_or_default();
        let sent = kept.and_then(|kept| sent_by(kept, &headers));
        let aim = match proof {
            Proof::Created(row) => Aim::Created(row.clone()),
            Proof::Deleted(row) => Aim::Deleted(row.clone()),
            Proof::Version(url, version) => {
                Aim::Changed(Row::Url(url.clone()), Some(version.clone()))
            }
            Proof::Changed(url) => Aim::Changed(Row::Url(url.clone()), None),
            Proof::Unnamed | Proof::UnnamedIn(_) => {
                let kept = kept.ok_or(UNNAMED)?;
                if let Some(row) = own_row(&kept.url, sent.as_ref()) {
                    return Ok(Subject {
                        aim: Aim::Created(row),
                        sent,
                        condition: None,
                    });
                }
                Aim::Keyed(keyed(&kept.url, sent.as_ref(), keys).ok_or(UNNAMED)?)
            }
            Proof::Nothing => {
                let kept = kept.ok_or(NO_ROW)?;
                Aim::Changed(updated(kept, &headers).ok_or(NO_ROW)?, None)
            }
        };
        if let (Aim::Changed(_, None), None) = (&aim, &sent) {
            return Err(if kept.is_none() {
                NOT_KEPT
            } else {
                NOT_COMPARED
            });
        }
        Ok(Subject {
            aim,
            sent,
            condition: kept.and_then(|kept| condition(kept, &headers)),
        })
    }

    /// At the URL that the application has named.
    pub(crate) fn at(url: &str, kept: Option<&Kept>) -> Subject {
        let sent = kept.and_then(|kept| sent_by(kept, &kept.header_map()));
        Subject {
            aim: Aim::Keyed(url.to_owned()),
            sent,
            condition: None,
        }
    }

    /// The row to look at; of a key it is looked for.
    pub(crate) fn row(&self) -> Option<&Row> {
        match &self.aim {
            Aim::Created(row) | Aim::Deleted(row) | Aim::Changed(row, _) => Some(row),
            Aim::Keyed(_) => None,
        }
    }

    /// The URL of the list that it is looked for in.
    pub(crate) fn list(&self) -> &str {
        match &self.aim {
            Aim::Keyed(url) => url,
            _ => "",
        }
    }

    /// What of the row is read.
    pub(crate) fn wanted(&self) -> Wanted {
        if let Aim::Deleted(row) = &self.aim {
            return match row {
                // Which tells nothing that it is not asked for, and so not that somebody has written since.
                Row::Soap { .. } => Wanted::These(vec![MODIFIED.to_owned()]),
                _ => Wanted::Nothing,
            };
        }
        let Some(sent) = self.sent.as_ref() else {
            return Wanted::Nothing;
        };
        let mut columns = sent.columns();
        let length: usize = columns.iter().map(|column| column.len() + 1).sum();
        if length > LONGEST_SELECT {
            return Wanted::All;
        }
        if !columns.iter().any(|column| column == MODIFIED) {
            columns.push(MODIFIED.to_owned());
        }
        Wanted::These(columns)
    }
}

/// What a kept request sends. `None`: nothing that can be compared.
fn sent_by(kept: &Kept, headers: &HeaderMap) -> Option<Sent> {
    if headers.contains_key(CONTENT_ENCODING) {
        return None;
    }
    match web_api::service(web_api::path(&kept.url)) {
        Service::WebApi => odata::sent(&kept.body),
        // Writes its values in another way.
        Service::OData2 => None,
        Service::Soap => {
            let (_, text) = text(headers, &kept.body, usize::MAX)?;
            soap::entity(text).map(soap::Entity::sent)
        }
    }
}

/// What can be asked about each write inside of one that holds several, with its place there.
///
/// # Errors
/// Why nothing can be asked: for a person.
pub(crate) fn subjects(kept: Option<&Kept>, keys: &VerifyKeys) -> Result<Vec<Part>, &'static str> {
    let requests = inside(kept.ok_or(NOT_KEPT)?).ok_or(NOT_READ)?;
    let mut parts = Vec::new();
    for (index, kept) in requests.into_iter().enumerate() {
        let (headers, method) = (kept.header_map(), kept.method());
        let method = method.ok_or(NOT_READ)?;
        let class = classify(&method, &kept.url, &headers, Some(&kept.body));
        if class.operation == Operation::Read {
            continue;
        }
        let proof = Proof::of_request(&method, &kept.url, &headers, &class);
        parts.push(Part {
            index,
            subject: Subject::of(&proof, Some(&kept), keys),
            creates_only: matches!(class.guard, Some(Guard::Created(_))),
        });
    }
    Ok(parts)
}

/// A write inside of one that holds several.
pub(crate) struct Part {
    pub(crate) index: usize,
    pub(crate) subject: Result<Subject, &'static str>,
    /// A repeat of it is refused where its row is.
    pub(crate) creates_only: bool,
}

/// The row of a create whose body chooses the id: `accountid` for a row of `accounts`.
fn own_row(url: &str, sent: Option<&Sent>) -> Option<Row> {
    if web_api::service(web_api::path(url)) != Service::WebApi {
        return None;
    }
    let set_url = web_api::without_query(url).trim_end_matches('/');
    let set = set_url.rsplit('/').next()?;
    let mut chosen = sent?.values.iter().filter_map(|sent| {
        let table = sent.column.strip_suffix("id")?;
        let Value::Text(id) = &sent.value else {
            return None;
        };
        Uuid::try_parse(id).ok().filter(|_| holds(set, table))
    });
    let id = chosen.next()?;
    (chosen.next().is_none()).then(|| Row::Url(format!("{set_url}({id})")))
}

/// Whether a set has the name that Dataverse gives to that of a table's rows. To one that was named otherwise,
/// or looks alike, no id leads: a row that is not the one would be missing, and the write be done again.
fn holds(set: &str, table: &str) -> bool {
    if table == ACTIVITY {
        return ACTIVITIES.contains(&set) || set.contains('_');
    }
    let ending = set.strip_prefix(table);
    let is_y = |table: &str| set.strip_suffix("ies") == Some(table);
    matches!(ending, Some("s" | "es")) || table.strip_suffix('y').is_some_and(is_y)
}

/// The row that a SOAP message updates.
fn updated(kept: &Kept, headers: &HeaderMap) -> Option<Row> {
    if web_api::service(web_api::path(&kept.url)) != Service::Soap {
        return None;
    }
    let (_, text) = text(headers, &kept.body, usize::MAX)?;
    let request = SoapRequest::read(text, |request| request.has_ended)?;
    if !request.is_update() || !request.agrees_with(headers) {
        return None;
    }
    Some(Row::Soap {
        id: request.entity.chosen_id()?,
        logical_name: request.entity.logical_name?,
    })
}

fn condition(kept: &Kept, headers: &HeaderMap) -> Option<String> {
    if web_api::service(web_api::path(&kept.url)) == Service::Soap {
        let (_, text) = text(headers, &kept.body, usize::MAX)?;
        let request = SoapRequest::read(text, |request| request.has_ended)?;
        let is_guarded = request.request.concurrency.as_deref() == Some("IfRowVersionMatches");
        return soap::entity(text)?.row_version.filter(|_| is_guarded);
    }
    let version = headers.get(IF_MATCH)?.to_str().ok()?.trim();
    (version != "*" && !version.contains(',')).then(|| version.to_owned())
}

/// The list of the rows that have the values which name a created one.
fn keyed(url: &str, sent: Option<&Sent>, keys: &VerifyKeys) -> Option<String> {
    if web_api::service(web_api::path(url)) != Service::WebApi {
        return None;
    }
    let list = web_api::without_query(url).trim_end_matches('/');
    let columns = keys.of(list.rsplit('/').next()?)?;
    let sent = sent?;
    let term = |column: &String| {
        let value = sent.values.iter().find(|sent| sent.column == *column)?;
        Some(format!("{column} eq {}", literal(&value.value)?))
    };
    let terms: Option<Vec<String>> = columns.iter().map(term).collect();
    let filter = terms?.join(" and ");
    let filter = utf8_percent_encode(&filter, IN_A_QUERY);
    // Two are enough to know that it is not the one.
    Some(format!("{list}?$filter={filter}&$top=2"))
}

/// A value in a filter. `None`: many rows may have it.
fn literal(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Bool(_) => None,
        Value::Number(text) => Some(text.clone()),
        Value::Text(text) if text.is_empty() => None,
        Value::Text(text) => Some(format!("'{}'", text.replace('\'', "''"))),
    }
}

/// The id that a row is named by, if it is: nobody else's has the same. Before which column's value a name
/// stands is not known here: it may be one of the application's.
pub(crate) fn id_of(row: &Row) -> Option<Uuid> {
    let url = match row {
        Row::Url(url) => url,
        Row::Soap { id, .. } => return Some(*id),
    };
    let last = web_api::path(url).rsplit('/').next().unwrap_or_default();
    let (_, key) = last.split_once('(')?;
    let key = key.strip_suffix(')')?;
    // So OData v2 writes it.
    let v2 = key.strip_prefix("guid'");
    let id = v2.map_or(Some(key), |key| key.strip_suffix('\''))?;
    Uuid::try_parse(id).ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Method;

    use super::*;
    use crate::operation::classify;
    use crate::operation::samples::{Header, ID, SOAP_URL, headers};

    fn kept(method: &str, url: &str, list: &[Header<'_>], body: &str) -> (Proof, Kept) {
        let map = headers(list);
        let method_ = Method::from_bytes(method.as_bytes()).unwrap();
        let class = classify(&method_, url, &map, Some(body.as_bytes()));
        let kept = Kept {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: list
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect(),
            body: Bytes::from(body.to_owned()),
            is_upsert: false,
        };
        (Proof::of_request(&method_, url, &map, &class), kept)
    }

    fn update(more: &str) -> String {
        format!(
            "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body><Update \
             xmlns='http://schemas.microsoft.com/xrm/2011/Contracts/Services'><entity \
             xmlns:a='http://schemas.microsoft.com/xrm/2011/Contracts' \
             xmlns:b='http://schemas.datacontract.org/2004/07/System.Collections.Generic'><a:Attributes>\
             <a:KeyValuePairOfstringanyType><b:key>name</b:key><b:value>x</b:value>\
             </a:KeyValuePairOfstringanyType></a:Attributes><a:Id>{ID}</a:Id>\
             <a:LogicalName>account</a:LogicalName>{more}</entity></Update></s:Body></s:Envelope>"
        )
    }

    #[test]
    fn what_is_looked_at() {
        let keys = VerifyKeys::parse("accounts=accountnumber,contacts=lastname+n").unwrap();
        let by_id = format!("/api/data/v9.2/accounts({ID})");
        let soap_row = Row::Soap {
            logical_name: "account".to_owned(),
            id: ID.parse().unwrap(),
        };
        let row = Row::Url(by_id.clone());
        let list = |set: &str, filter: &str| {
            Ok(Aim::Keyed(format!(
                "/api/data/v9.2/{set}?$filter={filter}&$top=2"
            )))
        };
        const SET: &str = "/api/data/v9.2/accounts";
        const CONTACTS: &str = "/api/data/v9.2/contacts?$select=lastname";
        const V2: &str = "/XRMServices/2011/OrganizationData.svc/AccountSet";
        let v2_row = format!("{V2}(guid'{ID}')");
        let update = update("");
        let table = [
            (
                "PATCH",
                &*by_id,
                r#"{"name":"x"}"#,
                Ok(Aim::Changed(row.clone(), None)),
            ),
            ("PATCH", &by_id, "[", Err(NOT_COMPARED)),
            ("DELETE", &by_id, "", Ok(Aim::Deleted(row.clone()))),
            ("MERGE", &v2_row, r#"{"Name":"x"}"#, Err(NOT_COMPARED)),
            (
                "POST",
                SET,
                r#"{"accountnumber":"A'1 ä"}"#,
                list("accounts", "accountnumber%20eq%20%27A%27%271%20%C3%A4%27"),
            ),
            ("POST", SET, r#"{"accountnumber":null}"#, Err(UNNAMED)),
            ("POST", SET, r#"{"accountnumber":""}"#, Err(UNNAMED)),
            (
                "POST",
                SET,
                r#"{"accountid":"11111111-2222-3333-4444-555555555555","name":"x"}"#,
                Ok(Aim::Created(row.clone())),
            ),
            (
                "POST",
                SET,
                r#"{"contactid":"11111111-2222-3333-4444-555555555555","name":"x"}"#,
                Err(UNNAMED),
            ),
            (
                "POST",
                "/api/data/v9.2/phonecalls",
                r#"{"activityid":"11111111-2222-3333-4444-555555555555","subject":"x"}"#,
                Ok(Aim::Created(Row::Url(format!(
                    "/api/data/v9.2/phonecalls({ID})"
                )))),
            ),
            // Of another table, or a column of its own.
            (
                "POST",
                SET,
                r#"{"accid":"11111111-2222-3333-4444-555555555555"}"#,
                Err(UNNAMED),
            ),
            (
                "POST",
                SET,
                r#"{"yid":"11111111-2222-3333-4444-555555555555"}"#,
                Err(UNNAMED),
            ),
            ("POST", SET, r#"{"name":"x"}"#, Err(UNNAMED)),
            (
                "POST",
                CONTACTS,
                r#"{"lastname":"x","n":3}"#,
                list("contacts", "lastname%20eq%20%27x%27%20and%20n%20eq%203"),
            ),
            ("POST", CONTACTS, r#"{"lastname":"x"}"#, Err(UNNAMED)),
            (
                "POST",
                "/api/data/v9.2/leads",
                r#"{"name":"x"}"#,
                Err(UNNAMED),
            ),
            ("POST", V2, r#"{"Name":"x"}"#, Err(UNNAMED)),
            ("POST", "/api/data/v9.2/WinOpportunity", "{}", Err(UNNAMED)),
            ("POST", SOAP_URL, &update, Ok(Aim::Changed(soap_row, None))),
            ("POST", SOAP_URL, "<a/>", Err(NO_ROW)),
        ];
        for (method, url, body, expected) in table {
            let (proof, kept) = kept(method, url, &[], body);
            let got = Subject::of(&proof, Some(&kept), &keys).map(|subject| subject.aim);
            assert_eq!(got, expected, "{method} {url} {body}");
        }
        // Its headers say that it is something else.
        let action = [("soapaction", "\"x/IOrganizationService/Delete\"")];
        let (proof, kept) = kept("POST", SOAP_URL, &action, &update);
        let subject = Subject::of(&proof, Some(&kept), &keys);
        assert_eq!((proof, subject.err()), (Proof::Nothing, Some(NO_ROW)));
    }

    #[test]
    fn a_set_is_named_after_its_table() {
        let table = [
            ("accounts", "account", true),
            ("processes", "process", true),
            ("opportunities", "opportunity", true),
            ("opportunities", "opportunit", false),
            ("accounts", "acc", false),
            ("accounts", "accounts", false),
            ("accounts", "contact", false),
            ("tasks", "activity", true),
            ("emails", "activity", true),
            ("new_visits", "activity", true),
            ("activities", "activity", false),
            ("accounts", "activity", false),
            ("accounts", "y", false),
            ("accounts", "", false),
        ];
        for (set, of, expected) in table {
            assert_eq!(holds(set, of), expected, "{set} {of}");
        }
    }

    #[test]
    fn without_its_request_a_change_is_seen_by_its_version_alone() {
        let by_id = format!("/api/data/v9.2/accounts({ID})");
        let (changed, _) = kept("PATCH", &by_id, &[], "{}");
        let keys = VerifyKeys::default();
        assert_eq!(Subject::of(&changed, None, &keys).err(), Some(NOT_KEPT));
        let version = changed.when_executed(None, None, Some("W/\"1\""));
        let subject = Subject::of(&version, None, &keys).ok().unwrap();
        assert_eq!(subject.wanted(), Wanted::Nothing);
        let (created, _) = kept("POST", "/api/data/v9.2/accounts", &[], "{}");
        assert_eq!(Subject::of(&created, None, &keys).err(), Some(UNNAMED));
        assert_eq!(
            Subject::of(&Proof::Nothing, None, &keys).err(),
            Some(NO_ROW)
        );
    }

    #[test]
    fn what_of_the_row_is_read() {
        let by_id = format!("/api/data/v9.2/accounts({ID})");
        let keys = VerifyKeys::default();
        let these = |names: &[&str]| Wanted::These(names.iter().map(|n| (*n).to_owned()).collect());
        let long = format!(r#"{{"{}":1}}"#, "a".repeat(LONGEST_SELECT));
        let longest = "a".repeat(LONGEST_SELECT - 1);
        let just = format!(r#"{{"{longest}":1}}"#);
        let bind = format!(r#"{{"P@odata.bind":"/x({ID})"}}"#);
        let table = [
            ("PATCH", r#"{"name":"x"}"#, these(&["name", MODIFIED])),
            ("PATCH", &bind, these(&["_p_value", MODIFIED])),
            ("PATCH", r#"{"modifiedon":"x"}"#, these(&[MODIFIED])),
            ("PATCH", &just, these(&[&longest, MODIFIED])),
            ("PATCH", &long, Wanted::All),
            ("DELETE", "", Wanted::Nothing),
        ];
        for (method, body, expected) in table {
            let (proof, kept) = kept(method, &by_id, &[], body);
            let subject = Subject::of(&proof, Some(&kept), &keys).ok().unwrap();
            assert_eq!(subject.wanted(), expected, "{method} {body}");
            assert_eq!(subject.row(), Some(&Row::Url(by_id.clone())));
            assert_eq!(subject.list(), "");
        }
        let deleted = Proof::Deleted(Row::Soap {
            logical_name: "account".into(),
            id: Uuid::from_u128(1),
        });
        let subject = Subject::of(&deleted, None, &keys).ok().unwrap();
        assert_eq!(subject.wanted(), these(&[MODIFIED]));
    }

    #[test]
    fn the_version_that_the_write_wanted() {
        let by_id = format!("/api/data/v9.2/accounts({ID})");
        let keys = VerifyKeys::default();
        let version = |url: &str, list: &[Header<'_>], method: &str, body: &str| {
            let (proof, kept) = kept(method, url, list, body);
            Subject::of(&proof, Some(&kept), &keys)
                .ok()
                .unwrap()
                .condition
        };
        for (value, expected) in [
            ("W/\"7\"", Some("W/\"7\"")),
            ("*", None),
            ("\"1\",\"2\"", None),
        ] {
            let got = version(&by_id, &[("if-match", value)], "PATCH", r#"{"a":1}"#);
            assert_eq!(got.as_deref(), expected, "{value}");
        }
        let row_version = update("<a:RowVersion>7</a:RowVersion>");
        assert_eq!(
            version(SOAP_URL, &[], "POST", &row_version),
            None,
            "nobody looks at it"
        );
    }

    #[test]
    fn each_write_inside_of_a_batch() {
        let batch = format!(
            r#"{{"requests":[{{"id":"1","method":"GET","url":"accounts"}},
                {{"id":"2","method":"PATCH","url":"accounts({ID})","headers":{{"If-None-Match":"*"}},
                "body":{{"name":"x"}}}},{{"id":"3","method":"POST","url":"accounts","body":{{}}}}]}}"#
        );
        let json = [("content-type", "application/json")];
        let (_, kept) = kept("POST", "/api/data/v9.2/$batch", &json, &batch);
        let parts = subjects(Some(&kept), &VerifyKeys::default()).unwrap();
        let told: Vec<(usize, bool, bool)> = parts
            .iter()
            .map(|part| (part.index, part.subject.is_ok(), part.creates_only))
            .collect();
        assert_eq!(told, [(1, true, true), (2, false, false)]);
        assert_eq!(subjects(None, &VerifyKeys::default()).err(), Some(NOT_KEPT));
    }

    #[test]
    fn the_application_names_the_row_itself() {
        let (_, kept) = kept("POST", "/api/data/v9.2/accounts", &[], r#"{"name":"x"}"#);
        let subject = Subject::at("/api/data/v9.2/accounts(a='1')", Some(&kept));
        assert_eq!(
            subject.aim,
            Aim::Keyed("/api/data/v9.2/accounts(a='1')".to_owned())
        );
        assert!(subject.sent.is_some());
        assert_eq!(subject.row(), None);
        assert_eq!(subject.list(), "/api/data/v9.2/accounts(a='1')");
    }
}
