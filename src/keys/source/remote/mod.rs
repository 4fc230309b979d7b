//! Fetches a JWK Set over HTTP: one GET with one deadline, bounded and never redirected.
//!
//! The only folder that knows reqwest; `client` sets it up. It does not judge the document, remember anything
//! or decide when to try again: [`super::reader`] calls [`HttpClient::fetch`], the refresher behind it does.

mod client;

use std::time::Duration;

use reqwest::header::{
    ACCEPT, AUTHORIZATION, CACHE_CONTROL, ETAG, HeaderMap, HeaderName, HeaderValue,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, RETRY_AFTER,
};
use reqwest::{RequestBuilder, Response, StatusCode};
use tokio::time;
use url::{Origin, Url};

use self::client::Client;
use super::{HttpSettings, SourceError, is_loopback};
use crate::util::escape::innermost_cause;

/// How long to wait for a connection, inside the deadline of the fetch.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Longer validators are not sent back.
const MAX_VALIDATOR_BYTES: usize = 1024;

/// The HTTP client of one source. Nothing is set up before the first fetch.
#[derive(Debug, Default)]
pub struct HttpClient {
    settings: HttpSettings,
    /// Who is configured, and so may see the bearer token.
    home: Option<Origin>,
    client: Client,
}

impl HttpClient {
    /// A client without options.
    pub fn new() -> Self {
        Self::default()
    }

    /// A client with options, for a source that is configured to be at `home`.
    pub fn with(settings: HttpSettings, home: &Url) -> Self {
        Self { settings, home: Some(home.origin()), client: Client::default() }
    }

    /// Gets the document at `url`, or hears that the one with validators `known` is still right.
    ///
    /// # Errors
    /// Everything but a whole 200, or a 304 to a conditional request, within `timeout` and `max_bytes`.
    pub async fn fetch(
        &mut self,
        url: &Url,
        known: Option<&Validators>,
        max_bytes: usize,
        timeout: Duration,
    ) -> Result<Fetched, SourceError> {
        // Around everything: the deadline does not start again with each byte that trickles in.
        match time::timeout(timeout, self.fetch_unhurried(url, known, max_bytes)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(SourceError::Timeout(timeout)),
        }
    }

    async fn fetch_unhurried(
        &mut self,
        url: &Url,
        known: Option<&Validators>,
        max_bytes: usize,
    ) -> Result<Fetched, SourceError> {
        let bearer = self.bearer(url).await?;
        // One that is configured with https speaks nothing else, wherever it is sent.
        let https_only = self.home.as_ref().is_some_and(is_https);
        let client = self.client.prepare(&self.settings, url, https_only).await?;
        let mut request = client.get(url.clone());
        request = request.header(ACCEPT, "application/json, application/jwk-set+json");
        if let Some(bearer) = bearer {
            request = request.header(AUTHORIZATION, bearer);
        }
        let known = known.filter(|known| !known.is_empty() && known.are_for(url));
        let request = match known {
            Some(known) => known.apply(request),
            None => request,
        };
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let headers = response.headers();
        let cache_control = joined(headers);
        match response.status() {
            StatusCode::OK => {
                let validators = Validators::of(url, headers);
                let document = body(response, max_bytes).await?;
                Ok(Fetched { document: Some(document), validators, cache_control })
            }
            // RFC 9110 §15.4.5: to a request without a condition it says nothing.
            StatusCode::NOT_MODIFIED if known.is_some() => {
                let validators = Validators::of(url, headers);
                Ok(Fetched { document: None, validators, cache_control })
            }
            status if status.is_redirection() && status != StatusCode::NOT_MODIFIED => {
                Err(SourceError::Redirect(status.as_u16()))
            }
            status => {
                let retry_after = match status {
                    StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                        headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok())
                    }
                    _ => None,
                };
                let retry_after = retry_after.map(str::to_owned);
                Err(SourceError::Status { status: status.as_u16(), retry_after })
            }
        }
    }

    /// No answer; where there is a proxy, either it or the provider behind it gave none.
    fn unreachable(&self, error: &reqwest::Error) -> SourceError {
        match (unreachable(error), &self.settings.proxy) {
            (SourceError::Unreachable(text), Some(proxy)) => {
                SourceError::Unreachable(format!("through the proxy {proxy}: {text}"))
            }
            (error, _) => error,
        }
    }

    /// The `Authorization` field for a request to `url`: for the configured origin only, and never where
    /// somebody on the way could read it.
    async fn bearer(&self, url: &Url) -> Result<Option<HeaderValue>, SourceError> {
        let Some(file) = &self.settings.bearer_token_file else { return Ok(None) };
        let is_home = self.home.as_ref().is_some_and(|home| *home == url.origin());
        // A plain request to a proxy leaves the machine, whatever it asks for.
        let is_private =
            url.scheme() == "https" || is_loopback(url) && self.settings.proxy.is_none();
        if !is_home || !is_private {
            return Ok(None);
        }
        client::bearer(self.client.turn(), file).await.map(Some)
    }
}

