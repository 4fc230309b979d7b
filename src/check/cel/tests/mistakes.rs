//! What is refused when a condition is compiled, and in which words.

use super::*;

fn mistake(condition: &str) -> String {
    Expression::compile(condition).expect_err(condition).to_string()
}

/// Each of them is refused when it is compiled, in words that name the mistake.
#[test]
fn a_mistake_that_can_be_seen_is_said_when_the_condition_is_read() {
    let mut wrong = Vec::new();
    for (condition, said) in [
        ("", "line 1, column 1: "),
        ("1 +", "line 1, column 4: "),
        ("claims.a == 'x", "line 1, column 13: "),
        ("claim.a == 'x'", "no variable claim; there are claims, issuer and request"),
        ("claims.a == tenant", "no variable tenant; "),
        (".claims.a == 'x'", "no variable .claims; "),
        ("type(claims.a) == string", "no function type; "),
        ("request.pth == 'x'", "no request.pth; there are method, host, path"),
        ("request.query == 'x'", "no request.query; "),
        ("request == claims", "request itself is not a value"),
        ("request['path'] == '/a'", "request itself is not a value"),
        ("'path' in request", "request itself is not a value"),
        ("has(request.path)", "a condition does not ask has() of what every request has"),
        ("has(request.headers)", "a condition does not ask has() of what every request has"),
        ("now() > 1", "no function now; there are has, all, exists"),
        ("timestamp('2026-01-01T00:00:00Z') == 1", "no function timestamp; "),
        ("duration('1s') == 1", "no function duration; "),
        ("claims.a.reverse() == 'x'", "no function reverse; "),
        ("'%s'.format([claims.a]) == 'x'", "no function format; "),
        ("claims.a.replace('a', 'b') == 'x'", "no function replace; "),
        ("claims.a.join() == 'x'", "no function join; "),
        ("optional.of(1) == 1", "no variable optional; "),
        ("dyn(claims.a)", "no function dyn; "),
        ("claims.a.startsWith()", "startsWith takes a string behind a string: "),
        ("startsWith(claims.a, 'b')", "startsWith takes a string behind a string: "),
        ("claims.a.startsWith('b', 'c')", "startsWith takes a string behind a string: "),
        ("size()", "size takes one value: "),
        ("size(claims.a, claims.b) == 1", "size takes one value: "),
        ("claims.a.split(' ', 3) == []", "split takes a string behind a string: "),
        ("claims.a.exists(x)", "exists takes a list, a variable and a condition: "),
        ("claims.a.exists('x', true)", "line 1, column "),
        ("has('a')", "line 1, column "),
        ("claims.a.matches()", "matches takes a string behind a string: "),
        (
            "claims.a.matches(claims.b)",
            "matches takes a string in quotes, not one that is computed",
        ),
        (
            "matches('a', request.method)",
            "matches takes a string in quotes, not one that is computed",
        ),
        ("claims.a.matches('(')", "not a regular expression: unclosed group"),
        ("claims.a.matches('(?=a)')", "not a regular expression: look-around"),
        ("claims.a.matches('(a{1000}){1000}')", "not a regular expression: Compiled regex exceeds"),
        ("'a'", "the whole condition is a string; it has to be true or false"),
        ("1", "the whole condition is an int; it has to be true or false"),
        ("claims.a + 1", "the whole condition is an int; it has to be true or false"),
        ("issuer", "the whole condition is a string; "),
        ("claims", "the whole condition is a map; "),
        ("request.headers", "the whole condition is a map; "),
        ("[true]", "the whole condition is a list; "),
        ("{'a': true}", "the whole condition is a map; "),
        ("null", "the whole condition is null; "),
        ("claims.a.map(x, x == 1)", "the whole condition is a list; "),
        ("true ? 'a' : 'b'", "the whole condition is a string; "),
        ("size(claims.a)", "the whole condition is an int; "),
        ("issuer == 3", "a string is never equal to an int"),
        ("request.headers['a'] == true", "a string is never equal to true or false"),
        ("claims == 'a'", "a map is never equal to a string"),
        ("issuer > 3", "> takes a string, not an int"),
        ("claims.a > [1]", "> takes a number, a string, true or false, not a list"),
        ("issuer + 1 == 'a'", "+ takes a string, not an int"),
        ("claims.a + 1 + 0.5 == 2.0", "+ takes an int, not a double"),
        ("issuer - 'a' == 'b'", "- takes a number, not a string"),
        ("-issuer == 'a'", "- takes an int or a double, not a string"),
        ("1.5 % 2.0 == 1.0", "% takes a whole number, not a double"),
        ("issuer && true", "&& takes true or false, not a string"),
        ("!issuer", "! takes true or false, not a string"),
        ("issuer ? true : false", "?: takes true or false, not a string"),
        ("'a' in 'abc'", "in takes a list or a map, not a string"),
        ("issuer[0] == 'a'", "[] takes a list or a map, not a string"),
        ("issuer.name == 'a'", ".name takes a map, not a string"),
        ("request.headers['a'].b == 'a'", ".b takes a map, not a string"),
        ("issuer.exists(x, true)", "a loop takes a list or a map, not a string"),
        ("claims.a.exists(x, 'a')", "|| takes true or false, not a string"),
        ("claims.a.all(x, 1)", "&& takes true or false, not an int"),
        ("claims.a.filter(x, 1) == []", "?: takes true or false, not an int"),
        ("(1).startsWith('a')", "startsWith takes a string, not an int"),
        ("(1).matches('a')", "matches takes a string, not an int"),
        ("size(1) == 1", "size takes a list, a map or a string, not an int"),
        ("int([1]) == 1", "int takes a number, a string, true or false, not a list"),
        ("{1.5: true}[1.5]", "a map takes names that are a string, "),
        ("claims.a == b'x'", "a condition knows no bytes"),
        ("claims.A{a: 1} == 1", "a condition makes no messages"),
        ("claims.?a == 1", "line 1, column "),
        ("claims.a.exists(claims, true)", "claims is the name of something else already"),
        ("claims.a.exists(request, true)", "request is the name of something else already"),
        ("claims.a.exists(x, claims.b.exists(x, x))", "x is the name of something else already"),
        ("request.headers['X-Tenant'] == 'a'", "request.headers holds names in lower case"),
        ("request.headers[':path'] == 'a'", "request.headers holds names in lower case"),
        ("'X-Tenant' in request.headers", "request.headers holds names in lower case"),
        (
            "claims.a.exists(x, claims.b.exists(y, claims.c.exists(z, true)))",
            "loops are nested deeper than 2 levels",
        ),
    ] {
        let found = mistake(condition);
        if !found.contains(said) || found.contains('\n') || found.len() > 300 {
            wrong.push(format!("{condition}: {found}"));
        }
    }
    assert_eq!(wrong, [""; 0]);
}
