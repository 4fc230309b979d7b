//! What a condition may not do to a request: take long, take much, or panic.

use proptest::prelude::*;

use super::*;

#[test]
fn a_condition_is_bounded_in_length_depth_and_parts() {
    let long = format!("claims.a == '{}'", "x".repeat(MAX_SOURCE_BYTES));
    assert_eq!(Expression::compile(&long), Err(ExpressionError::TooLong));
    for nested in [
        format!("{}true{}", "(".repeat(2000), ")".repeat(2000)),
        format!("{}true{}", "[".repeat(2000), "]".repeat(2000)),
        format!("{}true", "(".repeat(4000)),
        format!("{}true", "{1:".repeat(1300)),
        format!("{}true", "true?".repeat(800)),
        format!("{}true{}", "true?true:".repeat(400), ""),
        format!("{}true", "!".repeat(4001)),
        format!("{}1 == 1", "-".repeat(4001)),
        format!("1{} == 1", "+1".repeat(2000)),
        format!("claims{} == 1", ".a".repeat(2000)),
        format!("claims{} == 1", "[0]".repeat(1300)),
        format!("true{}", "&&true".repeat(600)),
        format!("{}true{}", "claims.a.exists(x,".repeat(200), ")".repeat(200)),
        format!("{}true", "f(".repeat(1500)),
        format!("[{}] == []", "1,".repeat(1500)),
    ] {
        assert!(nested.len() <= MAX_SOURCE_BYTES);
        let start: String = nested.chars().take(20).collect();
        // Signs in a row are one or none.
        if let Err(error) = Expression::compile(&nested) {
            assert!(error.to_string().len() < 300, "{start}: {error}");
        } else {
            assert!(nested.starts_with(['!', '-']), "{start}");
        }
    }
    assert!(holds("((((((((((claims.admin))))))))))", CLAIMS));
    // The deepest that there are, on the stack of a thread.
    assert!(holds(&format!("1{} == 46", "+1".repeat(45)), CLAIMS));
    assert!(holds(&format!("{}true{}", "!(!(".repeat(14), "))".repeat(14)), CLAIMS));
    assert!(holds(&format!("{}[]{} != []", "[".repeat(28), "]".repeat(28)), CLAIMS));
    assert!(holds(&format!("true{}", " && claims.admin".repeat(100)), CLAIMS));
}

/// Lists of that many elements, as a client with large tokens would have them.
fn lists(count: usize) -> String {
    let list =
        |start: usize| (start..start + count).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    format!(r#""a":[{}],"b":[{}],"t":"{}""#, list(0), list(count), "x".repeat(count * 4))
}

#[test]
fn what_would_cost_too_much_does_not_hold() {
    let mut wrong = Vec::new();
    for (condition, ordinary, large) in [
        ("claims.a.all(x, !(x in claims.b))", 200, 4000),
        ("claims.a.all(x, claims.b.all(y, x != y))", 40, 4000),
        ("claims.a.map(x, claims.t + claims.t) != []", 100, 4000),
        ("claims.a.map(x, claims.b.map(y, x + y)) != []", 20, 1000),
        ("claims.a.all(x, size(claims.t.split(' ')) == 1)", 20, 2000),
        ("claims.a.all(x, [claims.b, claims.b, claims.b] != [])", 50, 4000),
        // A mistake that copies the list to say what it was.
        ("claims.a.all(x, claims.b[0.5] == 1 || true)", 50, 4000),
        ("claims.a.all(x, claims.b.name == 1 || true)", 50, 4000),
        ("claims.a.all(x, claims.b - claims.b == 1 || true)", 50, 4000),
    ] {
        if !holds(condition, &lists(ordinary)) || holds(condition, &lists(large)) {
            wrong.push(condition);
        }
    }
    assert_eq!(wrong, [""; 0]);
    // What goes through a long list once is none of that.
    let groups: Vec<String> = (0..400).map(|n| format!("\"group-{n:032}\"")).collect();
    let groups = format!("\"groups\":[\"blue\",{}]", groups.join(","));
    for condition in [
        "claims.groups.exists(g, request.path.startsWith('/teams/' + g + '/'))",
        "claims.groups.exists(g, g.lowerAscii() == 'blue')",
        "claims.groups.exists(g, g in ['red', 'green', 'blue'])",
        "claims.groups.exists(g, g.matches('^b[a-z]+$'))",
        "claims.groups.map(g, g.split('-')[0]).all(g, g in ['group', 'blue'])",
    ] {
        assert!(holds(condition, &groups), "{condition}");
    }
    assert!(holds("claims.a.exists(x, x == 1999) && 1999 in claims.a", &lists(2000)));
    assert_eq!(
        Expression::compile("claims.a.map(x, claims.b.map(y, claims.c + claims.d)) == []"),
        Err(ExpressionError::TooCostly)
    );
}

/// Conditions of every operator and function over values of every type and extreme.
fn expressions() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "claims.a",
        "claims.b",
        "claims['c']",
        "claims.d.e",
        "claims.missing",
        "claims",
        "issuer",
        "true",
        "false",
        "null",
        "0",
        "1",
        "-1",
        "9223372036854775807",
        "-9223372036854775808",
        "0.5",
        "1e308",
        "-1e308",
        "5e-324",
        "1u",
        "18446744073709551615u",
        "''",
        "'a'",
        "'é\u{1F600}'",
        "[]",
        "{}",
        "[1, 'a', 0.5]",
        "{'a': 1, 2: 'b'}",
        "request.path",
        "request.headers['x-tenant']",
        "request.headers",
        "request.context",
        "x",
        "y",
    ]);
    let leaf = leaf.prop_map(str::to_owned);
    leaf.prop_recursive(5, 40, 3, |inner| {
        let operator = prop::sample::select(vec![
            "+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "in",
        ]);
        let member = prop::sample::select(vec![
            "contains",
            "startsWith",
            "endsWith",
            "split",
            "lowerAscii",
            "upperAscii",
            "size",
        ]);
        let looped = prop::sample::select(vec!["all", "exists", "exists_one", "map", "filter"]);
        let global = prop::sample::select(vec!["size", "int", "double", "string", "-", "!"]);
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(|(a, o, b)| format!("({a} {o} {b})")),
            (inner.clone(), member, inner.clone()).prop_map(|(a, f, b)| {
                let argument =
                    if ["lowerAscii", "upperAscii", "size"].contains(&f) { "" } else { &b };
                format!("({a}).{f}({argument})")
            }),
            (inner.clone(), looped, inner.clone(), any::<bool>()).prop_map(|(a, f, b, first)| {
                format!("({a}).{f}({}, {b})", if first { "x" } else { "y" })
            }),
            (global, inner.clone()).prop_map(|(f, a)| format!("{f}({a})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})[{b}]")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("(({a}) ? ({b}) : ({c}))")),
            inner.clone().prop_map(|a| format!("has(({a}).e)")),
            inner.prop_map(|a| format!("string({a}).matches('^a|é.*$')")),
        ]
    })
}

