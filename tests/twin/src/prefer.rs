//! The `Prefer` header (RFC 7240).

use http::HeaderMap;

/// The value of a preference, empty where it has none.
pub(crate) fn preference<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all("Prefer")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split([',', ';']))
        .find_map(|preference| {
            let (key, value) = preference.split_once('=').unwrap_or((preference, ""));
            let fits = key.trim().eq_ignore_ascii_case(name);
            fits.then(|| value.trim().trim_matches('"'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences_share_a_header_or_have_their_own() {
        let mut headers = HeaderMap::new();
        let shared = "return=representation, odata.maxpagesize=\"3\"";
        headers.append("Prefer", shared.parse().unwrap());
        headers.append("Prefer", "Odata.continue-on-error".parse().unwrap());
        assert_eq!(preference(&headers, "return"), Some("representation"));
        assert_eq!(preference(&headers, "odata.maxpagesize"), Some("3"));
        assert_eq!(preference(&headers, "odata.continue-on-error"), Some(""));
        assert_eq!(preference(&headers, "odata.track-changes"), None);
    }
}
