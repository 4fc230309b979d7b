//! Every metric, by what a scrape shows of it.

use std::collections::BTreeSet;

use super::names::CHECK_DURATION;
use super::*;
use crate::util::clock::UnixTime;

fn metrics() -> Metrics {
    Metrics::new(MetricsSettings {
        rules: vec![Label::new(0, "health"), Label::new(1, "rest")],
        issuers: vec![Label::new(0, "accounts")],
        reasons: vec!["missing_token", "expired"],
        algorithms: vec!["HS256", "RS256"],
        profile: "production",
        concurrent_checks: 100,
        cache_bytes: 1000,
    })
}

#[test]
fn a_check_is_counted_by_rule_issuer_decision_and_reason() {
    let metrics = metrics();
    let (rule, issuer) = (Label::new(1, "rest"), Label::new(0, "accounts"));
    let outcome =
        CheckOutcome { rule: Some(&rule), issuer: Some(&issuer), verdict: CheckVerdict::Deny(1) };
    metrics.checked(outcome, Duration::from_micros(12));
    metrics.checked(
        CheckOutcome { verdict: CheckVerdict::Allow, ..outcome },
        Duration::from_micros(12),
    );
    metrics.checked(
        CheckOutcome { rule: None, issuer: None, verdict: CheckVerdict::Deny(0) },
        Duration::from_micros(12),
    );
    let text = metrics.render();
    for line in [
        r#"claimgate_checks_total{rule="rest",issuer="accounts",decision="deny",reason="expired"} 1"#,
        r#"claimgate_checks_total{rule="rest",issuer="accounts",decision="allow",reason="none"} 1"#,
        r#"claimgate_checks_total{rule="none",issuer="none",decision="deny",reason="missing_token"} 1"#,
        r#"claimgate_check_duration_seconds_bucket{decision="deny",le="0.00001"} 0"#,
        "# HELP claimgate_checks_total",
        r#"profile="production""#,
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn a_refused_configuration_shows_until_one_is_taken_over() {
    let metrics = metrics();
    let shown = |value| {
        let line = format!("claimgate_config_last_reload_successful {value}\n");
        metrics.render().contains(&line)
    };
    assert!(shown(1), "the one that it began with");
    metrics.reloaded(ReloadResult::Invalid);
    assert!(shown(0));
    let next = metrics.renamed(metrics.settings.clone(), 2);
    assert!(shown(0), "a new generation is built before it is in force");
    next.reloaded(ReloadResult::Ok);
    assert!(shown(1));
}

#[test]
fn decisions_are_told_by_reason_and_go_on_under_other_names() {
    let metrics = metrics();
    let checked = |metrics: &Metrics, verdict| {
        metrics.checked(CheckOutcome { rule: None, issuer: None, verdict }, Duration::ZERO);
    };
    let told = |metrics: &Metrics| -> Vec<_> {
        let counts = metrics.decisions(UnixTime::from_millis(0)).into_iter();
        counts.map(|count| (count.decision, count.reason, count.since_start)).collect()
    };
    assert_eq!(told(&metrics), []);
    checked(&metrics, CheckVerdict::Deny(1));
    checked(&metrics, CheckVerdict::WouldDeny(0));
    let renamed = metrics.renamed(metrics.settings.clone(), 2);
    checked(&renamed, CheckVerdict::Deny(1));
    checked(&renamed, CheckVerdict::Allow);
    let all = [
        ("allow", None, 1),
        ("deny", Some("expired"), 2),
        ("would_deny", Some("missing_token"), 1),
    ];
    assert_eq!((told(&metrics), told(&renamed)), (all.to_vec(), all.to_vec()));
}

#[test]
fn a_verified_token_is_counted_by_issuer_and_algorithm_out_of_closed_lists() {
    let metrics = metrics();
    let accounts = Label::new(0, "accounts");
    metrics.accepted(&accounts, 0);
    metrics.accepted(&accounts, 2);
    metrics.verified(&accounts, 1);
    metrics.verified(&accounts, 1);
    metrics.verified(&accounts, 2);
    metrics.verified(&Label::new(1, "nobody"), 0);
    let text = metrics.render();
    let lines: Vec<&str> =
        text.lines().filter(|line| line.starts_with("claimgate_verified")).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for line in [
        r#"claimgate_verified_tokens_total{issuer="accounts",algorithm="HS256"} 0"#,
        r#"claimgate_verified_tokens_total{issuer="accounts",algorithm="RS256"} 2"#,
    ] {
        assert!(lines.contains(&line), "{line} is not in\n{text}");
    }
}

#[test]
fn how_long_checks_took_is_written_as_the_exporter_would_write_it() {
    let metrics = metrics();
    let seconds =
        [10e-6, 20e-6, 30e-6, 50e-6, 75e-6, 100e-6, 200e-6, 500e-6, 1e-3, 5e-3, 25e-3, 100e-3];
    let full = Matcher::Full(CHECK_DURATION.to_owned());
    let twin = PrometheusBuilder::new().set_buckets_for_metric(full, &seconds).unwrap();
    let twin = twin.build_recorder();
    twin.describe_histogram(
        CHECK_DURATION.into(),
        None,
        "Time from a check's arrival to its answer.".into(),
    );
    let [allowed, denied, shadowed] = ["allow", "deny", "would_deny"].map(|decision| {
        let key = Key::from_parts(CHECK_DURATION, vec![Pair::new("decision", decision)]);
        twin.register_histogram(&key, &METADATA)
    });
    let outcome = |verdict| CheckOutcome { rule: None, issuer: None, verdict };
    // On each bound, beside it, and beyond all of them; the sum is a float that both sides can have.
    let bounds = seconds.map(|seconds| (seconds * 1e9) as u64);
    let around = bounds.iter().flat_map(|bound| [bound - 1, *bound, bound + 1]);
    for nanoseconds in around.chain([0, 1, 4_000_000_000]) {
        let took = Duration::from_nanos(nanoseconds);
        metrics.checked(outcome(CheckVerdict::Allow), took);
        allowed.record(took.as_secs_f64());
        metrics.checked(outcome(CheckVerdict::WouldDeny(0)), took);
        shadowed.record(took.as_secs_f64());
        metrics.checked(outcome(CheckVerdict::Deny(0)), took);
        denied.record(took.as_secs_f64());
    }
    let lines = |text: String| -> (Vec<String>, Vec<f64>) {
        let ours = text.lines().filter(|line| line.contains(CHECK_DURATION));
        let (sums, rest): (Vec<_>, Vec<_>) = ours.partition(|line| line.contains("_sum{"));
        let sum = |line: &str| line.rsplit_once(' ').unwrap().1.parse().unwrap();
        let mut rest: Vec<_> = rest.into_iter().map(str::to_owned).collect();
        rest.sort();
        (rest, sums.into_iter().map(sum).collect())
    };
    let (text, mut sums) = lines(metrics.render());
    let (expected, mut expected_sums) = lines(twin.handle().render());
    assert_eq!(text, expected);
    assert_eq!((text.len(), sums.len()), (2 + 3 * 14, 3));
    sums.sort_by(f64::total_cmp);
    expected_sums.sort_by(f64::total_cmp);
    let differ = |(one, other): (&f64, &f64)| (one - other).abs() > 1e-9;
    assert!(!sums.iter().zip(&expected_sums).any(differ), "{sums:?} {expected_sums:?}");
}

#[test]
fn no_thread_and_no_configuration_loses_a_count() {
    const EACH: u64 = 1000;
    // More than there are groups of threads.
    const THREADS: u64 = 40;
    let metrics = metrics();
    let renamed = metrics.renamed(metrics.settings.clone(), 2);
    let outcome = CheckOutcome { rule: None, issuer: None, verdict: CheckVerdict::Allow };
    let record = |metrics: &Metrics| metrics.checked(outcome, Duration::from_millis(1));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let metrics = if thread % 2 == 0 { &metrics } else { &renamed };
            scope.spawn(move || (0..EACH).for_each(|_| record(metrics)));
        }
    });
    let count = format!("{CHECK_DURATION}_count{{decision=\"allow\"}} {}\n", THREADS * EACH);
    let sum = format!("{CHECK_DURATION}_sum{{decision=\"allow\"}} {}\n", THREADS * EACH / 1000);
    for text in [metrics.render(), renamed.render()] {
        assert!(text.contains(&count) && text.contains(&sum), "{text}");
    }
}

