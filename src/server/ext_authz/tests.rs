//! The adapter, asked without a socket.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;
use bytes::BufMut as _;
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use prost_types::value::Kind;
use serde_json::json;
use tokio::time;

use super::*;
use crate::check::answer::AnswerSettings;
use crate::check::{Authorizer, PolicySnapshot};
use crate::config::Config;
use crate::issuer::SigningKey;
use crate::issuer::mint::mint;
use crate::keys::demand::{DemandSettings, KeyDemand, ReadEnd};
use crate::keys::jwks::Jwks;
use crate::keys::key::{Algorithm, AlgorithmSet};
use crate::keys::source::SourceKind;
use crate::keys::status::StatusBoard;
use crate::keys::store::{KeyStore, SourceId, SourceKeys};
use crate::proto::envoy::config::core::v3::{HeaderMap, HeaderValue, HeaderValueOption};
use crate::proto::envoy::service::auth::v3::attribute_context::{HttpRequest, Request as Part};
use crate::proto::envoy::service::auth::v3::check_response::HttpResponse;
use crate::proto::envoy::service::auth::v3::{self as wire, AttributeContext, CheckResponse};
use crate::server::checks::{MAX_WAITING, guarded};
use crate::server::generation::Generation;
use crate::server::record::Recorder;
use crate::telemetry::decision_log::DecisionLog;
use crate::telemetry::metrics::{Metrics, MetricsSettings};
use crate::telemetry::traces;
use crate::token::{SignedWith, Verifier};
use crate::util::clock::{ManualClock, Stopwatch, UnixTime};
use crate::util::label::Label;

const NOW: i64 = 1_800_000_000;

struct Fixture {
    key: SigningKey,
    service: ExtAuthz,
    checks: Arc<Checks>,
    /// For those who wait for them; never read by anybody.
    keys: Arc<KeyStore>,
}

impl Fixture {
    fn new() -> Self {
        Self::with_limit(8)
    }

    fn with_limit(max_concurrent: usize) -> Self {
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap().with_kid("one");
        let yaml = json!({
            "profile": "development",
            "issuers": [{
                "name": "accounts", "issuer": "https://accounts.example.com",
                "audiences": ["orders"], "algorithms": ["EdDSA"],
                "keys": [{"jwks": {"keys": [key.public_jwk()]}}],
            }],
            "forward": {"headers": [
                {"claim": "sub", "header": "x-jwt-sub"}, {"claim": "roles", "header": "x-jwt-roles"},
            ]},
            "rules": [
                {"name": "health", "match": {"path": "/healthz"}, "allow": "anyone"},
                {"name": "rest", "match": {"path_prefix": "/"}, "require": {"issuer": "accounts"}},
            ],
        });
        let config = Config::from_yaml(&yaml.to_string(), Path::new(".")).unwrap();
        let keys = Arc::new(KeyStore::new(&[1]));
        let sources = config
            .sources
            .iter()
            .map(|source| DemandSettings { id: source.id.clone(), wait: WAIT });
        let demand = Arc::new(KeyDemand::new(1, &sources.collect::<Vec<_>>(), &keys));
        for source in &config.sources {
            if let SourceKind::Inline(jwks) = &source.kind {
                keys.publish(&source.id, SourceKeys::new(jwks.clone(), None));
            }
        }
        let metrics = Metrics::new(MetricsSettings {
            rules: config.rules.rules().iter().map(|rule| rule.label.clone()).collect(),
            issuers: config.issuers.iter().map(|issuer| issuer.label.clone()).collect(),
            reasons: DenialReason::ALL.map(DenialReason::as_str).into(),
            algorithms: SignedWith::NAMES.into(),
            profile: "development",
            concurrent_checks: 100,
            cache_bytes: 1000,
        });
        let generation = Generation {
            authorizer: Authorizer::new(PolicySnapshot {
                rules: config.rules,
                tokens: config.tokens,
                verifier: Verifier::new(config.issuers.clone(), config.limits.token_bytes),
                keys: Arc::clone(&keys),
                cache: None,
                revocations: None,
                forward: config.forward,
                allows_preflight: config.allows_preflight,
            }),
            demand,
            answers: AnswerSettings::default(),
            concurrent_checks: max_concurrent,
            queue_time: Duration::from_secs(60),
            metrics,
            board: Arc::new(StatusBoard::new([])),
            issuers: config.issuers,
            keys: Arc::clone(&keys),
            traces: None,
            revocation: None,
            profile: "development",
        };
        let clock = Arc::new(ManualClock::new(UnixTime::from_secs(NOW).unwrap()));
        let current = Arc::new(ArcSwap::from_pointee(generation));
        let (tracer, _spans) = traces::queue(current.load().metrics.spans());
        let recorder = Recorder::new(DecisionLog::new(1), tracer);
        let checks = Arc::new(Checks::new(current, recorder, clock));
        let service = ExtAuthz::new(Arc::clone(&checks));
        Self { key, service, checks, keys }
    }

