//! The admin port of the service: the pages that every admin port has (`super::admin_pages`), with
//! [`super::status_page`] as its status, and a way to have keys read at once. No body is looked at.
//!
//! | path | answers |
//! | --- | --- |
//! | `/` | the same as `/status`, for people: HTML |
//! | `POST /keys/refresh` | 202 when a key source is being read now, 429 when the limiter lets none; which, as JSON |

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::admin_pages::{self, Page};
use super::generation::{Current, ReloadState};
use super::health::ReadyState;
use super::listener::Acceptor;
use super::status_page::{self, StatusPage, html};
use super::tls::Tls;
use crate::keys::demand::Asked;
use crate::telemetry::metrics::ConnectionMetrics;
use crate::util::clock::{Clock, UnixTime};

/// What the pages are made from.
#[derive(Clone, Debug)]
pub struct Admin {
    /// What is in force.
    pub current: Current,
    /// How the last attempt to read the configuration again went.
    pub reload: watch::Receiver<ReloadState>,
    /// For `/readyz` and `/status`.
    pub ready: watch::Receiver<ReadyState>,
    /// What listeners have certificates from.
    pub tls: Vec<Arc<Tls>>,
    /// For ages.
    pub clock: Arc<dyn Clock>,
}

/// Told to who asks for anything else.
const PAGES: &str =
    "not found; there are /, /livez, /readyz, /metrics, /status and POST /keys/refresh\n";

/// Serves until `shutdown`, and finishes what it began. At most `max_connections` are open.
pub async fn serve(
    acceptor: Acceptor,
    admin: Admin,
    max_connections: usize,
    metrics: ConnectionMetrics,
    shutdown: CancellationToken,
) {
    admin_pages::serve(acceptor, router(admin), max_connections, metrics, shutdown).await;
}

pub(crate) fn router(admin: Admin) -> Router {
    let page = |write: fn(&Admin) -> Response| -> Page {
        let admin = admin.clone();
        Arc::new(move || write(&admin))
    };
    let ready = admin.ready.clone();
    let pages = [("/metrics", page(metrics)), ("/status", page(status)), ("/", page(for_people))];
    let others = Router::new().route("/keys/refresh", post(refresh_keys)).with_state(admin);
    admin_pages::router(ready, pages, others, PAGES)
}

fn metrics(admin: &Admin) -> Response {
    let generation = admin.current.load_full();
    generation.upkeep();
    generation.metrics.ready(admin.ready.borrow().ready);
    admin_pages::scraped(generation.metrics.render())
}

fn status(admin: &Admin) -> Response {
    Json(page_of(admin, admin.clock.now())).into_response()
}

fn for_people(admin: &Admin) -> Response {
    let now = admin.clock.now();
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, html::POLICY.as_str()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, html::of(&page_of(admin, now), now)).into_response()
}

fn page_of(admin: &Admin, now: UnixTime) -> StatusPage {
    let ready = admin.ready.borrow().clone();
    let reload = admin.reload.borrow().clone();
    let generation = admin.current.load_full();
    let tls: Vec<_> = admin.tls.iter().map(|tls| tls.state()).collect();
    status_page::page(&generation, &ready, &reload, &tls, now)
}

async fn refresh_keys(State(admin): State<Admin>) -> Response {
    let now = admin.clock.now();
    let asked = admin.current.load().demand.ask_for_all(now);
    let whole_seconds =
        |wait: Duration| u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
    let wait = |asked: &Asked| asked.limited_until.map(|until| whole_seconds(until.since(now)));
    let sources = asked.iter().map(|asked| {
        serde_json::json!({
            "issuer": asked.id.issuer.name(),
            "source": asked.id.source.name(),
            "refresh": if asked.limited_until.is_none() { "started" } else { "limited" },
            "retry_after_seconds": wait(asked),
        })
    });
    let body = Json(serde_json::json!({"sources": sources.collect::<Vec<_>>()}));
    // Nothing to be read is nothing to wait for either: keys that are part of the configuration.
    let is_limited = !asked.is_empty() && asked.iter().all(|asked| asked.limited_until.is_some());
    if !is_limited {
        return (StatusCode::ACCEPTED, body).into_response();
    }
    let soonest = asked.iter().filter_map(wait).min().unwrap_or_default();
    let retry_after = [(header::RETRY_AFTER, soonest.to_string())];
    (StatusCode::TOO_MANY_REQUESTS, retry_after, body).into_response()
}
