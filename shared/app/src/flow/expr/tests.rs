use proptest::prelude::*;
use serde_json::json;

use super::*;

fn eval(source: &str) -> Result<Value, ExprError> {
    let scope = json!({
        "n": 3, "x": 1.5, "s": "héllo", "yes": true,
        "list": [1, 2, 3], "empty": [],
        "plan": {"output": {"tasks": [
            {"id": "a", "files": ["a.rs"], "after": []},
            {"id": "b", "files": ["b.rs", "c.rs"], "after": ["a"]},
        ], "agreed": false}},
    });
    let Value::Object(scope) = scope else { unreachable!("an object") };
    Expr::compile(source)?.eval(&scope, &[])
}

#[test]
fn evaluates() {
    let cases = [
        ("1 + 2 * 3", json!(7)),
        ("-n", json!(-3)),
        ("7 / 2", json!(3)),
        ("7 % 4", json!(3)),
        ("x * 2.0", json!(3.0)),
        ("1 + x", json!(2.5)),
        ("1 == 1.0", json!(true)),
        ("n >= 3 && n < 4", json!(true)),
        ("!yes || n != 3", json!(false)),
        ("yes ? 'a' : 'b'", json!("a")),
        ("size(s)", json!(5)),
        ("s.size()", json!(5)),
        ("s + '!'", json!("héllo!")),
        ("s.startsWith('h') && s.endsWith('o') && s.contains('éll')", json!(true)),
        ("' A '.trim().lowerAscii()", json!("a")),
        ("'a,b'.split(',')", json!(["a", "b"])),
        ("['a', 'b'].join('-')", json!("a-b")),
        ("2 in list", json!(true)),
        ("'output' in plan", json!(true)),
        ("list + [4]", json!([1, 2, 3, 4])),
        ("list[1]", json!(2)),
        ("plan['output'].agreed", json!(false)),
        ("has(plan.output.agreed) && !has(plan.output.nope)", json!(true)),
        ("plan.output.tasks.map(t, t.id)", json!(["a", "b"])),
        (
            "plan.output.tasks.filter(t, size(t.files) > 1)",
            json!([{"id": "b", "files": ["b.rs", "c.rs"], "after": ["a"]}]),
        ),
        ("plan.output.tasks.map(t, t.id == 'b', t.after)", json!([["a"]])),
        ("plan.output.tasks.all(t, size(t.files) > 0)", json!(true)),
        ("plan.output.tasks.exists(t, t.id == 'b')", json!(true)),
        ("list.exists_one(i, i == 2)", json!(true)),
        ("empty.all(i, i.nope)", json!(true)),
        ("list.map(i, list.map(j, i * j))", json!([[1, 2, 3], [2, 4, 6], [3, 6, 9]])),
        ("{'a': 1, 'b': [n]}", json!({"a": 1, "b": [3]})),
        ("plan.output.map(k, k)", json!(["tasks", "agreed"])),
        ("false && nope", json!(false)),
        ("nope || true", json!(true)),
        ("string(n) + string(yes)", json!("3true")),
        ("int('42') + int(1.9)", json!(43)),
        ("double('1.5')", json!(1.5)),
        ("type(list)", json!("list")),
        ("null", Value::Null),
    ];
    for (source, expected) in cases {
        assert_eq!(eval(source), Ok(expected), "{source}");
    }
}

#[test]
fn refuses_what_it_cannot_do() {
    let cases = [
        ("nope", "unknown name \"nope\""),
        ("plan.nope", "there is no field \"nope\""),
        ("list[9]", "there is no item 9"),
        ("list[-1]", "there is no item -1"),
        ("1 + 'a'", "+ doesn't take int and string"),
        ("1 && true", "a condition doesn't take int"),
        ("1 / 0", "an arithmetic operation has no result"),
        ("9223372036854775807 + 1", "an arithmetic operation has no result"),
        ("n.foo", ".foo doesn't take int"),
        ("s.matches('a+')", "unknown function matches/1"),
        ("frobnicate(1)", "unknown function frobnicate/1"),
        ("size()", "unknown function size/0"),
        ("b'abc'", "a bytes literal isn't available in expressions"),
        ("Foo{a: 1}", "the message Foo isn't available in expressions"),
        ("int('x')", "int doesn't take string"),
    ];
    for (source, expected) in cases {
        assert_eq!(eval(source).map_err(|e| e.to_string()), Err(expected.to_owned()), "{source}");
    }
    for source in ["", "1 +", "a b", "((", "'open", "\u{0}", "1 ? 2", "a.?b"] {
        assert!(matches!(eval(source), Err(ExprError::Syntax(_) | ExprError::Unavailable(_))), "{source:?}");
    }
}

