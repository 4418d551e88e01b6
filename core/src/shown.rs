//! What people get to see of URLs and of sentences that come from elsewhere: in errors, events, log
//! records and `Debug` texts. One rule for all of them.

use std::borrow::Cow;

use http::HeaderValue;

/// A longer URL helps nobody to find the fault.
const LONGEST: usize = 200;
/// Words that follow "bearer" in sentences and in challenges, and are no token.
const NO_TOKENS: [&str; 14] = [
    "auth",
    "authentication",
    "authorization",
    "authorization_uri",
    "challenge",
    "credentials",
    "error",
    "header",
    "is",
    "realm",
    "resource_id",
    "scheme",
    "token",
    "tokens",
];
/// A shorter credential would be found in words that have nothing to do with it.
const SHORTEST_CREDENTIAL: usize = 6;

/// A URL, whole, relative or none at all, for people: origin and path, at most 200 characters. A query
/// stands there as `?…`, since it may hold rows and signatures; user info as `…@`.
#[must_use]
pub fn shown_url(url: &str) -> String {
    let url = without_user_info(url);
    let (path, tail) = match url.find(['?', '#']) {
        Some(at) if url[at..].starts_with('?') => (&url[..at], "?…"),
        Some(at) => (&url[..at], "#…"),
        None => (&*url, ""),
    };
    let mut shown: String = path
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .take(LONGEST + 1)
        .collect();
    let room = LONGEST - tail.chars().count();
    if let Some((end, _)) = shown.char_indices().nth(room) {
        let last = shown[..end].char_indices().next_back();
        shown.truncate(last.map_or(0, |(at, _)| at));
        shown.push('…');
    }
    shown.push_str(tail);
    shown
}

/// Up to the path a URL names its host, and before it perhaps a password, which may hold anything.
fn without_user_info(url: &str) -> Cow<'_, str> {
    let Some(authority) = url.find("://").map(|at| at + "://".len()) else {
        return Cow::Borrowed(url);
    };
    let end = url[authority..]
        .find(['/', '\\'])
        .map_or(url.len(), |end| authority + end);
    let Some(at) = url[authority..end].rfind('@').map(|at| authority + at) else {
        return Cow::Borrowed(url);
    };
    // The `@` of a query right behind the host.
    let rest = if url[authority..at].contains(['?', '#']) {
        &url[end..]
    } else {
        &url[at + 1..]
    };
    Cow::Owned(format!("{}…@{rest}", &url[..authority]))
}

/// A sentence that comes from elsewhere, without the bearers and other tokens in it.
pub(crate) fn without_tokens(text: &str) -> Cow<'_, str> {
    let lower = text.to_ascii_lowercase();
    let mut shown = String::new();
    let mut done = 0;
    while let Some((start, end)) = next_token(text, &lower, done) {
        shown.push_str(&text[done..start]);
        shown.push('…');
        done = end;
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    shown.push_str(&text[done..]);
    Cow::Owned(shown)
}

/// Where the next token stands: behind the word `bearer`, or a JSON Web Token anywhere.
fn next_token(text: &str, lower: &str, from: usize) -> Option<(usize, usize)> {
    let bearers = lower[from..]
        .match_indices("bearer")
        .filter_map(|(at, word)| {
            let behind = from + at + word.len();
            let is_between =
                |c: char| c.is_whitespace() || matches!(c, ':' | '=' | '"' | '\'' | '+');
            let rest = text[behind..].trim_start_matches("%20");
            let start = text.len() - rest.trim_start_matches(is_between).len();
            let end = token_end(text, start);
            let word = lower[start..end].split(['=', '.']).next();
            let is_word = word.is_some_and(|word| NO_TOKENS.contains(&word));
            (start > behind && end > start && !is_word).then_some((start, end))
        });
    let web_tokens = lower[from..].match_indices("eyj").filter_map(|(at, _)| {
        let (start, end) = (from + at, token_end(text, from + at));
        text[start..end].contains('.').then_some((start, end))
    });
    bearers.take(1).chain(web_tokens.take(1)).min()
}

fn token_end(text: &str, start: usize) -> usize {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "-._~+/=%".contains(c);
    text[start..]
        .find(|c| !is_token(c))
        .map_or(text.len(), |length| start + length)
}

