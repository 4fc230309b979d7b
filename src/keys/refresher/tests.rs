//! Drives a [`KeyRefresher`] attempt by attempt against providers and files that misbehave. The provider
//! plays a script: one connection, one answer.

use std::collections::VecDeque;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time;
use url::Url;

use super::super::jwks::Jwks;
use super::super::key::{Algorithm, AlgorithmSet};
use super::super::source::discovery::Discovery;
use super::super::source::{FILE_POLL, RefreshSettings, SourceKind};
use super::super::status::{Origin, Persistence, SourceStatus};
use super::super::store::{KeyLookup, SourceId};
use super::super::testing::{ed25519_jwk, set};
use super::*;
use crate::keys::disk;
use crate::util::clock::ManualClock;
use crate::util::label::Label;

/// In every bad answer, and in no report.
const MARKER: &str = "marker-of-the-body";

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test]
async fn publishes_what_it_fetched_and_comes_back_within_four_fifths_of_the_freshness() {
    let script = [ok(&["a", "b"]), ok_with("Cache-Control: max-age=1000", &["a"])];
    let provider = Provider::start(script).await;
    let mut rig = Rig::url(&provider);
    assert!(rig.is_unavailable("a"));
    let wait = rig.refresh().await;
    assert!((24..=240).contains(&wait.as_secs()), "anywhere in 80 % of five minutes: {wait:?}");
    assert!(rig.has("a") && rig.has("b") && !rig.has("c"));
    let status = rig.status();
    assert_eq!(
        (status.origin, status.kids),
        (Origin::Network, vec!["a".to_owned(), "b".to_owned()])
    );
    assert_eq!((status.last_success, status.last_error), (Some(rig.clock.now()), None));
    assert_eq!(status.usable_until, Some(rig.clock.now().saturating_add(DAY)));
    assert_eq!(status.next_refresh, Some(rig.clock.now().saturating_add(wait)));
    let wait = rig.refresh().await;
    assert!((720..=880).contains(&wait.as_secs()), "80 % of max-age ± 10 %, not {wait:?}");
}

#[tokio::test]
async fn asks_for_json_under_its_own_name_and_for_no_compression() {
    let provider = Provider::start([ok(&["a"])]).await;
    Rig::url(&provider).refresh().await;
    let request = provider.requests().remove(0).to_lowercase();
    assert!(request.starts_with("get /jwks http/1.1\r\n"), "{request}");
    assert!(request.contains("\r\naccept: application/json, application/jwk-set+json\r\n"));
    assert!(request.contains(concat!("\r\nuser-agent: claimgate/", env!("CARGO_PKG_VERSION"))));
    assert!(!request.contains("accept-encoding") && !request.contains("if-none-match"));
}

#[tokio::test]
async fn no_bad_answer_replaces_the_good_keys_and_the_next_good_one_is_taken() {
    let good = ok(&["a"]);
    let body = set(&[ed25519_jwk("evil")]);
    let truncated = body.get(..body.len() - 9).unwrap_or_default();
    let odd = json!({"keys": [{"kty": "oct", "k": MARKER}]}).to_string();
    let huge = format!("{{\"keys\":[],\"{MARKER}\":\"{}\"}}", "x".repeat(70_000));
    let html = format!("<html>{MARKER}</html>");
    let object = format!("{{\"error\":\"{MARKER}\"}}");
    let cases = [
        (reply("200 OK", "Content-Type: text/html", &html), "not a JSON object"),
        (reply("200 OK", "", &object), "no \"keys\" array"),
        (reply("200 OK", "", ""), "not a JSON object"),
        (reply("200 OK", "", "null"), "not a JSON object"),
        (reply("200 OK", "", &format!("[{body}]")), "not a JSON object"),
        (reply("200 OK", "", truncated), "not a JSON object"),
        (reply("200 OK", "", "{\"keys\":[]}"), "no usable key (it is empty)"),
        (reply("200 OK", "", &odd), "no usable key (1 symmetric_key)"),
        (reply("200 OK", "Content-Encoding: gzip", "\u{1f}\u{8b}"), "not a JSON object"),
        (reply("203 Non-Authoritative Information", "", &body), "answered 203"),
        (reply("204 No Content", "", ""), "answered 204"),
        (reply("206 Partial Content", "", &body), "answered 206"),
        (reply("304 Not Modified", "", ""), "answered 304"),
        (reply("404 Not Found", "", &body), "answered 404"),
        (reply("500 Internal Server Error", "", &body), "answered 500"),
        (reply("200 OK", "", &huge), "longer than the limit of 65536 bytes"),
        (chunked(&huge), "longer than the limit of 65536 bytes"),
        (Reply::Whole(b"SSH-2.0-x\r\n".to_vec()), "cannot be read"),
        (Reply::Whole(Vec::new()), "cannot be read"),
        (cut_off(&body), "cannot be read"),
    ];
    for (bad, expected) in cases {
        let name = format!("{bad:?}");
        let provider = Provider::start([good.clone(), bad, ok(&["b"])]).await;
        let mut rig = Rig::url(&provider);
        rig.refresh().await;
        assert!(rig.has("a"), "{name}");
        let wait = rig.refresh().await;
        assert!(wait <= Duration::from_secs(1), "{name}: {wait:?}");
        assert!(rig.has("a") && !rig.has("evil"), "{name}");
        assert_eq!(rig.store.load().changes(), 1, "{name}");
        let error = rig.error();
        assert!(error.contains(expected), "{error} for {name}");
        assert!(error.starts_with(&format!("http://{}/jwks: ", provider.addr)), "{error}");
        assert!(!error.contains(MARKER), "{error}");
        assert_eq!((rig.status().failures, rig.status().kids), (1, vec!["a".to_owned()]), "{name}");
        rig.refresh().await;
        assert!(rig.has("b") && !rig.has("a"), "{name}");
        assert_eq!((rig.status().failures, rig.status().last_error), (0, None), "{name}");
    }
}

