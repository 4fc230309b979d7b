//! The page as a browser gets it, and what must not be in it.

use super::*;
use crate::util::rfc3339::parse_rfc3339;

fn now() -> UnixTime {
    parse_rfc3339("2026-01-31T12:00:00Z").unwrap()
}

fn page() -> StatusPage {
    StatusPage {
        profile: "production",
        version: "1.2.3",
        ready: true,
        pending: Vec::new(),
        configuration: ConfigurationPart {
            generation: 7,
            since: "2026-01-31T11:00:00Z".to_owned(),
            last_error: None,
            last_error_at: None,
            needs_restart: Vec::new(),
        },
        tls: Vec::new(),
        revocation: None,
        issuers: vec![IssuerPart {
            name: "accounts".to_owned(),
            issuer: "https://accounts.example".to_owned(),
            sources: vec![source()],
        }],
        decisions: Vec::new(),
    }
}

fn source() -> SourcePart {
    SourcePart {
        source: "0".to_owned(),
        location: "https://accounts.example/jwks.json".to_owned(),
        origin: "network",
        state: "fresh",
        kids: vec!["2026-01".to_owned()],
        skipped: Vec::new(),
        age_seconds: Some(200),
        last_success: None,
        last_error: None,
        last_error_at: None,
        warning: None,
        failures: 0,
        usable_until: Some("2026-02-01T11:56:40Z".to_owned()),
        next_refresh: Some("2026-01-31T12:00:40Z".to_owned()),
        persisted: Some(true),
        persistence_error: None,
    }
}

#[test]
fn it_says_how_keys_decisions_and_configuration_stand() {
    let mut page = page();
    let (decision, reason) = ("deny", Some("expired"));
    let [last_minute, last_five_minutes, since_start] = [3, 20, 4_711];
    page.decisions =
        vec![DecisionPart { decision, reason, last_minute, last_five_minutes, since_start }];
    let html = of(&page, now());
    for part in [
        "<title>claimgate: ready</title>",
        "1.2.3, profile production, as of <time>2026-01-31T12:00:00Z</time>",
        "accounts, source 0 <span class=\"badge good\">fresh</span>",
        "<dt>age</dt><dd>3 min 20 s</dd>",
        "<dt>kids</dt><dd><code>2026-01</code></dd>",
        "<dt>next read</dt><dd>in 40 s <time",
        "<dt>usable until</dt><dd>in 23 h 56 min <time",
        "<code>expired</code></td><td class=\"number\">3</td><td class=\"number\">20</td><td class=\"number\">4711</td>",
        "<dt>generation</dt><dd>7</dd>",
        "<dt>since</dt><dd>1 h 0 min ago <time",
    ] {
        assert!(html.contains(part), "{part} is not in\n{html}");
    }
}

#[test]
fn text_from_outside_stays_text() {
    let hostile = "<script>alert('1')</script>\"&\u{202e}\u{7}</style>";
    let shown =
        "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot;&amp;\\u{202e}\\u{7}&lt;/style&gt;";
    let mut page = page();
    let source = &mut page.issuers[0].sources[0];
    source.kids = vec![hostile.to_owned()];
    source.location = hostile.to_owned();
    source.last_error = Some(hostile.to_owned());
    source.warning = Some(hostile.to_owned());
    source.persistence_error = Some(hostile.to_owned());
    source.skipped =
        vec![super::super::SkippedPart { kid: Some(hostile.to_owned()), reason: "weak_key" }];
    page.pending = vec![hostile.to_owned()];
    page.configuration.last_error = Some(hostile.to_owned());
    let html = of(&page, now());
    assert_eq!(html.matches(shown).count(), 8, "{html}");
    assert!(!html.contains("<script") && !html.contains('\u{202e}'));
    assert_eq!(html.matches("</style>").count(), 1);
}

#[test]
fn what_a_provider_can_make_long_is_cut() {
    let mut page = page();
    let source = &mut page.issuers[0].sources[0];
    source.kids = vec!["k".repeat(100_000); 256];
    source.last_error = Some("e".repeat(100_000));
    let html = of(&page, now());
    assert!(html.len() < 40_000, "{}", html.len());
    assert!(html.contains(" and 240 more"));
}

#[test]
fn nothing_in_it_needs_more_than_the_policy_lets() {
    let html = of(&page(), now());
    for forbidden in ["style=", "<script", "<img", "<link", "http-equiv", "url(", "@import"] {
        assert!(!html.contains(forbidden), "{forbidden} is in\n{html}");
    }
    assert!(POLICY.starts_with("default-src 'none'; style-src 'sha256-"));
}
