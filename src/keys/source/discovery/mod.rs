//! Finds an issuer's JWK Set by its metadata: OpenID Connect Discovery 1.0, or RFC 8414.
//!
//! The document says one thing that counts, `jwks_uri`, and must be the issuer's own to say it. It is read
//! on a schedule of its own, and at once when the keys it led to fail. Losing it takes no keys away: the
//! `jwks_uri` that it named last is good until it names another. [`super::reader`] calls it.

use std::time::Duration;

use url::Url;

use super::remote::{Fetched, HttpClient, Validators};
use super::{RefreshSettings, SourceError, SourceSettings, UrlError, key_url, shown};
use crate::keys::schedule;
use crate::keys::store::SourceId;
use crate::util::clock::UnixTime;
use crate::util::escape::escaped;
use crate::util::json::{self, RawMembers};

/// Where an issuer's metadata is, and whose it has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    issuer: String,
    home: Url,
    /// Asked when the first is 404.
    second: Option<Url>,
}

impl Discovery {
    /// The metadata of `issuer`, where the standards have it: OpenID Connect Discovery 1.0 §4, and RFC 8414 §3
    /// behind it.
    ///
    /// # Errors
    /// An issuer that is no URL that may be fetched from, or has a query, which neither standard allows.
    pub fn of_issuer(issuer: &str, accepts_http: bool) -> Result<Self, UrlError> {
        let url = key_url(issuer, accepts_http)?;
        if url.query().is_some() {
            return Err(UrlError::NotHttps);
        }
        let path = url.path().trim_end_matches('/');
        let at = |path: &str| {
            let mut url = url.clone();
            url.set_path(path);
            url
        };
        Ok(Self {
            issuer: issuer.to_owned(),
            home: at(&format!("{path}/.well-known/openid-configuration")),
            second: Some(at(&format!("/.well-known/oauth-authorization-server{path}"))),
        })
    }

    /// The metadata of `issuer` at `document`, which is a [`key_url`].
    pub fn at(document: Url, issuer: &str) -> Self {
        Self { issuer: issuer.to_owned(), home: document, second: None }
    }

    /// Where it is looked for first.
    pub fn home(&self) -> &Url {
        &self.home
    }

    /// Whose metadata it has to be.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The `jwks_uri` in the issuer's metadata.
    fn jwks_uri(&self, document: &[u8]) -> Result<Url, DiscoveryError> {
        let members = RawMembers::parse(document).map_err(DiscoveryError::NotJson)?;
        let text = |name: &'static str| {
            let member = members.get(name).map(json::string_of);
            member.and_then(Result::ok).ok_or(DiscoveryError::Missing(name))
        };
        // Byte for byte (OpenID Connect Discovery 1.0 §4.3, RFC 8414 §3.3): else one issuer could speak for another.
        let issuer = text("issuer")?;
        if *issuer != *self.issuer {
            let found = escaped(&issuer, 100);
            return Err(DiscoveryError::OtherIssuer { found, expected: self.issuer.clone() });
        }
        // Plain http is configured, or not at all.
        let accepts_http = self.home.scheme() == "http";
        key_url(&text("jwks_uri")?, accepts_http).map_err(DiscoveryError::JwksUri)
    }
}

/// Why a discovery document is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    /// Not exactly one JSON object.
    #[error("not a JSON object: {0}")]
    NotJson(json::Malformed),
    /// A member is not there, or no string.
    #[error("no \"{0}\"")]
    Missing(&'static str),
    /// It speaks for somebody else.
    #[error("its \"issuer\" is \"{found}\", expected exactly \"{expected}\"")]
    OtherIssuer {
        /// Escaped and cut.
        found: String,
        /// As configured.
        expected: String,
    },
    /// Keys are not fetched from there.
    #[error("its \"jwks_uri\" is {0}")]
    JwksUri(UrlError),
}

/// Reads the JWK Set of one issuer by way of its metadata.
#[derive(Debug)]
pub(super) struct DiscoveryReader {
    discovery: Discovery,
    id: SourceId,
    refresh: RefreshSettings,
    max_bytes: usize,
    found: Option<Found>,
    /// Why the last look at the document brought nothing, while what it said before is still used.
    warning: Option<SourceError>,
}

/// What the document said.
#[derive(Debug)]
struct Found {
    jwks_uri: Url,
    validators: Validators,
    /// When it was looked at last, and how long that is good for.
    looked_at: UnixTime,
    fresh_for: Duration,
}

impl Found {
    /// Also when the clock was set back: else it would be fresh for as long as that.
    fn is_due(&self, now: UnixTime) -> bool {
        now < self.looked_at || now.since(self.looked_at) >= self.fresh_for
    }
}

