//! Where an attempt goes: its URL, taken apart as far as connections and requests need it.

use std::sync::Arc;

use http::HeaderValue;
use url::{Position, Url};

use super::connector::Origin;

#[derive(Clone)]
pub(crate) struct Address {
    /// The whole URL, without a fragment.
    text: String,
    /// Where its path begins.
    path_at: usize,
    origin: Arc<Origin>,
    /// The value of the `Host` header.
    host: HeaderValue,
}

impl Address {
    /// The address of an http or https URL. `None`: it has no host.
    pub(crate) fn of(url: &Url) -> Option<Address> {
        let text = &url[..Position::AfterQuery];
        let host = &url[Position::BeforeHost..Position::AfterPort];
        Some(Address {
            path_at: url[..Position::BeforePath].len(),
            origin: Arc::new(Origin::of(url)?),
            host: HeaderValue::from_str(host).ok()?,
            text: text.to_owned(),
        })
    }

    /// The address of another URL of the same origin, written the same way.
    pub(crate) fn with(&self, text: String) -> Address {
        Address {
            text,
            path_at: self.path_at,
            origin: Arc::clone(&self.origin),
            host: self.host.clone(),
        }
    }

    pub(crate) fn is_https(&self) -> bool {
        self.origin.is_https
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }

    /// Path and query, as an HTTP/1.1 request names them.
    pub(super) fn path(&self) -> &str {
        &self.text[self.path_at..]
    }

    pub(super) fn origin(&self) -> &Arc<Origin> {
        &self.origin
    }

    pub(crate) fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// The host's name, for a sentence.
    pub(crate) fn name(&self) -> &str {
        &self.origin.host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_url_apart() {
        let url = Url::parse("https://contoso.crm.test:8443/api/data?x=1#here").unwrap();
        let address = Address::of(&url).unwrap();
        assert_eq!(address.text(), "https://contoso.crm.test:8443/api/data?x=1");
        assert_eq!(address.path(), "/api/data?x=1");
        assert_eq!(address.host(), "contoso.crm.test:8443");
        let other = address.with("https://contoso.crm.test:8443/".to_owned());
        assert_eq!((other.path(), other.name()), ("/", "contoso.crm.test"));
        assert!(Address::of(&Url::parse("data:x").unwrap()).is_none());
    }
}
