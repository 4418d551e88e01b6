//! The organization service over SOAP 1.1, and its WSDL.

mod support;

use d365_twin::{SideHandle, Twin, Wsdl};
use roxmltree::Document;
use serde_json::{Value, json};
use support::{ACCOUNTS, SOAP, WSDL, client, contoso, url};
use uuid::Uuid;

const SERVICES: &str = "http://schemas.microsoft.com/xrm/2011/Contracts/Services";

fn call(twin: &Twin, side: &SideHandle, operation: &str) -> (u16, String) {
    let envelope = format!(
        r#"<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>{operation}</s:Body></s:Envelope>"#
    );
    let request = client(twin).post(url(side, SOAP)).body(envelope);
    let response = request
        .header("Content-Type", "text/xml; charset=utf-8")
        .send()
        .unwrap();
    assert!(
        response.headers()["Content-Type"]
            .to_str()
            .unwrap()
            .starts_with("text/xml")
    );
    (response.status().as_u16(), response.text().unwrap())
}

fn create(id: Option<Uuid>) -> String {
    let id = id.unwrap_or_default();
    format!(
        r#"<Create xmlns="{SERVICES}"><entity xmlns:b="http://schemas.microsoft.com/xrm/2011/Contracts" xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><b:Attributes xmlns:c="http://schemas.datacontract.org/2004/07/System.Collections.Generic"><b:KeyValuePairOfstringanyType><c:key>name</c:key><c:value i:type="d:string" xmlns:d="http://www.w3.org/2001/XMLSchema">A &amp; B</c:value></b:KeyValuePairOfstringanyType><b:KeyValuePairOfstringanyType><c:key>numberofemployees</c:key><c:value i:type="d:int" xmlns:d="http://www.w3.org/2001/XMLSchema">7</c:value></b:KeyValuePairOfstringanyType></b:Attributes><b:EntityState i:nil="true"/><b:FormattedValues/><b:Id>{id}</b:Id><b:LogicalName>account</b:LogicalName><b:RelatedEntities/></entity></Create>"#
    )
}

fn retrieve(id: Uuid, columns: &str) -> String {
    format!(
        r#"<Retrieve xmlns="{SERVICES}"><entityName>account</entityName><id>{id}</id><columnSet xmlns:b="http://schemas.microsoft.com/xrm/2011/Contracts">{columns}</columnSet></Retrieve>"#
    )
}

/// The text of the first element with this local name.
fn text(envelope: &str, name: &str) -> String {
    let document = Document::parse(envelope).unwrap();
    let node = document
        .descendants()
        .find(|node| node.tag_name().name() == name);
    node.expect(name).text().unwrap_or_default().to_owned()
}