#[tokio::test]
async fn a_redirect_is_an_error_and_nobody_goes_where_it_points() {
    let canary = Provider::start([ok(&["evil"])]).await;
    for status in ["301 Moved Permanently", "302 Found", "303 See Other", "307 T", "308 P"] {
        for target in [format!("http://{}/jwks", canary.addr), "file:///etc/passwd".to_owned()] {
            let moved = reply(status, &format!("Location: {target}"), "");
            let provider = Provider::start([ok(&["a"]), moved]).await;
            let mut rig = Rig::url(&provider);
            rig.refresh().await;
            rig.refresh().await;
            assert!(rig.has("a") && !rig.has("evil"));
            assert!(rig.error().contains("redirects are not followed"), "{}", rig.error());
            assert!(!rig.error().contains("etc"), "{}", rig.error());
        }
    }
    assert_eq!(canary.requests().len(), 0);
}

#[tokio::test]
async fn an_answer_that_never_ends_is_given_up_at_the_deadline() {
    let endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for bad in [
        Reply::Silence(ok_bytes("Content-Length: 9000", "{")),
        Reply::Trickle(endless.to_vec()),
        Reply::Trickle(b"HTTP/1.1 200 OK\r\nX-Slow: ".to_vec()),
        Reply::Silence(Vec::new()),
    ] {
        let provider = Provider::start([ok(&["a"]), bad]).await;
        let mut rig = Rig::url(&provider);
        rig.refresh().await;
        let mut settings = rig.refresher.settings.clone();
        settings.refresh.timeout = Duration::from_millis(200);
        rig.refresher.reader = SourceReader::new(&settings);
        rig.refresh().await;
        assert!(rig.error().ends_with("no whole answer within 200ms"), "{}", rig.error());
        assert!(rig.has("a"));
    }
}

#[tokio::test]
async fn a_304_renews_the_keys_and_only_a_good_answer_changes_what_is_asked_with() {
    let html = reply("200 OK", "ETag: \"of-the-error-page\"", MARKER);
    let date = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT";
    let provider = Provider::start([
        ok_with(&format!("ETag: W/\"1\"\r\n{date}\r\nCache-Control: max-age=1000"), &["a"]),
        html,
        reply("304 Not Modified", "ETag: \"2\"", ""),
        reply("304 Not Modified", "", ""),
    ])
    .await;
    let mut rig = Rig::url(&provider);
    for _ in 0..2 {
        rig.refresh().await;
        rig.clock.advance(HOUR);
    }
    let wait = rig.refresh().await;
    assert!((80..=800).contains(&wait.as_secs()), "as far as the answer renewed: {wait:?}");
    let status = rig.status();
    assert_eq!((status.last_success, status.last_error), (Some(rig.clock.now()), None));
    assert_eq!(status.usable_until, Some(rig.clock.now().saturating_add(DAY)));
    rig.refresh().await;
    let requests: Vec<String> = provider.requests();
    let asked = |nth: usize, field: &str| requests[nth].to_lowercase().contains(field);
    assert!(!asked(0, "\r\nif-"));
    for nth in [1, 2] {
        assert!(asked(nth, "\r\nif-none-match: w/\"1\"\r\n"), "{}", requests[nth]);
        assert!(asked(nth, "\r\nif-modified-since: sun, 06 nov 1994 08:49:37 gmt\r\n"));
    }
    assert!(asked(3, "\r\nif-none-match: \"2\"\r\n"), "{}", requests[3]);
    assert_eq!(rig.store.load().changes(), 1);
    rig.clock.advance(DAY);
    assert!(rig.has("a"), "usable for a day after the last 304");
}

