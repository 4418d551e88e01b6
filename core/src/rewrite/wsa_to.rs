//! The WS-Addressing `To` of a SOAP message: the address that the service compares with its own.

use std::ops::Range;

use quick_xml::NsReader;
use quick_xml::escape::{escape, unescape};
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;

use super::Splice;
use crate::classify::{SOAP_1_1, SOAP_1_2, WS_ADDRESSING};
use crate::{Organization, Role};

const SIGNATURES: &str = "http://www.w3.org/2000/09/xmldsig#";
/// A Header that does not end within so many bytes is left alone.
const LONGEST_HEADER: usize = 256 << 10;

/// What is to be replaced so that the message is addressed to the endpoint `role`.
pub(super) fn splices(organization: &Organization, role: Role, body: &[u8]) -> Vec<Splice> {
    let bom = if body.starts_with(b"\xEF\xBB\xBF") {
        3
    } else {
        0
    };
    let prefix = &body[bom..body.len().min(LONGEST_HEADER)];
    let text = match std::str::from_utf8(prefix) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&prefix[..error.valid_up_to()]).unwrap_or_default(),
    };
    let addresses = addresses(text).unwrap_or_default();
    addresses
        .into_iter()
        .filter_map(|range| {
            let start = bom + range.start;
            let (within, by) = rebased(organization, role, &text[range])?;
            Some(Splice {
                at: start + within.start..start + within.end,
                by,
            })
        })
        .collect()
}

/// Where the contents of the `To` elements stand. `None`: the document is no SOAP message with a
/// Header, or the Header is signed: then a changed `To` would break the signature.
fn addresses(text: &str) -> Option<Vec<Range<usize>>> {
    let mut reader = NsReader::from_str(text);
    let mut found = Vec::new();
    let mut depth = 0usize;
    let mut soap = "";
    let mut to = None::<usize>;
    loop {
        let before = position(&reader)?;
        let event = reader.read_event().ok()?;
        let after = position(&reader)?;
        let (namespace, event) = reader.resolver().resolve_event(event);
        let namespace = match namespace {
            ResolveResult::Bound(namespace) => namespace.0,
            ResolveResult::Unbound | ResolveResult::Unknown(_) => "",
        };
        match event {
            Event::Start(start) => {
                depth += 1;
                match depth {
                    1 => soap = envelope(namespace, &start)?,
                    2 if !(namespace == soap && is(&start, "Header")) => return None,
                    3 if WS_ADDRESSING.contains(&namespace) && is(&start, "To") => {
                        to = Some(after);
                    }
                    _ => {}
                }
                if namespace == SIGNATURES && is(&start, "Signature") {
                    return None;
                }
            }
            Event::Empty(start) => {
                let is_signature = namespace == SIGNATURES && is(&start, "Signature");
                if depth < 2 || is_signature {
                    return None;
                }
            }
            Event::End(_) => {
                if depth == 2 {
                    return Some(found);
                }
                if depth == 3
                    && let Some(start) = to.take()
                {
                    found.push(start..before);
                }
                depth -= 1;
            }
            Event::Eof | Event::DocType(_) => return None,
            _ => {}
        }
    }
}

fn position(reader: &NsReader<&[u8]>) -> Option<usize> {
    usize::try_from(reader.buffer_position()).ok()
}

fn envelope(namespace: &str, start: &BytesStart<'_>) -> Option<&'static str> {
    [SOAP_1_1, SOAP_1_2]
        .into_iter()
        .find(|soap| *soap == namespace && is(start, "Envelope"))
}

fn is(start: &BytesStart<'_>, local: &str) -> bool {
    start.local_name().into_inner() == local
}

/// Which part of the content of a `To` is replaced, and by what.
fn rebased(organization: &Organization, role: Role, raw: &str) -> Option<(Range<usize>, String)> {
    let (raw, lead) = trimmed(raw, 0);
    let literal = raw
        .strip_prefix("<![CDATA[")
        .and_then(|raw| raw.strip_suffix("]]>"))
        .filter(|literal| !literal.contains("]]>"));
    if let Some(literal) = literal {
        let (literal, lead) = trimmed(literal, lead + "<![CDATA[".len());
        let rebase = organization.rebase(literal, role)?;
        // Nothing that a URL's own text holds could end the section.
        return Some((lead..lead + rebase.replaced, rebase.by));
    }
    let text = unescape(raw).ok().filter(|_| !raw.contains('<'))?;
    let rebase = organization.rebase(&text, role)?;
    let is_spelled_so = raw.get(..rebase.replaced) == text.get(..rebase.replaced);
    Some(if is_spelled_so {
        let by = escape(rebase.by.as_str()).into_owned();
        (lead..lead + rebase.replaced, by)
    } else {
        let whole = format!("{}{}", rebase.by, &text[rebase.replaced..]);
        (lead..lead + raw.len(), escape(whole.as_str()).into_owned())
    })
}

/// The text without space at its ends, and where it begins.
fn trimmed(text: &str, start: usize) -> (&str, usize) {
    let space = [' ', '\t', '\r', '\n'];
    let lead = text.len() - text.trim_start_matches(space).len();
    (text.trim_matches(space), start + lead)
}
