//! What people get to see of URLs and of sentences that come from elsewhere: in errors, events, log
//! records and `Debug` texts. One rule for all of them.

use std::borrow::Cow;

use http::HeaderValue;

/// A longer URL or sentence helps nobody to find the fault.
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
    let mut shown = String::new();
    let (mut done, mut at) = (0, 0);
    let mut run = Run::default();
    while at < text.len() {
        match token(text, at, &mut run) {
            Some((start, end)) => {
                shown.push_str(&text[done..start]);
                shown.push('…');
                (done, at) = (end, end);
            }
            None => at += 1,
        }
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    shown.push_str(&text[done..]);
    Cow::Owned(shown)
}

/// The token that is known by what stands at `at`: behind the word `bearer`, or a JSON Web Token.
fn token(text: &str, at: usize, run: &mut Run) -> Option<(usize, usize)> {
    const BEARER: &str = "bearer";
    let begins = |word: &str| {
        let here = text.as_bytes().get(at..at + word.len());
        here.is_some_and(|here| here.eq_ignore_ascii_case(word.as_bytes()))
    };
    if begins("eyj") {
        run.reach(text, at);
        return run.last_dot.filter(|dot| *dot > at).map(|_| (at, run.end));
    }
    if !begins(BEARER) {
        return None;
    }
    let behind = at + BEARER.len();
    let is_between = |c: char| c.is_whitespace() || matches!(c, ':' | '=' | '"' | '\'' | '+');
    let rest = text[behind..].trim_start_matches("%20");
    let start = text.len() - rest.trim_start_matches(is_between).len();
    if start == behind {
        return None;
    }
    run.reach(text, start);
    let token = &text[start..run.end.max(start)];
    let word = token.split(['=', '.']).next().unwrap_or_default();
    let is_word = NO_TOKENS.iter().any(|none| none.eq_ignore_ascii_case(word));
    (!token.is_empty() && !is_word).then_some((start, run.end))
}

/// A run of characters that tokens are made of. It is gone through once, however many tokens may
/// begin in it: a server may say nothing else.
#[derive(Default)]
struct Run {
    start: usize,
    end: usize,
    last_dot: Option<usize>,
}

impl Run {
    /// The run from `at` on.
    fn reach(&mut self, text: &str, at: usize) {
        if (self.start..self.end).contains(&at) {
            return;
        }
        let is_token = |c: char| c.is_ascii_alphanumeric() || "-._~+/=%".contains(c);
        let length = text[at..].find(|c| !is_token(c));
        self.start = at;
        self.end = length.map_or(text.len(), |length| at + length);
        self.last_dot = text[at..self.end].rfind('.').map(|dot| at + dot);
    }
}

/// As [`without_tokens`], and without the credential that was sent, whatever it looks like.
pub(crate) fn without_credential(text: &str, sent: Option<&HeaderValue>) -> String {
    let sent = sent.and_then(|sent| sent.to_str().ok()).unwrap_or_default();
    let credential = sent
        .split_once(' ')
        .map_or(sent, |(_, credential)| credential)
        .trim();
    if credential.len() < SHORTEST_CREDENTIAL {
        return without_tokens(text).into_owned();
    }
    // First the whole of it: a token may be only a part.
    without_tokens(&text.replace(credential, "…")).into_owned()
}

/// What a service says, on one line and cut: longer sentences hold stack traces. Some say the token
/// that they refuse.
pub(crate) fn sentence(text: &str, sent: Option<&HeaderValue>) -> String {
    let masked = without_credential(text, sent);
    let line = masked.chars().filter(|c| !c.is_control());
    line.take(LONGEST).collect()
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
            ("bearer=token=eyJa.b", "bearer=token=…"),
            ("eyJa eyJb.c eyJd", "eyJa … eyJd"),
            ("a.eyJb", "a.eyJb"),
            ("eyJa-eyJb.c", "…"),
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
        let sent = HeaderValue::from_static("Key one!eyJa.b!two");
        let text = "one!eyJa.b!two is refused";
        assert_eq!(without_credential(text, Some(&sent)), "… is refused");
    }

    #[test]
    fn a_sentence_is_cut_after_its_credential_is_gone() {
        let sent = HeaderValue::from_static("Bearer 0123456789");
        for before in LONGEST - 12..LONGEST + 2 {
            let text = format!("{}0123456789", "x".repeat(before));
            let shown = sentence(&text, Some(&sent));
            assert!(!shown.contains('0'), "{shown}");
            assert!(shown.chars().count() <= LONGEST);
        }
    }

    #[test]
    fn a_long_sentence_is_gone_through_once() {
        // A look back or ahead from each would take hours.
        for unit in [
            "bearer x ",
            "eyj",
            "bearer=token=",
            "bearer",
            "bearer%20",
            "eyj bearer is ",
        ] {
            let text = unit.repeat((2 << 20) / unit.len()) + &"eyj".repeat(700_000);
            let started = std::time::Instant::now();
            let _ = sentence(&text, None);
            assert!(started.elapsed().as_secs() < 30, "{unit}");
        }
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
