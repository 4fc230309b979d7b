//! [`ReferenceIssuer`]: the parts put together, and what every request of a client goes through before anything is done
//! for it: its form, its credentials, its share. `token` and `revoke` do what was asked, and
//! `documents` is what everybody may read.
//!
//! | request, below the issuer's path | does |
//! | --- | --- |
//! | `GET /.well-known/openid-configuration` | metadata (OpenID Connect Discovery) |
//! | `GET /.well-known/oauth-authorization-server` | the same (RFC 8414), there and where that has it |
//! | `GET /.well-known/jwks.json` | the published keys |
//! | `POST /token` | a token (RFC 6749 §4.4, §6) |
//! | `POST /revoke` | takes one back (RFC 7009) |
//! | `POST /logout` | takes a session back, or everything that the client has |

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, FromRequest as _, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use tokio_util::sync::CancellationToken;

use super::access_token::OwnTokens;
use super::answer::Refused;
use super::authentication::{Authenticator, Credentials};
use super::form::Form;
use super::key_ring::KeyRing;
use super::limiter::{Limiter, Rate};
use super::refresh::RefreshStore;
use super::revocations::{Revocations, WriteError};
use super::secret_hash::SecretError;
use super::settings::{Client, IssuerSettings};
use super::workshop::Workshop;
use super::{documents, revoke, token};
use crate::revocation::EntryKind;
use crate::telemetry::metrics::{Endpoint, IssuerMetrics};
use crate::util::clock::{Clock, Stopwatch, UnixTime};

/// The reference issuer. Cheap to clone; clones are one.
#[derive(Clone, Debug)]
pub struct ReferenceIssuer(pub(super) Arc<Parts>);

/// Everything that an answer is made from.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) settings: IssuerSettings,
    pub(super) ring: Arc<ArcSwap<KeyRing>>,
    pub(super) authenticator: Authenticator,
    pub(super) own: OwnTokens,
    pub(super) refresh: RefreshStore,
    pub(super) revocations: Revocations,
    pub(super) signing: Workshop,
    pub(super) metrics: Arc<IssuerMetrics>,
    pub(super) clock: Arc<dyn Clock>,
    requests: Limiter,
}

/// A form with two tokens in it is much shorter.
const MAX_BODY: usize = 32 * 1024;

/// Of signatures that wait for a processor.
const WAITING: usize = 256;

/// How often what could not be written is tried again, and what is counted is.
const UPKEEP: Duration = Duration::from_secs(1);

impl ReferenceIssuer {
    /// Puts it together. Does no I/O.
    ///
    /// # Errors
    /// A system without randomness.
    pub fn new(
        settings: IssuerSettings,
        ring: Arc<ArcSwap<KeyRing>>,
        metrics: Arc<IssuerMetrics>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SecretError> {
        let kinds = EntryKind::ALL.map(EntryKind::as_str);
        metrics.expect(settings.clients.iter().map(|client| &client.label), &kinds);
        let now = clock.now();
        let (clients, limits) = (settings.clients.clone().into(), settings.limits);
        let second = |count| Rate { count, per: Duration::from_secs(1) };
        let (own, all) = (second(limits.client_requests), second(limits.requests));
        let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Ok(Self(Arc::new(Parts {
            authenticator: Authenticator::new(clients, limits, now)?,
            own: OwnTokens::of(&settings.issuer),
            refresh: RefreshStore::new(settings.refresh, &settings.revocation),
            revocations: Revocations::new(&settings.revocation, Arc::clone(&metrics)),
            signing: Workshop::new(processors, WAITING),
            requests: Limiter::new(settings.clients.len(), own, all, now),
            settings,
            ring,
            metrics,
            clock,
        })))
    }

    /// Looks whether what will be revoked can be written.
    ///
    /// # Errors
    /// It cannot.
    pub async fn prepare(&self) -> Result<(), WriteError> {
        let Parts { settings, ring, revocations, clock, .. } = &*self.0;
        let longest = ring.load().longest_lifetime().max(settings.lifetime);
        revocations.prepare(settings, longest, clock.now()).await
    }

    /// What answers requests.
    pub fn router(&self) -> Router {
        let path = &self.0.settings.path;
        let routes = Router::new()
            .route(&format!("{path}/.well-known/openid-configuration"), get(documents::metadata))
            .route(&format!("{path}{OAUTH_METADATA}"), get(documents::metadata))
            .route(&format!("{path}/.well-known/jwks.json"), get(documents::jwks))
            .route(&format!("{path}/token"), post(token))
            .route(&format!("{path}/revoke"), post(revoke))
            .route(&format!("{path}/logout"), post(logout));
        // RFC 8414 §3: between the host and the path.
        let routes = match path.as_str() {
            "" => routes,
            path => routes.route(&format!("{OAUTH_METADATA}{path}"), get(documents::metadata)),
        };
        let limit = DefaultBodyLimit::max(MAX_BODY);
        routes.fallback(nowhere).layer(limit).with_state(self.clone())
    }

    /// What goes on beside the requests, until `stop`.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Infallible> {
        let parts = &self.0;
        while stop.run_until_cancelled(parts.clock.sleep(UPKEEP)).await.is_some() {
            parts.try_again().await;
            parts.upkeep();
        }
        // What is still to be written is worth one more attempt.
        parts.try_again().await;
        Ok(())
    }