fn keys(envelope: &str) -> Vec<String> {
    let document = Document::parse(envelope).unwrap();
    let keys = document
        .descendants()
        .filter(|node| node.tag_name().name() == "key");
    keys.map(|node| node.text().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn a_row_that_soap_created_is_the_web_apis_as_well() {
    let (twin, org) = contoso();
    let (status, answer) = call(&twin, &org.primary, &create(None));
    assert_eq!(status, 200);
    let id = Uuid::try_parse(&text(&answer, "CreateResult")).unwrap();
    assert!(!id.is_nil());
    let row = url(&org.primary, &format!("{ACCOUNTS}({id})"));
    let row: Value = client(&twin).get(row).send().unwrap().json().unwrap();
    assert_eq!(
        (&row["name"], &row["numberofemployees"]),
        (&json!("A & B"), &json!(7))
    );
    let entry = &twin.journal()[0];
    assert_eq!(
        (entry.name.as_deref(), entry.id, entry.committed),
        (Some("A & B"), Some(id), true)
    );
    assert_eq!(org.primary.counts().received_by["POST soap"], 1);
}

#[test]
fn retrieve_has_the_columns_that_were_asked_for() {
    let (twin, org) = contoso();
    let id = Uuid::from_u128(5);
    call(&twin, &org.primary, &create(Some(id)));
    let all = retrieve(id, "<b:AllColumns>true</b:AllColumns>");
    let (status, answer) = call(&twin, &org.primary, &all);
    assert_eq!(status, 200);
    assert_eq!(keys(&answer), ["accountid", "name", "numberofemployees"]);
    assert_eq!(text(&answer, "LogicalName"), "account");
    assert_eq!(text(&answer, "Id"), id.to_string());
    let some = retrieve(id, "<b:Columns><b:string>name</b:string></b:Columns>");
    assert_eq!(
        keys(&call(&twin, &org.primary, &some).1),
        ["accountid", "name"]
    );
}

#[test]
fn faults_carry_their_codes() {
    let (twin, org) = contoso();
    let id = Uuid::from_u128(5);
    assert_eq!(call(&twin, &org.primary, &create(Some(id))).0, 200);
    let other = "<Clone xmlns=\"http://schemas.microsoft.com/xrm/2011/Contracts/Services\"/>";
    for (operation, code) in [
        (create(Some(id)), "-2147220937"),
        (retrieve(Uuid::from_u128(6), ""), "-2147220969"),
        (other.to_owned(), "-2147220989"),
        ("<Create/>".to_owned(), "-2147220989"),
        ("<".to_owned(), "-2147220989"),
    ] {
        let (status, answer) = call(&twin, &org.primary, &operation);
        assert_eq!(
            (status, text(&answer, "ErrorCode").as_str()),
            (500, code),
            "{operation}"
        );
    }
    assert_eq!(org.primary.counts().committed, 1);
}

#[test]
fn update_and_delete_write_the_shared_row() {
    let (twin, org) = contoso();
    let id = Uuid::from_u128(5);
    call(&twin, &org.primary, &create(Some(id)));
    let update = create(Some(id))
        .replace("Create", "Update")
        .replace("A &amp; B", "C");
    assert_eq!(call(&twin, &org.primary, &update).0, 200);
    assert_eq!(org.rows()[0].name.as_deref(), Some("C"));
    let delete = format!(
        r#"<Delete xmlns="{SERVICES}"><entityName>account</entityName><id>{id}</id></Delete>"#
    );
    assert_eq!(call(&twin, &org.primary, &delete).0, 200);
    assert_eq!(call(&twin, &org.primary, &delete).0, 500);
    assert!(org.rows().is_empty());
}

#[test]
fn an_update_can_want_a_version() {
    let (twin, org) = contoso();
    let id = Uuid::from_u128(5);
    call(&twin, &org.primary, &create(Some(id)));
    let version = |answer: String| text(&answer, "RowVersion");
    let first = version(call(&twin, &org.primary, &retrieve(id, "")).1);
    let update = |version: &str, behavior: &str| {
        let version = match version {
            "" => String::new(),
            version => format!("<a:RowVersion>{version}</a:RowVersion>"),
        };
        let execute = format!(
            r#"<Execute xmlns="{SERVICES}"><request xmlns:a="http://schemas.microsoft.com/xrm/2011/Contracts"><a:Parameters xmlns:c="http://schemas.datacontract.org/2004/07/System.Collections.Generic"><a:KeyValuePairOfstringanyType><c:key>Target</c:key><c:value><a:Attributes><a:KeyValuePairOfstringanyType><c:key>name</c:key><c:value>changed</c:value></a:KeyValuePairOfstringanyType></a:Attributes><a:Id>{id}</a:Id><a:LogicalName>account</a:LogicalName>{version}</c:value></a:KeyValuePairOfstringanyType><a:KeyValuePairOfstringanyType><c:key>ConcurrencyBehavior</c:key><c:value>{behavior}</c:value></a:KeyValuePairOfstringanyType></a:Parameters><a:RequestName>Update</a:RequestName></request></Execute>"#
        );
        call(&twin, &org.primary, &execute)
    };
    let (status, answer) = update(&first, "IfRowVersionMatches");
    assert_eq!(
        (status, text(&answer, "ResponseName").as_str()),
        (200, "Update")
    );
    assert_eq!(org.rows()[0].name.as_deref(), Some("changed"));
    let (status, answer) = update(&first, "IfRowVersionMatches");
    assert_eq!(
        (status, text(&answer, "ErrorCode").as_str()),
        (500, "-2147088254")
    );
    assert_eq!(update("", "IfRowVersionMatches").0, 500);
    assert_eq!(update(&first, "AlwaysOverwrite").0, 200);
    assert_eq!(org.primary.counts().updates, 2);
    let entry = &twin.journal()[2];
    assert_eq!(
        (entry.name.as_deref(), entry.id),
        (Some("changed"), Some(id))
    );
}

#[test]
fn who_am_i_names_the_organization_of_the_web_api() {
    let (twin, org) = contoso();
    let execute = format!(
        r#"<Execute xmlns="{SERVICES}"><request i:type="b:WhoAmIRequest" xmlns:a="http://schemas.microsoft.com/xrm/2011/Contracts" xmlns:b="http://schemas.microsoft.com/crm/2011/Contracts" xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><a:Parameters/><a:RequestId i:nil="true"/><a:RequestName>WhoAmI</a:RequestName></request></Execute>"#
    );
    let (status, answer) = call(&twin, &org.alternate, &execute);
    assert_eq!(status, 200);
    assert_eq!(
        keys(&answer),
        ["BusinessUnitId", "UserId", "OrganizationId"]
    );
    let path = url(&org.primary, "/api/data/v9.2/WhoAmI");
    let who: Value = client(&twin).get(path).send().unwrap().json().unwrap();
    assert!(answer.contains(who["OrganizationId"].as_str().unwrap()));
}

#[test]
fn the_wsdl_says_what_is_set_and_imports_from_its_own_origin() {
    let (twin, org) = contoso();
    let get = |url: String| client(&twin).get(url).send().unwrap().text().unwrap();
    assert_eq!(
        text(&get(url(&org.primary, WSDL)), "FailoverAvailable"),
        "true"
    );
    org.set_wsdl(Wsdl {
        failover_available: Some(false),
        endpoint_enabled: Some(false),
        imported: true,
        ..Wsdl::default()
    })
    .unwrap();
    let main = get(url(&org.alternate, WSDL));
    assert!(!main.contains("FailoverPolicy"));
    let document = Document::parse(&main).unwrap();
    let import = document
        .descendants()
        .find(|node| node.tag_name().name() == "import")
        .unwrap();
    let location = import.attribute("location").unwrap();
    assert!(
        location.starts_with(&url(&org.alternate, "/")),
        "{location}"
    );
    let imported = get(location.to_owned());
    assert_eq!(text(&imported, "FailoverAvailable"), "false");
    assert_eq!(text(&imported, "EndpointEnabled"), "false");
    assert_eq!(org.alternate.counts().received_by["GET wsdl"], 2);
    assert!(
        org.set_wsdl(Wsdl {
            bindings: 0,
            ..Wsdl::default()
        })
        .is_err()
    );
}

/// Creates under these ids, in one request.
fn several(name: &str, ids: &[Uuid], more: &str) -> String {
    let requests: String = ids
        .iter()
        .map(|id| {
            format!(
                r#"<a:OrganizationRequest><a:Parameters><a:KeyValuePairOfstringanyType><b:key>Target</b:key><b:value><a:Attributes/><a:Id>{id}</a:Id><a:LogicalName>account</a:LogicalName></b:value></a:KeyValuePairOfstringanyType></a:Parameters><a:RequestName>Create</a:RequestName></a:OrganizationRequest>"#
            )
        })
        .collect();
    format!(
        r#"<Execute xmlns="{SERVICES}"><request xmlns:a="http://schemas.microsoft.com/xrm/2011/Contracts" xmlns:b="http://schemas.datacontract.org/2004/07/System.Collections.Generic"><a:Parameters><a:KeyValuePairOfstringanyType><b:key>Requests</b:key><b:value>{requests}</b:value></a:KeyValuePairOfstringanyType>{more}</a:Parameters><a:RequestName>{name}</a:RequestName></request></Execute>"#
    )
}

/// The texts of all elements with this local name.
fn texts(envelope: &str, name: &str) -> Vec<String> {
    let document = Document::parse(envelope).unwrap();
    let nodes = document.descendants();
    let nodes = nodes.filter(|node| node.tag_name().name() == name);
    nodes
        .map(|node| node.text().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn several_requests_go_as_far_as_they_may_and_tell_what_is_asked_for() {
    let ids = [1, 1, 2].map(Uuid::from_u128);
    for (goes_on, tells_all, told, rows) in [
        (false, false, &["1"][..], 1),
        (false, true, &["0", "1"], 1),
        (true, false, &["1"], 2),
        (true, true, &["0", "1", "2"], 2),
    ] {
        let (twin, org) = contoso();
        let settings = format!(
            "<a:KeyValuePairOfstringanyType><b:key>Settings</b:key><b:value><ContinueOnError>{goes_on}\
             </ContinueOnError><ReturnResponses>{tells_all}</ReturnResponses></b:value>\
             </a:KeyValuePairOfstringanyType>"
        );
        let request = several("ExecuteMultiple", &ids, &settings);
        let (status, answer) = call(&twin, &org.primary, &request);
        assert_eq!(status, 200, "{answer}");
        assert_eq!(texts(&answer, "RequestIndex"), told);
        assert_eq!(texts(&answer, "ErrorCode"), ["-2147220937"]);
        assert!(keys(&answer).contains(&"IsFaulted".to_owned()));
        assert_eq!(org.rows().len(), rows);
    }
}

#[test]
fn a_transaction_happens_whole_or_not() {
    let (twin, org) = contoso();
    let ids = [1, 2, 1].map(Uuid::from_u128);
    let told = "<a:KeyValuePairOfstringanyType><b:key>ReturnResponses</b:key><b:value>true</b:value>\
                </a:KeyValuePairOfstringanyType>";
    let request = several("ExecuteTransaction", &ids, told);
    let (status, answer) = call(&twin, &org.primary, &request);
    assert_eq!(
        (status, text(&answer, "ErrorCode")),
        (500, "-2147220937".into())
    );
    assert_eq!((org.rows().len(), org.primary.counts().committed), (0, 0));
    let request = several("ExecuteTransaction", &ids[..2], told);
    let (status, answer) = call(&twin, &org.primary, &request);
    assert_eq!((status, org.rows().len()), (200, 2));
    assert_eq!(
        texts(&answer, "ResponseName"),
        ["ExecuteTransaction", "Create", "Create"]
    );
}

#[test]
fn the_operations_are_requests_to_execute_as_well() {
    let (twin, org) = contoso();
    let id = Uuid::from_u128(7);
    let (_, answer) = call(&twin, &org.primary, &create(Some(id)));
    assert_eq!(text(&answer, "CreateResult"), id.to_string());
    for (name, more, holds) in [
        (
            "Retrieve",
            "<a:KeyValuePairOfstringanyType><b:key>ColumnSet</b:key><b:value><a:AllColumns>true\
             </a:AllColumns></b:value></a:KeyValuePairOfstringanyType>",
            "A &amp; B",
        ),
        ("Delete", "", "<a:ResponseName>Delete</a:ResponseName>"),
    ] {
        let request = format!(
            r#"<Execute xmlns="{SERVICES}"><request xmlns:a="http://schemas.microsoft.com/xrm/2011/Contracts" xmlns:b="http://schemas.datacontract.org/2004/07/System.Collections.Generic"><a:Parameters><a:KeyValuePairOfstringanyType><b:key>Target</b:key><b:value><a:Id>{id}</a:Id><a:LogicalName>account</a:LogicalName></b:value></a:KeyValuePairOfstringanyType>{more}</a:Parameters><a:RequestName>{name}</a:RequestName></request></Execute>"#
        );
        let (status, answer) = call(&twin, &org.primary, &request);
        assert_eq!(status, 200, "{answer}");
        assert!(answer.contains(holds), "{answer}");
    }
    assert!(org.rows().is_empty());
}