fn values() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        prop::sample::select(vec![
            "null",
            "true",
            "false",
            "0",
            "-0",
            "1",
            "-9223372036854775808",
            "9223372036854775807",
            "18446744073709551615",
            "0.5",
            "1e308",
            "1e400",
            "5e-324",
            r#""""#,
            r#""a""#,
            r#""\u0000é😀""#,
        ])
        .prop_map(str::to_owned),
        "[a-zé ]{0,12}".prop_map(|text| format!("{text:?}")),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5)
                .prop_map(|all| format!("[{}]", all.join(","))),
            (inner.clone(), inner).prop_map(|(a, b)| format!(r#"{{"e":{a},"a":{b}}}"#)),
        ]
    })
}

/// As many cases as everywhere, of which most are none: types are checked.
fn cases() -> ProptestConfig {
    ProptestConfig { max_global_rejects: 100_000, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn no_condition_over_any_claims_panics(
        condition in expressions(),
        comparison in prop::sample::select(vec!["", " == claims.a", " != claims.b", " in claims.c"]),
        a in values(),
        b in values(),
        c in values(),
    ) {
        let condition = format!("[1].exists(x, [claims.d].exists(y, ({condition}){comparison}))");
        let expression = Expression::compile(&condition);
        prop_assert_ne!(&expression, &Err(ExpressionError::Unreadable));
        prop_assume!(expression.is_ok());
        let token = token(&format!(r#""a":{a},"b":{b},"c":{c},"d":{{"e":{a}}}"#));
        let expression = expression.unwrap();
        let held = expression.holds(&token, &request());
        prop_assert_eq!(held, expression.holds(&token, &request()));
    }

    #[test]
    fn no_text_makes_the_compiler_panic(
        text in prop::collection::vec(prop::sample::select(vec![
            "(", ")", "[", "]", "{", "}", "'", "\"", "'''", "r'", "b'", "\\", "\\u12", "?", ":", ".", ",", "?[",
            "claims", "request", ".a", "has(", ".map(", ".exists(x,", "1", "0x", "1e", "1u", "-", "!", "&&",
            "||", "in", "==", "\u{0}", "é", "`", "//", "\n", "@", "18446744073709551616", "matches('(",
        ]), 0..40)
    ) {
        prop_assert_ne!(Expression::compile(&text.concat()), Err(ExpressionError::Unreadable));
    }
}
