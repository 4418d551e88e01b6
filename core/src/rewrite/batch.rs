//! `$batch` bodies: the requests inside name the endpoint in their request lines and Host headers.

use super::Splice;
use crate::batch::{Batch, Content, PartRequest};
use crate::{Organization, Role};

/// What is to be replaced so that a batch names the endpoint `role`.
pub(super) fn splices(
    organization: &Organization,
    role: Role,
    content_type: &str,
    body: &[u8],
) -> Vec<Splice> {
    let batch = Batch::read(content_type, body);
    with_lengths(&batch, |request| {
        request_splices(organization, role, &batch, request)
    })
}

/// What is to be replaced in each request, and in the lengths of the parts around it.
pub(super) fn with_lengths(
    batch: &Batch<'_>,
    of_request: impl Fn(&PartRequest) -> Vec<Splice>,
) -> Vec<Splice> {
    let mut splices = Vec::new();
    let mut growths = vec![0isize; batch.parts.len()];
    // From the last part to the first, so that a change set comes after all that it holds.
    for (index, part) in batch.parts.iter().enumerate().rev() {
        if let Content::Request(request) = &part.content {
            for splice in of_request(request) {
                growths[index] += splice.growth();
                splices.push(splice);
            }
        }
        let mut growth = growths[index];
        if growth != 0 {
            for at in &part.lengths {
                let length = batch.text(at).and_then(|text| text.parse::<usize>().ok());
                if let Some(length) = length
                    .and_then(|length| length.checked_add_signed(growths[index]))
                    .map(|length| length.to_string())
                {
                    let splice = Splice {
                        at: at.clone(),
                        by: length,
                    };
                    growth += splice.growth();
                    splices.push(splice);
                }
            }
        }
        if let Some(within) = part.within {
            growths[within] += growth;
        }
    }
    splices
}

fn request_splices(
    organization: &Organization,
    role: Role,
    batch: &Batch<'_>,
    request: &PartRequest,
) -> Vec<Splice> {
    let mut splices = Vec::new();
    if let Some(target) = batch.text(&request.target)
        && let Some(rebase) = organization.rebase(target, role)
    {
        let start = request.target.start;
        splices.push(Splice {
            at: start..start + rebase.replaced,
            by: rebase.by,
        });
    }
    batch.fields(request.fields.clone(), |name, at| {
        if name.eq_ignore_ascii_case(b"host")
            && let Some(host) = batch.text(&at)
            && let Some(by) = organization.rebase_host(host, role)
        {
            splices.push(Splice { at, by });
        }
    });
    splices
}