#[tokio::test]
async fn one_odd_key_costs_only_itself_and_is_shown_with_its_reason() {
    let odd = json!({"kty": "oct", "kid": "odd", "k": "c2VjcmV0"});
    let body = set(&[ed25519_jwk("a"), odd, ed25519_jwk("b")]);
    let provider = Provider::start([reply("200 OK", "", &body)]).await;
    let mut rig = Rig::url(&provider);
    rig.refresh().await;
    assert!(rig.has("a") && rig.has("b"));
    let skipped = rig.status().skipped;
    assert_eq!(skipped.len(), 1);
    assert_eq!(
        (skipped[0].kid.as_deref(), skipped[0].reason.as_str()),
        (Some("odd"), "symmetric_key")
    );
}

#[tokio::test]
async fn retry_after_is_honoured_where_it_means_something() {
    let date = "Retry-After: Thu, 01 Jan 1970 00:20:00 GMT"; // the clock shows 00:16:40
    for (status, field, wait) in [
        ("503 Service Unavailable", "Retry-After: 100", Some(100)),
        ("429 Too Many Requests", "Retry-After: 100", Some(100)),
        ("503 Service Unavailable", date, Some(200)),
        ("503 Service Unavailable", "Retry-After: 999999999", Some(3600)),
        ("503 Service Unavailable", "Retry-After: soon", None),
        ("500 Internal Server Error", "Retry-After: 100", None),
    ] {
        let provider = Provider::start([reply(status, field, "")]).await;
        let waited = Rig::url(&provider).refresh().await;
        match wait {
            Some(wait) => assert_eq!(waited, Duration::from_secs(wait), "{status} {field}"),
            None => assert!(waited <= Duration::from_secs(1), "{status} {field}: {waited:?}"),
        }
    }
}

#[tokio::test]
async fn a_withdrawn_key_is_gone_with_the_next_answer() {
    let provider = Provider::start([ok(&["a", "b"]), ok(&["b", "c"])]).await;
    let mut rig = Rig::url(&provider);
    rig.refresh().await;
    rig.refresh().await;
    assert!(!rig.has("a") && rig.has("b") && rig.has("c"));
    assert_eq!(rig.store.load().changes(), 2);
}

#[tokio::test]
async fn the_last_good_keys_are_used_until_max_stale_and_again_after_recovery() {
    let provider = Provider::start([ok(&["a"])]).await;
    let mut rig = Rig::url(&provider);
    rig.refresh().await;
    for hour in 1..=24 {
        rig.clock.advance(HOUR);
        let wait = rig.refresh().await;
        assert!(wait <= Duration::from_secs(120), "this window and the next");
        assert!(rig.has("a"), "hour {hour}");
        assert_eq!(rig.status().failures, hour);
    }
    rig.clock.advance(Duration::from_millis(1));
    assert!(rig.is_unavailable("a"), "older than max_stale");
    provider.plays(ok(&["a"]));
    rig.refresh().await;
    assert!(rig.has("a"));
}

#[tokio::test]
async fn without_max_stale_the_last_good_keys_are_used_for_ever() {
    let provider = Provider::start([ok(&["a"])]).await;
    let mut rig = Rig::url_with(&provider, |settings| settings.refresh.max_stale = None);
    rig.refresh().await;
    rig.clock.advance(DAY * 10_000);
    rig.refresh().await;
    assert!(rig.has("a"));
    assert_eq!(rig.status().usable_until, None);
}

#[tokio::test]
async fn secrets_in_a_url_are_in_no_report() {
    let url = Url::parse("http://user:hunter2@127.0.0.1:1/jwks?key=hunter3").unwrap();
    let mut rig = Rig::new(SourceKind::Url(url), |_| {});
    rig.refresh().await;
    let status = format!("{:?}", rig.status());
    assert!(status.contains("http://127.0.0.1:1/jwks: cannot be read: "), "{status}");
    assert!(!status.contains("hunter"), "{status}");
}

#[tokio::test]
async fn inline_keys_are_there_before_anything_runs_and_never_age() {
    let document = set(&[ed25519_jwk("a")]);
    let jwks = Jwks::parse(document.as_bytes(), AlgorithmSet::ALL, 10).unwrap();
    let mut rig = Rig::new(SourceKind::Inline(jwks), |_| {});
    rig.refresher.prepare().await;
    rig.clock.advance(DAY * 10_000);
    assert!(rig.has("a"));
    assert_eq!((rig.status().origin, rig.status().next_refresh), (Origin::Inline, None));
    let shutdown = CancellationToken::new();
    shutdown.cancel();
    rig.refresher.run(shutdown).await;
}

