use super::*;
use crate::{FaultKind, Preset};

const ODATA: &str = r#"{"error":{"code":"0x80040217","message":"no row"}}"#;
const NOT_HERE: &str = r#"{"error":{"code":"0x8004B065","message":"not here"}}"#;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
        .collect()
}

#[test]
fn the_table() {
    const HTML: &[(&str, &str)] = &[("content-type", "text/html; charset=us-ascii")];
    const MARK: &[(&str, &str)] = &[("odata-version", "4.0")];
    type Row<'a> = (
        u16,
        &'a [(&'static str, &'a str)],
        &'a str,
        Option<Cause>,
        bool,
    );
    let table: &[Row<'_>] = &[
        (200, &[], "", None, false),
        (204, &[], "", None, false),
        (304, &[], "", None, false),
        (302, HTML, "<html>", Some(Cause::ServiceFault), false),
        (307, &[], "", Some(Cause::ServiceFault), false),
        (200, HTML, "<html>", Some(Cause::HtmlPage), false),
        (200, &[], NOT_HERE, None, false),
        (204, HTML, "", None, false),
        (404, &[], "", Some(Cause::NotFound), true),
        (404, HTML, "<html>", Some(Cause::NotFound), true),
        (404, &[], ODATA, Some(Cause::ServiceFault), false),
        (404, MARK, "", Some(Cause::ServiceFault), false),
        (410, &[], "", Some(Cause::Gone), false),
        (
            400,
            HTML,
            "<h2>Bad Request - Invalid Hostname</h2>",
            Some(Cause::InvalidHostname),
            true,
        ),
        (
            400,
            HTML,
            "<h2>Bad Request</h2>",
            Some(Cause::ServiceFault),
            false,
        ),
        (
            400,
            &[],
            "Invalid Hostname",
            Some(Cause::ServiceFault),
            false,
        ),
        (504, &[], "", Some(Cause::GatewayTimeout), true),
        (503, &[], "", Some(Cause::Unavailable), false),
        (
            503,
            &[],
            NOT_HERE,
            Some(Cause::DatacenterNotAvailable),
            true,
        ),
        (
            500,
            &[],
            NOT_HERE,
            Some(Cause::DatacenterNotAvailable),
            true,
        ),
        (502, HTML, "<html>", Some(Cause::BadGateway), false),
        (500, HTML, "<html>", Some(Cause::HtmlPage), false),
        (500, &[], ODATA, Some(Cause::ServiceFault), false),
        (500, &[], "", Some(Cause::ServiceFault), false),
        (401, &[], "", Some(Cause::Unauthorized), false),
        (403, HTML, "<html>", Some(Cause::Forbidden), false),
        (408, &[], "", Some(Cause::ServiceFault), false),
        (412, &[], ODATA, Some(Cause::ServiceFault), false),
        (
            429,
            &[("retry-after", "3")],
            "",
            Some(Cause::Throttled),
            false,
        ),
    ];
    for (status, pairs, body, cause, starts) in table {
        let fault = classify_response(*status, &headers(pairs), body.as_bytes());
        assert_eq!(
            fault.as_ref().map(|fault| fault.cause),
            *cause,
            "{status} {body}"
        );
        if let Some(fault) = fault {
            assert_eq!(
                fault.starts_failover(Preset::Dotnet),
                *starts,
                "{status} {body}"
            );
            assert_eq!(fault.http_status, Some(*status));
        }
    }
}

const SOAP_1_2: &str = "http://www.w3.org/2003/05/soap-envelope";

fn organization_fault(code: i64, details: &str) -> String {
    format!(
        r#"<s:Envelope xmlns:s="{SOAP_1_2}" xmlns:a="http://www.w3.org/2005/08/addressing">
        <s:Header><a:Action s:mustUnderstand="1">fault</a:Action></s:Header><s:Body><s:Fault>
        <s:Code><s:Value>s:Receiver</s:Value></s:Code><s:Reason><s:Text xml:lang="en-US">said</s:Text>
        </s:Reason><s:Detail><OrganizationServiceFault
          xmlns="http://schemas.microsoft.com/xrm/2011/Contracts"
          xmlns:i="http://www.w3.org/2001/XMLSchema-instance">
        <ActivityId>0</ActivityId><ErrorCode>{code}</ErrorCode>
        <ErrorDetails xmlns:d="http://schemas.datacontract.org/2004/07/System.Collections.Generic">
        {details}</ErrorDetails><HelpLink i:nil="true"/><Message>m</Message>
        <ExceptionRetriable>true</ExceptionRetriable><InnerFault i:nil="true"/>
        </OrganizationServiceFault></s:Detail></s:Fault></s:Body></s:Envelope>"#
    )
}