#[test]
fn bounds_hold() {
    let long = "1 + ".repeat(600) + "1";
    assert_eq!(eval(&long), Err(ExprError::TooLong));
    for (open, middle, close) in [
        ("(", "nope", ")"),
        ("[", "nope", "]"),
        ("size(", "'1'", ")"),
        ("!", "nope", ""),
        ("-", "nope", ""),
        ("!yes ? 1 : ", "nope", ""),
        ("s.", "s", ""),
        ("1+", "nope", ""),
        ("", "list", "[0]"),
        ("{'a':", "nope", "}"),
        ("list.map(a,", "nope", ")"),
    ] {
        for depth in [30, 60, 100, 150] {
            let source = open.repeat(depth) + middle + &close.repeat(depth);
            assert!(eval(&source).is_err(), "{source}");
        }
    }
    let deep = "list.map(a, list.map(b, list.map(c, list.map(d, 1))))";
    assert!(matches!(Expr::compile(deep), Err(ExprError::Unavailable(_))));
}

#[test]
fn work_and_memory_are_bounded() {
    let big: Vec<Value> = (0..10_000).map(|i| json!({"i": i, "t": "x".repeat(100)})).collect();
    let Value::Object(scope) = json!({"big": big, "s": "y".repeat(1 << 20)}) else { unreachable!("an object") };
    let run = |source: &str| Expr::compile(source).expect(source).eval(&scope, &[]);
    assert_eq!(run("big.filter(b, b.i < 5).map(b, b.i)"), Ok(json!([0, 1, 2, 3, 4])));
    assert_eq!(run("size(big.map(b, b.t + '!'))"), Ok(json!(10_000)));
    for source in [
        "big.map(a, big.map(b, a.i * b.i))",
        "big.all(a, big.all(b, a.i + b.i >= 0))",
        "big.map(a, s + s)",
        "big.map(a, s)",
        "big.map(a, [s, s, s])",
        "big.exists(a, s.contains('z'))",
        "big.exists(a, s == s + 'z')",
        "big.map(a, big).size() > 0 || true",
    ] {
        assert_eq!(run(source), Err(ExprError::Exhausted), "{source}");
    }
}

#[test]
fn says_what_it_reads() {
    let check = |source: &str, expected: &[&str]| {
        let expr = Expr::compile(source).expect(source);
        let reads: Vec<String> = expr.reads().iter().map(|path| path.join(".")).collect();
        assert_eq!(reads, expected, "{source}");
    };
    check("1 + 2", &[]);
    check("a.b.c > input.n", &["a.b.c", "input.n"]);
    check("has(a.b.c)", &["a.b"]);
    check("has(a.b)", &["a.b"]);
    check("a['b'][0].c", &["a.b.[].c"]);
    check("a.b[x.y]", &["a.b.[]", "x.y"]);
    check("p.tasks.map(t, t.id + q)", &["p.tasks", "p.tasks.[].id", "q"]);
    check("[1].map(t, t + u)", &["u"]);
    check("p.all(t, t.deps.all(d, d in p.map(x, x.id)))", &["p", "p.[].deps", "p.[].deps.[]", "p.[].id"]);
}

#[test]
fn locals_stand_before_the_scope() {
    let Value::Object(scope) = json!({"item": 1, "other": 2}) else { unreachable!("an object") };
    let item = json!({"id": 7});
    let value = Expr::compile("item.id + other").expect("compiles").eval(&scope, &[("item", &item)]);
    assert_eq!(value, Ok(json!(9)));
}

proptest! {
    #[test]
    fn whatever_is_written_there_is_an_answer(source in "[a-z0-9 .,:?!&|(){}'<=>+*%/\\[\\]\\\\-]{0,60}") {
        if let Ok(expr) = Expr::compile(&source) {
            prop_assert_eq!(expr.eval(&Map::new(), &[]), expr.eval(&Map::new(), &[]));
        }
    }
}
