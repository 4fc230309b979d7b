//! The migration pages, held to the code: what they show is read by the programs that it is for, nothing of the pairs is
//! forgotten on our side, and what is said of differences is the table of this test. tests/documents asks the
//! configurations of the pages in deploy/docs the requests that stand beneath them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use claimgate::config::Config;
use claimgate::keys::key::Algorithm;
use serde_json::{Value, json};

use crate::case::{Case, Expect, Outcome, Verdict, judge};
use crate::client::Request;
use crate::echo;
use crate::envoy::{Envoy, Front, Setup};
use crate::service::TestService;
use crate::table::{Row, Stricter, TABLE};
use crate::tokens::Tokens;
use crate::{installed, run};

const PAGE: &str = include_str!("../../deploy/migration.md");

/// The pages of the others.
const ISTIO: &str = include_str!("../../deploy/docs/migration-istio.md");
const AUTHORINO: &str = include_str!("../../deploy/docs/migration-authorino.md");
const OPA: &str = include_str!("../../deploy/docs/migration-opa.md");

/// The one block of a page whose fence says this.
fn block(page: &'static str, says: &str) -> &'static str {
    let fence = format!("\n```{says}\n");
    let blocks: Vec<&str> = page.split(fence.as_str()).skip(1).collect();
    let [rest] = *blocks else { panic!("{} blocks of {says}", blocks.len()) };
    rest.split_once("```").expect("an end").0
}

#[test]
fn every_claimgate_block_is_a_configuration_for_production() {
    let of_others = [ISTIO, AUTHORINO, OPA].map(|page| block(page, "yaml"));
    for block in of_others.into_iter().chain([block(PAGE, "yaml claimgate")]) {
        let config = Config::from_yaml(block, Path::new("/")).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(config.weaknesses().len(), 0, "{block}");
    }
}

/// What Istio and Authorino make of theirs only they know; here, that nothing was forgotten on our side of the pair.
#[test]
fn what_the_others_name_is_named_in_our_block_beside_it() {
    for (page, theirs) in [(ISTIO, "yaml istio"), (AUTHORINO, "yaml authorino")] {
        let ours = words(&serde_saphyr::from_str::<Value>(block(page, "yaml")).unwrap());
        for document in block(page, theirs).split("---\n") {
            let document: Value = serde_saphyr::from_str(document).unwrap();
            assert!(document["apiVersion"].is_string() && document["kind"].is_string());
            for key in ["issuer", "issuerUrl", "jwksUri", "audiences", "claim", "header", "hosts"] {
                for word in named(&document["spec"], key) {
                    assert!(ours.contains(&word), "{theirs}: {key}: {word}");
                }
            }
        }
    }
}

/// Of a policy in Rego, what is in quotes and can be nothing but a name: URLs, scopes, headers.
#[test]
fn what_the_policy_for_opa_names_is_named_in_our_block_beside_it() {
    let ours = words(&serde_saphyr::from_str::<Value>(block(OPA, "yaml")).unwrap());
    let quoted = block(OPA, "rego opa").split('"').skip(1).step_by(2);
    let is_name = |word: &&str| word.contains(':') || word.starts_with("x-");
    let named: BTreeSet<&str> = quoted.filter(is_name).collect();
    assert_eq!(named.len(), 5, "{named:?}");
    for word in named {
        assert!(ours.contains(word), "{word}");
    }
}

/// Every string in `value`.
fn words(value: &Value) -> BTreeSet<String> {
    match value {
        Value::String(text) => BTreeSet::from([text.clone()]),
        Value::Array(all) => all.iter().flat_map(words).collect(),
        Value::Object(all) => all.values().flat_map(words).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => BTreeSet::new(),
    }
}

/// Every string under the key `key` in `value`.
fn named(value: &Value, key: &str) -> BTreeSet<String> {
    match value {
        Value::Array(all) => all.iter().flat_map(|one| named(one, key)).collect(),
        Value::Object(all) => {
            let below = all.values().flat_map(|one| named(one, key));
            all.get(key).map(words).unwrap_or_default().into_iter().chain(below).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => BTreeSet::new(),
    }
}

#[test]
fn the_page_has_every_difference_in_the_words_of_the_table() {
    let mut table = String::from("| difference | stricter | `jwt_authn` | claimgate |\n");
    table += "| --- | --- | --- | --- |\n";
    for Row { name, stricter, jwt_authn, claimgate } in TABLE {
        let stricter = match stricter {
            Stricter::Claimgate => "claimgate",
            Stricter::JwtAuthn => "`jwt_authn`",
            Stricter::Both => "each",
            Stricter::Neither => "neither",
        };
        table += &format!("| `{name}` | {stricter} | {jwt_authn} | {claimgate} |\n");
    }
    let (_, section) = PAGE.split_once("## Every difference\n").unwrap();
    let at = section.find("| difference").unwrap_or(section.len());
    let (_, found) = section.split_at(at);
    assert!(found == table, "deploy/migration.md ends in another table than this:\n\n{table}");
}

#[test]
fn what_to_look_at_first_names_rows_and_reasons_that_there_are() {
    let (_, section) = PAGE.split_once("## Look at these first\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    // What is in brackets, between backticks.
    let brackets = section.split("(`").skip(1).filter_map(|rest| rest.split_once("`)"));
    for (names, _) in brackets {
        for name in names.split("`, `") {
            let is_row = TABLE.iter().any(|row| row.name == name);
            let is_reason = claimgate::check::DenialReason::ALL.iter().any(|r| r.as_str() == name);
            assert!(is_row || is_reason, "{name}");
        }
    }
}

/// The pair of `jwt_authn`: Envoy takes the block as it is, both decide alike, and a claimgate that watches changes
/// nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_pair_for_jwt_authn_decides_alike() {
    let tokens = Tokens::new();
    let directory = tempfile::tempdir().unwrap();
    let keys = directory.path().join("keys.json");
    let published = json!({"keys": [tokens.key(Algorithm::Rs256).public_jwk()]});
    fs::write(&keys, published.to_string()).unwrap();

    // As on the page, but for a file that there is.
    let theirs: Value = serde_saphyr::from_str(block(PAGE, "yaml jwt_authn")).unwrap();
    let mut filter = theirs["http_filters"][0].clone();
    let providers = &mut filter["typed_config"]["providers"];
    providers["partner"]["local_jwks"]["filename"] = json!(keys);
    validate(&filter, &theirs["clusters"][0]);

    // The provider on the page is nowhere: its keys are those of the test.
    let accounts = &mut filter["typed_config"]["providers"]["accounts"];
    accounts["local_jwks"] = json!({"filename": keys});
    accounts.as_object_mut().unwrap().shift_remove("remote_jwks");
    let mut ours: Value = serde_saphyr::from_str(block(PAGE, "yaml claimgate")).unwrap();
    for issuer in ours["issuers"].as_array_mut().unwrap() {
        issuer["keys"] = json!([{"jwks": published}]);
    }
    let mut forwarding = ours.clone();
    forwarding["forward"]["keep_token"] = json!(true);
    let mut watching = ours.clone();
    watching["forward"] = json!({"keep_token": true});

    let mut setup = Setup::new(echo::start().await);
    let ours = TestService::start(ours).await;
    setup.add_pair(PAIR, Front::Shipped, filter.clone(), ours.grpc);
    let watching = TestService::start(watching).await;
    setup.add_before(WATCHED, &filter, watching.grpc, true);
    let forwarding = TestService::start(forwarding).await;
    setup.add_before(FORWARDED, &filter, forwarding.grpc, false);
    for service in [&ours, &watching, &forwarding] {
        service.until_ready().await;
    }
    let envoy = setup.start(&installed()).await;
    for case in cases(&tokens, PAIR) {
        let (jwt_authn, claimgate) = run(&envoy, &case).await;
        let judged = judge(&case.expect, &jwt_authn, &claimgate);
        judged.unwrap_or_else(|found| panic!("{}: {found}", case.name));
        hold_headers(&case, &claimgate);
    }
    // The steps: it watches, it forwards with the other one behind it, and it watched but went away.
    for case in cases(&tokens, WATCHED) {
        changes_nothing(&envoy, &case, "watched").await;
    }
    assert!(watching.metric(&["claimgate_checks_total", r#"decision="deny""#]).await > 0.0);
    let passing = cases(&tokens, FORWARDED).into_iter();
    for case in passing.filter(|case| matches!(case.expect, Expect::Passes)) {
        changes_nothing(&envoy, &case, "forwarded").await;
    }
    watching.stop().await.unwrap();
    for case in cases(&tokens, WATCHED) {
        changes_nothing(&envoy, &case, "claimgate is away").await;
    }
}

const PAIR: &str = "page";
const WATCHED: &str = "watched";
const FORWARDED: &str = "forwarded";

async fn changes_nothing(envoy: &Envoy, case: &Case, when: &str) {
    let (alone, with_claimgate) = run(envoy, case).await;
    assert_eq!(alone.verdict, with_claimgate.verdict, "{}, {when}", case.name);
    assert_eq!(alone.upstream, with_claimgate.upstream, "{}, {when}", case.name);
}

/// Envoy's own opinion of the block, with the cluster that it names.
fn validate(filter: &Value, cluster: &Value) {
    let somewhere = ([127, 0, 0, 1], 1).into();
    let mut setup = Setup::new(somewhere);
    setup.add_pair(PAIR, Front::Shipped, filter.clone(), somewhere);
    setup.add_cluster(cluster.clone());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("envoy.json");
    fs::write(&file, setup.config().to_string()).unwrap();
    let mut command = Command::new(installed());
    command.args(["--mode", "validate", "--log-level", "warning", "--disable-hot-restart", "-c"]);
    let output = command.arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("deprecated"), "{said}");
}

fn cases(tokens: &Tokens, world: &'static str) -> Vec<Case> {
    let token = |issuer, over: Value| {
        let header = json!({"kid": "RS256"});
        tokens.signed(issuer, tokens.key(Algorithm::Rs256), &header, &over)
    };
    let roles = json!({
        "realm_access": {"roles": ["admin"]}, "https://example.com/tenant": "acme",
    });
    let accounts = token("accounts", roles);
    let partner = token("partner", json!({}));
    let admin = token("accounts", json!({"aud": "admin"}));
    let expired = token("accounts", json!({"exp": 1}));
    let status = |jwt_authn, claimgate| Expect::Verdicts {
        row: "",
        jwt_authn: Verdict::Refused(jwt_authn),
        claimgate: Verdict::Refused(claimgate),
    };
    [
        ("/healthz", None, Expect::Passes),
        ("/orders", None, Expect::Refused),
        ("/orders", Some(&accounts), Expect::Passes),
        ("/orders", Some(&partner), Expect::Passes),
        ("/orders", Some(&expired), Expect::Refused),
        ("/orders", Some(&admin), status(403, 401)),
        ("/admin", Some(&admin), Expect::Passes),
        ("/admin/x", Some(&accounts), status(403, 401)),
        ("/admin/x", Some(&partner), status(401, 403)),
        ("/administrator", Some(&accounts), Expect::Passes),
        ("/catalog", None, Expect::Passes),
        ("/catalog/x", Some(&accounts), Expect::Passes),
        ("/catalog/x", Some(&expired), Expect::Refused),
    ]
    .into_iter()
    .map(|(path, token, expect)| {
        let mut request = Request::get(path);
        request.headers.push(("x-jwt-tenant".to_owned(), b"mallory".to_vec()));
        if let Some(token) = token {
            request.headers.push(("authorization".to_owned(), format!("Bearer {token}").into()));
        }
        let name = format!("{path}, {expect:?}");
        Case { name, world, front: Front::Shipped, request, expect, in_both_versions: true }
    })
    .collect()
}

/// So that "alike" is not "alike nothing": the headers of the page are there.
fn hold_headers(case: &Case, claimgate: &Outcome) {
    if case.request.target == "/catalog/x" && claimgate.verdict == Verdict::Passes {
        for header in ["x-jwt-sub", "x-jwt-roles", "x-jwt-tenant", "x-jwt-payload"] {
            assert!(claimgate.upstream.contains_key(header), "{header}");
        }
    }
}
