use proptest::prelude::*;

use super::*;

const SOAP: &str = "/XRMServices/2011/Organization.svc/web";
const BATCH: &str = "/api/data/v9.2/$batch";

/// URL, types of request and answer, request, answer: a change set of two and a read, and two creates.
const SAMPLES: [(&str, &str, &str, &str, &str); 3] = [
    (
        BATCH,
        "multipart/mixed; boundary=b",
        "multipart/mixed; boundary=a",
        "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Type: \
         application/http\r\nContent-ID: 1\r\n\r\nPOST accounts HTTP/1.1\r\n\r\n{}\r\n--c\r\n\
         Content-Type: application/http\r\nContent-ID: 2\r\n\r\nPOST accounts HTTP/1.1\r\n\r\n{}\r\n\
         --c--\r\n--b\r\nContent-Type: application/http\r\n\r\nGET accounts HTTP/1.1\r\n\r\n\r\n--b--\r\n",
        "--a\r\nContent-Type: multipart/mixed; boundary=d\r\n\r\n--d\r\nContent-Type: \
         application/http\r\nContent-ID: 1\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n\r\n--d\r\n\
         Content-Type: application/http\r\nContent-ID: 2\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n\r\n\
         --d--\r\n--a\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 200 OK\r\n\r\n{}\r\n--a--\r\n",
    ),
    (
        BATCH,
        "application/json",
        "application/json",
        r#"{"requests":[{"id":"1","method":"POST","url":"accounts","atomicityGroup":"g"},
            {"id":"2","method":"POST","url":"accounts","atomicityGroup":"g"},
            {"id":"3","method":"GET","url":"accounts"}]}"#,
        r#"{"responses":[{"id":"1","status":204},{"id":"2","status":204},
            {"id":"3","status":200,"body":{}}]}"#,
    ),
    (
        SOAP,
        "text/xml",
        "text/xml",
        r#"<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><Execute
            xmlns="http://schemas.microsoft.com/xrm/2011/Contracts/Services"><request
            xmlns:a="http://schemas.microsoft.com/xrm/2011/Contracts"><a:Parameters><a:Pair><key>Requests</key><value>
            <OrganizationRequest><a:RequestName>Create</a:RequestName></OrganizationRequest>
            <OrganizationRequest><a:RequestName>Create</a:RequestName></OrganizationRequest></value></a:Pair>
            </a:Parameters><a:RequestName>ExecuteMultiple</a:RequestName>
            </request></Execute></s:Body></s:Envelope>"#,
        r#"<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><ExecuteResponse
            xmlns="http://schemas.microsoft.com/xrm/2011/Contracts/Services"><ExecuteResult
            xmlns:a="http://schemas.microsoft.com/xrm/2011/Contracts"><a:Results><a:Pair><key>Responses</key><value>
            <ExecuteMultipleResponseItem><Fault><a:ErrorCode>-2147176347</a:ErrorCode></Fault>
            <RequestIndex>1</RequestIndex></ExecuteMultipleResponseItem></value></a:Pair></a:Results>
            </ExecuteResult></ExecuteResponse></s:Body></s:Envelope>"#,
    ),
];

fn typed(media_type: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static(media_type));
    headers
}

fn tally(which: usize, request: &[u8], answer: &[u8]) -> Option<Tally> {
    let (url, sent, came, ..) = SAMPLES[which];
    Asked::of(url, &typed(sent), Some(request)).tally(200, &typed(came), answer, None)
}

#[test]
fn the_samples_are_read() {
    for (which, (.., request, answer)) in SAMPLES.iter().enumerate().take(2) {
        let tally = tally(which, request.as_bytes(), answer.as_bytes()).unwrap();
        assert_eq!((tally.parts.len(), tally.effect), (3, Effect::Executed));
    }
    let (.., request, answer) = SAMPLES[2];
    let tally = tally(2, request.as_bytes(), answer.as_bytes()).unwrap();
    assert_eq!(
        (tally.parts[0].index, tally.parts[0].code),
        (1, Some(DATACENTER_NOT_AVAILABLE))
    );
}

proptest! {
    #[test]
    fn an_answer_that_broke_off_tells_nothing_as_done(which in 0..2usize, cut: prop::sample::Index) {
        let (.., request, answer) = SAMPLES[which];
        // To the closing delimiter, or the last brace: what follows is of no account.
        let whole = answer.trim_end().len() - 2 + which;
        let cut = &answer.as_bytes()[..cut.index(whole)];
        let effect = tally(which, request.as_bytes(), cut).map(|tally| tally.effect);
        prop_assert!(effect.is_none_or(|effect| effect == Effect::Unknown), "{effect:?}");
    }

    #[test]
    fn spoiled_requests_and_answers_do_not_panic(
        which in 0..SAMPLES.len(),
        spoiled: [(bool, prop::sample::Index, u8); 3],
        cuts: [prop::sample::Index; 2],
    ) {
        let (.., request, answer) = SAMPLES[which];
        let mut bytes = [request.as_bytes().to_vec(), answer.as_bytes().to_vec()];
        for (is_answer, place, byte) in spoiled {
            let bytes = &mut bytes[usize::from(is_answer)];
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let [request, answer] = bytes;
        let _ = tally(which, &request, &answer);
        let _ = tally(which, &request[..cuts[0].index(request.len())], &answer);
        let _ = tally(which, &request, &answer[..cuts[1].index(answer.len())]);
    }
}