    /// What is written nowhere yet and should be.
    #[must_use]
    pub fn unwritten_revocations(&self) -> usize {
        self.0.revocations.unwritten()
    }
}

const OAUTH_METADATA: &str = "/.well-known/oauth-authorization-server";

async fn nowhere() -> Response {
    (StatusCode::NOT_FOUND, "not found\n").into_response()
}

async fn token(State(issuer): State<ReferenceIssuer>, request: Request) -> Response {
    issuer.0.answer(Endpoint::Token, request).await
}

async fn revoke(State(issuer): State<ReferenceIssuer>, request: Request) -> Response {
    issuer.0.answer(Endpoint::Revoke, request).await
}

async fn logout(State(issuer): State<ReferenceIssuer>, request: Request) -> Response {
    issuer.0.answer(Endpoint::Logout, request).await
}

impl Parts {
    async fn answer(&self, endpoint: Endpoint, request: Request) -> Response {
        let (watch, mut who) = (Stopwatch::start(), None);
        let outcome = self.asked(endpoint, request, &mut who).await;
        let client = who.map(|client| &client.label);
        let told = outcome.as_ref().err().map(|refused| refused.word());
        let place = told.and_then(|word| Refused::WORDS.iter().position(|known| *known == word));
        let result = (place.map_or(0, |place| place + 1), told.unwrap_or("ok"));
        self.metrics.request(endpoint, client, result, watch.elapsed());
        outcome.unwrap_or_else(|refused| {
            let (endpoint, client) = (endpoint.as_str(), client.map(|client| client.name()));
            tracing::info!(endpoint, client, error = refused.word(), "refused");
            refused.into_response()
        })
    }

    async fn asked<'a>(
        &'a self,
        endpoint: Endpoint,
        request: Request,
        who: &mut Option<&'a Client>,
    ) -> Result<Response, Refused> {
        let (head, body) = request.into_parts();
        // Credentials in a URL end up in logs (RFC 6749 §2.3.1), and two places for a parameter are two readings.
        if head.uri.query().is_some() {
            return Err(Refused::InvalidRequest("parameters belong into the body"));
        }
        let headers = head.headers.clone();
        let body = Bytes::from_request(Request::from_parts(head, body), &()).await;
        let body = body.map_err(|rejection| unreadable(&rejection))?;
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let form = Form::parse(content_type, &body)?;
        let credentials = Credentials::of(&headers, &form)?;
        let now = self.clock.now();
        let client = self.authenticator.authenticate(credentials, now).await?;
        *who = Some(client);
        self.requests.take(Some(client.label.index()), now).map_err(Refused::TooMany)?;
        match endpoint {
            Endpoint::Token => token::grant(self, client, &form).await,
            Endpoint::Revoke => revoke::revoke(self, client, &form).await,
            Endpoint::Logout => revoke::log_out(self, client, &form).await,
        }
    }

    async fn try_again(&self) {
        self.revocations.try_again(&self.settings, &self.refresh, &*self.clock).await;
    }

    pub(super) fn now(&self) -> UnixTime {
        self.clock.now()
    }

    fn upkeep(&self) {
        if let Some(families) = self.refresh.families() {
            self.metrics.families(families);
        }
        self.metrics.unwritten(self.revocations.unwritten());
        self.metrics.upkeep();
    }
}

fn unreadable(rejection: &BytesRejection) -> Refused {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refused::InvalidRequest("the body is too long"),
        _ => Refused::InvalidRequest("the body could not be read"),
    }
}
