//! The settings `oauth_…`: OAuth 2.0 client credentials (RFC 6749, 4.4) of Microsoft Entra ID.

use std::path::PathBuf;

use url::{Host, Url};

use crate::{Error, ErrorKind};

/// Where Entra ID is for the public cloud.
const AUTHORITY: &str = "https://login.microsoftonline.com";

/// What of them was set. Has no `Debug`: it holds a secret.
#[derive(Clone, Default)]
pub(crate) struct OAuthSettings {
    tenant: Option<String>,
    client_id: Option<String>,
    secret: Option<String>,
    certificate: Option<PathBuf>,
    authority: Option<Url>,
}

/// All that a token server wants to know.
pub(crate) struct ClientCredentials {
    /// Who gives tokens.
    pub(crate) token_url: Url,
    pub(crate) client_id: String,
    pub(crate) proof: Proof,
}

/// How the client shows who it is.
pub(crate) enum Proof {
    Secret(String),
    /// A PEM file with a certificate and its RSA key.
    Certificate(PathBuf),
}

impl OAuthSettings {
    pub(crate) fn is_set(&self) -> bool {
        self.tenant.is_some()
    }

    /// Takes one of them. The messages do not show the values: one of them is a secret, and somebody
    /// may have given it to another.
    pub(crate) fn set(&mut self, key: &str, value: &str) -> Result<(), Error> {
        let refuse = |expected: &str| {
            let message = format!("{key} cannot be used; it takes {expected}");
            Err(Error::new(ErrorKind::InvalidSetting, message))
        };
        let is_plain = |most: usize| {
            (1..=most).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic())
        };
        match key {
            "oauth_tenant" => {
                let is_name =
                    |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
                if !is_plain(255) || !value.bytes().all(is_name) || value.starts_with('.') {
                    return refuse("the directory's id, or one of its domains");
                }
                self.tenant = Some(value.to_owned());
            }
            "oauth_client_id" => {
                if !is_plain(255) {
                    return refuse("the application's id");
                }
                self.client_id = Some(value.to_owned());
            }
            "oauth_client_secret" => {
                if !is_plain(4096) {
                    return refuse("the secret's value, without white space around it");
                }
                self.secret = Some(value.to_owned());
            }
            "oauth_certificate" => self.certificate = Some(PathBuf::from(value)),
            _ => match authority(value) {
                Some(url) => self.authority = Some(url),
                None => {
                    return refuse(
                        "an https URL, like https://login.microsoftonline.us; http for this machine alone",
                    );
                }
            },
        }
        Ok(())
    }

    /// What is to be used. `None`: nothing was set.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`] where they do not go together.
    pub(crate) fn credentials(
        &self,
        has_provider: bool,
    ) -> Result<Option<ClientCredentials>, Error> {
        let refuse = |why: &str| Err(Error::new(ErrorKind::InvalidSetting, why));
        let is_unset = self.tenant.is_none()
            && self.client_id.is_none()
            && self.secret.is_none()
            && self.certificate.is_none();
        if is_unset {
            return match self.authority {
                Some(_) => {
                    refuse("oauth_authority is set without oauth_tenant and oauth_client_id")
                }
                None => Ok(None),
            };
        }
        if has_provider {
            return refuse("there are a token provider and oauth_…; only one can give the tokens");
        }
        let (Some(tenant), Some(client_id)) = (&self.tenant, &self.client_id) else {
            return refuse("oauth_tenant and oauth_client_id are needed both");
        };
        let proof = match (&self.secret, &self.certificate) {
            (Some(secret), None) => Proof::Secret(secret.clone()),
            (None, Some(path)) => Proof::Certificate(path.clone()),
            (None, None) => {
                return refuse("oauth_client_secret or oauth_certificate is needed as well");
            }
            (Some(_), Some(_)) => {
                return refuse("oauth_client_secret and oauth_certificate exclude each other");
            }
        };
        let authority = self.authority.as_ref().map_or(AUTHORITY, Url::as_str);
        let url = format!(
            "{}/{tenant}/oauth2/v2.0/token",
            authority.trim_end_matches('/')
        );
        let Ok(token_url) = Url::parse(&url) else {
            return refuse("oauth_tenant and oauth_authority make no URL");
        };
        Ok(Some(ClientCredentials {
            token_url,
            client_id: client_id.clone(),
            proof,
        }))
    }
}

