//! Routes of Envoy's that say themselves which rule applies, or that none does.

use serde_json::json;

use super::Cases;
use crate::tokens::Tokens;

pub(super) fn add(cases: &Cases, tokens: &Tokens) {
    let accounts = tokens.token("accounts", &json!({}));
    let admin = tokens.token("accounts", &json!({"aud": "admin"}));
    let partner = tokens.token("partner", &json!({"aud": "invoices"}));
    for path in ["/named", "/open/named", "/named/x?y"] {
        let get = |what: &str| cases.get(format!("route {path}: {what}"), path);
        get("no token").refused();
        get("a good token").bearer(&accounts).passes();
        get("a spoofed header").bearer(&accounts).header("x-jwt-sub", "mallory").passes();
        get("another issuer's").bearer(&partner).statuses("other-issuer", 401, 403);
    }
    let get = |path: &str, what: &str| cases.get(format!("route {path}: {what}"), path);
    get("/open/audiences", "the rule's audience").bearer(&admin).passes();
    get("/open/audiences", "the issuer's audience").bearer(&accounts).statuses(
        "audience-status",
        403,
        401,
    );
    get("/open/audiences", "no token").refused();
    get("/i/accounts/any", "what the route says, not the path").bearer(&partner).passes();
    get("/i/accounts/any", "no token").refused();
    for (what, token) in [("no token", None), ("a good token", Some(&accounts))] {
        let case = get("/open/unknown", &format!("a name that no rule has, {what}"));
        match token {
            Some(token) => case.bearer(token).refused(),
            None => case.refused(),
        }
    }
    get("/i/accounts/off", "no token").passes();
    get("/i/accounts/off", "a token, which nobody looks at").bearer(&accounts).passes();
    for name in ["x-jwt-sub", "x-jwt-payload", "X-JWT-Tenant"] {
        get("/i/accounts/off", &format!("spoofed {name}")).header(name, "mallory").passes();
    }
    // The name is the route's to give.
    for header in ["claimgate.rule", "x-claimgate-rule", "requirement-name"] {
        get("/i/partner", &format!("{header} in a header"))
            .bearer(&accounts)
            .header(header, "named")
            .statuses("other-issuer", 401, 403);
    }
}
