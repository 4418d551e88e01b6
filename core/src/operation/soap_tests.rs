use http::HeaderValue;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use super::samples::*;
use super::soap::LONGEST_NAME;
use super::*;
use Operation::{Guarded, Idempotent, Read, Unsafe};

fn id() -> Uuid {
    Uuid::try_parse(ID).unwrap()
}

fn row() -> Row {
    Row::Soap {
        logical_name: "account".to_owned(),
        id: id(),
    }
}

#[test]
fn soap_operations() {
    let attributes = format!(
        "<a:Attributes>{}{}</a:Attributes>",
        parameter("name", "<a:Id>77777777-2222-3333-4444-555555555555</a:Id>"),
        parameter("Target", "<a:LogicalName>contact</a:LogicalName>"),
    );
    let row_of =
        |id: &str| format!("{attributes}<a:Id>{id}</a:Id><a:LogicalName>account</a:LogicalName>");
    let target = |id: &str| parameter("Target", &row_of(id));
    let matches = parameter("ConcurrencyBehavior", "IfRowVersionMatches");
    let always = parameter("ConcurrencyBehavior", "AlwaysOverwrite");
    let created = || Some(Guard::Created(row()));
    let version = || Some(Guard::Version(row()));
    const NIL: &str = "00000000-0000-0000-0000-000000000000";
    const NAME: &str = "<a:LogicalName>account</a:LogicalName>";
    #[rustfmt::skip]
    let table = [
        (operation("Retrieve", "<entityName>account</entityName>"), Read, None),
        (operation("RetrieveMultiple", ""), Read, None),
        (operation("Update", "<entity/>"), Idempotent, None),
        (operation("Delete", ""), Idempotent, None),
        (operation("Associate", ""), Guarded, None),
        (operation("Disassociate", ""), Guarded, None),
        (operation("Retrievethat", ""), Unsafe, None),
        (create(&row_of(ID)), Guarded, created()),
        (create(&row_of(&format!(" {{{}}}\n", ID.to_uppercase()))), Guarded, created()),
        (create(&row_of(NIL)), Unsafe, None),
        (create(&row_of("")), Unsafe, None),
        (create(&row_of("no id")), Unsafe, None),
        (create(&format!("<a:Id i:nil=\"true\"/>{NAME}")), Unsafe, None),
        (create(NAME), Unsafe, None),
        (create(&format!("<a:Id>{ID}</a:Id>")), Unsafe, None),
        // The service passes over what comes too late, or in another namespace.
        (create(&format!("{NAME}<a:Id>{ID}</a:Id>")), Unsafe, None),
        (create(&format!("<Id>{ID}</Id>{NAME}")), Unsafe, None),
        (create(&format!("<a:Id>{NIL}</a:Id><a:Id>{ID}</a:Id>{NAME}")), Unsafe, None),
        (execute("c:RetrieveRequest", "", "Retrieve"), Read, None),
        (execute("RetrieveEntityRequest", "", "RetrieveEntity"), Read, None),
        (execute("", "", "RetrieveAllEntities"), Read, None),
        (execute("a:OrganizationRequest", "", "WhoAmI"), Read, None),
        (execute("a:WhoAmIRequest", "", ""), Read, None),
        (execute("", "", "FetchXmlToQueryExpression"), Read, None),
        (execute("", "", "QueryExpressionToFetchXml"), Read, None),
        (execute("", "", "IsValidStateTransition"), Read, None),
        (execute("a:RetrieveRequest", "", "Delete"), Unsafe, None),
        (execute("a:Retrieve", "", "new_Retrieve"), Unsafe, None),
        (execute("", "", "new_RetrieveAndDelete"), Unsafe, None),
        (execute("", "", ""), Unsafe, None),
        (execute("a:CreateRequest", &target(ID), "Create"), Guarded, created()),
        (execute("", &target(ID), "Create"), Guarded, created()),
        (execute("a:CreateRequest", &format!("{always}{}", target(ID)), "Create"), Guarded, created()),
        (execute("a:CreateRequest", &target(NIL), "Create"), Unsafe, None),
        (execute("a:CreateRequest", &parameter("Other", &row_of(ID)), "Create"), Unsafe, None),
        (execute("a:CreateRequest", "", "Create"), Unsafe, None),
        (execute("a:CreateRequest", &target(ID), "Update"), Unsafe, None),
        (execute("a:UpdateRequest", &target(ID), "Update"), Idempotent, None),
        (execute("a:UpdateRequest", &format!("{}{always}", target(ID)), "Update"), Idempotent, None),
        (execute("a:UpdateRequest", &format!("{}{matches}", target(ID)), "Update"), Guarded, version()),
        (execute("a:UpdateRequest", &format!("{matches}{}", target(ID)), "Update"), Guarded, version()),
        (execute("a:DeleteRequest", &format!("{matches}{}", target(ID)), "Delete"), Guarded, version()),
        (execute("a:DeleteRequest", &target(ID), "Delete"), Idempotent, None),
        (execute("a:UpsertRequest", &target(ID), "Upsert"), Idempotent, None),
        (execute("a:AssociateRequest", "", "Associate"), Guarded, None),
        (execute("a:CreateMultipleRequest", "", "CreateMultiple"), Unsafe, None),
        (execute("c:SetStateRequest", "", "SetState"), Unsafe, None),
    ];
    for (operation, expected, guard) in table {
        for soap in [V11, V12] {
            let body = message(&operation).replace(V11, soap);
            let got = class_of("POST", SOAP_URL, &[], &body);
            let expected = Class {
                operation: expected,
                is_compound: false,
                guard: guard.clone(),
                // A test of their own.
                deletes: got.deletes.clone(),
                creates_in: got.creates_in.clone(),
            };
            assert_eq!(got, expected, "{body}");
            let marked = format!("\u{FEFF}{body}");
            assert_eq!(class_of("POST", SOAP_URL, &[], &marked), expected, "{body}");
        }
    }
}

