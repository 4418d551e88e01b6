//! File columns: uploads whole and in chunks, downloads whole and in ranges.

mod support;

use d365_twin::{OrgHandle, OrganizationConfig, Replication, SideHandle, Twin};
use reqwest::blocking::Response;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use support::{ACCOUNTS, client, twin, url};

struct Row {
    twin: Twin,
    org: OrgHandle,
    path: String,
}

impl Row {
    fn new() -> Row {
        let (twin, org) = twin(OrganizationConfig {
            replication: serde_json::from_value::<Replication>(json!({"mode": "manual"})).unwrap(),
            ..OrganizationConfig::new("contoso")
        });
        let request = client(&twin)
            .post(url(&org.primary, ACCOUNTS))
            .json(&json!({"name": "a"}));
        assert_eq!(request.send().unwrap().status(), 204);
        let path = format!("{ACCOUNTS}({})/photo", org.rows()[0].id);
        Row { twin, org, path }
    }

    fn patch(&self, url: String, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let request = client(&self.twin).patch(url).body(body.to_vec());
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        request.send().unwrap()
    }

    fn begin(&self) -> (String, HeaderMap) {
        let headers = [
            ("x-ms-transfer-mode", "chunked"),
            ("x-ms-file-name", "a%20b.png"),
        ];
        let answer = self.patch(url(&self.org.primary, &self.path), &headers, b"");
        assert_eq!(answer.status(), 200);
        let location = answer.headers()["location"].to_str().unwrap().to_owned();
        (location, answer.headers().clone())
    }

    fn chunk(&self, location: &str, range: &str, body: &[u8]) -> u16 {
        let headers = [("content-range", range), ("x-ms-file-name", "a%20b.png")];
        let answer = self.patch(location.to_owned(), &headers, body);
        answer.status().as_u16()
    }

    fn get(&self, side: &SideHandle, range: Option<&str>) -> Response {
        let request = client(&self.twin).get(url(side, &format!("{}/$value", self.path)));
        let request = match range {
            Some(range) => request.header("range", range),
            None => request,
        };
        request.send().unwrap()
    }
}

#[test]
fn chunks_make_a_file_when_the_last_has_come() {
    let row = Row::new();
    let side = &row.org.primary;
    let (location, headers) = row.begin();
    let own = url(side, &row.path);
    assert!(
        location.starts_with(&format!("{own}?sessiontoken=")),
        "{location}"
    );
    assert_eq!(headers["x-ms-chunk-size"], "4194304");
    assert_eq!(row.chunk(&location, "bytes 0-3/10", b"0123"), 206);
    assert_eq!(row.get(side, None).status(), 404);
    assert_eq!(row.chunk(&location, "bytes 8-9/10", b"89"), 400, "a gap");
    assert_eq!(
        row.chunk(&location, "bytes 4-7/10", b"45"),
        400,
        "too short"
    );
    assert_eq!(row.chunk(&location, "bytes 4-7/10", b"4567"), 206);
    assert_eq!(row.chunk(&location, "bytes 4-7/10", b"4567"), 206, "again");
    assert_eq!(row.chunk(&location, "bytes 8-9/10", b"89"), 204);
    assert_eq!(
        row.chunk(&location, "bytes 8-9/10", b"89"),
        400,
        "it is over"
    );
    let answer = row.get(side, None);
    assert_eq!(answer.headers()["x-ms-file-name"], "a b.png");
    assert_eq!(answer.headers()["x-ms-file-size"], "10");
    assert_eq!(answer.text().unwrap(), "0123456789");
    assert_eq!(row.org.rows()[0].attributes["photo_name"], "a b.png");
}

#[test]
fn an_upload_is_its_sides_alone() {
    let row = Row::new();
    row.org.replicate().unwrap();
    let (location, _) = row.begin();
    let token = location.split_once('?').unwrap().1;
    let there = format!("{}?{token}", url(&row.org.alternate, &row.path));
    assert_eq!(row.chunk(&there, "bytes 0-1/2", b"ab"), 400);
    assert_eq!(row.chunk(&location, "bytes 0-1/2", b"ab"), 204);
    assert_eq!(row.get(&row.org.alternate, None).status(), 404);
    row.org.replicate().unwrap();
    assert_eq!(row.get(&row.org.alternate, None).text().unwrap(), "ab");
}

#[test]
fn ranges_are_downloaded() {
    let row = Row::new();
    let side = &row.org.primary;
    let whole = [("x-ms-file-name", "f")];
    let answer = row.patch(url(side, &row.path), &whole, b"0123456789");
    assert_eq!(answer.status(), 204);
    let answer = row.get(side, Some("bytes=2-5"));
    assert_eq!(answer.status(), 206);
    assert_eq!(answer.headers()["content-range"], "bytes 2-5/10");
    assert_eq!(answer.text().unwrap(), "2345");
    let answer = row.get(side, Some("bytes=10-"));
    assert_eq!(answer.status(), 416);
    assert_eq!(answer.headers()["content-range"], "bytes */10");
    let shown: Value = client(&row.twin)
        .get(url(side, &row.path))
        .send()
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(shown["value"], "MDEyMzQ1Njc4OQ==");
    let deleted = client(&row.twin).delete(url(side, &row.path)).send();
    assert_eq!(deleted.unwrap().status(), 204);
    assert_eq!(row.get(side, None).status(), 404);
    let nameless = row.patch(url(side, &row.path), &[], b"");
    assert_eq!(nameless.status(), 400);
}
