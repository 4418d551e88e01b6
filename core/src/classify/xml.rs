//! Walks an XML document, whole or cut, and tells of each element with its path.

use std::borrow::Cow;
use std::ops::{ControlFlow, Range};

use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{NamespaceResolver, QName, ResolveResult};

/// The name of an element: its namespace (empty for none) and its local name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) namespace: String,
    pub(crate) local: String,
}

impl Name {
    pub(crate) fn is(&self, namespace: &str, local: &str) -> bool {
        self.local == local && self.namespace == namespace
    }
}

/// What the walk meets.
pub(crate) enum Visit<'a> {
    /// The start of the last element of the path, with its attributes.
    Start(&'a BytesStart<'a>, Scope<'a>),
    /// Its end.
    End(Ended<'a>),
}

/// An element that has ended.
pub(crate) struct Ended<'a> {
    /// The text that stood directly in it, without space at its ends.
    pub(crate) text: &'a str,
    pub(crate) scope: Scope<'a>,
    /// Where in the document its content stands. Of an element without end tag: after it.
    pub(crate) content: Range<usize>,
}

/// The prefixes that are bound at an element.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a>(&'a NamespaceResolver);

impl<'a> Scope<'a> {
    /// The namespace and the local name of a QName that stands as text.
    pub(crate) fn resolve<'n>(self, name: &'n str) -> (&'a str, &'n str) {
        let name = QName(name);
        let (namespace, local) = self.0.resolve(name, true);
        (bound(namespace), local.into_inner())
    }

    /// The value of an element's attribute.
    pub(crate) fn attribute<'s>(
        self,
        start: &'s BytesStart<'_>,
        namespace: &str,
        local: &str,
    ) -> Option<Cow<'s, str>> {
        let attribute = start.attributes().flatten().find(|attribute| {
            let (bound_to, name) = self.0.resolve_attribute(attribute.key);
            name.into_inner() == local && bound(bound_to) == namespace
        })?;
        attribute
            .normalized_value(quick_xml::XmlVersion::Implicit1_0)
            .ok()
    }
}

fn bound(namespace: ResolveResult<'_>) -> &str {
    match namespace {
        ResolveResult::Bound(namespace) => namespace.0,
        ResolveResult::Unbound | ResolveResult::Unknown(_) => "",
    }
}

/// More text than that in one element is no code and no sentence; it is cut.
const LONGEST_TEXT: usize = 4096;
/// No document that says something nests deeper; what is deeper is passed over. So the walk takes
/// time in proportion to the document, whatever is visited.
const DEEPEST: usize = 64;

/// The elements that are open. Kept for the next ones of the same depth, so that a document with
/// many elements costs no more memory than a deep one.
#[derive(Default)]
struct Open {
    path: Vec<Name>,
    texts: Vec<String>,
    contents: Vec<usize>,
    depth: usize,
}

impl Open {
    fn push(&mut self, namespace: &str, local: &str, content: usize) {
        if self.depth == self.path.len() {
            self.path.push(Name::default());
            self.texts.push(String::new());
            self.contents.push(0);
        }
        let name = &mut self.path[self.depth];
        namespace.clone_into(&mut name.namespace);
        local.clone_into(&mut name.local);
        self.texts[self.depth].clear();
        self.contents[self.depth] = content;
        self.depth += 1;
    }

    fn path(&self) -> &[Name] {
        &self.path[..self.depth]
    }

    fn append(&mut self, text: &str) -> ControlFlow<()> {
        if let Some(last) = self.texts[..self.depth].last_mut() {
            let mut room = text.len().min(LONGEST_TEXT.saturating_sub(last.len()));
            while !text.is_char_boundary(room) {
                room -= 1;
            }
            last.push_str(&text[..room]);
        }
        ControlFlow::Continue(())
    }
}

/// Walks the document until it is told to stop, its end, or the first place where it is not
/// well-formed: what was whole before the cut has been told. Entities other than the five of XML
/// are left out, DTDs are not read.
pub(crate) fn walk(document: &str, mut visit: impl FnMut(&[Name], Visit<'_>) -> ControlFlow<()>) {
    let mut reader = NsReader::from_str(document);
    reader.config_mut().expand_empty_elements = true;
    let mut open = Open::default();
    let mut passed_over = 0usize;
    loop {
        let Ok(before) = usize::try_from(reader.buffer_position()) else {
            return;
        };
        let Ok(event) = reader.read_event() else {
            return;
        };
        let flow = match event {
            Event::Start(_) if open.depth == DEEPEST => {
                passed_over += 1;
                ControlFlow::Continue(())
            }
            Event::Start(start) => {
                let Ok(after) = usize::try_from(reader.buffer_position()) else {
                    return;
                };
                let resolver = reader.resolver();
                let (namespace, local) = resolver.resolve_element(start.name());
                open.push(bound(namespace), local.into_inner(), after);
                visit(open.path(), Visit::Start(&start, Scope(resolver)))
            }
            Event::End(_) if passed_over > 0 => {
                passed_over -= 1;
                ControlFlow::Continue(())
            }
            Event::End(_) => {
                let Some(last) = open.depth.checked_sub(1) else {
                    return;
                };
                let content = open.contents[last];
                let ended = Ended {
                    text: open.texts[last].trim(),
                    scope: Scope(reader.resolver()),
                    content: content..before.max(content),
                };
                let flow = visit(open.path(), Visit::End(ended));
                open.depth = last;
                flow
            }
            Event::Eof => return,
            _ if passed_over > 0 => ControlFlow::Continue(()),
            Event::Text(text) => open.append(&text.xml10_content()),
            Event::CData(text) => open.append(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                let name = reference.xml10_content();
                if let Ok(Some(character)) = reference.resolve_char_ref() {
                    open.append(character.encode_utf8(&mut [0; 4]))
                } else if let Some(text) = quick_xml::escape::resolve_xml_entity(&name) {
                    open.append(text)
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

/// Whether a path consists of these local names.
pub(crate) fn is_path(path: &[Name], locals: &[&str]) -> bool {
    path.len() == locals.len()
        && path
            .iter()
            .zip(locals)
            .all(|(name, local)| name.local == *local)
}
