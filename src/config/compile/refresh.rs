//! `issuers[].refresh`: when an issuer's keys are read, and how HTTP is spoken to get them. The files named here
//! are read when they are needed.

use std::time::Duration;

use url::Url;

use super::Compiler;
use crate::config::raw::RawRefresh;
use crate::config::report::{Path, quote};
use crate::config::scalar::{Mapping, MaxStale, Text};
use crate::keys::source::{
    ClientCertificate, HttpSettings, RefreshSettings, SourceKind, is_loopback, key_url,
};

impl Compiler<'_> {
    pub(super) fn refresh(
        &mut self,
        path: &Path,
        raw: Option<Mapping<RawRefresh>>,
    ) -> RefreshSettings {
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
        let http = self.http(path, &raw);
        let settings = RefreshSettings {
            interval: interval.unwrap_or_else(|| bound(default.interval, max_stale)),
            max: max.unwrap_or_else(|| bound(default.max.max(min.unwrap_or_default()), max_stale)),
            min: min.unwrap_or_else(|| bound(bound(default.min, max), max_stale)),
            max_stale,
            timeout: given(raw.timeout).unwrap_or(default.timeout),
            unknown_kid_wait: given(raw.unknown_kid_wait).unwrap_or(default.unknown_kid_wait),
            http,
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
        let RefreshSettings { interval, min, max, max_stale, timeout, unknown_kid_wait, http: _ } =
            settings;
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

    fn http(&mut self, path: &Path, raw: &RawRefresh) -> HttpSettings {
        let ca_file = self.file_at(path, "ca_file", raw.ca_file.as_deref(), "certificates in PEM");
        let (cert_file, key_file) = (&raw.client_cert_file, &raw.client_key_file);
        let identity = self.client_identity(path, cert_file.as_deref(), key_file.as_deref());
        let accepts_readable_key = !self.is_production();
        let client_certificate = identity.map(|(cert_file, key_file)| ClientCertificate {
            cert_file,
            key_file,
            accepts_readable_key,
        });
        let token = raw.bearer_token_file.as_deref();
        let bearer_token_file = self.file_at(path, "bearer_token_file", token, "a token file");
        let proxy = raw.proxy.as_deref().and_then(|text| self.proxy(&path.key("proxy"), text));
        HttpSettings { ca_file, client_certificate, bearer_token_file, proxy }
    }

    fn proxy(&mut self, path: &Path, text: &str) -> Option<Url> {
        let url = key_url(text, true)
            .ok()
            .filter(|url| url.scheme() == "http" && url.path() == "/" && url.query().is_none());
        if url.is_none() {
            let expected = "http://host:port, without user or password";
            self.report.wrong(path, quote(text), expected);
        }
        url
    }

    /// A bearer token is only sent where nobody on the way can read it.
    pub(super) fn check_bearer(&mut self, refresh: &Path, http: &HttpSettings, kind: &SourceKind) {
        let url = match kind {
            SourceKind::Url(url) => url,
            SourceKind::Discovery(discovery) => discovery.home(),
            SourceKind::File(_)
            | SourceKind::Pem { .. }
            | SourceKind::Hmac(_)
            | SourceKind::Command(_)
            | SourceKind::Environment { .. }
            | SourceKind::Inline(_) => return,
        };
        let is_private = url.scheme() == "https" || is_loopback(url) && http.proxy.is_none();
        let path = refresh.key("bearer_token_file");
        if http.bearer_token_file.is_some() && !is_private && !self.report.has(&path) {
            let expected = "a token only for https, or for http on this machine without a proxy";
            self.report.wrong(&path, "one for an http URL", expected);
        }
    }
}

/// A duration as an operator would write it.
pub(super) fn shown(duration: Duration) -> String {
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