/// Where a secret may be sent to.
fn authority(value: &str) -> Option<Url> {
    let url = Url::parse(value).ok()?;
    let is_local = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    let may_be_told = url.scheme() == "https" || (url.scheme() == "http" && is_local);
    let is_bare = url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    (may_be_told && is_bare).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: (&str, &str) = ("oauth_tenant", "contoso.onmicrosoft.com");
    const CLIENT: (&str, &str) = ("oauth_client_id", "00000000-0000-0000-0000-000000000001");
    const SECRET: (&str, &str) = ("oauth_client_secret", "s3cret~value");
    const FILE: (&str, &str) = ("oauth_certificate", "app.pem");

    fn of(set: &[(&str, &str)]) -> OAuthSettings {
        let mut settings = OAuthSettings::default();
        for (key, value) in set {
            settings.set(key, value).unwrap();
        }
        settings
    }

    #[test]
    fn what_goes_together() {
        for (set, has_provider, word) in [
            (&[][..], false, None),
            (&[], true, None),
            (&[TENANT, CLIENT, SECRET], false, None),
            (&[TENANT, CLIENT, FILE], false, None),
            (&[TENANT, CLIENT, SECRET], true, Some("token provider")),
            (&[TENANT, CLIENT], false, Some("oauth_client_secret or")),
            (&[TENANT, SECRET], false, Some("both")),
            (&[CLIENT, FILE], false, Some("both")),
            (&[TENANT, CLIENT, SECRET, FILE], false, Some("exclude")),
            (
                &[("oauth_authority", "https://login.example")],
                false,
                Some("without"),
            ),
        ] {
            let found = of(set).credentials(has_provider);
            let why = found.as_ref().err().map(|error| error.message().to_owned());
            assert_eq!(why.is_some(), word.is_some(), "{set:?}: {why:?}");
            assert!(why.is_none_or(|why| why.contains(word.unwrap())), "{set:?}");
        }
    }

    #[test]
    fn where_tokens_come_from() {
        for (authority, url) in [
            (
                None,
                "https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/token",
            ),
            (
                Some("https://login.microsoftonline.us/"),
                "https://login.microsoftonline.us/contoso.onmicrosoft.com/oauth2/v2.0/token",
            ),
            (
                Some("http://127.0.0.1:8080/a"),
                "http://127.0.0.1:8080/a/contoso.onmicrosoft.com/oauth2/v2.0/token",
            ),
        ] {
            let mut settings = of(&[TENANT, CLIENT, SECRET]);
            if let Some(authority) = authority {
                settings.set("oauth_authority", authority).unwrap();
            }
            let found = settings.credentials(false).unwrap().unwrap();
            assert_eq!(found.token_url.as_str(), url);
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_and_not_shown() {
        for (key, value) in [
            ("oauth_tenant", ""),
            ("oauth_tenant", "a/b"),
            ("oauth_tenant", ".."),
            ("oauth_tenant", "a b"),
            ("oauth_client_id", "a\nb"),
            ("oauth_client_secret", " hidden "),
            ("oauth_authority", "login.microsoftonline.com"),
            ("oauth_authority", "http://login.microsoftonline.com"),
            ("oauth_authority", "https://user:hidden@login.example"),
            ("oauth_authority", "https://login.example/?hidden"),
        ] {
            let error = OAuthSettings::default().set(key, value).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidSetting, "{key} = {value}");
            assert!(error.message().starts_with(key), "{error}");
            assert!(!error.message().contains("hidden"), "{error}");
        }
    }
}
