//! What people get to read: no query, no token, not too much; and what helps them on.

mod support;

use std::fmt::Debug;

use d365_failover_core::{Client, Error, LedgerSelection, Request, Settings};
use support::contoso::WHO;
use support::script::{Pair, Script, URL};

const TOKEN: &str = "opaque-7f3a";

fn settings(pair: &Pair) -> Settings {
    let mut settings = Settings::new(URL).unwrap();
    settings.set("preset", "dotnet").unwrap();
    settings.set("connect_to", &pair.connect_to).unwrap();
    settings.set("auto_switch", "off").unwrap();
    settings
}

fn request(method: &str, url: &str) -> Request {
    let mut request = Request::new(method, url).unwrap();
    let authorization = format!("Bearer {TOKEN}");
    request.add_header("Authorization", &authorization).unwrap();
    request
}

fn check(text: &str) {
    assert!(!text.contains("secret"), "{text}");
    assert!(!text.contains(TOKEN), "{text}");
    assert!(
        text.len() < 4_000,
        "{} characters: {}",
        text.len(),
        &text[..4_000]
    );
}

fn check_error(error: &Error) {
    check(error.message());
    check(&format!("{error:?}"));
}

fn debug(value: &impl Debug) -> String {
    format!("{value:?}")
}

#[test]
fn queries_and_tokens_stand_in_no_text() {
    let says = "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: 80\r\n\r\n\
         {\"error\":{\"code\":\"1\",\"message\":\"no opaque-7f3a, Bearer opaque-7f3a, eyJ0.eyJ1\"}}";
    let fails = says.replacen("401 Unauthorized", "503 Unavailable", 1);
    let long = format!(
        "/api/data/v9.2/accounts?$filter=secret{}",
        "x".repeat(70_000)
    );
    let longer = format!("/api/data/v9.2/{}?secret", "y".repeat(70_000));
    for url in ["/api/data/v9.2/accounts(1)?$select=secret", &long, &longer] {
        let answered = Script::Answer(says);
        let failed = Script::Answer(Box::leak(fails.clone().into_boxed_str()));
        for script in [answered, failed, Script::Close, Script::Stall("")] {
            let pair = Pair::start(script, Script::Close);
            let client = Client::open(&settings(&pair)).unwrap();
            for method in ["GET", "POST"] {
                let request = request(method, url);
                check(&debug(&request));
                let mut is_second = false;
                let sent = client.send_with_check(&request, &mut || {
                    // What is silent is cancelled at the second look.
                    std::mem::replace(&mut is_second, true)
                });
                match sent {
                    Ok(response) => {
                        check(&debug(&response));
                        check(&debug(&response.attempts()));
                        let fault = response.attempts()[0].fault.as_ref().unwrap();
                        assert!(fault.message.ends_with("no …, Bearer …, …"), "{fault:?}");
                    }
                    Err(error) => check_error(&error),
                }
            }
            for entry in client.ledger(LedgerSelection::All).unwrap() {
                check(&debug(&entry));
            }
        }
    }
}

#[test]
fn what_is_refused_is_not_shown_whole() {
    let pair = Pair::start(Script::Close, Script::Close);
    let client = Client::open(&settings(&pair)).unwrap();
    let long = format!("https://elsewhere.test/x?secret{}", "x".repeat(70_000));
    for url in [
        &long,
        "/x?secret#y",
        "https://u:secret@contoso.crm.script.test/x",
        "//x?secret",
    ] {
        check_error(&client.send(&request("GET", url)).unwrap_err());
    }
    let cancelled = client.send_with_check(&request("GET", "/x?secret"), &mut || true);
    check_error(&cancelled.unwrap_err());
}

#[test]
fn a_404_of_nobody_says_that_the_path_may_be_wrong() {
    let page =
        "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>";
    let pair = Pair::start(Script::Answer(page), Script::Close);
    let client = Client::open(&settings(&pair)).unwrap();
    let error = client.send(&request("GET", "/accounts")).unwrap_err();
    assert!(error.message().contains("path may be wrong"), "{error}");
}

#[test]
fn a_redirect_names_the_row_that_it_names() {
    let moved = "HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\n\
         Location: /api/data/v9.2/accounts(accountnumber='A\\1')#top\r\n\r\n";
    let up = "HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\n\
         Location: /api/data/v9.2/accounts(name='a/../b')\r\n\r\n";
    for (answer, expected) in [(moved, Some("accounts(accountnumber='A%5C1')")), (up, None)] {
        let pair = Pair::start(Script::Answer(answer), Script::Close);
        let mut settings = settings(&pair);
        settings.set("max_redirects", "1").unwrap();
        let client = Client::open(&settings).unwrap();
        let response = client.send(&request("DELETE", WHO)).unwrap();
        let followed = response
            .attempts()
            .get(1)
            .map(|attempt| attempt.url.as_str());
        let expected = expected.map(|row| format!("{URL}/api/data/v9.2/{row}"));
        assert_eq!(followed, expected.as_deref());
    }
}

#[test]
fn the_row_on_record_is_the_one_that_the_answer_names() {
    let named = |link: &str| {
        let answer =
            format!("HTTP/1.1 204 No Content\r\nOData-Version: 4.0\r\nLocation: {link}\r\n\r\n");
        let pair = Pair::start(
            Script::Answer(Box::leak(answer.into_boxed_str())),
            Script::Close,
        );
        let client = Client::open(&settings(&pair)).unwrap();
        client
            .send(&request("POST", "/api/data/v9.2/accounts"))
            .unwrap();
        let entry = client.ledger(LedgerSelection::All).unwrap().remove(0);
        entry.row_url.map(|url| url.replace(URL, ""))
    };
    for (link, expected) in [
        (
            "accounts(accountnumber='A\\1')",
            Some("/api/data/v9.2/accounts(accountnumber='A%5C1')"),
        ),
        (
            "/api/data/v9.2/accounts(1)",
            Some("/api/data/v9.2/accounts(1)"),
        ),
        (
            "http://fe-17.internal/api/data/v9.2/accounts(1)",
            Some("/api/data/v9.2/accounts(1)"),
        ),
        ("accounts(name='a/../b')", None),
    ] {
        assert_eq!(named(link).as_deref(), expected, "{link}");
    }
}
