use super::*;

fn bounded(schema: &Value, tokens: usize) -> Bounded {
    bound(schema, tokens, &str::len).expect("it can be bounded")
}

fn at<'a>(bounded: &'a Bounded, pointer: &str) -> &'a Value {
    bounded.schema.pointer(pointer).unwrap_or(&Value::Null)
}

#[test]
fn arrays_and_strings_get_limits_and_keep_their_own() {
    let schema = json!({ "type": "object", "required": ["title"], "properties": {
        "title": { "type": "string", "maxLength": 60 },
        "steps": { "type": "array", "items": { "type": "string" } },
        "tags": { "type": "array", "maxItems": 3, "items": { "type": "string", "maxLength": 9 } },
    }});
    let bounded = bounded(&schema, 300);
    assert_eq!(at(&bounded, "/properties/title/maxLength"), 60);
    assert_eq!(at(&bounded, "/properties/steps/maxItems"), 8);
    let length = at(&bounded, "/properties/steps/items/maxLength").as_u64().expect("a limit");
    assert!((32..=112).contains(&length), "{length}");
    assert_eq!(at(&bounded, "/properties/tags/maxItems"), 3);
    assert_eq!(at(&bounded, "/properties/tags/items/maxLength"), 9);
    assert_eq!(at(&bounded, "/additionalProperties"), &json!(false));
    assert_eq!(at(&bounded, "/x-guidance/whitespace_flexible"), &json!(false));
}

#[test]
fn long_lists_of_many_strings_become_shorter() {
    let text = json!({ "type": "string" });
    let item = json!({ "type": "object", "properties": { "a": text, "b": text, "c": text } });
    let bounded = bounded(&json!({ "type": "array", "items": item }), 150);
    assert!(at(&bounded, "/maxItems").as_u64().expect("a limit") < 8);
}

#[test]
fn references_are_written_out_and_recursion_ends() {
    let schema = json!({
        "$ref": "#/$defs/node",
        "$defs": { "node": { "type": "object", "required": ["name"], "properties": {
            "name": { "type": "string", "maxLength": 5 },
            "children": { "type": "array", "items": { "$ref": "#/$defs/node" } },
        }}},
    });
    let bounded = bounded(&schema, 2_000);
    let text = bounded.schema.to_string();
    assert!(!text.contains("$ref"));
    assert_eq!(text.matches("\"name\":").count(), DEPTH_MAX / 2);
    let missing = bound(&json!({ "$ref": "#/$defs/none" }), 100, &str::len);
    assert_eq!(missing, Err(BoundsError::Reference { reference: "#/$defs/none".into() }));
    let endless = json!({ "$ref": "#/$defs/a", "$defs": { "a": { "$ref": "#/$defs/a" } } });
    assert!(matches!(bound(&endless, 100, &str::len), Err(BoundsError::Reference { .. })));
}

#[test]
fn what_may_be_anything_is_a_scalar_and_free_objects_are_small() {
    let scalar = bounded(&json!({}), 100);
    assert_eq!(at(&scalar, "/anyOf").as_array().map(Vec::len), Some(4));
    let free = bounded(&json!({ "type": "object" }), 300);
    assert_eq!(at(&free, "/maxProperties"), 4);
    let listed = bounded(&json!({ "type": ["string", "null"] }), 100);
    assert_eq!(at(&listed, "/anyOf/0/type"), "string");
    assert_eq!(at(&listed, "/anyOf/1/type"), "null");
}

#[test]
fn all_of_is_merged() {
    let schema = json!({ "allOf": [
        { "type": "object", "properties": { "a": { "type": "integer" } }, "required": ["a"] },
        { "properties": { "b": { "type": "boolean" } }, "required": ["b"] },
    ]});
    let bounded = bounded(&schema, 100);
    assert_eq!(at(&bounded, "/required"), &json!(["a", "b"]));
    assert_eq!(at(&bounded, "/properties/b/type"), "boolean");
}

#[test]
fn too_few_tokens_are_said_beforehand() {
    let schema = json!({ "type": "array", "minItems": 50, "items": { "type": "integer" } });
    assert_eq!(bound(&schema, 300, &str::len), Err(BoundsError::TooFewTokens { needed: 462, given: 300 }));
}

#[test]
fn a_schema_that_explodes_is_refused() {
    let wide: Map<String, Value> = (0..60).map(|at| (format!("p{at}"), json!({ "$ref": "#/$defs/b" }))).collect();
    let schema = json!({ "type": "object", "properties": wide, "$defs": {
        "b": { "type": "array", "prefixItems": vec![json!({ "type": "integer" }); 60] },
    }});
    assert_eq!(bound(&schema, 100_000, &str::len), Err(BoundsError::TooLarge));
}