#[tokio::test]
async fn keys_survive_a_restart_while_the_provider_is_down() {
    let state = tempfile::tempdir().unwrap();
    let validators = "ETag: \"1\"\r\nCache-Control: max-age=1000";
    let script = [ok_with(validators, &["a"]), reply("304 Not Modified", "", "")];
    let provider = Provider::start(script).await;
    let mut before = Rig::url(&provider).with_state(state.path());
    before.refresher.prepare().await;
    assert!(before.is_unavailable("a"), "nothing was kept yet");
    before.refresh().await;
    before.clock.advance(HOUR);
    before.refresh().await;
    let confirmed = before.clock.now();
    assert_eq!(before.status().persistence, Persistence::Kept);

    let mut after = Rig::url(&provider).with_state(state.path());
    after.clock.advance(HOUR * 20);
    after.refresher.prepare().await;
    assert!(after.has("a"));
    let status = after.status();
    assert_eq!((status.origin, status.last_success), (Origin::Disk, Some(confirmed)));
    assert_eq!(
        status.usable_until,
        Some(confirmed.saturating_add(DAY)),
        "a 304 renews it there too"
    );
    assert_eq!(after.refresher.schedule.due(), before_start(), "and the source is read at once");
    after.refresh().await;
    assert!(after.has("a") && after.error().contains("cannot be read"), "{}", after.error());
    provider.plays(reply("304 Not Modified", "", ""));
    after.refresh().await;
    assert!(provider.requests()[2].to_lowercase().contains("if-none-match: \"1\""));
    assert_eq!((after.status().origin, after.status().last_error), (Origin::Network, None));
}

#[tokio::test]
async fn what_is_on_disk_is_judged_like_an_answer() {
    let state = tempfile::tempdir().unwrap();
    let provider = Provider::start([ok(&["a"])]).await;
    Rig::url(&provider).with_state(state.path()).refresh().await;
    let file = fs::read_dir(state.path().join("jwks")).unwrap().next().unwrap().unwrap().path();
    let good = fs::read(&file).unwrap();

    let mut too_old = Rig::url(&provider).with_state(state.path());
    too_old.clock.advance(DAY + Duration::from_millis(1));
    too_old.refresher.prepare().await;
    assert!(too_old.is_unavailable("a"), "older than max_stale");

    let rsa = Algorithm::Rs256;
    let mut narrowed = Rig::url_with(&provider, |settings| {
        settings.algorithms = AlgorithmSet::from_iter([rsa]);
    });
    narrowed = narrowed.with_state(state.path());
    narrowed.refresher.prepare().await;
    assert!(narrowed.is_unavailable("a"), "the algorithm is no longer accepted");

    let mut elsewhere = Rig::url(&Provider::start([]).await).with_state(state.path());
    elsewhere.refresher.prepare().await;
    assert!(elsewhere.is_unavailable("a"), "another URL");

    fs::write(&file, &good[..good.len() - 2]).unwrap();
    let mut damaged = Rig::url(&provider).with_state(state.path());
    damaged.refresher.prepare().await;
    assert!(damaged.is_unavailable("a"), "damaged");
    provider.plays(ok(&["b"]));
    damaged.refresh().await;
    assert!(damaged.has("b"), "and replaced by the next good one");
    assert_eq!(damaged.status().persistence, Persistence::Kept);
}

#[tokio::test]
async fn a_record_that_was_written_under_other_bounds_does_not_bring_304s_in_a_hurry() {
    let state = tempfile::tempdir().unwrap();
    let least = |settings: &mut SourceSettings| settings.refresh.min = Duration::from_millis(1);
    let script = [ok_with("ETag: \"1\"\r\nCache-Control: max-age=0", &["a"])];
    let provider = Provider::start(script).await;
    Rig::url_with(&provider, least).with_state(state.path()).refresh().await;
    let mut after = Rig::url(&provider).with_state(state.path());
    after.refresher.prepare().await;
    assert!(after.has("a"));
    provider.plays(reply("304 Not Modified", "", ""));
    after.refresh().await;
    provider.plays(reply("304 Not Modified", "", ""));
    let wait = after.refresh().await;
    assert!(wait >= Duration::from_secs(43), "80 % of the least, less a tenth: {wait:?}");
}

#[tokio::test]
async fn a_bad_document_that_stays_the_same_sends_the_reader_back_to_the_metadata_each_time() {
    let provider = Provider::start([]).await;
    let issuer = format!("http://{}", provider.addr);
    let discovery = Discovery::of_issuer(&issuer, true).unwrap();
    let mut rig = Rig::new(SourceKind::Discovery(discovery), |_| {});
    let metadata = |path: &str| {
        let document = json!({"issuer": issuer, "jwks_uri": format!("{issuer}{path}")});
        provider.plays(reply("200 OK", "", &document.to_string()));
    };
    let moved_away = || provider.plays(reply("200 OK", "", "<html>moved</html>"));
    metadata("/old");
    provider.plays(ok(&["a"]));
    rig.refresh().await;
    assert!(rig.has("a"));
    moved_away();
    rig.refresh().await;
    metadata("/old");
    moved_away();
    rig.refresh().await;
    metadata("/new");
    provider.plays(ok(&["b"]));
    rig.refresh().await;
    assert!(rig.has("b"), "{:?}", provider.requests());
}

