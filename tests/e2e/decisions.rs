//! What Envoy makes of a decision: metadata that its other filters and its log read, rules named by its routes, tokens
//! taken out of cookies and queries, headers for the caller, and a rule that only watches.

use claimgate::app::Options;
use claimgate::config::Config;
use claimgate::issuer::SigningKey;
use claimgate::keys::key::Algorithm;
use claimgate::util::clock::{Clock as _, SystemClock};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::envoy::{Envoy, manager, pass_on_to, shipped, tcp};
use crate::kept::mint;
use crate::service::{TestService, configuration, eventually};
use crate::upstream::Upstream;

/// An Envoy with the shipped configuration, changed by the test, between a client and an upstream.
struct Scene {
    key: SigningKey,
    service: TestService,
    envoy: Envoy,
    _upstream: Upstream,
    url: String,
}

impl Scene {
    async fn start(policy: Value, change: impl FnOnce(&mut Value)) -> Self {
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap().with_kid("one");
        let mut config = json!({
            "profile": "development",
            "issuers": [{
                "name": "accounts", "issuer": "https://accounts.example.com", "audiences": ["orders"],
                "algorithms": ["EdDSA"], "keys": [{"jwks": {"keys": [key.public_jwk()]}}],
            }],
        });
        for (name, value) in policy.as_object().unwrap() {
            config[name] = value.clone();
        }
        let config: Config = configuration(config, 0);
        let service = TestService::run(config, Options::default()).await;
        let upstream = Upstream::start().await;
        let mut envoy = shipped("envoy.yaml", &[tcp(service.grpc)]);
        pass_on_to(&mut envoy, upstream.address);
        // On a busy machine a quarter of a second passes without anybody's fault.
        let ext_authz = &mut manager(&mut envoy)["http_filters"][1]["typed_config"];
        ext_authz["grpc_service"]["timeout"] = "10s".into();
        change(&mut envoy);
        let envoy = Envoy::start(&envoy);
        let url = format!("http://{}", envoy.ingress().await);
        Self { key, service, envoy, _upstream: upstream, url }
    }

    fn token(&self, over: &Value) -> String {
        let now = SystemClock.now().as_millis().div_euclid(1000);
        let mut claims = json!({
            "iss": "https://accounts.example.com", "aud": "orders", "sub": "alice", "exp": now + 300,
        });
        for (name, value) in over.as_object().unwrap() {
            claims[name] = value.clone();
        }
        mint(&self.key, &claims).unwrap()
    }

