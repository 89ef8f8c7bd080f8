//! What is said, and what is bounded.

use convoke_schema::{DEPTH_MAX, Schema, SchemaError};
use serde_json::{Value, json};

fn compiled(schema: &Value) -> Schema {
    Schema::compile(schema).unwrap_or_else(|error| panic!("{schema}: {error} at {}", error.pointer))
}

/// Each violation as `place: sentence`.
fn told(schema: &Value, value: &Value) -> Vec<String> {
    let violations = compiled(schema).violations(value, 100).first;
    violations.iter().map(|violation| format!("{}: {violation}", violation.place)).collect()
}

#[test]
fn a_violation_says_where_and_what() {
    let cases = [
        (json!({"type": "object"}), json!([1]), ": [1] is not of type \"object\""),
        (json!({"type": ["string", "null"]}), json!(1), ": 1 is not of types \"string\", \"null\""),
        (json!({"const": 1}), json!(2), ": 1 was expected"),
        (json!({"enum": ["a", "b", 3]}), json!("c"), ": \"c\" is not one of \"a\", \"b\" or 3"),
        (json!({"enum": ["a"]}), json!("c"), ": \"c\" is not one of \"a\""),
        (json!({"multipleOf": 0.1}), json!(0.25), ": 0.25 is not a multiple of 0.1"),
        (json!({"maximum": 5}), json!(9), ": 9 is greater than the maximum of 5"),
        (json!({"exclusiveMaximum": 5}), json!(5), ": 5 is greater than or equal to the maximum of 5"),
        (json!({"minimum": 5}), json!(4.5), ": 4.5 is less than the minimum of 5"),
        (json!({"exclusiveMinimum": 5}), json!(5), ": 5 is less than or equal to the minimum of 5"),
        (json!({"minLength": 1}), json!(""), ": \"\" is shorter than 1 character"),
        (json!({"maxLength": 2}), json!("äöü"), ": \"äöü\" is longer than 2 characters"),
        (json!({"pattern": "^a+$"}), json!("b"), ": \"b\" does not match \"^a+$\""),
        (json!({"minItems": 2}), json!([1]), ": [1] has less than 2 items"),
        (json!({"maxItems": 1}), json!([1, 2]), ": [1,2] has more than 1 item"),
        (json!({"prefixItems": [true], "items": false}), json!([1, 2]), ": [1,2] has more than 1 item"),
        (json!({"uniqueItems": true}), json!([1, 1.0]), ": [1,1.0] has non-unique elements"),
        (json!({"contains": {"const": 1}}), json!([2]), ": None of [2] are valid under the given schema"),
        (json!({"minProperties": 1}), json!({}), ": {} has less than 1 property"),
        (json!({"maxProperties": 0}), json!({"a": 1}), ": {\"a\":1} has more than 0 properties"),
        (json!({"required": ["a"]}), json!({}), ": \"a\" is a required property"),
        (json!({"dependentRequired": {"a": ["b"]}}), json!({"a": 1}), ": \"b\" is a required property"),
        (
            json!({"properties": {"a": true}, "additionalProperties": false}),
            json!({"a": 1, "b": 2, "c": 3}),
            ": Additional properties are not allowed ('b', 'c' were unexpected)",
        ),
        (
            json!({"allOf": [{"properties": {"a": true}}], "unevaluatedProperties": false}),
            json!({"a": 1, "b": 2}),
            ": Unevaluated properties are not allowed ('b' was unexpected)",
        ),
        (json!({"propertyNames": {"pattern": "^a"}}), json!({"b": 1}), ": \"b\" does not match \"^a\""),
        (
            json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
            json!(1),
            ": 1 is not valid under any of the schemas listed in the 'anyOf' keyword",
        ),
        (
            json!({"oneOf": [true, true]}),
            json!(1),
            ": 1 is valid under more than one of the schemas listed in the 'oneOf' keyword",
        ),
        (json!({"not": {"type": "null"}}), json!(null), ": {\"type\":\"null\"} is not allowed for null"),
        (json!({"properties": {"a/b": false}}), json!({"a/b": 1}), "/a~1b: False schema does not allow 1"),
        (
            json!({"items": {"$ref": "#/$defs/n"}, "$defs": {"n": {"type": "null"}}}),
            json!([null, 1]),
            "/1: 1 is not of type \"null\"",
        ),
    ];
    for (schema, value, expected) in cases {
        assert_eq!(told(&schema, &value), [expected], "{schema}");
    }
}

