//! The one way in which the JSON of the scenarios is laid out.
//!
//! What fits on a line stands on one. What does not is broken at its outermost brackets: an object's
//! members fill lines, a list's items have one each, and an only member or item keeps its bracket's
//! line. The order of members stays.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::file::{LoadError, files};

/// The longest line, unless a single text is longer.
const WIDTH: usize = 120;
const INDENT: usize = 2;

/// Lays every file below `root` out, or only looks whether it is: those that were not.
pub fn lay_out_all(root: &Path, only_look: bool) -> Result<Vec<String>, LoadError> {
    let mut found = Vec::new();
    for path in files(root)? {
        let io = |source| LoadError::Io {
            path: path.clone(),
            source,
        };
        let text = fs::read_to_string(&path).map_err(io)?;
        let laid = lay_out(&text).map_err(|text| LoadError::Malformed {
            path: path.clone(),
            text,
        })?;
        if laid == text {
            continue;
        }
        if !only_look {
            fs::write(&path, laid).map_err(io)?;
        }
        found.push(path.display().to_string());
    }
    Ok(found)
}

/// The same JSON, laid out.
pub(crate) fn lay_out(text: &str) -> Result<String, String> {
    let node: Node = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut lines = node.lines(0, 0, 0);
    lines.push(String::new());
    Ok(lines.join("\n"))
}

/// JSON with its members in the order in which they stand.
enum Node {
    /// A scalar as it is written.
    Scalar(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Node {
    fn write(&self, out: &mut String) {
        match self {
            Node::Scalar(text) => out.push_str(text),
            Node::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { ", " });
                    item.write(out);
                }
                out.push(']');
            }
            Node::Object(members) => {
                out.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { ", " });
                    // Writing to a text does not fail.
                    let _ = write!(out, "{key}: ");
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    fn line(&self) -> String {
        let mut line = String::new();
        self.write(&mut line);
        line
    }

    /// Its lines, when the first one begins at column `at`, later ones are indented by `indent`,
    /// and `behind` columns follow the last.
    fn lines(&self, indent: usize, at: usize, behind: usize) -> Vec<String> {
        let line = self.line();
        if at + width(&line) + behind <= WIDTH {
            return vec![line];
        }
        match self {
            Node::List(items) if items.is_empty() => vec![line],
            Node::Object(members) if members.is_empty() => vec![line],
            Node::Scalar(_) => vec![line],
            Node::List(items) => match &items[..] {
                [only @ Node::Object(_)] => wrap("[", only.lines(indent, at + 1, behind + 1), "]"),
                _ => list(items, indent),
            },
            Node::Object(members) => {
                if let [(key, value)] = &members[..] {
                    let before = format!("{{{key}: ");
                    let lines = value.lines(indent, at + width(&before), behind + 1);
                    if lines.len() > 1 {
                        return wrap(&before, lines, "}");
                    }
                }
                object(members, indent)
            }
        }
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn wrap(before: &str, mut lines: Vec<String>, behind: &str) -> Vec<String> {
    if let Some(first) = lines.first_mut() {
        first.insert_str(0, before);
    }
    if let Some(last) = lines.last_mut() {
        last.push_str(behind);
    }
    lines
}

fn list(items: &[Node], indent: usize) -> Vec<String> {
    let within = indent + INDENT;
    let mut lines = vec!["[".to_owned()];
    for (index, item) in items.iter().enumerate() {
        let comma = if index + 1 < items.len() { "," } else { "" };
        let item = item.lines(within, within, comma.len());
        lines.extend(wrap(&" ".repeat(within), item, comma));
    }
    lines.push(format!("{}]", " ".repeat(indent)));
    lines
}

fn object(members: &[(String, Node)], indent: usize) -> Vec<String> {
    let within = indent + INDENT;
    let mut lines = vec!["{".to_owned()];
    let mut open = false;
    for (index, (key, value)) in members.iter().enumerate() {
        let comma = if index + 1 < members.len() { "," } else { "" };
        let before = format!("{key}: ");
        let whole = format!("{before}{}{comma}", value.line());
        match lines.last_mut() {
            Some(last) if open && width(last) + 1 + width(&whole) <= WIDTH => {
                last.push(' ');
                last.push_str(&whole);
            }
            _ => {
                let at = within + width(&before);
                let value = value.lines(within, at, comma.len());
                open = value.len() == 1;
                let before = format!("{}{before}", " ".repeat(within));
                lines.extend(wrap(&before, value, comma));
            }
        }
    }
    lines.push(format!("{}}}", " ".repeat(indent)));
    lines
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(Nodes)
    }
}

struct Nodes;

fn scalar(value: impl Serialize) -> Node {
    let value = serde_json::to_value(value).unwrap_or(Value::Null);
    Node::Scalar(value.to_string())
}

impl<'de> Visitor<'de> for Nodes {
    type Value = Node;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(scalar(()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(scalar(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(scalar(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(scalar(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(scalar(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(scalar(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut found = Vec::new();
        while let Some(item) = items.next_element()? {
            found.push(item);
        }
        Ok(Node::List(found))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
        let mut found = Vec::new();
        while let Some((key, value)) = members.next_entry::<String, Node>()? {
            found.push((Value::String(key).to_string(), value));
        }
        Ok(Node::Object(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_stands_on_a_line_in_its_order() {
        let text = "{\n\"b\" : [1, -2, 1.5 , \"\\u00e4\\n\", null,true], \"a\": {}}";
        let laid = "{\"b\": [1, -2, 1.5, \"ä\\n\", null, true], \"a\": {}}\n";
        assert_eq!(lay_out(text).unwrap(), laid);
        assert_eq!(lay_out(laid).unwrap(), laid);
        assert!(lay_out("{").is_err());
    }

    #[test]
    fn what_does_not_is_broken_at_its_outermost_brackets() {
        let long = "x".repeat(100);
        let text = format!(
            r#"{{"do": "call", "tag": 1, "expect": {{"response": {{"status": 200, "url": "{long}", "more": "{long}"}}}},
               "list": [{{"a": "{long}", "b": ["{long}", 1]}}], "end": []}}"#
        );
        let laid = format!(
            r#"{{
  "do": "call", "tag": 1,
  "expect": {{"response": {{
    "status": 200,
    "url": "{long}",
    "more": "{long}"
  }}}},
  "list": [{{
    "a": "{long}",
    "b": ["{long}", 1]
  }}],
  "end": []
}}
"#
        );
        assert_eq!(lay_out(&text).unwrap(), laid);
        assert_eq!(lay_out(&laid).unwrap(), laid);
        let list = format!(r#"[["{long}"], "{long}"]"#);
        let laid = format!("[\n  [\"{long}\"],\n  \"{long}\"\n]\n");
        assert_eq!(lay_out(&list).unwrap(), laid);
    }
}
