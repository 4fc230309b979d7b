//! How a kept document is written down: pure, bytes in and out. [`super::LastKnownGood`] reads and writes the file.
//!
//! ```text
//! {"version":1,"sha256":"<hex>","record":{"identity":"<hex>","fetched_at_ms":…,"freshness_ms":…,
//!  "etag":…,"last_modified":…,"body":"<base64>"}}
//! ```
//!
//! `sha256` is that of the text of `record`, which is looked into only once the digest is right. Nothing follows the last
//! brace, so a file that was cut anywhere is not a record.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::digest::{self, SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Refusal;
use crate::util::clock::UnixTime;

/// The one version there is.
pub(super) const VERSION: u64 = 1;

/// Longer validators are not kept: they only save the body of one answer.
const MAX_VALIDATOR_BYTES: usize = 1024;

/// Room for everything but the body: two validators, each byte of them escaped, and some two hundred bytes.
const MAX_FRAME_BYTES: usize = 16 * 1024;

/// A document as it was last fetched, and what is needed to go on from there.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// The document, byte for byte. Whoever loads it judges it like a fetched one.
    pub body: Vec<u8>,
    /// The last success: the fetch, or the last 304.
    pub fetched_at: UnixTime,
    /// The `ETag` field of the answer.
    pub etag: Option<String>,
    /// The `Last-Modified` field of the answer.
    pub last_modified: Option<String>,
    /// How long the answer is fresh, from `fetched_at`, within the bounds that were configured then. In whole milliseconds.
    pub freshness: Duration,
}

/// The document may hold what was published by mistake: `Debug` keeps it to itself.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("body_bytes", &self.body.len())
            .field("fetched_at", &self.fetched_at)
            .field("freshness", &self.freshness)
            .finish_non_exhaustive()
    }
}

/// What makes a record that of one source: issuer, kind and exact location, as a SHA-256. The location itself is not kept:
/// the query of a URL may hold a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceIdentity(String);

impl SourceIdentity {
    /// Of the source of `kind` (`jwks_url`, `discovery`, …) that reads `location` for the issuer named `issuer`.
    /// `location` is exact, a URL with its query, and not what people are shown.
    pub fn new(issuer: &str, kind: &str, location: &str) -> Self {
        let mut digest = digest::Context::new(&SHA256);
        for part in [issuer, kind, location] {
            // With its length in front, no part can pass for the end of another.
            digest.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(part.as_bytes());
        }
        Self(hex(digest.finish()))
    }

    /// Lower-case hexadecimal, 64 digits: the name of the file.
    pub fn as_hex(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SourceIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Deserialize)]
struct Version {
    version: u64,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    version: u64,
    sha256: String,
    #[serde(borrow)]
    record: &'a RawValue,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Content {
    identity: String,
    fetched_at_ms: i64,
    freshness_ms: u64,
    etag: Option<String>,
    last_modified: Option<String>,
    body: String,
}

/// The bytes of the file.
pub(super) fn encode(identity: &SourceIdentity, record: &Record) -> Vec<u8> {
    let short = |validator: &Option<String>| {
        validator.clone().filter(|validator| validator.len() <= MAX_VALIDATOR_BYTES)
    };
    let content = serde_json::json!({
        "identity": identity.as_hex(),
        "fetched_at_ms": record.fetched_at.as_millis(),
        "freshness_ms": u64::try_from(record.freshness.as_millis()).unwrap_or(u64::MAX),
        "etag": short(&record.etag),
        "last_modified": short(&record.last_modified),
        "body": STANDARD.encode(&record.body),
    })
    .to_string();
    let sha256 = hex(digest::digest(&SHA256, content.as_bytes()));
    format!(r#"{{"version":{VERSION},"sha256":"{sha256}","record":{content}}}"#).into_bytes()
}

/// The most bytes that a record with a body of `max_bytes` has.
pub(super) fn max_encoded_bytes(max_bytes: usize) -> usize {
    max_bytes.div_ceil(3).saturating_mul(4).saturating_add(MAX_FRAME_BYTES)
}

/// Reads the bytes of a file back.
pub(super) fn decode(
    bytes: &[u8],
    identity: &SourceIdentity,
    max_bytes: usize,
) -> Result<Record, Refusal> {
    let envelope = "not a record, or not a whole one";
    // The version first: another one may look different in everything else.
    let Version { version } = parse(bytes, envelope)?;
    if version != VERSION {
        return Err(Refusal::UnknownVersion(version));
    }
    let Envelope { sha256, record, version: _ } = parse(bytes, envelope)?;
    if hex(digest::digest(&SHA256, record.get().as_bytes())) != sha256 {
        return Err(Refusal::Damaged("its digest is wrong"));
    }
    // Whole, and yet not what `encode` writes: made by something else.
    let content: Content = parse(record.get().as_bytes(), "its members are wrong")?;
    if content.identity != identity.as_hex() {
        return Err(Refusal::OtherSource);
    }
    let body = STANDARD.decode(&content.body);
    let body = body.map_err(|_| Refusal::Damaged("its body is not base64"))?;
    if body.len() > max_bytes {
        return Err(Refusal::TooLarge(max_bytes));
    }
    Ok(Record {
        body,
        fetched_at: UnixTime::from_millis(content.fetched_at_ms),
        etag: content.etag,
        last_modified: content.last_modified,
        freshness: Duration::from_millis(content.freshness_ms),
    })
}

/// The parser's own words quote what it read.
fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8], otherwise: &'static str) -> Result<T, Refusal> {
    serde_json::from_slice(bytes).map_err(|_| Refusal::Damaged(otherwise))
}

fn hex(digest: digest::Digest) -> String {
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