/// A good answer.
#[derive(Debug)]
pub struct Fetched {
    /// The body; `None` for a 304: the one we have is still right.
    pub document: Option<Vec<u8>>,
    /// What to ask with next time.
    pub validators: Validators,
    /// The `Cache-Control` field.
    pub cache_control: Option<String>,
}

fn is_https(origin: &Origin) -> bool {
    matches!(origin, Origin::Tuple(scheme, ..) if scheme == "https")
}

/// What makes the next request conditional (RFC 9110 §8.8), kept as sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// The URL that they came from, where that may change: to another one they say nothing.
    url: Option<Url>,
    etag: Option<HeaderValue>,
    last_modified: Option<HeaderValue>,
}

impl Validators {
    /// Whether there is nothing to ask with.
    pub fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }

    /// From what [`Self::etag`] and [`Self::last_modified`] gave; what is no field value is left out.
    pub fn new(etag: Option<&str>, last_modified: Option<&str>) -> Self {
        let value = |text: Option<&str>| text.and_then(|text| HeaderValue::from_str(text).ok());
        Self { url: None, etag: value(etag), last_modified: value(last_modified) }
    }

    /// The `ETag` field, if it is text.
    pub fn etag(&self) -> Option<&str> {
        self.etag.as_ref().and_then(|value| value.to_str().ok())
    }

    /// The `Last-Modified` field, if it is text.
    pub fn last_modified(&self) -> Option<&str> {
        self.last_modified.as_ref().and_then(|value| value.to_str().ok())
    }

    /// Whether they came from `url`, as far as that is known.
    fn are_for(&self, url: &Url) -> bool {
        self.url.as_ref().is_none_or(|of| of == url)
    }

    /// Whether they are known to have come from `url`.
    pub(super) fn came_from(&self, url: &Url) -> bool {
        self.url.as_ref() == Some(url)
    }

    fn of(url: &Url, headers: &HeaderMap) -> Self {
        let short = |name: HeaderName| {
            headers.get(name).filter(|value| value.len() <= MAX_VALIDATOR_BYTES).cloned()
        };
        let (etag, last_modified) = (short(ETAG), short(LAST_MODIFIED));
        Self { url: Some(url.clone()), etag, last_modified }
    }

    fn apply(&self, mut request: RequestBuilder) -> RequestBuilder {
        if let Some(etag) = &self.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        if let Some(date) = &self.last_modified {
            request = request.header(IF_MODIFIED_SINCE, date);
        }
        request
    }
}

/// Reads the body chunk by chunk and stops at the limit, whatever the response says of its length.
async fn body(mut response: Response, max_bytes: usize) -> Result<Vec<u8>, SourceError> {
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX);
    if response.content_length().is_some_and(|length| length > limit) {
        return Err(SourceError::TooLarge(max_bytes));
    }
    let mut document = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
        if document.len().saturating_add(chunk.len()) > max_bytes {
            return Err(SourceError::TooLarge(max_bytes));
        }
        document.extend_from_slice(&chunk);
    }
    Ok(document)
}

/// The `Cache-Control` fields as one (RFC 9110 §5.3).
fn joined(headers: &HeaderMap) -> Option<String> {
    let fields = headers.get_all(CACHE_CONTROL).iter();
    let fields: Vec<&str> = fields.filter_map(|field| field.to_str().ok()).collect();
    if fields.is_empty() { None } else { Some(fields.join(",")) }
}

fn unreachable(error: &reqwest::Error) -> SourceError {
    if error.is_timeout() {
        // The deadline of the whole fetch is ours and reported elsewhere; this is the connection's.
        return SourceError::Timeout(CONNECT_TIMEOUT);
    }
    SourceError::Unreachable(innermost(error))
}

/// The cause that says most. The outer ones repeat the URL, which may hold secrets.
fn innermost(error: &reqwest::Error) -> String {
    innermost_cause(error).unwrap_or_else(|| "the request failed".to_owned())
}

#[cfg(test)]
mod tests;