    async fn get(&self, target: &str, headers: &[(&str, &str)]) -> Response {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut request = client.get(format!("{}{target}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    async fn get_with(&self, target: &str, claims: Value) -> Response {
        let bearer = format!("Bearer {}", self.token(&claims));
        self.get(target, &[("authorization", &bearer)]).await
    }
}

/// The values that the upstream saw under a name.
async fn seen(response: Response) -> impl Fn(&str) -> Vec<String> {
    assert_eq!(response.status(), StatusCode::OK);
    let text = response.text().await.unwrap();
    let pairs: Vec<[String; 2]> = serde_json::from_str(&text).unwrap();
    move |wanted| {
        let named = pairs.iter().filter(|[name, _]| name == wanted);
        named.map(|[_, value]| value.clone()).collect()
    }
}

#[tokio::test]
async fn envoys_rbac_filter_and_its_access_log_read_the_verified_claims() {
    let policy = json!({
        "forward": {"metadata": true},
        "rules": [
            {"name": "open", "match": {"path": "/open"}, "allow": "anyone"},
            {"name": "rest", "require": {"issuer": "accounts"}},
        ],
    });
    let scene = Scene::start(policy, |envoy| {
        let path = |keys: &[&str]| -> Vec<Value> {
            keys.iter().map(|key| json!({ "key": key })).collect()
        };
        let claim = |keys: &[&str], value: Value| {
            json!({"metadata": {
                "filter": "envoy.filters.http.ext_authz", "path": path(keys), "value": value,
            }})
        };
        let principal = json!({"and_ids": {"ids": [
            claim(&["claims", "tenant", "name"], json!({"string_match": {"exact": "contoso"}})),
            claim(&["scopes"], json!({"list_match": {"one_of": {"string_match": {"exact": "write"}}}})),
            claim(&["claims", "level"], json!({"double_match": {"exact": 3}})),
            claim(&["claims", "big"], json!({"string_match": {"exact": "9007199254740993"}})),
            claim(&["header", "kid"], json!({"string_match": {"exact": "one"}})),
            claim(&["issuer"], json!({"string_match": {"exact": "accounts"}})),
        ]}});
        let rbac = json!({
            "name": "envoy.filters.http.rbac",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
                "rules": {"action": "ALLOW", "policies": {"tenant": {
                    "permissions": [{"any": true}], "principals": [principal],
                }}},
            },
        });
        let manager = manager(envoy);
        manager["http_filters"].as_array_mut().unwrap().insert(2, rbac);
        let log = &mut manager["access_log"][0]["typed_config"]["log_format"]["json_format"];
        log["tenant"] = "%DYNAMIC_METADATA(envoy.filters.http.ext_authz:claims:tenant:name)%".into();
        log["rule"] = "%DYNAMIC_METADATA(envoy.filters.http.ext_authz:rule)%".into();
    })
    .await;
    let tenant = |name: &str| {
        json!({
            "tenant": {"name": name}, "scope": "read write", "level": 3, "big": 9_007_199_254_740_993_i64,
        })
    };
    assert_eq!(scene.get_with("/a", tenant("contoso")).await.status(), 200);
    assert_eq!(scene.get_with("/b", tenant("fabrikam")).await.status(), 403);
    // Where nobody proved anything, Envoy is told nothing.
    assert_eq!(scene.get("/open", &[]).await.status(), 403);
    assert_eq!(scene.get("/denied", &[]).await.status(), 401);
    eventually("logged", async || scene.envoy.access_log().contains("/denied")).await;
    let log = scene.envoy.access_log();
    let line = |path: &str| -> Value {
        let line = log.lines().find(|line| line.contains(path)).unwrap();
        serde_json::from_str(line).unwrap()
    };
    assert_eq!((&line("/a")["tenant"], &line("/a")["rule"]), (&json!("contoso"), &json!("rest")));
    assert_eq!(line("/b")["tenant"], "fabrikam");
    assert_eq!(line("/open")["tenant"], Value::Null);
    assert_eq!(line("/denied")["reason"], "missing_token");
    scene.service.stop().await.unwrap();
}

#[tokio::test]
async fn a_route_names_its_rule_and_a_name_that_is_unknown_denies() {
    let policy = json!({
        "rules": [
            {"name": "admin", "by_name_only": true, "require": {"issuer": "accounts", "scopes": ["admin"]}},
            {"name": "public", "by_name_only": true, "allow": "anyone"},
            {"name": "rest", "require": {"issuer": "accounts"}},
        ],
    });
    let scene = Scene::start(policy, |envoy| {
        let route = |prefix: &str, rule: &str| {
            let per_route = json!({
                "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute",
                "check_settings": {"context_extensions": {"claimgate.rule": rule}},
            });
            json!({
                "match": {"prefix": prefix}, "route": {"cluster": "upstream"},
                "typed_per_filter_config": {"envoy.filters.http.ext_authz": per_route},
            })
        };
        let routes = &mut manager(envoy)["route_config"]["virtual_hosts"][0]["routes"];
        let routes = routes.as_array_mut().unwrap();
        let named = [route("/admin", "admin"), route("/public", "public"), route("/typo", "pubilc")];
        routes.splice(0..0, named);
    })
    .await;
    for (path, claims, status) in [
        ("/admin", json!({}), 403),
        ("/admin", json!({"scope": "admin"}), 200),
        ("/typo", json!({"scope": "admin"}), 403),
        ("/other", json!({}), 200),
    ] {
        assert_eq!(scene.get_with(path, claims.clone()).await.status(), status, "{path} {claims}");
    }
    assert_eq!(scene.get("/public", &[]).await.status(), 200);
    // Who asks cannot name one.
    let named = [("claimgate.rule", "public"), ("claimgate-rule", "public")];
    assert_eq!(scene.get("/other", &named).await.status(), 401);
    scene.service.stop().await.unwrap();
}

#[tokio::test]
async fn a_route_is_chosen_by_verified_claims_and_not_by_what_a_client_sent() {
    let policy = json!({
        "forward": {"headers": [{"claim": "sub", "header": "x-jwt-sub"}]},
        "rules": [
            {"name": "open", "match": {"path": "/open"}, "allow": "anyone"},
            {"name": "rest", "require": {"issuer": "accounts"}},
        ],
    });
    let scene = Scene::start(policy, |envoy| {
        let manager = manager(envoy);
        // As in an Envoy that relies on claimgate alone.
        manager["http_filters"].as_array_mut().unwrap().remove(0);
        manager["http_filters"][0]["typed_config"]["clear_route_cache"] = true.into();
        let alices = json!({
            "match": {
                "prefix": "/", "headers": [{"name": "x-jwt-sub", "string_match": {"exact": "alice"}}],
            },
            "route": {"cluster": "upstream"},
            "request_headers_to_add": [{"header": {"key": "x-route", "value": "alices"}}],
        });
        let routes = &mut manager["route_config"]["virtual_hosts"][0]["routes"];
        routes.as_array_mut().unwrap().insert(0, alices);
    })
    .await;
    for (path, sub, sent, alices) in [
        ("/a", Some("alice"), None, true),
        ("/a", Some("alice"), Some("bob"), true),
        ("/a", Some("bob"), Some("alice"), false),
        ("/open", None, Some("alice"), false),
    ] {
        let bearer = sub.map(|sub| format!("Bearer {}", scene.token(&json!({"sub": sub}))));
        let mut headers: Vec<(&str, &str)> = Vec::new();
        headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
        headers.extend(sent.map(|sent| ("x-jwt-sub", sent)));
        let seen_by = seen(scene.get(path, &headers).await).await;
        assert_eq!(seen_by("x-route").len(), usize::from(alices), "{path} {sub:?} {sent:?}");
    }
    scene.service.stop().await.unwrap();
}

#[tokio::test]
async fn tokens_are_taken_out_of_cookies_and_queries_however_they_are_spelled() {
    let policy = json!({
        "tokens": [{"cookie": "jwt"}, {"query": "access_token"}],
        "forward": {"headers": [{"claim": "sub", "header": "x-jwt-sub"}]},
        "rules": [{"name": "rest", "require": {"issuer": "accounts"}}],
    });
    let scene = Scene::start(policy, |_| {}).await;
    let token = scene.token(&json!({}));

    let cookie = format!("a=1; jwt={token}; b=2");
    let seen_by = seen(scene.get("/x?y=1", &[("cookie", &cookie)]).await).await;
    assert_eq!(seen_by("cookie"), ["a=1; b=2"]);
    assert_eq!(seen_by("x-jwt-sub"), ["alice"]);

    // Over HTTP/1 two fields arrive joined by a comma.
    let alone = format!("jwt={token}");
    let seen_by = seen(scene.get("/x", &[("cookie", "a=1"), ("cookie", &alone)]).await).await;
    assert_eq!(seen_by("cookie"), ["a=1"]);
    let seen_by = seen(scene.get("/x", &[("cookie", &alone)]).await).await;
    assert!(seen_by("cookie").is_empty());

    for name in ["access_token", "access%5Ftoken", "%61ccess%5ftoken"] {
        let target = format!("/x?b=1&{name}={token}");
        let seen_by = seen(scene.get(&target, &[]).await).await;
        assert_eq!(seen_by(":path"), ["/x?b=1"], "{name}");
        assert_eq!(seen_by("x-jwt-sub"), ["alice"], "{name}");
    }
    // Envoy writes what is left of the query anew: in order, and each with a `=`. Escapes stay.
    let target = format!("/x?z&a=1%26b%3D2&access_token={token}");
    let seen_by = seen(scene.get(&target, &[]).await).await;
    assert_eq!(seen_by(":path"), ["/x?a=1%26b%3D2&z="]);
    let both = format!("/x?access_token={token}");
    assert_eq!(scene.get(&both, &[("cookie", &alone)]).await.status(), 401);
    scene.service.stop().await.unwrap();
}

#[tokio::test]
async fn the_caller_gets_headers_of_its_own_and_a_shadow_rule_only_watches() {
    let policy = json!({
        "cors_preflight": "allow",
        "forward": {
            "headers": [{"claim": "sub", "header": "x-jwt-sub"}],
            "response_headers": [{"claim": "sub", "header": "x-user"}],
        },
        "rules": [
            {"name": "new", "match": {"path_template": "/new/{id}"}, "mode": "shadow",
             "require": {"issuer": "accounts", "scopes": ["new"]}},
            {"name": "rest", "require": {"issuer": "accounts"}},
        ],
    });
    let scene = Scene::start(policy, |envoy| {
        let log = &mut manager(envoy)["access_log"][0]["typed_config"]["log_format"]["json_format"];
        log["would_deny"] = "%DYNAMIC_METADATA(envoy.filters.http.ext_authz:would_deny)%".into();
    })
    .await;
    let response = scene.get_with("/rest", json!({})).await;
    assert_eq!(response.headers()["x-user"], "alice");

    let bearer = format!("Bearer {}", scene.token(&json!({})));
    let spoofed = [("authorization", bearer.as_str()), ("x-jwt-sub", "mallory")];
    let response = scene.get("/new/7", &spoofed).await;
    assert!(response.headers().get("x-user").is_none());
    let seen_by = seen(response).await;
    assert!(seen_by("x-jwt-sub").is_empty() && seen_by("authorization").is_empty());
    let seen_by = seen(scene.get_with("/new/7", json!({"scope": "new"})).await).await;
    assert_eq!(seen_by("x-jwt-sub"), ["alice"]);
    let counted = scene.service.metric(&["checks_total", "would_deny", "insufficient_scope"]).await;
    assert_eq!(counted, 1.0);
    eventually("logged", async || {
        scene.envoy.access_log().contains(r#""would_deny":"insufficient_scope""#)
    })
    .await;

    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = |preflight: bool| {
        let options = client.request(reqwest::Method::OPTIONS, format!("{}/rest", scene.url));
        let options = options.header("origin", "https://app.example.com");
        if preflight { options.header("access-control-request-method", "PUT") } else { options }
    };
    assert_eq!(ask(true).send().await.unwrap().status(), 200);
    assert_eq!(ask(false).send().await.unwrap().status(), 401);
    scene.service.stop().await.unwrap();
}

/// An answer that Envoy cannot read is an error to it, and where errors let pass, the client's own headers go on.
#[tokio::test]
async fn claims_as_deep_as_a_token_may_have_make_no_answer_that_envoy_cannot_read() {
    let policy = json!({
        "forward": {"headers": [{"claim": "sub", "header": "x-jwt-sub"}], "metadata": true},
        "rules": [{"name": "rest", "require": {"issuer": "accounts"}}],
    });
    let scene = Scene::start(policy, |envoy| {
        let manager = manager(envoy);
        manager["http_filters"].as_array_mut().unwrap().remove(0);
        manager["http_filters"][0]["typed_config"]["failure_mode_allow"] = true.into();
    })
    .await;
    for (open, close) in [("{\"a\":", "}"), ("[", "]")] {
        let nested = format!("{}1{}", open.repeat(32), close.repeat(32));
        let deep: Value = serde_json::from_str(&nested).unwrap();
        let bearer = format!("Bearer {}", scene.token(&json!({ "deep": deep })));
        let headers = [("authorization", bearer.as_str()), ("x-jwt-sub", "mallory")];
        let seen_by = seen(scene.get("/x", &headers).await).await;
        assert_eq!(seen_by("x-jwt-sub"), ["alice"], "{open}");
    }
    scene.service.stop().await.unwrap();
}