fn addressing_fault(code: &str) -> String {
    format!(
        r#"<S:Envelope xmlns:S="{SOAP_1_2}" xmlns:wsa="http://www.w3.org/2005/08/addressing">
        <S:Body><S:Fault><S:Code><S:Value>S:Sender</S:Value><S:Subcode><S:Value>wsa:{code}</S:Value>
        </S:Subcode></S:Code><S:Reason><S:Text xml:lang="en">r</S:Text></S:Reason></S:Fault>
        </S:Body></S:Envelope>"#
    )
}

#[test]
fn every_listed_code_in_every_form() {
    let table = [
        (-2_147_176_347, Cause::DatacenterNotAvailable),
        (-2_147_176_380, Cause::OrganizationOff),
        (-2_147_180_284, Cause::OrganizationOff),
        (-2_147_180_281, Cause::OrganizationOff),
        (-2_147_176_344, Cause::Unavailable),
        (-2_147_180_543, Cause::Throttled),
        (-2_147_015_903, Cause::Throttled),
        (-2_147_015_902, Cause::Throttled),
        (-2_147_015_900, Cause::Throttled),
        (-2_147_015_898, Cause::Throttled),
        // The neighbours, which say nothing about the endpoint.
        (-2_147_176_346, Cause::ServiceFault),
        (-2_147_176_345, Cause::ServiceFault),
        (-2_147_204_784, Cause::ServiceFault),
        (-2_147_204_783, Cause::ServiceFault),
        (-2_147_012_608, Cause::DatabaseMoving),
        (-2_147_220_970, Cause::ServiceFault),
    ];
    for (code, cause) in table {
        let unsigned = (code as i32).cast_unsigned();
        let xml = |text: &str| {
            format!(
                r#"<error xmlns="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata">
                <code>{text}</code><message xml:lang="en-US">m</message></error>"#
            )
        };
        let bodies = [
            organization_fault(code, ""),
            organization_fault(code, "").replace("OrganizationService", "DiscoveryService"),
            format!(r#"{{"error":{{"code":"0x{unsigned:08x}","message":"m"}}}}"#),
            format!(r#"{{"error":{{"code":"0X{unsigned:08X}","message":"m"}}}}"#),
            format!(r#"{{"error":{{"code":"{code}","message":"m"}}}}"#),
            format!(r#"{{"error":{{"code":{code},"message":"m"}}}}"#),
            format!(r#"{{"error":{{"code":"{unsigned}","message":{{"lang":"en","value":"m"}}}}}}"#),
            xml(&code.to_string()),
            xml(&format!("0x{unsigned:08X}")),
        ];
        for body in bodies {
            let fault = classify_response(500, &HeaderMap::new(), body.as_bytes()).unwrap();
            assert_eq!(fault.cause, cause, "{body}");
            assert_eq!(fault.code, Some(code as i32), "{body}");
            assert!(fault.message.ends_with(": m"), "{}", fault.message);
            let starts = cause == Cause::DatacenterNotAvailable;
            assert_eq!(fault.starts_failover(Preset::Dotnet), starts, "{body}");
        }
    }
}

#[test]
fn addressing_faults() {
    let table = [
        (
            "DestinationUnreachable",
            Cause::DestinationUnreachable,
            true,
        ),
        ("EndpointUnavailable", Cause::Unavailable, false),
        ("ActionNotSupported", Cause::ServiceFault, false),
    ];
    for (code, cause, starts) in table {
        for status in [400, 500] {
            let body = addressing_fault(code);
            let fault = classify_response(status, &HeaderMap::new(), body.as_bytes()).unwrap();
            assert_eq!(fault.cause, cause, "{code}");
            assert_eq!(fault.starts_failover(Preset::Dotnet), starts, "{code}");
        }
    }
}

/// A 500 with the reason ServiceActivationException: nothing but the reason tells it, and it
/// starts no failover.
#[test]
fn a_service_that_cannot_be_activated_starts_no_failover() {
    let html = headers(&[("content-type", "text/html")]);
    for (headers, body) in [
        (HeaderMap::new(), &b""[..]),
        (
            html,
            b"<html>Server Error in '/' Application. ServiceActivationException",
        ),
    ] {
        let fault = classify_response(500, &headers, body).unwrap();
        assert!(!fault.starts_failover(Preset::Dotnet), "{fault:?}");
    }
}

#[test]
fn bodies_that_say_nothing() {
    for (body, cause) in [
        ("", Cause::NotFound),
        ("   ", Cause::NotFound),
        ("404", Cause::NotFound),
        (
            "<html><body>error 0x8004B065</body></html>",
            Cause::NotFound,
        ),
        (
            r#"{"Message":"No HTTP resource was found"}"#,
            Cause::NotFound,
        ),
        (r#"{"error":"0x8004B065"}"#, Cause::NotFound),
        (r#"["error",{"code":"0x8004B065"}]"#, Cause::NotFound),
        (r#""0x8004B065""#, Cause::NotFound),
        ("<error><code>0x8004B065</code></error>", Cause::NotFound),
        ("\u{feff}{\"error\":{\"code\":\"\"}}", Cause::ServiceFault),
        (r#"{"error":{}}"#, Cause::ServiceFault),
    ] {
        let fault = classify_response(404, &HeaderMap::new(), body.as_bytes()).unwrap();
        assert_eq!((fault.cause, fault.code), (cause, None), "{body}");
    }
}

#[test]
fn a_body_below_400_decides_nothing() {
    for status in [200, 206, 302, 307] {
        let fault = classify_response(status, &HeaderMap::new(), NOT_HERE.as_bytes());
        let code = fault.and_then(|fault| fault.code);
        assert_eq!(code, None, "{status}");
    }
}

#[test]
fn a_throttled_answer_says_how_long_in_any_form_and_place() {
    let detail = |value: &str| {
        organization_fault(
            -2_147_015_902,
            &format!(
                "<KeyValuePairOfstringanyType><d:key>ApiOther</d:key><d:value>1</d:value>
                </KeyValuePairOfstringanyType><KeyValuePairOfstringanyType><d:key>Retry-After</d:key>
                <d:value xmlns:x=\"http://www.w3.org/2001/XMLSchema\" i:type=\"x:duration\">{value}</d:value>
                </KeyValuePairOfstringanyType>"
            ),
        )
    };
    for (value, seconds) in [
        ("90", 90.0),
        ("90.5", 90.5),
        ("PT1M30.5S", 90.5),
        ("P0DT0H1M30S", 90.0),
        ("00:01:30", 90.0),
        ("00:01:30.5000000", 90.5),
        ("Sun, 06 Nov 1994 08:51:07 GMT", 90.0),
    ] {
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        let expected = Some(std::time::Duration::from_secs_f64(seconds));
        let web_api = headers(&[("retry-after", value), date]);
        let fault = classify_response(429, &web_api, b"").unwrap();
        assert_eq!(
            (fault.kind, fault.retry_after),
            (FaultKind::Throttled, expected),
            "{value}"
        );
        let body = detail(value);
        let fault = classify_response(500, &headers(&[date]), body.as_bytes()).unwrap();
        assert_eq!(
            (fault.kind, fault.retry_after),
            (FaultKind::Throttled, expected),
            "{value}"
        );
    }
    let both = headers(&[("retry-after", "7")]);
    let fault = classify_response(503, &both, detail("90").as_bytes()).unwrap();
    assert_eq!(fault.retry_after, Some(std::time::Duration::from_secs(7)));
}

#[test]
fn a_compressed_body_says_the_same() {
    use std::io::Write;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(NOT_HERE.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    zlib.write_all(NOT_HERE.as_bytes()).unwrap();
    let zlib = zlib.finish().unwrap();
    let mut br = Vec::new();
    brotli::CompressorWriter::new(&mut br, 4096, 5, 22)
        .write_all(NOT_HERE.as_bytes())
        .unwrap();
    let cut = &gzip[..gzip.len() - 9];
    for (coding, body) in [
        ("gzip", &gzip[..]),
        ("gzip", cut),
        ("deflate", &zlib),
        ("br", &br),
        // Decoded by somebody who left the header.
        ("gzip", NOT_HERE.as_bytes()),
        ("deflate", NOT_HERE.as_bytes()),
        ("br", NOT_HERE.as_bytes()),
    ] {
        let headers = headers(&[("content-encoding", coding)]);
        let fault = classify_response(500, &headers, body).unwrap();
        assert_eq!(
            fault.kind,
            FaultKind::DatacenterNotAvailable,
            "{coding} {}",
            body.len()
        );
    }
    let mut page = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    page.write_all(b"<h2>Bad Request - Invalid Hostname</h2>")
        .unwrap();
    let page = page.finish().unwrap();
    let headers = headers(&[("content-encoding", "gzip"), ("content-type", "text/html")]);
    let fault = classify_response(400, &headers, &page).unwrap();
    assert_eq!(fault.cause, Cause::InvalidHostname);
}

#[test]
fn gigantic_bodies_take_no_more_than_seconds() {
    // Four times as much takes four times as long; a walk that were quadratic, hours.
    const SIZE: usize = 4 << 20;
    let fault = organization_fault(-2_147_176_347, "");
    let in_detail = fault.find("<ActivityId>").unwrap();
    let fill = |unit: &str| unit.repeat(SIZE / unit.len());
    let half = |unit: &str| unit.repeat(SIZE / 2 / unit.len());
    let bodies = [
        fill("{\"error\":"),
        fill("["),
        format!("{{\"error\":{{\"message\":{}", fill("[")),
        format!("{{\"error\":{{\"message\":{}", fill("{\"value\":")),
        format!("{{\"error\":{{\"message\":\"{}\"}}}}", fill("\\u0041")),
        format!(
            "{{\"error\":{{\"message\":\"{}{}\"}}}}",
            half("bearer is "),
            half("eyj")
        ),
        fill("<a>"),
        fill("<"),
        fill("&amp;"),
        fill("<a x='"),
        format!("{}{}", half("<a>"), half("</a>")),
        format!("{}{}", &fault[..in_detail], fill("<a>")),
        format!("{}{}{}", &fault[..in_detail], half("<a>"), half("</a>")),
        format!(
            "{}{}{}",
            &fault[..in_detail],
            "<a>".repeat(60_000),
            fill("<b/>")
        ),
        format!("{}{}", &fault[..in_detail], fill("<b xmlns:c='d'/>")),
        format!("{}<Message>{}", &fault[..in_detail], fill("x<!-- -->")),
        format!("<html>{}", fill("Invalid Hostnam")),
    ];
    let html = headers(&[("content-type", "text/html")]);
    for body in bodies {
        let started = std::time::Instant::now();
        let fault = classify_response(400, &html, body.as_bytes()).unwrap();
        let took = started.elapsed();
        assert!(took.as_secs() < 30, "{took:?} for {}", &body[..40]);
        assert_eq!(fault.code, None);
    }
}

#[test]
fn a_throttling_code_in_soap_is_no_service_fault() {
    let body = r#"<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>
      <detail><OrganizationServiceFault xmlns="http://schemas.microsoft.com/xrm/2011/Contracts">
      <ErrorCode>-2147015902</ErrorCode></OrganizationServiceFault></detail></s:Fault></s:Body></s:Envelope>"#;
    let fault = classify_response(500, &HeaderMap::new(), body.as_bytes()).unwrap();
    assert_eq!(fault.kind, FaultKind::Throttled);
}

#[test]
fn a_page_that_was_asked_for_is_no_fault() {
    let html = headers(&[("content-type", "text/html")]);
    let (page, service) = (Asked::read(None), Asked::read(Some(Protocol::OData)));
    assert!(classify(200, &html, b"<html>", service, None).is_some());
    assert_eq!(classify(200, &html, b"<html>", page, None), None);
    let marked = headers(&[("content-type", "text/html"), ("odata-version", "4.0")]);
    assert_eq!(classify(200, &marked, b"<html>", service, None), None);
    let write = Asked {
        is_write: true,
        needs_mark: true,
        ..page
    };
    assert_eq!(classify(200, &html, b"<html>", write, None), None);
}

#[test]
fn pages_and_soap_faults_in_the_place_of_what_was_to_be_read() {
    const NO_KIND: &[(&str, &str)] = &[];
    const XHTML: &[(&str, &str)] = &[("content-type", "Application/XHTML+xml; charset=utf-8")];
    const HTML: &[(&str, &str)] = &[("content-type", "text/html")];
    const XML: &[(&str, &str)] = &[("content-type", "text/xml")];
    const BYTES: &[(&str, &str)] = &[("content-type", "application/octet-stream")];
    const TEXT: &[(&str, &str)] = &[("content-type", "text/plain")];
    const PAGE: &str = "\r\n<?xml version='1.0'?><!-- x --> <!DOCTYPE HTML><html>";
    let (odata, soap) = (Protocol::OData, Protocol::Soap);
    let page = Some(Cause::HtmlPage);
    let fault = organization_fault(-2_147_176_347, "");
    let not_here = Some(Cause::DatacenterNotAvailable);
    let table = [
        (200, HTML, "", odata, page),
        (202, HTML, "", odata, page),
        (206, HTML, "<p>", soap, page),
        (200, XHTML, "", odata, page),
        (204, HTML, "", odata, None),
        (200, NO_KIND, PAGE, odata, page),
        (200, NO_KIND, "<html lang=en>", soap, page),
        (200, XML, PAGE, odata, page),
        (200, NO_KIND, "<htmlish>", odata, None),
        (200, NO_KIND, "", odata, None),
        // A file is what it is.
        (200, BYTES, PAGE, odata, None),
        (200, TEXT, PAGE, odata, None),
        (200, XML, &fault, soap, not_here),
        (200, NO_KIND, &fault, soap, not_here),
        (200, XML, &fault, odata, None),
        (200, BYTES, &fault, soap, None),
        (200, NO_KIND, NOT_HERE, odata, None),
    ];
    for (status, pairs, body, protocol, expected) in table {
        let fault = classify(
            status,
            &headers(pairs),
            body.as_bytes(),
            Asked::read(Some(protocol)),
            None,
        );
        assert_eq!(
            fault.map(|fault| fault.cause),
            expected,
            "{status} {pairs:?} {body}"
        );
    }
}

#[test]
fn a_success_of_a_write_is_its_service_s() {
    const JSON: (&str, &str) = ("content-type", "application/json");
    const HTML: (&str, &str) = ("content-type", "text/html");
    const XML: (&str, &str) = ("content-type", "text/xml; charset=utf-8");
    const PLAIN: (&str, &str) = ("content-type", "text/plain");
    const XHTML: (&str, &str) = ("content-type", "application/xhtml+xml");
    const MARK: (&str, &str) = ("odata-version", "4.0");
    const ID: (&str, &str) = ("x-ms-service-request-id", "1,2");
    const MTOM: (&str, &str) = (
        "content-type",
        "multipart/related; type=\"application/xop+xml\"; boundary=b",
    );
    const OK: &str = r#"<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>
        <CreateResponse xmlns="x"><CreateResult>1</CreateResult></CreateResponse>"#;
    let (odata, soap) = (Protocol::OData, Protocol::Soap);
    let nobody = Some(Cause::NoServiceMark);
    let page = Some(Cause::HtmlPage);
    let not_here = Some(Cause::DatacenterNotAvailable);
    let service = Some(Cause::ServiceFault);
    let fault = organization_fault(-2_147_176_347, "");
    let throttled = organization_fault(-2_147_015_902, "");
    let package = format!("--b\r\nContent-ID: <1>\r\n\r\n{OK}");
    let package_of_fault = format!("--b\r\nContent-ID: <1>\r\n\r\n{fault}");
    type Row<'a> = (
        u16,
        Vec<(&'static str, &'a str)>,
        &'a str,
        Protocol,
        Option<Cause>,
    );
    let table: Vec<Row<'_>> = vec![
        // The marks.
        (204, vec![MARK], "", odata, None),
        (204, vec![("dataserviceversion", "2.0;")], "", odata, None),
        (
            204,
            vec![("odata-entityid", "https://x/accounts(1)")],
            "",
            odata,
            None,
        ),
        (204, vec![ID], "", odata, None),
        (204, vec![("REQ_ID", "1")], "", odata, None),
        (206, vec![("AuthActivityId", "1")], "", odata, None),
        (200, vec![("x-ms-chunk-size", "4194304")], "", odata, None),
        (
            201,
            vec![JSON],
            r#"{"@odata.context":"x","name":"error"}"#,
            odata,
            None,
        ),
        (201, vec![JSON], r#"{"d":{"__metadata":{}}}"#, odata, None),
        (200, vec![JSON, MARK], r#"{"value":[]}"#, odata, None),
        (200, vec![XML], OK, soap, None),
        (200, vec![], OK, soap, None),
        (200, vec![MTOM], &package, soap, None),
        // What is none.
        (200, vec![], "", odata, nobody),
        (202, vec![], "", odata, nobody),
        (204, vec![], "", odata, nobody),
        (205, vec![], "", soap, nobody),
        (207, vec![], "<a/>", odata, nobody),
        (226, vec![("set-cookie", "a=b")], "", odata, nobody),
        (200, vec![PLAIN], "ok", odata, nobody),
        (200, vec![PLAIN], "ok", soap, nobody),
        (200, vec![JSON], r#"{"error":"blocked"}"#, odata, nobody),
        (200, vec![JSON], r#"{"value":[]}"#, odata, nobody),
        (200, vec![JSON], r#"{"@odata.context":"x"}"#, soap, nobody),
        (200, vec![XML], OK, odata, nobody),
        (200, vec![XML], "<s:Envelope><s:Body><x/>", soap, nobody),
        (202, vec![], "", soap, nobody),
        (200, vec![MARK, ID], "", soap, nobody),
        // Cut before it said what it is.
        (200, vec![XML], &OK[..70], soap, nobody),
        // Pages.
        (200, vec![HTML], "", odata, page),
        (201, vec![HTML], "<html>", odata, page),
        (202, vec![HTML, ID], "<html>", odata, page),
        (203, vec![HTML], "<html>", soap, page),
        (206, vec![HTML], "<html>", odata, page),
        (200, vec![XHTML], "<html>", soap, page),
        (200, vec![PLAIN], "<!doctype html>", odata, page),
        (200, vec![], " <HTML><body>", odata, page),
        (200, vec![HTML, MARK], "", odata, None),
        // Refusals.
        (200, vec![JSON, MARK], NOT_HERE, odata, not_here),
        (200, vec![JSON], NOT_HERE, odata, not_here),
        (200, vec![JSON, MARK], ODATA, odata, service),
        (
            200,
            vec![JSON, MARK],
            r#"{"error":"blocked"}"#,
            odata,
            service,
        ),
        (
            200,
            vec![JSON, MARK],
            r#"{"error":{"code":"0x800"#,
            odata,
            service,
        ),
        (200, vec![XML], &fault, soap, not_here),
        (202, vec![], &fault, soap, not_here),
        (200, vec![MTOM], &package_of_fault, soap, not_here),
        (200, vec![XML], &throttled, soap, Some(Cause::Throttled)),
    ];
    for (status, pairs, body, protocol, expected) in table {
        for needs_mark in [true, false] {
            let asked = Asked {
                protocol: Some(protocol),
                is_write: true,
                needs_mark,
            };
            let fault = classify(status, &headers(&pairs), body.as_bytes(), asked, None);
            let expected = match expected {
                Some(Cause::NoServiceMark) if body.starts_with(r#"{"error"#) && !needs_mark => {
                    service
                }
                Some(Cause::NoServiceMark) if !needs_mark => None,
                expected => expected,
            };
            let cause = fault.as_ref().map(|fault| fault.cause);
            assert_eq!(cause, expected, "{status} {pairs:?} {needs_mark} {body}");
            if cause == nobody {
                assert!(fault.unwrap().message.contains("service_mark"));
            }
        }
    }
}

#[test]
fn what_of_a_success_must_be_read() {
    let mark = headers(&[("odata-version", "4.0")]);
    let (odata, soap) = (Protocol::OData, Protocol::Soap);
    let fault = organization_fault(-2_147_176_347, "");
    for (status, body, protocol, is_write, expected) in [
        (200, "", odata, false, true),
        (500, "", odata, true, true),
        (200, "", odata, true, false),
        (200, "{", odata, true, false),
        (200, r#"{"value":"#, odata, true, true),
        (200, "PK", odata, true, true),
        (200, NOT_HERE, odata, true, false),
        (200, &fault[..80], soap, true, false),
        (200, &fault, soap, true, false),
        (200, "blocked", soap, true, true),
    ] {
        let asked = Asked {
            protocol: Some(protocol),
            is_write,
            needs_mark: true,
        };
        let got = is_told(status, &mark, body.as_bytes(), asked);
        assert_eq!(got, expected, "{status} {body} {is_write}");
    }
}

#[test]
fn a_database_that_moves_is_no_endpoint_s_fault() {
    let sql = "Database 'org' on server 'tcp:s' is not currently available. Error Number:40613";
    let json =
        |code: &str, text: &str| format!(r#"{{"error":{{"code":"{code}","message":"{text}"}}}}"#);
    let soap =
        organization_fault(-2_147_204_784, "").replace("<Message>m<", &format!("<Message>{sql}<"));
    let moving = Cause::DatabaseMoving;
    for (status, body, cause) in [
        (500, json("0x80044150", sql), moving),
        (500, json("40501", "busy"), moving),
        (500, json("0x80073000", "m"), moving),
        (500, soap, moving),
        (500, json("0x80044150", "Sql error"), Cause::ServiceFault),
        (400, json("0x80044150", sql), Cause::ServiceFault),
        (503, json("0x80044150", sql), Cause::Unavailable),
        (500, json("0x8004B065", sql), Cause::DatacenterNotAvailable),
    ] {
        let fault = classify_response(status, &HeaderMap::new(), body.as_bytes()).unwrap();
        assert_eq!(fault.cause, cause, "{status} {body}");
        if cause == moving {
            assert!(fault.ends_as_response() && !fault.starts_failover(Preset::Dotnet));
            assert!(!fault.starts_failover(Preset::Safe));
        }
    }
}

/// A body in UTF-16 says the same, whatever is said of it.
#[test]
fn a_body_in_utf_16_says_the_same() {
    use std::io::Write;
    let units = |text: &str, unit: fn(u16) -> [u8; 2]| -> Vec<u8> {
        text.encode_utf16().flat_map(unit).collect()
    };
    let soap = organization_fault(-2_147_176_347, "");
    let declared = format!("<?xml version=\"1.0\" encoding=\"utf-16\"?>\r\n{soap}");
    let xml = r#"<error xmlns="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata">
        <code>0x8004B065</code></error>"#;
    let page = "<h2>Bad Request - Invalid Hostname</h2>";
    for (status, text, cause) in [
        (500, NOT_HERE, Cause::DatacenterNotAvailable),
        (500, &soap, Cause::DatacenterNotAvailable),
        (500, &declared, Cause::DatacenterNotAvailable),
        (500, xml, Cause::DatacenterNotAvailable),
        (404, ODATA, Cause::ServiceFault),
        (400, page, Cause::InvalidHostname),
    ] {
        for unit in [u16::to_le_bytes, u16::to_be_bytes] {
            for mark in ["", "\u{feff}"] {
                let body = units(&format!("{mark}{text}"), unit);
                let mut gzip =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                gzip.write_all(&body).unwrap();
                let zipped = gzip.finish().unwrap();
                for kind in ["text/html; charset=utf-16", "text/html"] {
                    let plain = headers(&[("content-type", kind)]);
                    let coded = headers(&[("content-type", kind), ("content-encoding", "gzip")]);
                    for (headers, body) in [(&plain, &body), (&coded, &zipped)] {
                        let fault = classify_response(status, headers, body).unwrap();
                        assert_eq!(fault.cause, cause, "{status} {text}");
                    }
                }
            }
        }
    }
    let success = units(r#"{"@odata.context":"x"}"#, u16::to_be_bytes);
    let asked = Asked {
        protocol: Some(Protocol::OData),
        is_write: true,
        needs_mark: true,
    };
    assert_eq!(
        classify(201, &HeaderMap::new(), &success, asked, None),
        None
    );
}

#[test]
fn the_message_is_one_short_line() {
    let body = format!(
        r#"{{"error":{{"code":"","message":"a\nb{}"}}}}"#,
        "x".repeat(9999)
    );
    let fault = classify_response(500, &HeaderMap::new(), body.as_bytes()).unwrap();
    assert!(fault.message.len() < 300, "{}", fault.message);
    assert!(!fault.message.contains('\n'));
}