#[test]
fn a_violation_names_the_schema_and_can_be_told_without_the_value() {
    let schema = json!({"items": {"$ref": "#/$defs/n"}, "$defs": {"n": {"x-message": "a name", "minLength": 2}}});
    let value = json!(["ok", "n", "m"]);
    let violations = compiled(&schema).violations(&value, 1);
    assert_eq!(violations.more, 1);
    let first = &violations.first[0];
    assert_eq!((first.schema.as_str(), first.keyword, first.place.as_str()), ("/$defs/n", "minLength", "/1"));
    assert_eq!(first.masked(), "value is shorter than 2 characters");
    assert!(compiled(&schema).violations(&json!(["ok"]), 0).is_empty());
    let long = json!("x".repeat(10_000));
    for schema in [json!({"const": long}), json!({"enum": vec![long.clone(); 100]}), json!({"not": {"const": long}})] {
        let value = if schema.get("not").is_some() { &long } else { &json!(1) };
        let said = compiled(&schema).violations(value, 1).first[0].masked();
        assert!(said.len() < 2_500, "{said}");
    }
}

#[test]
fn a_schema_that_is_none_is_told_with_its_place() {
    let cases = [
        (json!(1), "", "is not a schema"),
        (json!({"type": "strnig"}), "/type", "\"strnig\" is not a type: write one of array, boolean"),
        (json!({"properties": {"a": {"type": 1}}}), "/properties/a/type", "is not a type"),
        (json!({"properties": {"a": 1}}), "/properties/a", "is not a schema"),
        (json!({"properties": []}), "/properties", "is not an object"),
        (json!({"required": "a"}), "/required", "is not a list of names"),
        (json!({"minLength": -1}), "/minLength", "is not a whole number"),
        (json!({"minimum": "1"}), "/minimum", "is not a number"),
        (json!({"multipleOf": 0}), "/multipleOf", "is not greater than 0"),
        (json!({"anyOf": []}), "/anyOf", "is empty"),
        (json!({"items": [true]}), "/items", "\"prefixItems\""),
        (json!({"pattern": "("}), "/pattern", "is not a pattern"),
        (json!({"pattern": "(?=a)b"}), "/pattern", "look-around"),
        (json!({"patternProperties": {"[": true}}), "/patternProperties/[", "is not a pattern"),
        (json!({"pattern": "(a{1000}){1000}"}), "/pattern", "is not a pattern"),
        (json!({"minimum": vec![1; 100_000]}), "/minimum", "is not a number"),
        (json!({"patternProperties": {"x": {"type": "x".repeat(100_000)}}}), "/patternProperties/x/type", "..."),
        (json!({"$ref": "https://example.com/x.json"}), "/$ref", "points out of the schema"),
        (json!({"$ref": "file:///etc/passwd"}), "/$ref", "points out of the schema"),
        (json!({"$ref": "#/$defs/none"}), "/$ref", "points to nothing"),
        (json!({"$ref": "#none"}), "/$ref", "an anchor that the schema doesn't have"),
        (json!({"$ref": "#/minimum", "minimum": 1}), "/minimum", "is not a schema"),
        (json!({"$schema": "https://example.com/meta"}), "/$schema", "is no draft"),
        (json!({"$defs": {"a": {"$id": "x"}, "b": {"$id": "x"}}}), "/$defs", "is the name of two schemas"),
    ];
    for (schema, place, problem) in cases {
        let Err(SchemaError { pointer, problem: said }) = Schema::compile(&schema) else { panic!("{schema} compiles") };
        assert!(pointer.starts_with(place) && said.contains(problem), "{schema}: {said} at {pointer:?}");
        assert!(said.len() < 500, "{said}");
    }
}

#[test]
fn a_schema_that_refers_to_itself_without_end_judges_nothing() {
    for schema in [
        json!({"$ref": "#"}),
        json!({"not": {"$ref": "#"}}),
        json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}),
    ] {
        assert!(!compiled(&schema).is_valid(&json!(1)), "{schema}");
        assert!(told(&schema, &json!(1))[0].contains("takes too long"), "{schema}");
    }
}