/// As [`without_tokens`], and without the credential that was sent, whatever it looks like.
pub(crate) fn without_credential(text: &str, sent: Option<&HeaderValue>) -> String {
    let masked = without_tokens(text);
    let sent = sent.and_then(|sent| sent.to_str().ok()).unwrap_or_default();
    let credential = sent
        .split_once(' ')
        .map_or(sent, |(_, credential)| credential)
        .trim();
    if credential.len() < SHORTEST_CREDENTIAL {
        return masked.into_owned();
    }
    masked.replace(credential, "…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_a_url() {
        let long = format!("https://contoso.crm.test/{}", "a".repeat(70_000));
        let table = [
            ("", ""),
            ("/api/data/v9.2/accounts", "/api/data/v9.2/accounts"),
            ("/api/accounts?$filter=name eq 'x'", "/api/accounts?…"),
            ("accounts?a#b", "accounts?…"),
            ("accounts#b?a", "accounts#…"),
            ("?a", "?…"),
            ("https://contoso.crm.test", "https://contoso.crm.test"),
            ("https://contoso.crm.test?a@b", "https://…@"),
            (
                "https://contoso.crm.test/?a@b",
                "https://contoso.crm.test/?…",
            ),
            (
                "https://contoso.crm.test/a(b='c@d')",
                "https://contoso.crm.test/a(b='c@d')",
            ),
            (
                "https://u:secret@contoso.crm.test/x",
                "https://…@contoso.crm.test/x",
            ),
            (
                "https://u:se@cret@contoso.crm.test/x",
                "https://…@contoso.crm.test/x",
            ),
            ("https://u:se?cret@contoso.crm.test/x", "https://…@/x"),
            ("/a\r\nb", "/a\u{fffd}\u{fffd}b"),
        ];
        for (url, expected) in table {
            assert_eq!(shown_url(url), expected, "{url:?}");
        }
        for url in [
            long.clone(),
            format!("{long}?x"),
            "é".repeat(300),
            "/\n".repeat(300),
        ] {
            let shown = shown_url(&url);
            assert_eq!(shown.chars().count(), LONGEST, "{shown}");
            assert!(shown.contains('…'));
        }
        let just = "a".repeat(LONGEST);
        assert_eq!(shown_url(&just), just);
    }

    #[test]
    fn a_token_in_a_sentence() {
        let table = [
            ("no", "no"),
            ("Bearer abc-1.x was refused", "Bearer … was refused"),
            (
                "the token \"Bearer abc\" is bad",
                "the token \"Bearer …\" is bad",
            ),
            (
                "authorization: bearer:  abc, BEARER=def",
                "authorization: bearer:  …, BEARER=…",
            ),
            ("Bearer%20abc", "Bearer%20…"),
            ("a bearer token is missing", "a bearer token is missing"),
            (
                "Bearer authorization_uri=https://login.example/x",
                "Bearer authorization_uri=https://login.example/x",
            ),
            ("bearer", "bearer"),
            ("bearers", "bearers"),
            ("got eyJ0eXAi.eyJhdWQi.x_y-z here", "got … here"),
            ("Bearer eyJ0eXAi.eyJhdWQi.x, eyJ0.eyJ1.y", "Bearer …, …"),
            ("ÄBearer äbc", "ÄBearer äbc"),
        ];
        for (text, expected) in table {
            assert_eq!(without_tokens(text), expected, "{text:?}");
        }
        let sent = HeaderValue::from_static("Bearer opaque");
        assert_eq!(
            without_credential("opaque is bad, opaque", Some(&sent)),
            "… is bad, …"
        );
        let sent = HeaderValue::from_static("Bearer token");
        assert_eq!(without_credential("no token", Some(&sent)), "no token");
        assert_eq!(without_credential("abc", None), "abc");
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_does_not_panic(text in "\\PC{0,60}", token in "(?i)bearer[ :=\"+%20]{0,4}\\PC{0,9}") {
            for text in [text.clone(), format!("https://{text}"), token] {
                proptest::prop_assert!(shown_url(&text).chars().count() <= LONGEST);
                let once = without_tokens(&text).into_owned();
                proptest::prop_assert_eq!(without_tokens(&once), once.clone());
            }
        }
    }
}
