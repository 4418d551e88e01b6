//! Where all services of an endpoint are.

use url::Url;

use crate::alternate::is_service_root;

/// One endpoint: an origin and the path that all its services are under.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    pub(crate) origin: Url,
    /// Without a trailing slash; empty for the root.
    pub(crate) path: String,
    /// Whether the path is compared in any case: the name of an organization, which is how the
    /// server compares it. Of other paths that is not known.
    pub(crate) in_any_case: bool,
    pub(crate) text: String,
}

impl Base {
    pub(crate) fn of(url: &Url) -> Base {
        let segments: Vec<&str> = url
            .path_segments()
            .map(|segments| segments.filter(|segment| !segment.is_empty()).collect())
            .unwrap_or_default();
        let end = segments
            .iter()
            .position(|segment| is_service_root(segment))
            .unwrap_or(segments.len());
        let path: String = segments[..end]
            .iter()
            .flat_map(|segment| ["/", segment])
            .collect();
        let mut origin = url.clone();
        origin.set_path("/");
        origin.set_query(None);
        let text = format!("{}{path}", origin.as_str().trim_end_matches('/'));
        Base {
            origin,
            path,
            in_any_case: false,
            text,
        }
    }

    pub(crate) fn under<'a>(&self, path: &'a str) -> Option<&'a str> {
        under(&self.path, path, self.in_any_case)
    }

    pub(crate) fn rest_of(&self, url: &Url) -> Option<String> {
        let path = self.under(url.path())?;
        Some(match url.query() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        })
    }
}

/// What follows the base path in a path that is the base path or under it.
pub(crate) fn under<'a>(base: &str, path: &'a str, in_any_case: bool) -> Option<&'a str> {
    let (start, rest) = path.split_at_checked(base.len())?;
    let is_base = start == base || (in_any_case && start.eq_ignore_ascii_case(base));
    (is_base && (rest.is_empty() || rest.starts_with(['/', '?', '#']))).then_some(rest)
}

pub(crate) fn path_of(relative: &str) -> &str {
    relative.split(['?', '#']).next().unwrap_or_default()
}
