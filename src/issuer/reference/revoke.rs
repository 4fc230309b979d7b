//! `POST /revoke` (RFC 7009) and `POST /logout`: what a client has is taken back, for every service that reads the
//! revocations. A client can take back its own tokens only.
//!
//! What is revoked is written before it is answered, and a session before it is ended here: a client that is told 503 asks
//! again, and finds what it asked for before.

use axum::response::Response;

use super::answer::{Refused, done};
use super::form::Form;
use super::refresh::{Found, TokenHash};
use super::revocations::{WriteError, last_token};
use super::service::Parts;
use super::settings::Client;
use crate::util::clock::UnixTime;

/// A token that was presented to be taken back.
enum Presented {
    /// A refresh token, and what has its family.
    Session(String),
    /// An access token that is not of a session, or is meant by itself.
    Token { id: String, session: Option<String>, expires_at: UnixTime },
    /// Not one of ours, or not any more.
    Unknown,
}

/// RFC 7009 §2: an access token is revoked by itself, a refresh token with every token of its family. What is not known,
/// or has expired, is as good as revoked (§2.2).
pub(super) async fn revoke(
    parts: &Parts,
    client: &Client,
    form: &Form,
) -> Result<Response, Refused> {
    let token = form.get("token").ok_or(Refused::InvalidRequest("token is missing"))?;
    match presented(parts, client, token).await? {
        Presented::Session(session) => {
            end_session(parts, client, &session, None).await?;
        }
        Presented::Token { id, expires_at, .. } => {
            parts.revocations.token(&parts.settings, &id, expires_at, parts.now()).await?;
            tracing::info!(client = client.id(), jti = id, "token revoked");
        }
        Presented::Unknown => {}
    }
    Ok(done())
}

/// With a `token`, access or refresh, its session ends: everything that came from the same first token. Without, or with
/// an access token that is of no session, everything that the client's subject has until now.
pub(super) async fn log_out(
    parts: &Parts,
    client: &Client,
    form: &Form,
) -> Result<Response, Refused> {
    let presented = match form.get("token") {
        Some(token) => Some(presented(parts, client, token).await?),
        None => None,
    };
    match presented {
        Some(Presented::Session(session)) => {
            end_session(parts, client, &session, None).await?;
        }
        Some(Presented::Token { session: Some(session), expires_at, .. }) => {
            end_session(parts, client, &session, Some(expires_at)).await?;
        }
        Some(Presented::Unknown) => {}
        None | Some(Presented::Token { session: None, .. }) => {
            end_everything(parts, client).await?
        }
    }
    Ok(done())
}

async fn presented(parts: &Parts, client: &Client, token: &str) -> Result<Presented, Refused> {
    let now = parts.now();
    // The hint of RFC 7009 §2.1 is not needed: the two do not look alike.
    let (owner, presented) = if let Some(hash) = TokenHash::of(token) {
        match parts.refresh.find(hash, now).await? {
            Found::Current(family) | Found::Used(family) => {
                (family.client, Presented::Session(family.id))
            }
            Found::Unknown => return Ok(Presented::Unknown),
        }
    } else {
        let Some(own) = parts.own.read(token, &parts.ring.load(), now) else {
            return Ok(Presented::Unknown);
        };
        let (id, session, expires_at) = (own.id, own.session, own.expires_at);
        (own.client, Presented::Token { id, session, expires_at })
    };
    // RFC 7009 §2.1: issued to the client that asks, or the request is refused.
    if owner == client.id() { Ok(presented) } else { Err(Refused::InvalidGrant) }
}

/// `good_until`: of a token of it that is known; it may be of a time in which tokens were good for longer.
async fn end_session(
    parts: &Parts,
    client: &Client,
    session: &str,
    good_until: Option<UnixTime>,
) -> Result<(), Refused> {
    let last = last_token(&parts.settings, parts.now());
    let last = last.max(good_until.unwrap_or(last));
    parts.revocations.session(&parts.settings, session, last, parts.now()).await?;
    parts.refresh.end(session).await?;
    tracing::info!(client = client.id(), sid = session, "session ended");
    Ok(())
}

async fn end_everything(parts: &Parts, client: &Client) -> Result<(), Refused> {
    // First: with a refresh token that is still good somebody would get what is issued too late to be meant. Who is told
    // 503 asks again, and needs no token for that.
    let ended = parts.refresh.end_all_of(client.id()).await?;
    // `iat` has whole seconds: to have what was issued in this one as well, everything before the next one is revoked,
    // and the answer waits for it, so that what is issued after the answer is good.
    let not_before = next_second(parts.now());
    parts.revocations.subject(&parts.settings, &client.subject, not_before, parts.now()).await?;
    parts.clock.sleep(not_before.since(parts.now())).await;
    tracing::info!(
        client = client.id(),
        sub = client.subject,
        families = ended.len(),
        "everything ended"
    );
    Ok(())
}

fn next_second(now: UnixTime) -> UnixTime {
    let seconds = now.as_millis().div_euclid(1000).saturating_add(1);
    UnixTime::from_secs(seconds).unwrap_or(now)
}

impl From<WriteError> for Refused {
    fn from(_: WriteError) -> Self {
        Self::Unavailable("the revocation could not be written")
    }
}