    fn token(&self) -> String {
        self.token_by(&self.key)
    }

    fn token_by(&self, key: &SigningKey) -> String {
        let claims = json!({
            "iss": "https://accounts.example.com", "aud": "orders", "sub": "alice", "exp": NOW + 60,
        });
        format!("Bearer {}", mint(key, &claims).unwrap())
    }

    async fn ask(&self, request: wire::CheckRequest) -> CheckResponse {
        self.ask_within(request, None).await
    }

    async fn ask_within(
        &self,
        request: wire::CheckRequest,
        timeout: Option<&str>,
    ) -> CheckResponse {
        let mut message = call::framed(request.encoded_len());
        message.put(&*request.encode_to_vec());
        let mut call = Request::post(CHECK_PATH).body(Full::new(message.freeze())).unwrap();
        if let Some(timeout) = timeout {
            call.headers_mut().insert("grpc-timeout", timeout.parse().unwrap());
        }
        answered(self.service.call(call).await.unwrap()).await
    }

    async fn ask_http(&self, http: HttpRequest) -> CheckResponse {
        self.ask(with_http(Some(http))).await
    }
}

async fn answered(response: Response<AnswerBody>) -> CheckResponse {
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
    decoded(&body.to_bytes())
}

fn decoded(framed: &Bytes) -> CheckResponse {
    CheckResponse::decode(framed.slice(5..)).unwrap()
}

fn with_http(http: Option<HttpRequest>) -> wire::CheckRequest {
    let request = Some(Part { http, ..Part::default() });
    let attributes = Some(AttributeContext { request, ..AttributeContext::default() });
    wire::CheckRequest { attributes }
}

fn get(path: &str, headers: &[(&str, &str)]) -> HttpRequest {
    HttpRequest {
        method: "GET".to_owned(),
        host: "orders.example.com".to_owned(),
        path: path.to_owned(),
        headers: headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        ..HttpRequest::default()
    }
}

fn raw(headers: &[(&str, &[u8])]) -> Option<HeaderMap> {
    let header = |(key, value): &(&str, &[u8])| HeaderValue {
        key: (*key).to_owned(),
        value: String::new(),
        raw_value: value.to_vec(),
    };
    Some(HeaderMap { headers: headers.iter().map(header).collect() })
}

/// The reason, once it is sure that this is a denial whichever part of it is read.
fn denied_for(response: &CheckResponse) -> String {
    assert_ne!(response.status.as_ref().map_or(0, |status| status.code), 0);
    let Some(HttpResponse::DeniedResponse(denied)) = &response.http_response else {
        panic!("no denied_response in {response:?}")
    };
    let code = denied.status.as_ref().map_or(0, |status| status.code);
    assert!([401, 403, 503].contains(&code), "{code}");
    denied.headers.iter().for_each(assert_overwrites);
    let header = denied.headers.iter().filter_map(|option| option.header.as_ref());
    let reasons: Vec<_> = header.filter(|header| header.key == "x-ext-auth-reason").collect();
    let fields = &response.dynamic_metadata.as_ref().unwrap().fields;
    let Some(Kind::StringValue(reason)) = &fields["reason"].kind else { panic!("no reason") };
    assert_eq!(reasons.len(), 1);
    assert_eq!(reasons[0].value, *reason);
    reason.clone()
}

