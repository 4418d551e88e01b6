//! SOAP's `ExecuteMultiple` and `ExecuteTransaction`: the requests inside of one.

use std::ops::ControlFlow;

use crate::classify::CONTRACTS;
use crate::classify::xml::{Visit, walk};
use crate::soap_request::{ExecuteRequest, INSTANCE, SERVICES};

/// What one asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ExecuteMultiple {
    /// The names of the messages inside. `None`: it cannot be told.
    pub(crate) messages: Vec<Option<String>>,
    /// ContinueOnError: after one that failed the others are executed.
    pub(crate) goes_on: bool,
    /// ReturnResponses: also what was done is answered.
    pub(crate) tells_all: bool,
    /// All or nothing.
    pub(crate) is_transaction: bool,
}

/// Reads a message. `None`: it is another one, or not whole.
pub(crate) fn read(document: &str) -> Option<ExecuteMultiple> {
    let mut found = ExecuteMultiple::default();
    let (mut outer, mut inner) = (ExecuteRequest::default(), ExecuteRequest::default());
    let mut key = String::new();
    let mut is_whole = false;
    walk(document, |path, visit| {
        if path.len() == 1 {
            is_whole = matches!(visit, Visit::End(_));
        }
        if path.len() < 4 || !path[2].is(SERVICES, "Execute") {
            return ControlFlow::Continue(());
        }
        let locals: Vec<&str> = path[3..].iter().map(|name| name.local.as_str()).collect();
        let Some(locals) = locals.strip_prefix(&["request"]) else {
            return ControlFlow::Continue(());
        };
        let is_true = |text: &str| matches!(text, "true" | "1");
        match (locals, &visit) {
            ([], Visit::Start(start, scope)) => {
                outer.name_type(scope.attribute(start, INSTANCE, "type").as_deref());
            }
            (["RequestName"], Visit::End(ended)) => outer.name(ended.text),
            (["Parameters", _], Visit::Start(..)) => key.clear(),
            (["Parameters", _, "key"], Visit::End(ended)) => ended.text.clone_into(&mut key),
            (["Parameters", _, "value"], Visit::End(ended)) if key == "ReturnResponses" => {
                found.tells_all = is_true(ended.text);
            }
            (["Parameters", _, "value", "ContinueOnError"], Visit::End(ended)) => {
                found.goes_on = is_true(ended.text);
            }
            (["Parameters", _, "value", "ReturnResponses"], Visit::End(ended)) => {
                found.tells_all = is_true(ended.text);
            }
            (["Parameters", _, "value", _], visit) if key == "Requests" => match visit {
                Visit::Start(start, scope) => {
                    inner = ExecuteRequest::default();
                    inner.name_type(scope.attribute(start, INSTANCE, "type").as_deref());
                }
                Visit::End(_) => {
                    let is_ours = path[7].is(CONTRACTS, "OrganizationRequest");
                    let name = inner.message_name().filter(|_| is_ours);
                    found.messages.push(name.map(str::to_owned));
                }
            },
            (["Parameters", _, "value", _, "RequestName"], Visit::End(ended)) => {
                inner.name(ended.text);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    });
    found.is_transaction = match outer.message_name()? {
        "ExecuteMultiple" => false,
        "ExecuteTransaction" => true,
        _ => return None,
    };
    is_whole.then_some(found)
}
