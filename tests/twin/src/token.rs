//! Bearer tokens: the audience is a host of the side.

use http::header::AUTHORIZATION;
use http::{HeaderMap, Response};

use crate::config::Tokens;
use crate::organization::Organization;
use crate::reply::{Reply, empty};
use crate::role::Role;
use crate::state::State;

const PREFIX: &str = "twin-token-for-";

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whether the token's audience is `host`: the host, or the host and a suffix after a dot.
fn is_for(audience: &str, host: &str) -> bool {
    audience
        .strip_prefix(host)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

impl Organization {
    /// The host that the request's token names, with the suffix only where the host is unknown.
    pub(crate) fn token_audience(&self, headers: &HeaderMap) -> Option<String> {
        let audience = bearer(headers)?.strip_prefix(PREFIX)?;
        let mut hosts = Role::ALL
            .into_iter()
            .flat_map(|role| self.config.hosts(role));
        hosts
            .find(|host| is_for(audience, host))
            .or_else(|| Some(audience.to_owned()))
    }

    /// Counts the request's token, and answers 401 where the organization checks and it is not
    /// one for this side.
    pub(crate) fn check_token(
        &self,
        state: &mut State,
        role: Role,
        headers: &HeaderMap,
    ) -> Option<Reply> {
        let hosts = self.config.hosts(role);
        let audience = self.token_audience(headers);
        let valid = audience
            .as_ref()
            .is_some_and(|audience| hosts.contains(audience));
        let foreign = audience.is_some() && !valid;
        let checked = state.tokens == Tokens::Check;
        let counts = &mut state.side_mut(role).counts;
        counts.foreign_tokens += u64::from(foreign);
        if !checked || valid {
            return None;
        }
        counts.rejected_tokens += 1;
        counts.wrong_audience += u64::from(foreign);
        let challenge = format!(
            "Bearer authorization_uri=https://login.twin.test/{}/oauth2/authorize, \
             resource_id={}://{}/",
            self.identity[2],
            self.config.scheme.as_str(),
            hosts[0]
        );
        Some(empty(
            Response::builder()
                .status(401)
                .header("WWW-Authenticate", challenge),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audience_is_the_whole_host() {
        assert!(is_for("contoso.crm.twin.test", "contoso.crm.twin.test"));
        assert!(is_for("contoso.crm.twin.test.7", "contoso.crm.twin.test"));
        assert!(!is_for("contoso.crm.twin.tests", "contoso.crm.twin.test"));
        assert!(!is_for("contoso--s.crm.twin.test", "contoso.crm.twin.test"));
    }
}