#[tokio::test]
async fn a_disk_that_does_not_work_costs_persistence_and_no_key() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    fs::write(&state, "a file, not a directory").unwrap();
    let provider = Provider::start([ok(&["a"]), ok(&["b"])]).await;
    let mut rig = Rig::url(&provider).with_state(&state);
    rig.refresher.prepare().await;
    rig.refresh().await;
    assert!(rig.has("a"));
    assert_eq!((rig.status().failures, rig.status().last_error), (0, None));
    let Persistence::Failed(error) = rig.status().persistence else { panic!("it cannot be kept") };
    assert!(error.contains("cannot be written"), "{error}");
    fs::remove_file(&state).unwrap();
    rig.refresh().await;
    assert!(rig.has("b"));
    assert_eq!(rig.status().persistence, Persistence::Kept, "as soon as the disk works again");
}

#[tokio::test]
async fn a_document_with_a_private_key_in_it_is_not_written_down() {
    let state = tempfile::tempdir().unwrap();
    let mut private = ed25519_jwk("private");
    private["d"] = MARKER.into();
    let body = set(&[ed25519_jwk("a"), private]);
    let provider = Provider::start([ok(&["withdrawn"]), reply("200 OK", "", &body)]).await;
    let mut rig = Rig::url(&provider).with_state(state.path());
    rig.refresh().await;
    rig.refresh().await;
    assert!(rig.has("a") && !rig.has("withdrawn"));
    let Persistence::Failed(error) = rig.status().persistence else { panic!("it is secret") };
    assert!(error.contains("private or symmetric") && !error.contains(MARKER), "{error}");
    let kept = fs::read_dir(state.path().join("jwks")).unwrap().count();
    assert_eq!(kept, 0, "nor does the older one bring back what is withdrawn");
}

#[tokio::test]
async fn another_max_stale_holds_for_the_keys_in_force_and_is_told() {
    let provider = Provider::start([ok(&["a"])]).await;
    let with =
        |max_stale| Rig::url_with(&provider, |settings| settings.refresh.max_stale = max_stale);
    let mut before = with(Some(HOUR));
    before.refresh().await;
    for max_stale in [Some(3 * HOUR), Some(2 * HOUR), None] {
        let mut rig = with(max_stale);
        assert!(rig.refresher.adopt_from(&mut vec![before.refresher]));
        let until = max_stale.map(|stale| rig.clock.now().saturating_add(stale));
        assert_eq!(rig.status().usable_until, until);
        let later = |hours: u32| rig.clock.now().saturating_add(hours * HOUR + HOUR / 2);
        let found = |hours| matches!(find(&rig.store, "a", later(hours)), KeyLookupIs::Found);
        assert!(found(1));
        assert_eq!(found(2), max_stale != Some(2 * HOUR), "{max_stale:?}");
        before = rig;
    }
}

#[tokio::test]
async fn what_is_kept_since_a_change_of_the_configuration_is_kept_whole() {
    let state = tempfile::tempdir().unwrap();
    let same = ok_with("ETag: \"1\"", &["a"]);
    let provider = Provider::start([same.clone()]).await;
    let mut before = Rig::url(&provider);
    before.refresh().await;
    let mut rig = Rig::url(&provider).with_state(state.path());
    assert!(rig.refresher.adopt_from(&mut vec![before.refresher]));
    assert!(rig.has("a"));
    provider.plays(same);
    rig.refresh().await;
    assert!(!provider.requests()[1].to_lowercase().contains("if-none-match"));
    assert_eq!(rig.status().persistence, Persistence::Kept);
    let mut after = Rig::url(&provider).with_state(state.path());
    after.refresher.prepare().await;
    assert!(after.has("a"));
}

#[tokio::test]
async fn a_record_that_cannot_be_replaced_does_not_bring_back_what_was_withdrawn() {
    let state = tempfile::tempdir().unwrap();
    let [a, b, withdrawn] = ["a", "b", "withdrawn"].map(ed25519_jwk);
    let answer = |keys: &[&Value]| {
        let keys: Vec<Value> = keys.iter().copied().cloned().collect();
        reply("200 OK", "", &set(&keys))
    };
    let script = [answer(&[&a, &withdrawn]), answer(&[&withdrawn, &b, &a]), answer(&[&a, &b])];
    let provider = Provider::start(script).await;
    let mut rig = Rig::url(&provider).with_state(state.path());
    rig.refresh().await;
    let records = state.path().join("jwks");
    let set_mode = |mode| fs::set_permissions(&records, fs::Permissions::from_mode(mode)).unwrap();
    let kept = || fs::read_dir(&records).unwrap().count();
    // Nothing is written to a directory that others can write to.
    set_mode(0o777);
    rig.refresh().await;
    assert!(matches!(rig.status().persistence, Persistence::Failed(_)));
    assert_eq!(kept(), 1, "the older one is no worse while nothing was withdrawn");
    rig.refresh().await;
    assert!(rig.has("b") && !rig.has("withdrawn"));
    assert_eq!(kept(), 0);
    set_mode(0o700);
    let mut after = Rig::url(&provider).with_state(state.path());
    after.refresher.prepare().await;
    assert!(after.is_unavailable("withdrawn"));
}

/// What the clock of a new rig shows.
fn before_start() -> UnixTime {
    UnixTime::from_millis(1_000_000)
}