fn assert_overwrites(option: &HeaderValueOption) {
    assert_eq!(option.append, Some(false));
    assert_eq!(option.append_action, 2, "OVERWRITE_IF_EXISTS_OR_ADD");
    assert!(option.header.as_ref().unwrap().raw_value.is_empty());
}

fn allowed(response: CheckResponse) -> (BTreeMap<String, String>, BTreeSet<String>) {
    assert_eq!(response.status.unwrap().code, 0);
    let Some(HttpResponse::OkResponse(ok)) = response.http_response else { panic!("no ok") };
    ok.headers.iter().for_each(assert_overwrites);
    let set = ok.headers.into_iter().filter_map(|option| option.header);
    let set: BTreeMap<_, _> = set.map(|header| (header.key, header.value)).collect();
    let remove: BTreeSet<_> = ok.headers_to_remove.into_iter().collect();
    assert!(set.keys().all(|name| !remove.contains(name)), "{set:?} and {remove:?} overlap");
    (set, remove)
}

#[tokio::test]
async fn a_good_token_passes_and_its_claims_overwrite() {
    let fixture = Fixture::new();
    let headers = [("authorization", &*fixture.token()), ("x_jwt_sub", "mallory")];
    let (set, remove) = allowed(fixture.ask_http(get("/orders", &headers)).await);
    assert_eq!(set, BTreeMap::from([("x-jwt-sub".to_owned(), "alice".to_owned())]));
    assert!(remove.contains("x_jwt_sub") && remove.contains("x-jwt-roles"), "{remove:?}");
}

#[tokio::test]
async fn a_header_map_of_raw_values_is_read_like_the_joined_headers() {
    let fixture = Fixture::new();
    let header_map = raw(&[("authorization", fixture.token().as_bytes())]);
    let request = HttpRequest { header_map, ..get("/orders", &[]) };
    let (set, _) = allowed(fixture.ask_http(request).await);
    assert_eq!(set["x-jwt-sub"], "alice");
    let twice = raw(&[
        ("authorization", fixture.token().as_bytes()),
        ("Authorization", fixture.token().as_bytes()),
    ]);
    let request = HttpRequest { header_map: twice, ..get("/orders", &[]) };
    assert_eq!(denied_for(&fixture.ask_http(request).await), "multiple_tokens");
}

#[tokio::test]
async fn whatever_the_wire_can_hold_is_denied_and_not_failed() {
    let fixture = Fixture::new();
    let no_request = AttributeContext::default();
    let connect = HttpRequest { method: "CONNECT".to_owned(), path: String::new(), ..get("", &[]) };
    let large = "a".repeat(1_000_000);
    for (request, reason) in [
        (wire::CheckRequest::default(), "malformed"),
        (wire::CheckRequest { attributes: Some(no_request) }, "malformed"),
        (with_http(None), "malformed"),
        (with_http(Some(HttpRequest::default())), "missing_token"),
        (with_http(Some(connect)), "missing_token"),
        (with_http(Some(get("/orders", &[("x-large", &*large)]))), "missing_token"),
        (with_http(Some(get("/orders", &[("authorization", "Bearer !")]))), "malformed"),
        (
            with_http(Some(HttpRequest {
                header_map: raw(&[("authorization", b"Bearer \xff\xff.a.b")]),
                ..get("/orders", &[])
            })),
            "malformed",
        ),
    ] {
        assert_eq!(denied_for(&fixture.ask(request).await), reason);
    }
}

#[test]
fn a_panic_in_a_check_is_a_denial() {
    let decision = guarded(|| panic!("a bug"));
    assert_eq!(decision, before_any_rule(DenialReason::Internal));
}

