//! Bearer tokens, by somebody of the application's.

use std::time::Duration;

use crate::Role;

/// Bytes that nobody gives for a token. One has a few kilobytes.
pub(crate) const TOO_LARGE: usize = 256 << 10;

/// Gives bearer tokens. The audience of a token is the endpoint's host, so each endpoint has its
/// own.
pub trait TokenProvider: Send + Sync {
    /// Answers the request, now or later, from any thread. Called on a library thread that may
    /// block. For the same endpoint again only when it has answered, or when who waited for the
    /// answer has given it up: then at most three more times at once, and later once in a while.
    fn provide(&self, request: TokenRequest);
}

/// A request for a token. Dropping it unanswered fails the calls that wait for it.
pub struct TokenRequest {
    url: String,
    role: Role,
    /// Who takes the answer. `None`: it was given.
    taker: Option<Taker>,
}

/// Why a provider gave no token.
pub(crate) struct Refusal {
    pub(crate) why: String,
    pub(crate) data: Option<i64>,
}

/// A token and how long it lives, if that was said.
pub(crate) type Provided = Result<(String, Option<Duration>), Refusal>;

/// A provider may keep its request for ever: it must hold nothing that is to end.
type Taker = Box<dyn FnOnce(Provided) + Send + Sync>;

impl TokenRequest {
    pub(crate) fn new(
        url: &str,
        role: Role,
        taker: impl FnOnce(Provided) + Send + Sync + 'static,
    ) -> TokenRequest {
        TokenRequest {
            url: url.to_owned(),
            role,
            taker: Some(Box::new(taker)),
        }
    }

    /// The endpoint's base URL: `https://contoso--s.crm.dynamics.com`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The endpoint's role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Why a text cannot be a token, if it cannot: the calls would fail with that.
    #[must_use]
    pub fn defect(token: &str) -> Option<&'static str> {
        let word = token.split(char::is_whitespace).next().unwrap_or_default();
        if token.len() > TOO_LARGE {
            Some("it is longer than 256 KiB")
        } else if token.trim().is_empty() {
            Some("it is empty")
        } else if word.eq_ignore_ascii_case("bearer") {
            Some("it begins with Bearer; give what follows that word")
        } else if token.contains(char::is_whitespace) {
            Some("it holds white space")
        } else if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            Some("it holds characters that no token has")
        } else {
            None
        }
    }

    /// Gives the token, without `Bearer`. Without `expires_in` it is kept for five seconds; with
    /// none at all it serves the calls that wait now, and is asked anew for the next. A token that
    /// an endpoint refuses with 401 is not kept.
    pub fn reply(mut self, token: String, expires_in: Option<Duration>) {
        self.answer(Ok((token, expires_in)));
    }

    /// Gives none. The message reaches the application in the call's error.
    pub fn fail(mut self, message: &str) {
        self.answer(Err(Refusal {
            why: message.to_owned(),
            data: None,
        }));
    }

    /// Gives none, and has `data` told by the fault of each call that fails for it.
    pub fn fail_with(mut self, message: &str, data: i64) {
        self.answer(Err(Refusal {
            why: message.to_owned(),
            data: Some(data),
        }));
    }

    fn answer(&mut self, provided: Provided) {
        if let Some(taker) = self.taker.take() {
            taker(provided);
        }
    }
}

impl Drop for TokenRequest {
    fn drop(&mut self) {
        if self.taker.is_some() {
            let role = self.role.name();
            self.answer(Err(Refusal {
                why: format!("the request for the {role} was dropped without an answer"),
                data: None,
            }));
        }
    }
}
