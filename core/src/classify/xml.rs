//! Walks an XML document, whole or cut, and tells of each element with its path.

use std::ops::ControlFlow;

use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{NamespaceResolver, QName, ResolveResult};

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
    End(&'a str, Scope<'a>),
}

/// The prefixes that are bound where an element ends.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a>(&'a NamespaceResolver);

impl<'a> Scope<'a> {
    /// The namespace and the local name of a QName that stands as text.
    pub(crate) fn resolve<'n>(self, name: &'n str) -> (&'a str, &'n str) {
        let name = QName(name);
        let (namespace, local) = self.0.resolve(name, true);
        let namespace = match namespace {
            ResolveResult::Bound(namespace) => namespace.0,
            ResolveResult::Unbound | ResolveResult::Unknown(_) => "",
        };
        (namespace, local.into_inner())
    }
}

/// More text than that in one element is no code and no sentence; it is cut.
const LONGEST_TEXT: usize = 4096;
/// No document that says something nests deeper; what is deeper is passed over. So the walk takes
/// time in proportion to the document, whatever is visited.
const DEEPEST: usize = 64;

/// Walks the document until it is told to stop, its end, or the first place where it is not
/// well-formed: what was whole before the cut has been told. Entities other than the five of XML
/// are left out, DTDs are not read.
pub(crate) fn walk(document: &str, mut visit: impl FnMut(&[Name], Visit<'_>) -> ControlFlow<()>) {
    let mut reader = NsReader::from_str(document);
    reader.config_mut().expand_empty_elements = true;
    let mut path: Vec<Name> = Vec::new();
    let mut texts: Vec<String> = Vec::new();
    let mut passed_over = 0usize;
    while let Ok((namespace, event)) = reader.read_resolved_event() {
        let flow = match event {
            Event::Start(_) if path.len() == DEEPEST => {
                passed_over += 1;
                ControlFlow::Continue(())
            }
            Event::Start(start) => {
                path.push(Name {
                    namespace: match namespace {
                        ResolveResult::Bound(namespace) => namespace.0.to_owned(),
                        ResolveResult::Unbound | ResolveResult::Unknown(_) => String::new(),
                    },
                    local: start.local_name().into_inner().to_owned(),
                });
                texts.push(String::new());
                visit(&path, Visit::Start(&start))
            }
            Event::End(_) if passed_over > 0 => {
                passed_over -= 1;
                ControlFlow::Continue(())
            }
            Event::End(_) => {
                let Some(text) = texts.pop() else { return };
                let scope = Scope(reader.resolver());
                let flow = visit(&path, Visit::End(text.trim(), scope));
                path.pop();
                flow
            }
            Event::Eof => return,
            _ if passed_over > 0 => ControlFlow::Continue(()),
            Event::Text(text) => append(&mut texts, &text.xml10_content()),
            Event::CData(text) => append(&mut texts, &text.xml10_content()),
            Event::GeneralRef(reference) => {
                let name = reference.xml10_content();
                if let Ok(Some(character)) = reference.resolve_char_ref() {
                    append(&mut texts, character.encode_utf8(&mut [0; 4]))
                } else if let Some(text) = quick_xml::escape::resolve_xml_entity(&name) {
                    append(&mut texts, text)
                } else {
                    ControlFlow::Continue(())
                }
            }
            _ => ControlFlow::Continue(()),
        };
        if flow.is_break() {
            return;
        }
    }
}

fn append(texts: &mut [String], text: &str) -> ControlFlow<()> {
    if let Some(last) = texts.last_mut() {
        let mut room = text.len().min(LONGEST_TEXT.saturating_sub(last.len()));
        while !text.is_char_boundary(room) {
            room -= 1;
        }
        last.push_str(&text[..room]);
    }
    ControlFlow::Continue(())
}

/// Whether a path consists of these local names.
pub(crate) fn is_path(path: &[Name], locals: &[&str]) -> bool {
    path.len() == locals.len()
        && path
            .iter()
            .zip(locals)
            .all(|(name, local)| name.local == *local)
}
