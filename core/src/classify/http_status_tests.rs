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
        (-2_147_012_608, Cause::ServiceFault),
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
    assert!(classify(200, &html, b"<html>", true).is_some());
    assert_eq!(classify(200, &html, b"<html>", false), None);
    let marked = headers(&[("content-type", "text/html"), ("odata-version", "4.0")]);
    assert_eq!(classify(200, &marked, b"<html>", true), None);
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