impl DiscoveryReader {
    pub(super) fn new(discovery: Discovery, settings: &SourceSettings) -> Self {
        Self {
            discovery,
            id: settings.id.clone(),
            refresh: settings.refresh.clone(),
            max_bytes: settings.max_bytes,
            found: None,
            warning: None,
        }
    }

    /// Gets the JWK Set; each request has a deadline of its own.
    ///
    /// # Errors
    /// The document, while it was never read; else the JWK Set.
    pub(super) async fn read(
        &mut self,
        client: &mut HttpClient,
        known: Option<&Validators>,
        now: UnixTime,
    ) -> Result<Fetched, SourceError> {
        let fresh = self.found.as_ref().filter(|found| !found.is_due(now));
        let fresh = fresh.map(|found| found.jwks_uri.clone());
        let is_fresh = fresh.is_some();
        let uri = match fresh {
            Some(uri) => uri,
            None => self.look(client, now).await?,
        };
        match self.fetch(client, &uri, known).await {
            Err(error) if is_fresh => {
                let moved = self.look(client, now).await?;
                if moved == uri { Err(error) } else { self.fetch(client, &moved, known).await }
            }
            outcome => outcome,
        }
    }

    /// The document that was read is no JWK Set: what led to it is looked at again before the next.
    pub(super) fn led_astray(&mut self) {
        if let Some(found) = &mut self.found {
            found.fresh_for = Duration::ZERO;
        }
    }

    pub(super) fn warning(&self) -> Option<&SourceError> {
        self.warning.as_ref()
    }

    async fn fetch(
        &self,
        client: &mut HttpClient,
        uri: &Url,
        known: Option<&Validators>,
    ) -> Result<Fetched, SourceError> {
        // The validators of another document must not bring a 304 for this one.
        let known = known.filter(|known| known.came_from(uri));
        let fetched = client.fetch(uri, known, self.max_bytes, self.refresh.timeout).await;
        fetched.map_err(|error| error.at(shown(uri)))
    }

    /// Looks at the document and returns what to read; what it said before where it cannot be had.
    async fn look(&mut self, client: &mut HttpClient, now: UnixTime) -> Result<Url, SourceError> {
        match (self.ask(client, now).await, &mut self.found) {
            (Ok(found), known) => {
                if known.as_ref().is_some_and(|known| known.jwks_uri != found.jwks_uri) {
                    let (issuer, source) = (self.id.issuer.name(), self.id.source.name());
                    let jwks_uri = shown(&found.jwks_uri);
                    tracing::info!(issuer, source, jwks_uri, "the issuer's keys have moved");
                }
                self.warning = None;
                Ok(known.insert(found).jwks_uri.clone())
            }
            (Err(error), Some(known)) => {
                known.looked_at = now;
                known.fresh_for = self.refresh.min;
                if self.warning.as_ref() != Some(&error) {
                    let (issuer, source) = (self.id.issuer.name(), self.id.source.name());
                    let error = error.to_string();
                    tracing::warn!(issuer, source, error, "no discovery, the jwks_uri known stays");
                }
                self.warning = Some(error);
                Ok(known.jwks_uri.clone())
            }
            (Err(error), None) => Err(error),
        }
    }

    async fn ask(&self, client: &mut HttpClient, now: UnixTime) -> Result<Found, SourceError> {
        let first = self.ask_at(client, &self.discovery.home, now).await;
        match (&self.discovery.second, first) {
            (Some(second), Err(SourceError::Status { status: 404, .. })) => {
                let asked = self.ask_at(client, second, now).await;
                asked.map_err(|error| error.at(shown(second)))
            }
            (_, outcome) => outcome,
        }
    }

    async fn ask_at(
        &self,
        client: &mut HttpClient,
        url: &Url,
        now: UnixTime,
    ) -> Result<Found, SourceError> {
        let known = self.found.as_ref().filter(|found| found.validators.came_from(url));
        let validators = known.map(|found| &found.validators);
        let fetched = client.fetch(url, validators, self.max_bytes, self.refresh.timeout).await?;
        let jwks_uri = match (&fetched.document, known) {
            (Some(document), _) => self.discovery.jwks_uri(document)?,
            (None, Some(found)) => found.jwks_uri.clone(),
            // Only an answer to a conditional request has no document.
            (None, None) => return Err(SourceError::Status { status: 304, retry_after: None }),
        };
        let validators = match known {
            // RFC 9111 §4.3.4: what the 304 does not say stays as it was.
            Some(found) if fetched.document.is_none() && fetched.validators.is_empty() => {
                found.validators.clone()
            }
            _ => fetched.validators,
        };
        // It changes far less often than keys do.
        let rarely = RefreshSettings { interval: self.refresh.max, ..self.refresh.clone() };
        let fresh_for = schedule::freshness(fetched.cache_control.as_deref(), &rarely);
        Ok(Found { jwks_uri, validators, looked_at: now, fresh_for })
    }
}

#[cfg(test)]
mod tests;
