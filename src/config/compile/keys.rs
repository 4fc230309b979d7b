//! `issuers[].keys` and `issuers[].refresh`: where an issuer's keys come from, and when. No source is read
//! here but an inline one. What a document may hold that is secret is never quoted.

use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::Compiler;
use crate::config::raw::{RawKeySource, RawRefresh};
use crate::config::report::{Path, describe, quote};
use crate::config::scalar::{List, Mapping, MaxStale, Text};
use crate::keys::jwks::Jwks;
use crate::keys::source::{RefreshSettings, SourceKind, SourceSettings};
use crate::keys::store::SourceId;
use crate::token::Issuer;
use crate::util::label::Label;

type RawKeys = (Option<List<Mapping<RawKeySource>>>, Option<Mapping<RawRefresh>>);

impl Compiler<'_> {
    /// The key sources of one issuer.
    pub(super) fn sources(
        &mut self,
        path: &Path,
        (keys, refresh): RawKeys,
        issuer: &Issuer,
    ) -> Vec<SourceSettings> {
        const EXPECTED: &str = "a list with at least one of jwks_url, jwks_file, jwks";
        let refresh = self.refresh(&path.key("refresh"), refresh);
        let path = path.key("keys");
        let Some(List(list)) = keys else {
            self.report.missing(&path, EXPECTED);
            return Vec::new();
        };
        self.not_empty(&path, list.len(), EXPECTED);
        let mut sources = Vec::with_capacity(list.len());
        for (index, raw) in list.into_iter().enumerate() {
            let Some(Mapping(raw)) = raw else { continue };
            let Some(kind) = self.source(&path.index(index), raw, issuer) else { continue };
            let source = Label::new(index, &index.to_string());
            sources.push(SourceSettings {
                id: SourceId { issuer: issuer.label.clone(), source },
                kind,
                refresh: refresh.clone(),
                algorithms: issuer.algorithms,
                max_keys: self.limits.jwks_keys,
                max_bytes: self.limits.jwks_bytes,
            });
        }
        sources
    }

    fn source(&mut self, path: &Path, raw: RawKeySource, issuer: &Issuer) -> Option<SourceKind> {
        match (raw.jwks_url, raw.jwks_file, raw.jwks) {
            (Some(url), None, None) => self.url(&path.key("jwks_url"), &url).map(SourceKind::Url),
            (None, Some(file), None) => {
                if file.is_empty() {
                    let path = path.key("jwks_file");
                    self.report.wrong(&path, "an empty string", "the path of a JWK Set file");
                }
                Some(SourceKind::File(self.base_dir.join(file)))
            }
            (None, None, Some(jwks)) => self.inline(&path.key("jwks"), &jwks, issuer),
            (None, None, None) => {
                if !self.report.has_in(path) {
                    self.report.missing(path, "one of jwks_url, jwks_file, jwks");
                }
                None
            }
            (_, _, _) => {
                let expected = "exactly one: write each source as an entry of its own";
                self.report.wrong(path, "several of jwks_url, jwks_file, jwks", expected);
                None
            }
        }
    }

    fn url(&mut self, path: &Path, text: &str) -> Option<Url> {
        let expected = if self.is_production() {
            "an https URL (http only in profile: development)"
        } else {
            "an https or http URL"
        };
        let Ok(url) = Url::parse(text) else {
            self.report.wrong(path, quote(text), expected);
            return None;
        };
        let has_scheme = match url.scheme() {
            "https" => true,
            "http" => !self.is_production(),
            _ => false,
        };
        if !has_scheme || url.host_str().is_none_or(str::is_empty) {
            self.report.wrong(path, quote(text), expected);
        } else if !url.username().is_empty() || url.password().is_some() || text.contains('@') {
            self.report.wrong(
                path,
                "a URL with credentials (not shown)",
                "a URL without user or password",
            );
        } else if url.fragment().is_some() {
            self.report.wrong(path, "a URL with a #fragment", "a URL without one");
        }
        Some(url)
    }

    fn inline(&mut self, path: &Path, jwks: &Value, issuer: &Issuer) -> Option<SourceKind> {
        if !jwks.is_object() {
            self.report.wrong(
                path,
                describe(path, jwks),
                "a JWK Set: a mapping with a list \"keys\"",
            );
            return None;
        }
        if let Some(secret) = secret_in(jwks) {
            self.report.wrong(path, secret, "a JWK Set of public keys only");
            return None;
        }
        let mut is_public = true;
        let keys = jwks.get("keys").and_then(Value::as_array);
        for (index, key) in keys.into_iter().flatten().enumerate() {
            if let Some(secret) = secret_in(key) {
                is_public = false;
                self.report.wrong(&path.key("keys").index(index), secret, "public keys only");
            }
        }
        // A key that was not kept because of a mistake elsewhere is no mistake of its own.
        if !is_public || issuer.algorithms.is_empty() {
            return None;
        }
        let document = jwks.to_string();
        if document.len() > self.limits.jwks_bytes {
            let expected = format!("at most {} (limits.jwks_bytes)", self.limits.jwks_bytes);
            self.report.wrong(path, format!("{} bytes", document.len()), expected);
            return None;
        }
        match Jwks::parse(document.as_bytes(), issuer.algorithms, self.limits.jwks_keys) {
            Ok(jwks) => Some(SourceKind::Inline(jwks)),
            Err(error) => {
                let names: Vec<&str> = issuer.algorithms.iter().map(|one| one.name()).collect();
                let expected = format!("a JWK Set with a key for {}", names.join(" or "));
                self.report.wrong(path, error, expected);
                None
            }
        }
    }

    fn refresh(&mut self, path: &Path, raw: Option<Mapping<RawRefresh>>) -> RefreshSettings {
        let default = RefreshSettings::default();
        let raw = raw.map(|Mapping(raw)| raw).unwrap_or_default();
        let given = |text: Option<Text<Duration>>| text.map(|Text(duration)| duration);
        let max_stale = match raw.max_stale {
            None => default.max_stale,
            Some(Text(MaxStale::For(duration))) => Some(duration),
            Some(Text(MaxStale::Unlimited)) => None,
        };
        // What is not given gives way to what is.
        let bound = |default: Duration, bound: Option<Duration>| {
            bound.map_or(default, |bound| default.min(bound))
        };
        let (interval, min, max) = (given(raw.interval), given(raw.min), given(raw.max));
        let settings = RefreshSettings {
            interval: interval.unwrap_or_else(|| bound(default.interval, max_stale)),
            max: max.unwrap_or_else(|| bound(default.max.max(min.unwrap_or_default()), max_stale)),
            min: min.unwrap_or_else(|| bound(bound(default.min, max), max_stale)),
            max_stale,
            timeout: given(raw.timeout).unwrap_or(default.timeout),
            unknown_kid_wait: given(raw.unknown_kid_wait).unwrap_or(default.unknown_kid_wait),
        };
        let stale_given = raw.max_stale.is_some().then_some(max_stale).flatten();
        self.check_refresh(path, &settings, [interval, min, max, stale_given]);
        settings
    }

    /// `given` is what the document says of interval, min, max and max_stale.
    fn check_refresh(
        &mut self,
        path: &Path,
        settings: &RefreshSettings,
        given: [Option<Duration>; 4],
    ) {
        let (least, accepted) = if self.is_production() {
            (Duration::from_secs(30), "at least 30s (less only in profile: development)")
        } else {
            (Duration::from_secs(1), "at least 1s")
        };
        for (key, given) in ["interval", "min", "max", "max_stale"].into_iter().zip(given) {
            if let Some(given) = given.filter(|given| *given < least) {
                self.report.wrong(&path.key(key), shown(given), accepted);
            }
        }
        let RefreshSettings { interval, min, max, max_stale, timeout, unknown_kid_wait } = settings;
        if min > max {
            let expected = format!("at most refresh.max, {}", shown(*max));
            self.report.wrong(&path.key("min"), shown(*min), expected);
        }
        if let Some(stale) = max_stale {
            // Else keys that are refreshed in time would be too old before the next refresh.
            for (key, value) in [("interval", interval), ("max", max)] {
                if value > stale {
                    let expected = format!("at most refresh.max_stale, {}", shown(*stale));
                    self.report.wrong(&path.key(key), shown(*value), expected);
                }
            }
        }
        if *timeout < Duration::from_millis(100) || *timeout > Duration::from_secs(60) {
            self.report.wrong(&path.key("timeout"), shown(*timeout), "100ms to 60s");
        }
        // A request that waits longer has been given up by Envoy.
        if *unknown_kid_wait > Duration::from_secs(5) {
            let path = path.key("unknown_kid_wait");
            self.report.wrong(&path, shown(*unknown_kid_wait), "0s (no wait) to 5s");
        }
    }
}

/// What is secret about a JWK (RFC 7518 §6.2.2, §6.3.2, §6.4).
fn secret_in(key: &Value) -> Option<&'static str> {
    let has = |name: &str| key.get(name).is_some();
    if key.get("kty").and_then(Value::as_str) == Some("oct") || has("k") {
        return Some("a symmetric key (not shown)");
    }
    let is_private = ["d", "p", "q", "dp", "dq", "qi", "oth"].into_iter().any(has);
    is_private.then_some("a private key (not shown)")
}

/// A duration as an operator would write it.
fn shown(duration: Duration) -> String {
    if duration.subsec_millis() > 0 {
        return format!("{}ms", duration.as_millis());
    }
    match duration.as_secs() {
        0 => "0s".to_owned(),
        seconds if seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        seconds if seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}