#[test]
fn several_operations_that_only_read() {
    let inner = |type_name: &str, name: &str| {
        format!(
            r#"<a:OrganizationRequest i:type="{type_name}"><a:Parameters/><a:RequestName>{name}</a:RequestName></a:OrganizationRequest>"#
        )
    };
    let (read, who) = (
        inner("a:RetrieveRequest", "Retrieve"),
        inner("a:OrganizationRequest", "WhoAmI"),
    );
    #[rustfmt::skip]
    let table = [
        ("ExecuteMultiple", format!("{read}{who}"), Read),
        ("ExecuteTransaction", read.clone(), Read),
        ("ExecuteMultiple", format!("{read}{}", inner("a:CreateRequest", "Create")), Unsafe),
        ("ExecuteMultiple", inner("a:CreateRequest", "Retrieve"), Unsafe),
        ("ExecuteMultiple", inner("a:OrganizationRequest", ""), Unsafe),
        ("ExecuteMultiple", read.replace("a:OrganizationRequest", "b:OrganizationRequest"), Unsafe),
        ("ExecuteMultiple", String::new(), Unsafe),
    ];
    for (name, requests, operation) in table {
        let settings = "<c:ContinueOnError>false</c:ContinueOnError>";
        let parameters = parameter("Requests", &requests) + &parameter("Settings", settings);
        let body = message(&execute(&format!("a:{name}Request"), &parameters, name));
        let class = class_of("POST", SOAP_URL, &[], &body);
        let expected = Class {
            operation,
            ..Class::compound()
        };
        assert_eq!(class, expected, "{body}");
        let cut = &body[..body.len() - 3];
        assert_eq!(class_of("POST", SOAP_URL, &[], cut), Class::compound());
        let list = [("soapaction", "x/Create")];
        assert_eq!(class_of("POST", SOAP_URL, &list, &body), Class::compound());
    }
}