/// A recursive union of so many kinds, whose properties are as deep as the value.
fn expressions(kinds: usize) -> Value {
    let kind = |at: usize| {
        let side = json!({"$ref": "#"});
        json!({"properties": {"kind": {"const": at}, "left": side, "right": side}, "required": ["kind"]})
    };
    json!({"oneOf": (0..kinds).map(kind).collect::<Vec<_>>()})
}

#[test]
fn unions_are_told_apart_by_their_first_property() {
    let schema = compiled(&expressions(8));
    let mut tree = json!({"kind": 0});
    for depth in 0..10 {
        tree = json!({"kind": depth % 8, "left": tree, "right": tree});
    }
    assert!(schema.is_valid(&tree));
    assert!(schema.violations(&tree, 8).is_empty());
    let wrong = json!({"kind": 1, "left": tree, "right": {"kind": 8}});
    assert!(!schema.is_valid(&wrong));
}

#[test]
fn memory_is_bounded_where_schemas_are_many_or_have_long_names() {
    let many = json!({"allOf": vec![json!({}); 20_000]});
    let long = json!({"properties": {"x".repeat(100_000): {"allOf": [true, true]}}});
    let ids: Vec<Value> = (0..3).map(|at| json!({"$id": format!("{at}{}", "x".repeat(3_000))})).collect();
    let named = json!({"$defs": {"a": ids[0], "b": ids[1]}});
    let places: serde_json::Map<String, Value> =
        (0..2_000).map(|at| (format!("{at}{}", "x".repeat(1_900)), json!({}))).collect();
    // Where nobody looks for schemas, but one is referred to.
    let hidden = json!({"$ref": "#/x", "x": {"allOf": vec![0; 20_000]}});
    let groups = "(a)".repeat(2_000);
    let patterns: serde_json::Map<String, Value> =
        (0..2_000).map(|at| (format!("a{{200}}{at}"), json!(true))).collect();
    for (schema, problem) in [
        (many, "more than 10000 schemas"),
        (hidden, "more than 10000 schemas"),
        (long, "are too long"),
        (json!({"properties": places}), "are too long"),
        (named, "longer than 2048 bytes"),
        (json!({"pattern": groups}), "repeat too much"),
        (json!({"patternProperties": patterns}), "too many"),
    ] {
        let error = Schema::compile(&schema).expect_err(problem);
        assert!(error.problem.contains(problem) && error.pointer.len() < 1_000, "{error} at {}", error.pointer);
    }
}

#[test]
fn work_is_bounded_where_schemas_double() {
    let doubled = |at: usize| {
        let next = json!({"$ref": format!("#/$defs/a{}", at + 1)});
        (format!("a{at}"), json!({"anyOf": [{"allOf": [next, false]}, next]}))
    };
    let mut defs: serde_json::Map<String, Value> = (0..60).map(doubled).collect();
    defs.insert("a60".to_owned(), json!(false));
    let schema = compiled(&json!({"$ref": "#/$defs/a0", "$defs": defs}));
    let value = json!(1);
    let violations = schema.violations(&value, 8);
    assert!(violations.first[0].masked().contains("takes too long"), "{violations:?}");
}