#[tokio::test]
async fn beyond_the_limit_checks_are_denied_and_the_limit_recovers() {
    let fixture = Fixture::with_limit(1);
    let running = fixture.checks.arrived();
    assert_eq!(denied_for(&fixture.ask_http(get("/healthz", &[])).await), "overloaded");
    drop(running);
    allowed(fixture.ask_http(get("/healthz", &[])).await);
}

#[tokio::test]
async fn a_caller_without_time_left_gets_no_check() {
    let fixture = Fixture::new();
    for (timeout, reason) in
        [("0m", Some("overloaded")), ("000n", Some("overloaded")), ("10S", None)]
    {
        let answer = fixture.ask_within(with_http(Some(get("/healthz", &[]))), Some(timeout)).await;
        match reason {
            Some(reason) => assert_eq!(denied_for(&answer), reason),
            None => drop(allowed(answer)),
        }
    }
}

/// How long a check waits for a key: on a paused clock it costs nothing, and no stall of the machine comes near it.
const WAIT: Duration = Duration::from_secs(30);

/// How long a check with a kid that nobody publishes took, by the paused clock, and why it was denied.
async fn wait_for_a_missing_key(fixture: &Fixture, timeout: Option<&'static str>) -> Duration {
    let stranger = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let authorization = fixture.token_by(&stranger);
    let request = with_http(Some(get("/orders", &[("authorization", &authorization)])));
    let began = time::Instant::now();
    let answer = fixture.ask_within(request, timeout).await;
    assert_eq!(denied_for(&answer), "unknown_kid");
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_check_waits_for_a_missing_key_within_its_own_bound_and_its_callers_deadline() {
    for (timeout, waited) in [
        (None, WAIT),
        (Some("1M"), WAIT),
        (Some("20S"), Duration::from_millis(19_980)),
        (Some("19000000u"), Duration::from_millis(18_980)),
        (Some("100S"), WAIT),
        (Some("soon"), WAIT),
        (Some("999999999S"), WAIT),
    ] {
        let real = Stopwatch::start();
        let took = wait_for_a_missing_key(&Fixture::new(), timeout).await;
        // What has passed of the deadline has, whatever the paused clock says.
        assert!(took + real.elapsed() >= waited, "{timeout:?}: {took:?}");
        // The timer counts whole milliseconds and rounds up.
        assert!(took <= waited + Duration::from_millis(2), "{timeout:?}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_arrives_while_a_check_waits_lets_it_pass() {
    let fixture = Fixture::new();
    let rotated = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let authorization = fixture.token_by(&rotated);
    let source = SourceId { issuer: Label::new(0, "accounts"), source: Label::new(0, "0") };
    let reader = fixture.checks.current().demand.reader(&source).unwrap();
    let arrives = async {
        reader.asked().await;
        reader.begins();
        let document = json!({"keys": [fixture.key.public_jwk(), rotated.public_jwk()]});
        let accepted = AlgorithmSet::from_iter([Algorithm::EdDsa]);
        let jwks = Jwks::parse(document.to_string().as_bytes(), accepted, 10).unwrap();
        fixture.keys.publish(&source, SourceKeys::new(jwks, None));
        reader.ended(ReadEnd::Changed, UnixTime::from_secs(NOW).unwrap());
    };
    let asks = fixture.ask_http(get("/orders", &[("authorization", &authorization)]));
    let (answer, ()) = tokio::join!(asks, arrives);
    allowed(answer);
    let found = r#"claimgate_jwks_unknown_kid_total{issuer="accounts",outcome="found"} 1"#;
    assert!(fixture.checks.current().metrics.render().contains(found));
}

#[tokio::test(start_paused = true)]
async fn checks_that_wait_take_no_place_of_others_and_are_limited_themselves() {
    let fixture = Fixture::with_limit(1);
    let asks = wait_for_a_missing_key(&fixture, None);
    let meanwhile = async {
        tokio::task::yield_now().await;
        assert_eq!(fixture.checks.waiting.load(Ordering::Relaxed), 1);
        allowed(fixture.ask_http(get("/healthz", &[])).await);
        fixture.checks.waiting.store(MAX_WAITING, Ordering::Relaxed);
        let took = wait_for_a_missing_key(&fixture, None).await;
        assert_eq!(took, Duration::ZERO);
        fixture.checks.waiting.store(1, Ordering::Relaxed);
    };
    tokio::join!(asks, meanwhile);
    let checks = &fixture.checks;
    let under_way = checks.current().metrics.under_way().count();
    assert_eq!((under_way, checks.waiting.load(Ordering::Relaxed)), (0, 0));
}

#[tokio::test]
async fn a_check_whose_turn_comes_too_late_is_answered_at_once_and_the_next_one_is_decided() {
    let fixture = Fixture::new();
    let message = with_http(Some(get("/healthz", &[]))).encode_to_vec();
    let long = Duration::from_secs(100);
    for (deadline, waited, is_decided) in [
        (None, Duration::ZERO, true),
        (None, Duration::from_secs(60), false),
        (Some(long), Duration::from_secs(45), true),
        (Some(long), Duration::from_secs(50), false),
        (Some(3 * long), Duration::from_secs(60), false),
    ] {
        let arrival = fixture.checks.arrived().with_deadline(deadline).long_ago(waited);
        let answer = decoded(&fixture.service.answer(&message, arrival).await);
        if is_decided {
            drop(allowed(answer));
        } else {
            assert_eq!(denied_for(&answer), "overloaded", "{deadline:?} {waited:?}");
        }
    }
    assert_eq!(fixture.checks.current().metrics.under_way().count(), 0);
}

/// Asked before and polled later: what waits in between counts.
#[tokio::test]
async fn a_call_arrives_when_it_is_made_and_not_when_its_turn_comes() {
    let fixture = Fixture::with_limit(1);
    let call = || {
        let encoded = with_http(Some(get("/healthz", &[]))).encode_to_vec();
        let mut message = call::framed(encoded.len());
        message.put(&*encoded);
        fixture.service.call(Request::post(CHECK_PATH).body(Full::new(message.freeze())).unwrap())
    };
    let (first, second) = (call(), call());
    assert_eq!(fixture.checks.current().metrics.under_way().count(), 2);
    assert_eq!(denied_for(&answered(second.await.unwrap()).await), "overloaded");
    drop(first);
    assert_eq!(fixture.checks.current().metrics.under_way().count(), 0);
}

#[tokio::test]
async fn what_is_no_message_is_a_denial_and_no_grpc_error() {
    let fixture = Fixture::new();
    let good = with_http(Some(get("/healthz", &[]))).encode_to_vec();
    let mut compressed = vec![1, 0, 0, 0, good.len() as u8];
    compressed.extend(&good);
    let too_long = vec![0, 0xff, 0xff, 0xff, 0xff, 0];
    for sent in [vec![], vec![0], compressed, too_long, b"\0\0\0\0\x03\x0a\x7f\x22".to_vec()] {
        let call = Request::post(CHECK_PATH).body(Full::new(Bytes::from(sent))).unwrap();
        let answer = answered(fixture.service.call(call).await.unwrap()).await;
        assert_eq!(denied_for(&answer), "malformed");
    }
}

#[tokio::test]
async fn each_check_is_counted_once_and_none_stays_in_flight() {
    let fixture = Fixture::new();
    fixture.ask_http(get("/healthz", &[])).await;
    fixture.ask_http(get("/orders", &[])).await;
    let metrics = fixture.checks.current().metrics.render();
    for line in [
        r#"claimgate_checks_total{rule="health",issuer="none",decision="allow",reason="none"} 1"#,
        r#"claimgate_checks_total{rule="rest",issuer="none",decision="deny",reason="missing_token"} 1"#,
        "claimgate_inflight_checks 0",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

#[test]
fn a_call_is_small_enough_to_be_moved_about() {
    let call = Request::post(CHECK_PATH).body(Full::new(Bytes::new())).unwrap();
    let size = size_of_val(&Fixture::new().service.call(call));
    assert!(size < 1024, "{size} bytes");
}