#[test]
fn soap_that_holds_several_operations_or_may_hold_them() {
    let multiple = execute("a:ExecuteMultipleRequest", "", "ExecuteMultiple");
    let whole = message(&operation("Retrieve", ""));
    let far = format!("<!--{}-->", "x".repeat(1 << 20));
    let table = [
        message(&multiple),
        message(&execute("", "", "ExecuteMultiple")),
        message(&execute(
            "a:ExecuteTransactionRequest",
            "",
            "ExecuteTransaction",
        )),
        message(&execute("a:ExecuteMultipleRequest", "", "Retrieve")),
        message(&execute("a:RetrieveRequest", "", "ExecuteMultiple")),
        String::new(),
        "<b:ExecuteMultipleRequest/>".to_owned(),
        "no XML".to_owned(),
        whole.replace(V11, "urn:other"),
        whole.replace("s:Body", "s:Bodies"),
        whole.replace("<s:Body>", &format!("<s:Body>{far}")),
        message(&execute("", "", "Retrieve"))
            .replace("<a:Parameters>", &format!("{far}<a:Parameters>")),
    ];
    for body in &table {
        assert_eq!(
            class_of("POST", SOAP_URL, &[], body),
            Class::compound(),
            "{body:.2000}"
        );
    }
    let mut coded = HeaderMap::new();
    coded.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    assert_eq!(
        classify(&Method::POST, SOAP_URL, &coded, Some(whole.as_bytes())),
        Class::compound()
    );
    assert_eq!(
        classify(&Method::POST, SOAP_URL, &HeaderMap::new(), None),
        Class::compound()
    );
    // What it is of is known, so it is one operation.
    let typed = message(&execute("a:RetrieveRequest", "", "Retrieve"))
        .replace("<a:Parameters>", &format!("{far}<a:Parameters>"));
    assert_eq!(class_of("POST", SOAP_URL, &[], &typed), Class::of(Unsafe));
    let other = whole.replace(SERVICES, "urn:other");
    assert_eq!(class_of("POST", SOAP_URL, &[], &other), Class::of(Unsafe));
}

#[test]
fn a_soap_message_is_read_as_far_as_needed() {
    // Whatever follows, also if it is no XML and no UTF-8.
    let table = [
        (message(&operation("Retrieve", "")), "</Retrieve>", Read),
        (message(&execute("", "", "WhoAmI")), "</request>", Read),
        (
            message(&create(&format!(
                "<a:Id>{ID}</a:Id><a:LogicalName>account</a:LogicalName>"
            ))),
            "</entity>",
            Guarded,
        ),
        (
            message(&execute("a:ExecuteMultipleRequest", "", "ExecuteMultiple")),
            "<a:Parameters>",
            Unsafe,
        ),
    ];
    for (body, end, operation) in table {
        let cut = &body[..body.find(end).unwrap()];
        let body = [cut.as_bytes(), b"<\xFF<"].concat();
        let class = classify(&Method::POST, SOAP_URL, &HeaderMap::new(), Some(&body));
        assert_eq!(class.operation, operation, "{cut}");
    }
}