/// What each rule does is work by how much it has to look at; on a debug build in well under a minute.
#[test]
fn work_is_bounded_by_what_is_looked_at() {
    let numbers: Vec<u64> = (0..50_000).collect();
    let names: Vec<String> = (0..20_000).map(|at| format!("n{at}")).collect();
    let patterns: serde_json::Map<String, Value> = (0..900).map(|at| (format!("p{at}$"), json!(true))).collect();
    let object: serde_json::Map<String, Value> = (0..50_000).map(|at| (format!("name{at}"), json!(0))).collect();
    let refs = |count: usize| vec![json!({"$ref": "#/$defs/c"}); count];
    let triggers: serde_json::Map<String, Value> = names.iter().map(|name| (name.clone(), json!([]))).collect();
    let c = |of: Value| json!({"allOf": refs(9_000), "$defs": {"c": of}});
    let rows = [
        (c(json!({"const": numbers})), json!(numbers)),
        (c(json!({"enum": [numbers]})), json!(numbers)),
        (c(json!({"uniqueItems": true})), json!(["x".repeat(1_000_000)])),
        (c(json!({"const": "x".repeat(250_000)})), json!("x".repeat(250_000))),
        (c(json!({"properties": {"x": true}})), json!(object)),
        (c(json!({"properties": {"x": true}})), json!({"x".repeat(1_000_000): 0})),
        (c(json!({"propertyNames": {"minLength": 1}})), json!({"x".repeat(1_000_000): 0})),
        (json!({"anyOf": refs(9_000), "$defs": {"c": {"unevaluatedItems": false}}}), json!(vec![0; 500_000])),
        (json!({"anyOf": refs(9_000), "$defs": {"c": {"unevaluatedProperties": false}}}), json!(object)),
        (json!({"additionalProperties": false, "$ref": "#", "unevaluatedProperties": true}), json!(object)),
        (json!({"items": {"required": names}}), json!(vec![json!({}); 50_000])),
        (json!({"items": {"dependentRequired": triggers}}), json!(vec![json!({"a": 0, "b": 0}); 50_000])),
        (json!({"items": {"patternProperties": patterns}}), json!(vec![object.clone(); 2])),
        (json!({"items": {"patternProperties": patterns}}), json!(vec![json!({"": 0}); 50_000])),
        (json!({"items": {"pattern": "[ab]{0,700}c$|"}}), json!(vec!["ab".repeat(500); 1_000])),
    ];
    for (row, (schema, value)) in rows.iter().enumerate() {
        let violations = compiled(schema).violations(value, 8);
        assert!(violations.first.first().is_some_and(|first| first.is_limit), "row {row} is no work");
    }
    // What nobody asks for isn't put into words.
    let contains = compiled(&json!({"contains": {"const": "x".repeat(1_000_000)}}));
    assert!(!contains.is_valid(&json!(vec![0; 200_000])));
    // What is usual is no work to speak of.
    let text = "a".repeat(1_000);
    let schema = compiled(&json!({"items": {"pattern": "^.{1,1000}$", "maxLength": 1000}}));
    assert!(schema.is_valid(&json!(vec![text; 10])));
}

/// Runs on the two megabytes of a test's thread, which are those of a worker, too.
#[test]
fn depth_is_bounded_before_the_stack_is() {
    let link = |at: usize| (format!("a{at}"), json!({"allOf": [{"$ref": format!("#/$defs/a{}", at + 1)}]}));
    let chain = |length: usize| {
        let mut defs: serde_json::Map<String, Value> = (0..length).map(link).collect();
        defs.insert(format!("a{length}"), json!({"type": "integer"}));
        compiled(&json!({"$ref": "#/$defs/a0", "$defs": defs}))
    };
    assert!(chain(DEPTH_MAX / 2 - 2).is_valid(&json!(1)));
    assert!(!chain(DEPTH_MAX).is_valid(&json!(1)));
    for keyword in ["anyOf", "oneOf", "not", "if", "then", "propertyNames", "items", "contains", "properties"] {
        let nested = |inner: Value| match keyword {
            "anyOf" | "oneOf" => json!({keyword: [inner]}),
            "then" => json!({"if": true, "then": inner}),
            "properties" => json!({"properties": {"a": inner}}),
            _ => json!({keyword: inner}),
        };
        let link = |at: usize| (format!("a{at}"), nested(json!({"$ref": format!("#/$defs/a{}", (at + 1) % 600)})));
        let defs: serde_json::Map<String, Value> = (0..600).map(link).collect();
        let schema = compiled(&json!({"$ref": "#/$defs/a0", "$defs": defs}));
        let value = (0..100).fold(json!(1), |inner, at| if at % 2 == 0 { json!([inner]) } else { json!({"a": inner}) });
        let is_over = schema.violations(&value, 8).first.first().is_some_and(|first| first.is_limit);
        let stays_in_place = matches!(keyword, "anyOf" | "oneOf" | "not" | "if" | "then");
        assert_eq!(is_over, stays_in_place, "{keyword}");
    }
    // The deepest value that is read at all, through a schema that is a tree.
    let tree = compiled(&json!({"properties": {"of": {"items": {"$ref": "#"}}}, "required": ["name"]}));
    let mut deep = json!({"name": "leaf"});
    for _ in 0..63 {
        deep = json!({"name": "node", "of": [deep]});
    }
    let text = deep.to_string();
    assert!(tree.is_valid(&serde_json::from_str(&text).expect("as deep as JSON is read")));
    let cut = text.replace("\"name\":\"leaf\"", "");
    assert!(!tree.is_valid(&serde_json::from_str(&cut).expect("JSON")));
}