/// What is written like the name of a metric.
fn names(text: &str) -> BTreeSet<&str> {
    let ends = |c: char| !(c.is_ascii_lowercase() || c == '_');
    let starts = text.match_indices("claimgate_").filter_map(|(at, _)| text.get(at..));
    let names = starts.filter_map(|name| name.split(ends).next());
    names.filter(|name| *name != "claimgate_").collect()
}

#[test]
fn the_list_for_operators_names_every_metric_and_word_and_no_other() {
    let list = include_str!("../../../deploy/metrics.md");
    let code = concat!(
        include_str!("mod.rs"),
        include_str!("names.rs"),
        include_str!("checks.rs"),
        include_str!("connections.rs"),
        include_str!("revocation.rs"),
        include_str!("process.rs"),
        include_str!("source.rs"),
        include_str!("tls.rs")
    );
    assert_eq!(names(list), names(code));
    for (name, kind, _) in process::PROCESS {
        assert!(
            list.contains(&format!("| `{name}` | {kind} |")),
            "{name} is not in deploy/metrics.md"
        );
    }
    let words = RefreshResult::ALL.map(RefreshResult::as_str).into_iter();
    let words = words.chain(UnknownKidOutcome::ALL.map(UnknownKidOutcome::as_str));
    let words = words.chain(ReloadResult::ALL.map(|(_, word)| word));
    let words = words.chain(SyncResult::ALL.map(SyncResult::as_str));
    let words = words.chain(HandshakeResult::ALL.map(HandshakeResult::as_str));
    for word in words.chain(ORIGINS) {
        assert!(list.contains(&format!("`{word}`")), "{word} is not in deploy/metrics.md");
    }
}