#[test]
fn names_that_disagree() {
    let action = |name: &str| format!("{SERVICES}/IOrganizationService/{name}");
    let addressed = |name: &str| {
        let header = format!(
            "<w:Action>{}</w:Action><w:MessageID>urn:uuid:1</w:MessageID>",
            action(name)
        );
        envelope(V12, &header, &format!(r#"<Retrieve xmlns="{SERVICES}"/>"#))
    };
    let plain = message(&operation("Retrieve", ""));
    let quoted = |name: &str| format!("\"{}\"", action(name));
    let of_1_2 = |name: &str| {
        format!(
            "application/soap+xml; charset=utf-8; action=\"{}\"",
            action(name)
        )
    };
    let table = [
        (addressed("Retrieve"), None, None, Read),
        (addressed("Retrieve"), None, Some(of_1_2("Retrieve")), Read),
        (addressed("Create"), None, None, Unsafe),
        (addressed("Retrieve"), None, Some(of_1_2("Delete")), Unsafe),
        (addressed("Retrieve"), Some(quoted("Delete")), None, Unsafe),
        (plain.clone(), Some(quoted("Retrieve")), None, Read),
        (plain.clone(), Some(action("Retrieve")), None, Read),
        (plain.clone(), Some("\"\"".to_owned()), None, Read),
        (
            plain.clone(),
            None,
            Some("text/xml; charset=utf-8".to_owned()),
            Read,
        ),
        (
            plain.clone(),
            Some(quoted("RetrieveMultiple")),
            None,
            Unsafe,
        ),
        (plain, Some("\u{e9}".to_owned()), None, Unsafe),
    ];
    for (body, soap_action, content_type, operation) in table {
        let mut headers = HeaderMap::new();
        if let Some(action) = &soap_action {
            headers.insert(
                "soapaction",
                HeaderValue::from_bytes(action.as_bytes()).unwrap(),
            );
        }
        if let Some(content_type) = &content_type {
            headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
        }
        let class = classify(&Method::POST, SOAP_URL, &headers, Some(body.as_bytes()));
        assert_eq!(
            class,
            Class::of(operation),
            "{soap_action:?} {content_type:?} {body}"
        );
    }
}

#[test]
fn discovery_reads() {
    let request = operation(
        "Execute",
        "<request i:type=\"RetrieveOrganizationsRequest\"><AccessType>Default</AccessType></request>",
    );
    let body = message(&request).replace(SERVICES, DISCOVERY);
    let class = class_of("POST", "/XRMServices/2011/Discovery.svc", &[], &body);
    assert_eq!(class, Class::of(Read));
}

#[test]
fn the_row_that_a_message_deletes_is_known() {
    let row = Some(Row::Soap {
        logical_name: "account".to_owned(),
        id: ID.parse().unwrap(),
    });
    let plain = operation(
        "Delete",
        &format!("<entityName>account</entityName><id>{ID}</id>"),
    );
    let target = format!(
        "<a:Parameters><a:KeyValuePairOfstringanyType><b:key>Target</b:key><b:value \
         i:type=\"a:EntityReference\"><a:Id>{ID}</a:Id><a:LogicalName>account</a:LogicalName>\
         </b:value></a:KeyValuePairOfstringanyType></a:Parameters>"
    );
    let executed = |name: &str| {
        operation(
            "Execute",
            &format!(
                "<request i:type=\"a:{name}Request\">{target}<a:RequestName>{name}\
                 </a:RequestName></request>"
            ),
        )
    };
    let table = [
        (plain, row.clone()),
        (executed("Delete"), row),
        (executed("Update"), None),
        (operation("Delete", ""), None),
    ];
    for (body, expected) in table {
        let class = class_of("POST", SOAP_URL, &[], &message(&body));
        assert_eq!(class.deletes, expected, "{body}");
    }
}

#[test]
fn the_table_of_a_create_whose_answer_names_the_row_is_known() {
    const NAME: &str = "<a:LogicalName>account</a:LogicalName>";
    let target = |name: &str| {
        let parameters = parameter("Target", &format!("<a:Id>{}</a:Id>{NAME}", Uuid::nil()));
        execute(&format!("a:{name}Request"), &parameters, name)
    };
    let long = "x".repeat(LONGEST_NAME + 1);
    #[rustfmt::skip]
    let table = [
        (create(NAME), Some("account")),
        (target("Create"), Some("account")),
        (create(&format!("<a:Id>{ID}</a:Id>{NAME}")), None),
        (create(&format!("<a:LogicalName>{long}</a:LogicalName>")), None),
        (create(""), None),
        (target("Upsert"), None),
        (target("Win"), None),
    ];
    for (body, expected) in table {
        let class = class_of("POST", SOAP_URL, &[], &message(&body));
        assert_eq!(class.creates_in.as_deref(), expected, "{body}");
    }
    let action = [("soapaction", "Update")];
    let class = class_of("POST", SOAP_URL, &action, &message(&create(NAME)));
    assert_eq!(class.creates_in, None, "the headers name another operation");
}