#[tokio::test]
async fn metadata_that_is_lost_is_told_beside_keys_that_are_fresh() {
    let provider = Provider::start([]).await;
    let issuer = format!("http://{}", provider.addr);
    let metadata = json!({"issuer": issuer, "jwks_uri": format!("{issuer}/jwks")}).to_string();
    let lost = reply("503 Service Unavailable", "", "");
    for answer in [reply("200 OK", "", &metadata), ok(&["a"]), lost, ok(&["a"])] {
        provider.plays(answer);
    }
    let discovery = Discovery::of_issuer(&issuer, true).unwrap();
    let mut rig = Rig::new(SourceKind::Discovery(discovery), |_| {});
    rig.refresh().await;
    assert_eq!((rig.status().warning, rig.has("a")), (None, true));
    rig.clock.advance(DAY);
    rig.refresh().await;
    let status = rig.status();
    assert_eq!((status.last_error, status.last_success), (None, Some(rig.clock.now())));
    assert!(status.warning.is_some_and(|warning| warning.contains("503")));
}

#[tokio::test]
async fn shutdown_interrupts_a_fetch_under_way() {
    let provider = Provider::start([Reply::Silence(Vec::new())]).await;
    let rig = Rig::url_with(&provider, |settings| settings.refresh.timeout = HOUR);
    let shutdown = CancellationToken::new();
    let asked = async {
        let mut looks = 0;
        while provider.requests().is_empty() {
            looks += 1;
            assert!(looks < 30_000, "the provider was never asked");
            time::sleep(Duration::from_millis(1)).await;
        }
        shutdown.cancel();
    };
    tokio::join!(rig.refresher.run(shutdown.clone()), asked);
}

#[tokio::test]
async fn keys_that_were_in_force_are_kept_although_the_process_ends_that_moment() {
    for round in 0..20 {
        let state = tempfile::tempdir().unwrap();
        let provider = Provider::start([ok(&["a"])]).await;
        let rig = Rig::url(&provider).with_state(state.path());
        let (store, shutdown, now) =
            (Arc::clone(&rig.store), CancellationToken::new(), rig.clock.now());
        let ends = async {
            let mut looks = 0_u64;
            while !matches!(find(&store, "a", now), KeyLookupIs::Found) {
                looks += 1;
                assert!(looks < 50_000_000, "it was never read");
                tokio::task::yield_now().await;
            }
            shutdown.cancel();
        };
        tokio::join!(rig.refresher.run(shutdown.clone()), ends);
        let mut next = Rig::url(&provider).with_state(state.path());
        next.refresher.prepare().await;
        assert!(next.has("a"), "round {round}");
    }
}

#[tokio::test]
async fn a_file_that_breaks_keeps_its_last_good_keys_and_is_read_again_when_it_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwks.json");
    let mut rig = Rig::new(SourceKind::File(path.clone()), |_| {});
    assert_eq!(rig.refresh().await, FILE_POLL);
    assert!(rig.error().contains("No such file"), "{}", rig.error());
    let breakages: [Breakage; 8] = [
        ("truncated", |path| fs::write(path, "{\"keys\":[").unwrap(), "not a JSON object"),
        ("emptied", |path| fs::write(path, "").unwrap(), "not a JSON object"),
        ("without keys", |path| fs::write(path, "{\"keys\":[]}").unwrap(), "no usable key"),
        ("oversize", |path| fs::write(path, "x".repeat(70_000)).unwrap(), "longer than the limit"),
        ("deleted", |path| fs::remove_file(path).unwrap(), "No such file"),
        ("a directory", |path| replace(path, |path| fs::create_dir(path).unwrap()), "a directory"),
        ("a FIFO", |path| replace(path, fifo), "neither a file"),
        ("a device", |path| replace(path, |path| link("/dev/zero", path)), "neither a file"),
    ];
    for (nth, (name, breaks, expected)) in breakages.into_iter().enumerate() {
        let kid = format!("k{nth}");
        fs::write(&path, set(&[ed25519_jwk(&kid)])).unwrap();
        rig.refresh().await;
        assert!(rig.has(&kid), "before it was {name}");
        assert_eq!((rig.status().origin, rig.status().last_error), (Origin::File, None));
        breaks(&path);
        for _ in 0..2 {
            assert_eq!(rig.refresh().await, FILE_POLL, "{name}");
            assert!(rig.has(&kid), "{name}");
            assert!(rig.error().contains(expected), "{name}: {}", rig.error());
        }
        if path.is_dir() {
            fs::remove_dir(&path).unwrap();
        } else if path.symlink_metadata().is_ok() {
            fs::remove_file(&path).unwrap();
        }
    }
}

#[tokio::test]
async fn a_file_whose_permissions_are_taken_keeps_its_keys() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwks.json");
    fs::write(&path, set(&[ed25519_jwk("a")])).unwrap();
    let mut rig = Rig::new(SourceKind::File(path.clone()), |_| {});
    rig.refresh().await;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    rig.refresh().await;
    assert!(rig.has("a"));
    // Root reads it all the same.
    assert_eq!(rig.status().last_error.is_none(), fs::read(&path).is_ok());
}