#[test]
fn a_source_reports_under_its_own_labels() {
    let metrics = metrics();
    let source = metrics.source(&Label::new(0, "accounts"), &Label::new(0, "0"));
    source.refreshed(RefreshResult::BadDocument);
    source.keys(2, 1);
    source.skipped("weak_key", 1);
    let text = metrics.render();
    for line in [
        r#"claimgate_jwks_refresh_total{issuer="accounts",source="0",result="bad_document"} 1"#,
        r#"claimgate_jwks_keys{issuer="accounts",source="0",state="usable"} 2"#,
        r#"claimgate_jwks_skipped_keys{issuer="accounts",source="0",reason="weak_key"} 1"#,
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn whether_the_keys_in_force_are_on_disk_is_told_once_it_is_known() {
    let metrics = metrics();
    let source = metrics.source(&Label::new(0, "accounts"), &Label::new(0, "0"));
    assert!(!metrics.render().contains("claimgate_jwks_persisted{"));
    for (ok, value) in [(true, 1), (false, 0)] {
        source.persisted(ok);
        let line = format!(r#"claimgate_jwks_persisted{{issuer="accounts",source="0"}} {value}"#);
        let text = metrics.render();
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
}

#[test]
fn when_keys_become_too_old_is_told_and_0_where_they_never_do() {
    let metrics = metrics();
    let source = metrics.source(&Label::new(0, "accounts"), &Label::new(0, "0"));
    let name = r#"claimgate_jwks_usable_until_timestamp_seconds{issuer="accounts",source="0"}"#;
    let shown = |value: &str| metrics.render().contains(&format!("{name} {value}\n"));
    assert!(shown("0"), "there are none yet");
    source.usable_until(Some(UnixTime::from_millis(1_700_000_000_500)));
    assert!(shown("1700000000.5"));
    source.usable_until(None);
    assert!(shown("0"));
    source.usable_until(Some(UnixTime::from_millis(2_000)));
    source.keys(3, 1);
    source.begin();
    assert!(shown("0"), "another source is in its place");
    assert!(!metrics.render().contains("} 3\n"));
}

#[test]
fn what_there_may_be_is_told_beside_what_there_is() {
    let metrics = metrics();
    let settings =
        MetricsSettings { concurrent_checks: 7, cache_bytes: 0, ..metrics.settings.clone() };
    metrics.connections("grpc").limit(16);
    let revocation = metrics.revocation(&["token"]);
    revocation.limit(50);
    revocation.kept(4);
    let renamed = metrics.renamed(settings, 2);
    let text = renamed.render();
    for line in [
        "claimgate_inflight_checks_limit 7",
        "claimgate_token_cache_limit_bytes 0",
        r#"claimgate_connections_limit{listener="grpc"} 16"#,
        "claimgate_revocation_entries_limit 50",
        "claimgate_revocation_kept_entries 4",
        "# TYPE process_open_fds gauge",
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line} is not in\n{text}");
    }
    revocation.clear();
    let text = metrics.render();
    for line in ["claimgate_revocation_entries_limit 0", "claimgate_revocation_kept_entries 0"] {
        assert!(text.contains(&format!("{line}\n")), "{line} is not in\n{text}");
    }
}

#[test]
fn a_refused_certificate_shows_until_its_files_are_good_again() {
    let metrics = metrics();
    let tls = metrics.tls("grpc");
    let shown = |value| {
        let line = format!("claimgate_tls_last_reload_successful{{listener=\"grpc\"}} {value}\n");
        metrics.render().contains(&line)
    };
    let expires = UnixTime::from_millis(1_000);
    tls.loaded(expires);
    assert!(shown(1), "the one that it began with");
    tls.reload_failed();
    assert!(shown(0));
    tls.in_its_files();
    assert!(shown(1), "the old one was put back");
    tls.reload_failed();
    tls.reloaded(expires);
    assert!(shown(1));
}

#[test]
fn nothing_is_said_of_a_source_that_is_gone_until_it_is_back() {
    let metrics = metrics();
    let source =
        |issuer: &str, number: &str| metrics.source(&Label::new(0, issuer), &Label::new(0, number));
    let (gone, kept) = (source("accounts", "0"), [("accounts", "00"), ("x-accounts", "0")]);
    for source in kept.map(|(issuer, number)| source(issuer, number)).iter().chain([&gone]) {
        source.succeeded(UnixTime::from_millis(1_000));
        source.persisted(false);
        source.origin("disk");
        source.skipped("weak_key", 1);
        source.fetched(Duration::from_secs(1));
        source.refreshed(RefreshResult::Timeout);
    }
    let series = |issuer: &str, number: &str| {
        let labels = format!("{{issuer=\"{issuer}\",source=\"{number}\"");
        metrics.render().lines().filter(|line| line.contains(&labels)).count()
    };
    let all = series("accounts", "0");
    assert!(all > 20, "{all}");
    gone.retire();
    assert_eq!(series("accounts", "0"), 0);
    assert!(kept.iter().all(|(issuer, number)| series(issuer, number) == all));
    drop(source("accounts", "0"));
    assert_eq!(series("accounts", "0"), all);
}

#[test]
fn keys_in_force_have_one_origin_at_a_time() {
    let metrics = metrics();
    let source = metrics.source(&Label::new(0, "accounts"), &Label::new(0, "0"));
    for origin in ORIGINS {
        source.origin(origin);
        let text = metrics.render();
        let lines = text.lines().filter(|line| line.starts_with("claimgate_jwks_origin{"));
        let (ones, zeros): (Vec<_>, Vec<_>) = lines.partition(|line| line.ends_with(" 1"));
        let one =
            format!(r#"claimgate_jwks_origin{{issuer="accounts",source="0",origin="{origin}"}} 1"#);
        assert_eq!(ones, [one]);
        assert_eq!(zeros.len(), ORIGINS.len() - 1);
    }
}
