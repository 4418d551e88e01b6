//! An answer of SOAP: which row it says was created.

use std::ops::ControlFlow;

use http::HeaderMap;
use uuid::Uuid;

use crate::classify::xml::{Visit, walk};
use crate::classify::{SOAP_1_1, SOAP_1_2, decoded, text};
use crate::soap_request::SERVICES;

/// The answer to a create is short.
const LONGEST_READ: usize = 1 << 16;

/// The id in the answer to a Create, or to an Execute of CreateRequest.
pub(crate) fn created_id(headers: &HeaderMap, body: &[u8]) -> Option<Uuid> {
    let body = decoded(headers, body, LONGEST_READ);
    let text = text(&body[..body.len().min(LONGEST_READ)]);
    let (mut id, mut key) = (None, String::new());
    walk(&text, |path, visit| {
        let soap = path[0].namespace.as_str();
        if !matches!(soap, SOAP_1_1 | SOAP_1_2) || path[0].local != "Envelope" {
            return ControlFlow::Break(());
        }
        let ([_, section, rest @ ..], Visit::End(ended)) = (path, visit) else {
            return ControlFlow::Continue(());
        };
        let is_service = rest.first().is_some_and(|it| it.namespace == SERVICES);
        if !section.is(soap, "Body") || !is_service {
            return ControlFlow::Continue(());
        }
        let locals: Vec<&str> = rest.iter().map(|name| name.local.as_str()).collect();
        let named = match locals[..] {
            ["CreateResponse", "CreateResult"] => ended.text,
            ["ExecuteResponse", "ExecuteResult", "Results", _, "key"] => {
                ended.text.clone_into(&mut key);
                return ControlFlow::Continue(());
            }
            ["ExecuteResponse", "ExecuteResult", "Results", _, "value"] if key == "id" => {
                ended.text
            }
            _ => return ControlFlow::Continue(()),
        };
        id = Uuid::try_parse(named).ok().filter(|id| !id.is_nil());
        ControlFlow::Break(())
    });
    id
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::operation::samples::{
        CONTRACTS, GENERIC, ID, V11, V12, envelope, headers, operation, parameter,
    };

    fn created(id: &str) -> String {
        operation(
            "CreateResponse",
            &format!("<CreateResult>{id}</CreateResult>"),
        )
    }

    fn executed(results: &str) -> String {
        let result = format!("<ExecuteResult><a:Results>{results}</a:Results></ExecuteResult>");
        operation("ExecuteResponse", &result)
    }

    #[test]
    fn the_row_that_an_answer_names() {
        const OTHER: &str = "77777777-2222-3333-4444-555555555555";
        let prefixed = format!(
            "<q:CreateResponse xmlns:q=\"{SERVICES}\"><q:CreateResult>\n {{{}}} </q:CreateResult>\
             </q:CreateResponse>",
            ID.to_uppercase()
        );
        let member = parameter("id", ID);
        #[rustfmt::skip]
        let table = [
            (created(ID), true),
            (prefixed, true),
            (executed(&member), true),
            (executed(&format!("{}{member}", parameter("other", OTHER))), true),
            (executed(&parameter("other", ID)), false),
            (created(""), false),
            (created("00000000-0000-0000-0000-000000000000"), false),
            (created("<CreateResult/>"), false),
            (created(ID).replace(SERVICES, CONTRACTS), false),
            (executed(&member).replace(SERVICES, GENERIC), false),
            (operation("UpdateResponse", &format!("<CreateResult>{ID}</CreateResult>")), false),
            (operation("Fault", &created(ID)), false),
            (String::new(), false),
        ];
        for (content, is_named) in table {
            for soap in [V11, V12] {
                let body = envelope(soap, "", &content);
                let expected = is_named.then(|| ID.parse().unwrap());
                let got = created_id(&HeaderMap::new(), body.as_bytes());
                assert_eq!(got, expected, "{body}");
            }
        }
    }

    #[test]
    fn whatever_its_bytes_are() {
        let body = envelope(V12, "", &created(ID));
        let units = |unit: fn(u16) -> [u8; 2]| body.encode_utf16().flat_map(unit).collect();
        let (little, big): (Vec<u8>, Vec<u8>) = (units(u16::to_le_bytes), units(u16::to_be_bytes));
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(&little).unwrap();
        let gzip = gzip.finish().unwrap();
        let (plain, coded) = (HeaderMap::new(), headers(&[("content-encoding", "gzip")]));
        for (headers, body) in [
            (&plain, little),
            (&plain, big),
            (&plain, format!("\u{FEFF}{body}").into_bytes()),
            (&coded, gzip),
        ] {
            assert_eq!(created_id(headers, &body), ID.parse().ok());
            // Cut anywhere it names nothing, or the same.
            for end in 0..body.len() {
                let got = created_id(headers, &body[..end]);
                assert!(got.is_none() || got == ID.parse().ok(), "{end}");
            }
        }
        let far = format!("{}{body}", " ".repeat(LONGEST_READ));
        assert_eq!(created_id(&plain, far.as_bytes()), None);
        assert_eq!(created_id(&plain, b"{\"id\":1}"), None);
    }
}
