//! What was found in a JWK Set, as text for people and as JSON for programs. Pure: it neither reads nor prints.
//! Whatever the provider wrote is escaped and cut here.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::shown::{ascii, duration, shown};
use crate::keys::jwks::{DocumentError, Examined, SkipReason, SkippedKey};
use crate::keys::key::{Family, VerificationKey};
use crate::keys::schedule::{self, Cause, Schedule};
use crate::keys::source::{FILE_POLL, RefreshSettings, SourceError};
use crate::util::clock::UnixTime;

/// What came with the document over HTTP.
#[derive(Debug)]
pub(super) struct Headers {
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
    pub(super) cache_control: Option<String>,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Report {
    location: String,
    headers: Option<Headers>,
    kept: Vec<Arc<VerificationKey>>,
    skipped: Vec<SkippedKey>,
    /// `None` when there was no usable document: the service would try again with growing waits.
    refresh: Option<Refresh>,
    error: Option<String>,
}

/// When it would be read again, with the default bounds.
#[derive(Debug)]
enum Refresh {
    /// By age.
    Fresh(Duration),
    /// By looking at it all the time.
    Polled,
}

impl Report {
    /// There was nothing to read.
    pub(super) fn unread(location: String, error: &SourceError) -> Self {
        let error = Some(error.to_string());
        Self { location, headers: None, kept: vec![], skipped: vec![], refresh: None, error }
    }

    /// Something was read, from a file if there are no `headers`.
    pub(super) fn read(
        location: String,
        headers: Option<Headers>,
        examined: Result<Examined, DocumentError>,
    ) -> Self {
        let (kept, skipped, refused) = match examined {
            Ok(examined) => {
                let refused = examined.clone().usable().err();
                (examined.keys, examined.skipped, refused)
            }
            Err(refused) => (vec![], vec![], Some(refused)),
        };
        let refresh = (!kept.is_empty()).then(|| match &headers {
            Some(headers) => Refresh::Fresh(schedule::freshness(
                headers.cache_control.as_deref(),
                &RefreshSettings::default(),
            )),
            None => Refresh::Polled,
        });
        let error = refused.map(|refused| SourceError::BadDocument(refused).to_string());
        Self { location, headers, kept, skipped, refresh, error }
    }

    /// Whether claimgate could verify anything with it.
    pub(super) fn is_usable(&self) -> bool {
        !self.kept.is_empty()
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = self.location.clone();
        self.write_text(&mut text);
        text
    }

    fn write_text(&self, text: &mut String) {
        let mut line = |line: &str| {
            text.push('\n');
            text.push_str(line);
        };
        if let Some(error) = &self.error {
            line(&format!("error: {error}"));
        }
        let kept = self.published();
        if !kept.is_empty() {
            line(&format!("kept: {}", kept.len()));
        }
        for key in &kept {
            line(&format!("  {}: {} ({})", kid(key.kid), key.algorithms.join(", "), key.kind()));
        }
        if !self.skipped.is_empty() {
            line(&format!("skipped: {}", self.skipped.len()));
        }
        for key in &self.skipped {
            let (kid, reason) = (kid(key.kid.as_deref()), key.reason);
            line(&format!("  {kid}: {}: {}", reason.as_str(), why(reason)));
        }
        if let Some(headers) = &self.headers {
            for (name, value) in headers.named() {
                line(&format!("{name}: {}", value.map_or_else(|| "(not sent)".to_owned(), shown)));
            }
        }
        if let Some(refresh) = &self.refresh {
            line(&refresh.text());
        }
    }

    /// For programs: one line, in ASCII.
    pub(super) fn json(&self) -> String {
        let kept = self.published().into_iter().map(|key| {
            json!({
                "kid": key.kid, "algorithms": key.algorithms,
                "kty": key.kty, "crv": key.crv, "bits": key.bits,
            })
        });
        let skipped = self.skipped.iter().map(|key| {
            json!({"kid": key.kid, "reason": key.reason.as_str(), "explanation": why(key.reason)})
        });
        let headers = self.headers.as_ref().map(|headers| {
            json!({
                "etag": headers.etag,
                "last_modified": headers.last_modified,
                "cache_control": headers.cache_control,
            })
        });
        let report = json!({
            "location": self.location,
            "usable": self.is_usable(),
            "error": self.error,
            "kept": kept.collect::<Vec<_>>(),
            "skipped": skipped.collect::<Vec<_>>(),
            "headers": headers,
            "refresh": self.refresh.as_ref().map(Refresh::json),
        });
        ascii(&report.to_string())
    }

