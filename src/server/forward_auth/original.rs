//! What is asked about: from the request that asks → `check::CheckRequest`. Nothing is made up: what is missing, or there
//! twice, is a fault, and a fault is a denial.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::header::{CONNECTION, HOST};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri};

use crate::check::CheckRequest;
use crate::server::checks::header_text;

/// Where it is asked, which says where the original request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door<'a> {
    /// It is the request itself, with this path and query.
    Envoy(&'a str),
    /// In `X-Original-*`.
    Nginx,
    /// In `X-Forwarded-*`, asked by Caddy.
    Caddy,
    /// In `X-Forwarded-*`, asked by Traefik.
    Traefik,
}

/// Why it is not known what is asked about. Made of words of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// Anybody can write headers.
    #[error("who asks is not one of listen.trusted_forwarders")]
    NotTrusted,
    /// A proxy that was not told to send it.
    #[error("there is no {0}")]
    Missing(&'static str),
    /// One of them is not the proxy's.
    #[error("there is more than one {0}")]
    Repeated(&'static str),
    /// No such thing.
    #[error("{0} is not what a request has")]
    Invalid(&'static str),
    /// `Connection: authorization` asks to take away what is to be judged (RFC 9110 §7.6.1).
    #[error("Connection names more than how the connection goes on")]
    Connection,
}

/// What Envoy puts before the path: its `path_prefix`.
pub(super) const ENVOY: &str = "/auth/envoy";

const AT_NGINX: &str = "/auth/nginx";
const AT_CADDY: &str = "/auth/caddy";
const AT_TRAEFIK: &str = "/auth/traefik";

/// How long Envoy waits, in milliseconds.
const ENVOY_TIMEOUT: &str = "x-envoy-expected-rq-timeout-ms";

/// Method, path with query, and host.
const NGINX: [&str; 3] = ["x-original-method", "x-original-uri", "x-original-host"];
const FORWARDED: [&str; 3] = ["x-forwarded-method", "x-forwarded-uri", "x-forwarded-host"];

impl<'a> Door<'a> {
    /// `None` when there is none at this path. It is compared as it was sent: no door has two spellings.
    pub(super) fn of(asked: &'a Uri) -> Option<Self> {
        // A query is the original request's own, which Caddy leaves there.
        match asked.path() {
            AT_NGINX => Some(Self::Nginx),
            AT_CADDY => Some(Self::Caddy),
            AT_TRAEFIK => Some(Self::Traefik),
            _ => {
                let target = asked.path_and_query()?.as_str().strip_prefix(ENVOY)?;
                target.starts_with('/').then_some(Self::Envoy(target))
            }
        }
    }

    /// Where it is; of Envoy's, where it begins.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Envoy(_) => ENVOY,
            Self::Nginx => AT_NGINX,
            Self::Caddy => AT_CADDY,
            Self::Traefik => AT_TRAEFIK,
        }
    }

    /// Whether what is asked about is what headers say.
    pub(super) fn believes_headers(self) -> bool {
        match self {
            Self::Envoy(_) => false,
            Self::Nginx | Self::Caddy | Self::Traefik => true,
        }
    }

    /// How long who asks waits for the answer, if that is told.
    pub(super) fn deadline(self, headers: &HeaderMap) -> Option<Duration> {
        match self {
            Self::Envoy(_) => {
                let millis = headers.get(ENVOY_TIMEOUT)?.to_str().ok()?.parse().ok()?;
                Some(Duration::from_millis(millis))
            }
            Self::Nginx | Self::Caddy | Self::Traefik => None,
        }
    }

    /// What is asked about.
    pub(super) fn original(self, asked: &'a Parts) -> Result<CheckRequest<'a>, Fault> {
        if nominates(&asked.headers) {
            return Err(Fault::Connection);
        }
        let (method, path, host) = match self {
            Self::Envoy(target) => (asked.method.as_str().into(), target.into(), host(asked)?),
            Self::Nginx => said(&asked.headers, NGINX)?,
            Self::Caddy | Self::Traefik => said(&asked.headers, FORWARDED)?,
        };
        let kept = asked.headers.iter().filter(|(name, _)| !is_between_hops(name.as_str()));
        let headers =
            kept.map(|(name, value)| (name.as_str().into(), header_text(value.as_bytes())));
        Ok(CheckRequest { method, host, path, headers: headers.collect(), context: Vec::new() })
    }
}

/// Method, path with query, host.
type Said<'a> = (Cow<'a, str>, Cow<'a, str>, Cow<'a, str>);

/// What headers say of a request.
fn said<'a>(headers: &'a HeaderMap, names: [&'static str; 3]) -> Result<Said<'a>, Fault> {
    let [method_name, uri_name, host_name] = names;
    let method = the_one(headers, method_name)?;
    let path = the_one(headers, uri_name)?;
    let host = the_one(headers, host_name)?;
    Method::from_bytes(method.as_bytes()).map_err(|_| Fault::Invalid(method_name))?;
    // Not `*`, not a whole URL, whose path the rules would not find.
    if !path.starts_with('/') {
        return Err(Fault::Invalid(uri_name));
    }
    Ok((method, path, host))
}

/// Of HTTP/2 and of a whole URL it stands in the request line, and what else there is must not say otherwise.
fn host(asked: &Parts) -> Result<Cow<'_, str>, Fault> {
    match asked.uri.authority() {
        None => the_one(&asked.headers, "host"),
        Some(host) => {
            let others = asked.headers.get_all(HOST);
            let is_said_once =
                others.iter().all(|other| other.as_bytes() == host.as_str().as_bytes());
            is_said_once.then(|| host.as_str().into()).ok_or(Fault::Repeated("host"))
        }
    }
}

/// The value of a header that is there once, and not empty.
fn the_one<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Cow<'a, str>, Fault> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) if !value.is_empty() => Ok(header_text(value.as_bytes())),
        (None | Some(_), None) => Err(Fault::Missing(name)),
        (_, Some(_)) => Err(Fault::Repeated(name)),
    }
}

/// Whether `Connection` names headers that are for the next hop alone.
fn nominates(headers: &HeaderMap) -> bool {
    let options = headers.get_all(CONNECTION).iter();
    let options = options.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    options.map(<[u8]>::trim_ascii).any(|option| {
        let plain = ["", "close", "keep-alive", "upgrade"];
        !plain.iter().any(|plain| option.eq_ignore_ascii_case(plain.as_bytes()))
    })
}

/// Headers that say how a request came here and nothing of the client's own: no rule may match them.
fn is_between_hops(name: &str) -> bool {
    const NAMES: [&str; 12] = [
        "connection",
        "forwarded",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
        "x-original-url",
        "x-real-ip",
        ENVOY_TIMEOUT,
    ];
    NAMES.contains(&name)
        || NGINX.contains(&name)
        || name.starts_with("x-forwarded-")
        || name.starts_with("proxy-")
}
