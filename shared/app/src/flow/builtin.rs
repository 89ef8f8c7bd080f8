//! The flows that come with Convoke: the folders of `flows`, put together when the crate is built.

use convoke_api::flow::{FlowDoc, FlowIssue};

use super::from_value;

/// Names of the built-in flows.
pub const BUILT_IN: [&str; 1] = ["software"];

const SOFTWARE: &str = include_str!(concat!(env!("OUT_DIR"), "/software.json"));

/// The built-in flow of that name; `None` where there is none. Issues would be ours: the tests hold that there are none.
pub fn built_in(name: &str) -> Option<Result<FlowDoc, Vec<FlowIssue>>> {
    let text = match name {
        "software" => SOFTWARE,
        _ => return None,
    };
    Some(match serde_json::from_str(text) {
        Ok(value) => from_value(&value),
        Err(error) => Err(vec![FlowIssue::new(name, error.to_string(), "")]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Capability, compile};

    #[test]
    fn built_in_flows_compile_for_every_kind_of_model() {
        for name in BUILT_IN {
            let doc = built_in(name).expect(name).unwrap_or_else(|issues| panic!("{issues:#?}"));
            assert_eq!(doc.name, name);
            for capability in [Capability::Capable, Capability::Small] {
                let flow = compile(&doc, capability).unwrap_or_else(|issues| panic!("{capability:?}: {issues:#?}"));
                assert_eq!(flow.tasks().count(), 8);
            }
        }
        assert!(built_in("hardware").is_none());
    }
}