    /// The kept keys as their publisher sees them: an RSA key without `alg` is two to us, one for each padding.
    fn published(&self) -> Vec<Published<'_>> {
        let mut published: Vec<(&VerificationKey, Published<'_>)> = Vec::new();
        for key in &self.kept {
            let names = key.algorithms().map(|algorithm| algorithm.name());
            let same = published
                .iter_mut()
                .find(|(other, _)| other.kid() == key.kid() && other.same_material(key));
            match same {
                Some((_, known)) => known.algorithms.extend(names),
                None => published.push((key, Published::of(key, names.collect()))),
            }
        }
        published.into_iter().map(|(_, key)| key).collect()
    }
}

struct Published<'a> {
    kid: Option<&'a str>,
    algorithms: Vec<&'static str>,
    kty: &'static str,
    crv: Option<&'static str>,
    /// Of an RSA modulus, rounded up to whole octets.
    bits: Option<usize>,
}

impl<'a> Published<'a> {
    fn of(key: &'a VerificationKey, algorithms: Vec<&'static str>) -> Self {
        let (kty, crv) = match key.family() {
            Family::RsaPkcs1 | Family::RsaPss => ("RSA", None),
            Family::P256 => ("EC", Some("P-256")),
            Family::P384 => ("EC", Some("P-384")),
            Family::P521 => ("EC", Some("P-521")),
            Family::Ed25519 => ("OKP", Some("Ed25519")),
        };
        let bits = (kty == "RSA").then(|| key.signature_bytes() * 8);
        Self { kid: key.kid(), algorithms, kty, crv, bits }
    }

    fn kind(&self) -> String {
        match (self.crv, self.bits) {
            (Some(crv), _) => format!("{} {crv}", self.kty),
            (None, Some(bits)) => format!("{} {bits} bits", self.kty),
            (None, None) => self.kty.to_owned(),
        }
    }
}

impl Headers {
    fn named(&self) -> [(&'static str, Option<&str>); 3] {
        [
            ("ETag", self.etag.as_deref()),
            ("Last-Modified", self.last_modified.as_deref()),
            ("Cache-Control", self.cache_control.as_deref()),
        ]
    }
}

impl Refresh {
    fn text(&self) -> String {
        match self {
            Self::Fresh(freshness) => {
                let [earliest, about, latest] = planned(*freshness).map(|at| at.as_secs());
                format!(
                    "fresh for {}, refresh after about {} ({earliest}s to {latest}s)",
                    duration(freshness.as_secs()),
                    duration(about),
                )
            }
            Self::Polled => format!("looked at every {}", duration(FILE_POLL.as_secs())),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Fresh(freshness) => {
                let [earliest, about, latest] = planned(*freshness).map(|at| at.as_secs());
                json!({
                    "fresh_seconds": freshness.as_secs(), "after_seconds": about,
                    "earliest_seconds": earliest, "latest_seconds": latest,
                })
            }
            Self::Polled => json!({"poll_seconds": FILE_POLL.as_secs()}),
        }
    }
}

/// When it would be read again: at the earliest, on average, at the latest. The first time after a start is sooner.
fn planned(freshness: Duration) -> [Duration; 3] {
    let now = UnixTime::from_millis(0);
    [0.0, 0.5, 1.0].map(|draw| {
        let mut schedule = Schedule::new(now);
        for _start_and_later in 0..2 {
            schedule.succeeded(now, Cause::Due, freshness, draw);
        }
        schedule.wait(now)
    })
}

fn why(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::AlgorithmNotAccepted => "nothing that it can verify is among the algorithms",
        SkipReason::AlgorithmMismatch => "its alg does not fit its type and curve",
        SkipReason::DuplicateKid => "another key has the same kid and algorithm",
        SkipReason::InvalidKey => "not a valid key of its type",
        SkipReason::KidMismatch => "the keyset calls it otherwise than its own kid",
        SkipReason::Malformed => {
            "not an object, or a member is missing, repeated or of a wrong form"
        }
        SkipReason::NotForVerification => "its use is not sig, or its key_ops lack verify",
        SkipReason::PrivateKey => "a private key was published: replace it, it is compromised",
        SkipReason::SymmetricKey => {
            "a symmetric key is no public key: replace it, it is compromised"
        }
        SkipReason::UnsupportedType => "claimgate does not verify with this kty or crv",
        SkipReason::WeakKey => {
            "RSA under 2048 bits or with a tiny exponent, or a point of small order"
        }
    }
}

fn kid(kid: Option<&str>) -> String {
    kid.map_or_else(|| "(no kid)".to_owned(), shown)
}
