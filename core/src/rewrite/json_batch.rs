//! `$batch` bodies in JSON: the urls of the requests inside may name the endpoint.

use super::Splice;
use crate::json_batch::JsonBatch;
use crate::{Organization, Role};

/// What is to be replaced so that a batch names the endpoint `role`.
pub(super) fn splices(
    organization: &Organization,
    role: Role,
    content_type: &str,
    body: &[u8],
) -> Vec<Splice> {
    let Some(batch) = JsonBatch::read(content_type, body) else {
        return Vec::new();
    };
    let requests = batch.requests.into_iter();
    let moved = requests.filter_map(|request| {
        let rebase = organization.rebase(&request.url, role)?;
        let url = format!("{}{}", rebase.by, &request.url[rebase.replaced..]);
        Some(Splice {
            at: request.url_at,
            by: serde_json::Value::from(url).to_string(),
        })
    });
    moved.collect()
}
