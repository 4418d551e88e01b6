//! Values of an entity in a SOAP message.

use std::ops::ControlFlow;

use super::{RowValues, Sent, SentValue, Value};
use crate::byte_set::is_identifier;
use crate::classify::CONTRACTS;
use crate::classify::xml::{Visit, walk};
use crate::soap_request::{GENERIC, INSTANCE};

/// A longer text is cut when it is read, and so cannot be compared.
const LONGEST_TEXT: usize = 4096;

/// The entity in a message: the first, or the one in this place of several.
#[derive(Default)]
pub(crate) struct Entity {
    /// What its attributes are. `None`: what cannot be compared.
    attributes: Vec<(String, Option<Value>)>,
    pub(crate) row_version: Option<String>,
}

#[derive(Clone, Copy)]
enum Kind {
    Plain(fn(String) -> Value),
    /// Inside of it, the value of this element.
    Of(&'static str, fn(String) -> Value),
    /// Inside of it, several values.
    Several,
    Other,
}

fn kind(type_name: &str) -> Kind {
    let local = type_name.rsplit(':').next().unwrap_or_default().trim();
    match local {
        "string" | "dateTime" | "guid" | "" => Kind::Plain(Value::Text),
        "int" | "long" | "short" | "byte" | "decimal" | "double" | "float" => {
            Kind::Plain(Value::Number)
        }
        "boolean" => Kind::Plain(|text| Value::Bool(matches!(text.as_str(), "true" | "1"))),
        "EntityReference" => Kind::Of("Id", Value::Text),
        "OptionSetValue" | "Money" => Kind::Of("Value", Value::Number),
        "OptionSetValueCollection" => Kind::Several,
        _ => Kind::Other,
    }
}

/// Reads the first entity of a part of a message. `None`: there is none.
pub(crate) fn entity(message: &str) -> Option<Entity> {
    let mut found = None::<Entity>;
    // Where the entity's attributes stand: those of related entities stand deeper, or come later.
    let mut depth = 0;
    let (mut key, mut is_key_read) = (String::new(), false);
    let (mut kind_now, mut is_nil) = (Kind::Other, false);
    let mut inner = Vec::<String>::new();
    walk(message, |path, visit| {
        let last = &path[path.len() - 1];
        if let Visit::Start(start, scope) = &visit {
            if found.is_none() && last.is(CONTRACTS, "Attributes") {
                depth = path.len();
                found = Some(Entity::default());
            } else if found.is_some() && path.len() == depth + 1 {
                key.clear();
                is_key_read = false;
            } else if found.is_some() && path.len() == depth + 2 && last.is(GENERIC, "value") {
                let attribute = |local| scope.attribute(start, INSTANCE, local);
                is_nil = attribute("nil").is_some_and(|nil| matches!(&*nil, "true" | "1"));
                kind_now = kind(&attribute("type").unwrap_or_default());
                inner.clear();
            }
            return ControlFlow::Continue(());
        }
        let (Visit::End(ended), Some(entity)) = (visit, &mut found) else {
            return ControlFlow::Continue(());
        };
        // The entity's other elements stand beside its attributes.
        if path.len() == depth && last.is(CONTRACTS, "RowVersion") && !ended.text.is_empty() {
            entity.row_version = Some(ended.text.to_owned());
        } else if path.len() + 1 == depth {
            return ControlFlow::Break(());
        } else if path.len() == depth + 2 && last.is(GENERIC, "key") {
            ended.text.clone_into(&mut key);
            is_key_read = true;
        } else if path.len() == depth + 2 && last.is(GENERIC, "value") && is_key_read {
            let is_cut = ended.text.len() >= LONGEST_TEXT;
            let value = match kind_now {
                _ if is_nil => Some(Value::Null),
                Kind::Plain(_) if is_cut => None,
                Kind::Plain(make) => Some(make(ended.text.to_owned())),
                Kind::Of(_, make) => inner.pop().map(make),
                Kind::Several => Some(Value::Text(inner.join(","))),
                Kind::Other => None,
            };
            entity.attributes.push((std::mem::take(&mut key), value));
        } else if path.len() == depth + 3 {
            if matches!(kind_now, Kind::Of(wanted, _) if last.local == wanted) {
                inner.push(ended.text.to_owned());
            }
        } else if path.len() == depth + 4
            && matches!(kind_now, Kind::Several)
            && last.local == "Value"
        {
            inner.push(ended.text.to_owned());
        }
        ControlFlow::Continue(())
    });
    found
}

impl Entity {
    /// As what a write sends.
    pub(crate) fn sent(self) -> Sent {
        let mut sent = Sent::default();
        for (name, value) in self.attributes {
            match value.filter(|_| is_identifier(&name)) {
                Some(value) => sent.values.push(SentValue {
                    column: name.clone(),
                    name,
                    value,
                }),
                None => sent.left_out.push(name),
            }
        }
        sent
    }

