//! Pages of a query's rows, and the links from one to the next.

use url::form_urlencoded;
use uuid::Uuid;

use crate::odata_query::Query;
use crate::session::{Row, Session};

/// A row as the store shows it: id, commit, attributes.
pub(crate) type Shown<'a> = (Uuid, u64, &'a Row);

/// One page of a query.
pub(crate) struct Page<'a> {
    pub(crate) rows: Vec<Shown<'a>>,
    /// How many rows match on all pages, whatever `$top` says.
    pub(crate) total: usize,
    /// The last row, where others follow.
    last: Option<Uuid>,
}

impl<'a> Page<'a> {
    /// At most `size` rows of an entity, in the order of their ids.
    pub(crate) fn read(
        session: &'a Session<'_>,
        entity: &'a str,
        query: &Query,
        size: usize,
    ) -> Page<'a> {
        let mut rows: Vec<Shown<'a>> = session
            .rows_of(entity)
            .filter(|(_, _, row)| query.matches(row))
            .collect();
        let total = rows.len();
        rows.truncate(query.top);
        rows.retain(|(id, ..)| query.after.is_none_or(|after| *id > after));
        let more = rows.len() > size;
        rows.truncate(size);
        let last = rows.last().filter(|_| more).map(|(id, ..)| *id);
        Page { rows, total, last }
    }

    /// The same query of the entity set at the URL `set`, after this page; none after the last.
    pub(crate) fn next_link(&self, set: &str, asked: &str) -> Option<String> {
        let token = format!("$skiptoken={}", self.last?);
        let kept = asked
            .split('&')
            .filter(|option| !option.is_empty() && !is_skip_token(option));
        let options: Vec<&str> = kept.chain([token.as_str()]).collect();
        Some(format!("{set}?{}", options.join("&")))
    }
}

fn is_skip_token(option: &str) -> bool {
    let mut pairs = form_urlencoded::parse(option.as_bytes());
    pairs.any(|(name, _)| name == "$skiptoken")
}