#[tokio::test]
async fn a_file_is_followed_through_a_symlink_swap_and_a_rename() {
    let directory = tempfile::tempdir().unwrap();
    let of = |version: &str, kid: &str| {
        let data = directory.path().join(version);
        fs::create_dir(&data).unwrap();
        fs::write(data.join("jwks.json"), set(&[ed25519_jwk(kid)])).unwrap();
    };
    // As a mounted Kubernetes volume does it: jwks.json → ..data/jwks.json, ..data → a version.
    of("v1", "a");
    of("v2", "b");
    let path = directory.path().join("jwks.json");
    link("v1", &directory.path().join("..data"));
    link("..data/jwks.json", &path);
    let mut rig = Rig::new(SourceKind::File(path.clone()), |_| {});
    rig.refresh().await;
    assert!(rig.has("a"));
    link("v2", &directory.path().join("..new"));
    fs::rename(directory.path().join("..new"), directory.path().join("..data")).unwrap();
    rig.refresh().await;
    assert!(rig.has("b") && !rig.has("a"));
    let next = directory.path().join("next");
    fs::write(&next, set(&[ed25519_jwk("c")])).unwrap();
    fs::rename(&next, &path).unwrap();
    rig.refresh().await;
    assert!(rig.has("c") && !rig.has("b"));
}

#[tokio::test]
async fn an_unchanged_file_renews_its_keys_and_one_gone_for_too_long_loses_them() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwks.json");
    fs::write(&path, set(&[ed25519_jwk("a")])).unwrap();
    let mut rig = Rig::new(SourceKind::File(path.clone()), |_| {});
    for _ in 0..50 {
        rig.refresh().await;
        assert!(rig.has("a"));
        rig.clock.advance(HOUR);
    }
    assert_eq!(rig.store.load().changes(), 1);
    fs::remove_file(&path).unwrap();
    rig.refresh().await;
    assert!(rig.has("a"));
    rig.clock.advance(DAY);
    assert!(rig.is_unavailable("a"));
}

#[tokio::test(start_paused = true)]
async fn run_picks_up_a_new_file_until_shutdown() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwks.json");
    let rig = Rig::new(SourceKind::File(path.clone()), |_| {});
    let (store, shutdown) = (Arc::clone(&rig.store), CancellationToken::new());
    let (clock, now) = (Arc::clone(&rig.clock), rig.clock.now());
    let story = async {
        for kid in ["a", "b"] {
            fs::write(&path, set(&[ed25519_jwk(kid)])).unwrap();
            let mut polls = 0;
            while !matches!(find(&store, kid, now), KeyLookupIs::Found) {
                polls += 1;
                assert!(polls < 1000, "{kid} was never picked up");
                clock.advance(FILE_POLL);
                time::sleep(FILE_POLL).await;
            }
        }
        shutdown.cancel();
    };
    tokio::join!(rig.refresher.run(shutdown.clone()), story);
}

/// What happens to a file, how, and what is said of it.
type Breakage = (&'static str, fn(&Path), &'static str);

/// A refresher with everything it reports to.
struct Rig {
    refresher: KeyRefresher,
    store: Arc<KeyStore>,
    board: Arc<StatusBoard>,
    clock: Arc<ManualClock>,
}

impl Rig {
    fn url(provider: &Provider) -> Self {
        Self::url_with(provider, |_| {})
    }

    fn url_with(provider: &Provider, change: impl FnOnce(&mut SourceSettings)) -> Self {
        let url = Url::parse(&format!("http://{}/jwks", provider.addr)).unwrap();
        Self::new(SourceKind::Url(url), change)
    }

    /// The same with a `state_dir`.
    fn with_state(mut self, state_dir: &Path) -> Self {
        let settings = &self.refresher.settings;
        let identity = settings.kind.identity(&settings.id.issuer).unwrap();
        self.refresher.disk = Some(LastKnownGood::new(&disk::StateDir::new(state_dir), &identity));
        self
    }

    fn new(kind: SourceKind, change: impl FnOnce(&mut SourceSettings)) -> Self {
        let id = SourceId { issuer: Label::new(0, "issuer"), source: Label::new(0, "0") };
        let mut settings = SourceSettings {
            id: id.clone(),
            kind,
            // Long enough for the busiest machine: only tests of the deadline shorten it.
            refresh: RefreshSettings { timeout: HOUR, ..RefreshSettings::default() },
            algorithms: AlgorithmSet::ALL,
            max_keys: 100,
            max_bytes: 65_536,
        };
        change(&mut settings);
        let store = Arc::new(KeyStore::new(&[1]));
        let board = Arc::new(StatusBoard::new([(id, settings.kind.location())]));
        let clock = Arc::new(ManualClock::new(before_start()));
        let refresher = KeyRefresher::new(
            settings,
            None,
            Outlets {
                store: Arc::clone(&store),
                board: Arc::clone(&board),
                metrics: SourceMetrics::default(),
                disk: None,
            },
            Arc::clone(&clock) as Arc<dyn Clock>,
        );
        Self { refresher, store, board, clock }
    }