    /// As a row that was read.
    pub(crate) fn row(self) -> RowValues {
        let attributes = self.attributes.into_iter();
        RowValues {
            columns: attributes
                .filter_map(|(name, value)| Some((name, value?)))
                .collect(),
            leaves_out_null: true,
            version: self.row_version,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(attributes: &str) -> String {
        format!(
            "<s:Envelope xmlns:s='s' xmlns:a='{CONTRACTS}' xmlns:b='{GENERIC}' xmlns:i='{INSTANCE}' \
             xmlns:c='http://www.w3.org/2001/XMLSchema'><s:Body><Update><entity><a:Attributes>{attributes}\
             </a:Attributes><a:Id>x</a:Id><a:RelatedEntities><a:Attributes><a:KeyValuePairOfstringanyType>\
             <b:key>deep</b:key><b:value>1</b:value></a:KeyValuePairOfstringanyType></a:Attributes>\
             </a:RelatedEntities><a:RowVersion>77</a:RowVersion></entity><other><a:RowVersion>1</a:RowVersion>\
             </other></Update></s:Body></s:Envelope>"
        )
    }

    fn pair(key: &str, value: &str) -> String {
        format!(
            "<a:KeyValuePairOfstringanyType><b:key>{key}</b:key>{value}</a:KeyValuePairOfstringanyType>"
        )
    }

    #[test]
    fn each_type_of_an_attribute() {
        let text = |text: &str| Some(Value::Text(text.to_owned()));
        let number = |text: &str| Some(Value::Number(text.to_owned()));
        let long = format!("<b:value i:type='c:string'>{}</b:value>", "x".repeat(5000));
        let table: [(&str, Option<Value>); 17] = [
            (
                "<b:value i:type='c:string'>a &amp; b</b:value>",
                text("a & b"),
            ),
            ("<b:value>untyped</b:value>", text("untyped")),
            ("<b:value i:type='c:string'/>", text("")),
            ("<b:value i:type='c:int'>-3</b:value>", number("-3")),
            (
                "<b:value i:type='c:long'>30000000000</b:value>",
                number("30000000000"),
            ),
            ("<b:value i:type='c:decimal'>1.50</b:value>", number("1.50")),
            (
                "<b:value i:type='c:double'>1E-05</b:value>",
                number("1E-05"),
            ),
            (
                "<b:value i:type='c:boolean'>true</b:value>",
                Some(Value::Bool(true)),
            ),
            (
                "<b:value i:type='c:boolean'>0</b:value>",
                Some(Value::Bool(false)),
            ),
            (
                "<b:value i:type='c:dateTime'>2026-01-02T03:04:05Z</b:value>",
                text("2026-01-02T03:04:05Z"),
            ),
            ("<b:value i:nil='true'/>", Some(Value::Null)),
            (
                "<b:value i:type='a:EntityReference'><a:Id>7</a:Id><a:LogicalName>contact</a:LogicalName>\
                 <a:Name i:nil='true'/></b:value>",
                text("7"),
            ),
            (
                "<b:value i:type='a:OptionSetValue'><a:Value>3</a:Value></b:value>",
                number("3"),
            ),
            (
                "<b:value i:type='a:Money'><a:Value>9.99</a:Value></b:value>",
                number("9.99"),
            ),
            (
                "<b:value i:type='a:OptionSetValueCollection'><a:OptionSetValue><a:Value>2</a:Value>\
                 </a:OptionSetValue><a:OptionSetValue><a:Value>1</a:Value></a:OptionSetValue></b:value>",
                text("2,1"),
            ),
            (
                "<b:value i:type='a:EntityCollection'><a:Entities><a:Entity><a:Attributes>\
                 <a:KeyValuePairOfstringanyType><b:key>in</b:key><b:value>1</b:value>\
                 </a:KeyValuePairOfstringanyType></a:Attributes></a:Entity></a:Entities></b:value>",
                None,
            ),
            (&long, None),
        ];
        for (value, expected) in table {
            let message =
                message(&(pair("first", value) + &pair("name", "<b:value>last</b:value>")));
            let entity = entity(&message).unwrap();
            assert_eq!(entity.row_version.as_deref(), Some("77"), "{value}");
            let sent = entity.sent();
            let first = sent.values.iter().find(|sent| sent.name == "first");
            assert!(
                first.map(|sent| &sent.value) == expected.as_ref(),
                "{value}"
            );
            assert_eq!(
                sent.left_out,
                expected.map_or(vec!["first"], |_| vec![]),
                "{value}"
            );
            assert!(
                sent.values.iter().any(|sent| sent.name == "name"),
                "{value}"
            );
        }
        assert!(entity("<a/>").is_none());
    }
}
