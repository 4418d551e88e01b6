//! Walks an XML document, whole or cut, and tells of each element with its path.

use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;

/// The name of an element: its namespace (empty for none) and its local name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) namespace: String,
    pub(crate) local: String,
}

/// What the walk meets.
pub(crate) enum Visit<'a> {
    /// The start of the last element of the path, with its attributes.
    Start(&'a BytesStart<'a>),
    /// Its end, with the text that stood directly in it.
    End(&'a str),
}

/// More text than that in one element is no code and no sentence; it is cut.
const LONGEST_TEXT: usize = 4096;

/// Walks the document until its end or the first place where it is not well-formed: what was
/// whole before the cut has been told. Entities other than the five of XML are left out, DTDs
/// are not read.
pub(crate) fn walk(document: &str, mut visit: impl FnMut(&[Name], Visit<'_>)) {
    let mut reader = NsReader::from_str(document);
    reader.config_mut().expand_empty_elements = true;
    let mut path: Vec<Name> = Vec::new();
    let mut texts: Vec<String> = Vec::new();
    while let Ok((namespace, event)) = reader.read_resolved_event() {
        match event {
            Event::Start(start) => {
                path.push(Name {
                    namespace: match namespace {
                        ResolveResult::Bound(namespace) => namespace.0.to_owned(),
                        ResolveResult::Unbound | ResolveResult::Unknown(_) => String::new(),
                    },
                    local: start.local_name().into_inner().to_owned(),
                });
                texts.push(String::new());
                visit(&path, Visit::Start(&start));
            }
            Event::End(_) => {
                let Some(text) = texts.pop() else { return };
                visit(&path, Visit::End(text.trim()));
                path.pop();
            }
            Event::Text(text) => append(&mut texts, &text.xml10_content()),
            Event::CData(text) => append(&mut texts, &text.xml10_content()),
            Event::GeneralRef(reference) => {
                let name = reference.xml10_content();
                if let Ok(Some(character)) = reference.resolve_char_ref() {
                    append(&mut texts, character.encode_utf8(&mut [0; 4]));
                } else if let Some(text) = quick_xml::escape::resolve_xml_entity(&name) {
                    append(&mut texts, text);
                }
            }
            Event::Eof => return,
            _ => {}
        }
    }
}

fn append(texts: &mut [String], text: &str) {
    if let Some(last) = texts.last_mut()
        && last.len() < LONGEST_TEXT
    {
        last.push_str(text);
    }
}

/// Whether a path consists of these local names.
pub(crate) fn is_path(path: &[Name], locals: &[&str]) -> bool {
    path.len() == locals.len()
        && path
            .iter()
            .zip(locals)
            .all(|(name, local)| name.local == *local)
}