    async fn refresh(&mut self) -> Duration {
        self.refresher.refresh(Cause::Due).await
    }

    fn has(&self, kid: &str) -> bool {
        matches!(find(&self.store, kid, self.clock.now()), KeyLookupIs::Found)
    }

    fn is_unavailable(&self, kid: &str) -> bool {
        matches!(find(&self.store, kid, self.clock.now()), KeyLookupIs::Unavailable)
    }

    fn status(&self) -> SourceStatus {
        self.board.entries().remove(0)
    }

    fn error(&self) -> String {
        self.status().last_error.expect("the last attempt failed").1
    }
}

/// [`KeyLookup`] without what it borrows.
enum KeyLookupIs {
    Found,
    Missing,
    Unavailable,
}

fn find(store: &KeyStore, kid: &str, now: UnixTime) -> KeyLookupIs {
    match store.load().find(&Label::new(0, "issuer"), Some(kid), Algorithm::EdDsa, now) {
        KeyLookup::Found(_) => KeyLookupIs::Found,
        KeyLookup::UnknownKid | KeyLookup::OtherAlgorithm => KeyLookupIs::Missing,
        KeyLookup::Unavailable => KeyLookupIs::Unavailable,
    }
}

/// One answer of a [`Provider`].
#[derive(Clone)]
enum Reply {
    /// These bytes, then the connection is closed.
    Whole(Vec<u8>),
    /// These bytes, then nothing more while the client holds on.
    Silence(Vec<u8>),
    /// These bytes, then one more every few milliseconds, for ever.
    Trickle(Vec<u8>),
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Whole(bytes) | Self::Silence(bytes) | Self::Trickle(bytes)) = self;
        f.write_str(&String::from_utf8_lossy(bytes).chars().take(120).collect::<String>())
    }
}

fn ok(kids: &[&str]) -> Reply {
    ok_with("", kids)
}

fn ok_with(fields: &str, kids: &[&str]) -> Reply {
    let keys: Vec<Value> = kids.iter().map(|kid| ed25519_jwk(kid)).collect();
    reply("200 OK", fields, &set(&keys))
}

fn reply(status: &str, fields: &str, body: &str) -> Reply {
    let fields = if fields.is_empty() { String::new() } else { format!("{fields}\r\n") };
    let length = body.len();
    Reply::Whole(
        format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\n\r\n{body}").into(),
    )
}

fn ok_bytes(fields: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{body}").into()
}

fn chunked(body: &str) -> Reply {
    let length = body.len();
    let body = format!("{length:x}\r\n{body}\r\n0\r\n\r\n");
    Reply::Whole(ok_bytes("Transfer-Encoding: chunked", &body))
}

fn cut_off(body: &str) -> Reply {
    Reply::Whole(ok_bytes(&format!("Content-Length: {}", body.len() + 1), body))
}

/// An HTTP server on loopback. Once the script is over it closes every connection without a word.
struct Provider {
    addr: SocketAddr,
    script: Arc<Mutex<VecDeque<Reply>>>,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Provider {
    #[expect(clippy::disallowed_methods, reason = "the provider ends with its test")]
    async fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(script.into_iter().collect::<VecDeque<_>>()));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answers, heads) = (Arc::clone(&script), Arc::clone(&requests));
        let task = tokio::spawn(async move {
            loop {
                let Ok((mut stream, _)) = listener.accept().await else { return };
                let head = request_head(&mut stream).await;
                heads.lock().unwrap().push(head);
                let reply = answers.lock().unwrap().pop_front();
                if let Some(reply) = reply {
                    // Each in a task: a client that was told to wait must not block the next one.
                    tokio::spawn(play(stream, reply));
                }
            }
        });
        Self { addr, script, requests, task }
    }

    fn plays(&self, reply: Reply) {
        self.script.lock().unwrap().push_back(reply);
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn request_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(read) => head.extend_from_slice(&buffer[..read]),
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

async fn play(mut stream: TcpStream, reply: Reply) {
    let (Reply::Whole(bytes) | Reply::Silence(bytes) | Reply::Trickle(bytes)) = &reply;
    if stream.write_all(bytes).await.is_err() {
        return;
    }
    match reply {
        Reply::Whole(_) => {}
        Reply::Silence(_) => while matches!(stream.read(&mut [0; 64]).await, Ok(1..)) {},
        // In a chunked body each of these is part of a chunk size with ever more leading zeros.
        Reply::Trickle(_) => {
            while stream.write_all(b"0").await.is_ok() {
                time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

fn replace(path: &Path, with: fn(&Path)) {
    fs::remove_file(path).unwrap();
    with(path);
}

fn link(target: &str, path: &Path) {
    std::os::unix::fs::symlink(target, path).unwrap();
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}
