//! `POST /token`: client credentials (RFC 6749 §4.4) and refresh tokens (§6), for what the configuration lets a client
//! have and no more.
//!
//! Client credentials come without a refresh token as a rule (§4.4.3): whoever can prove who it is needs none. It gets one
//! where it is configured to, for what only a family of tokens has: a session (`sid`) that ends as a whole, at `/logout` or
//! when a stolen token shows itself, and a client that keeps its secret out of its day-to-day work, in a start script for
//! one, and lives on rotating tokens. Each use needs the secret nevertheless: refresh tokens are bound to their client.

use axum::response::Response;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::access_token::{self, AccessToken, Grant, IssueError};
use super::answer::{Refused, private};
use super::form::{Form, words};
use super::refresh::{self, Family, Found, Rotation, StoreError, TokenHash};
use super::service::Parts;
use super::settings::Client;

const CLIENT_CREDENTIALS: &str = "client_credentials";
const REFRESH_TOKEN: &str = "refresh_token";

pub(super) async fn grant(
    parts: &Parts,
    client: &Client,
    form: &Form,
) -> Result<Response, Refused> {
    match form.get("grant_type") {
        Some(CLIENT_CREDENTIALS) => credentials(parts, client, form).await,
        Some(REFRESH_TOKEN) => refresh(parts, client, form).await,
        Some(_) => Err(Refused::UnsupportedGrantType),
        None => Err(Refused::InvalidRequest("grant_type is missing")),
    }
}

async fn credentials(parts: &Parts, client: &Client, form: &Form) -> Result<Response, Refused> {
    let may_have: Vec<&str> = client.scopes.iter().map(|scope| scope.as_str()).collect();
    let usual: Vec<&str> = client.default_scopes.iter().map(|scope| scope.as_str()).collect();
    let scopes = scopes(form, &may_have, &usual)?;
    let may_have: Vec<&str> = client.audiences.iter().map(String::as_str).collect();
    let usual = may_have.get(..1).unwrap_or_default();
    let audiences = audiences(form, &may_have, usual)?;
    if !client.refresh_tokens {
        let grant = granted(client, &scopes, &audiences, None);
        let token = sign(parts, client, &grant).await?;
        return Ok(answer(parts, client, CLIENT_CREDENTIALS, &grant, &token, None));
    }
    let id = access_token::random_id().ok_or(Refused::Internal)?;
    let grant = granted(client, &scopes, &audiences, Some(&id));
    let token = sign(parts, client, &grant).await?;
    let (text, hash) = refresh::generate().ok_or(Refused::Internal)?;
    let family = Family { id, client: client.id().to_owned(), scopes, audiences };
    // Without room there is none: RFC 6749 §5.1 leaves it open, and the client can do without.
    let has_room = parts.refresh.begin(family, hash, parts.now()).await?;
    if !has_room {
        tracing::warn!(client = client.id(), "no room for another family of refresh tokens");
    }
    let text = has_room.then_some(&text);
    Ok(answer(parts, client, CLIENT_CREDENTIALS, &grant, &token, text))
}

async fn refresh(parts: &Parts, client: &Client, form: &Form) -> Result<Response, Refused> {
    if !client.refresh_tokens {
        return Err(Refused::UnauthorizedClient);
    }
    let presented = form.get(REFRESH_TOKEN);
    let presented = presented.ok_or(Refused::InvalidRequest("refresh_token is missing"))?;
    let hash = TokenHash::of(presented).ok_or(Refused::InvalidGrant)?;
    let family = match parts.refresh.find(hash, parts.now()).await? {
        Found::Unknown => return Err(Refused::InvalidGrant),
        Found::Current(family) | Found::Used(family) if family.client != client.id() => {
            tracing::warn!(
                client = client.id(),
                sid = family.id,
                "a refresh token of another client"
            );
            return Err(Refused::InvalidGrant);
        }
        Found::Used(family) => return Err(reused(parts, client, &family).await),
        Found::Current(family) => family,
    };
    // What was granted then, as far as the client may still have it; less, if it asks for less (RFC 6749 §6).
    let still = |known: &[String], allowed: &dyn Fn(&str) -> bool| -> Vec<String> {
        known.iter().filter(|one| allowed(one)).cloned().collect()
    };
    let scopes_left = still(&family.scopes, &|one| client.scopes.iter().any(|s| s.as_str() == one));
    let audiences_left = still(&family.audiences, &|one| client.audiences.iter().any(|a| a == one));
    let (of_scopes, of_audiences) = (texts(&scopes_left), texts(&audiences_left));
    let scopes = scopes(form, &of_scopes, &of_scopes)?;
    let audiences = audiences(form, &of_audiences, &of_audiences)?;
    let grant = granted(client, &scopes, &audiences, Some(&family.id));
    // Before the old token is gone: a client must not lose it to a key that is missing.
    let token = sign(parts, client, &grant).await?;
    let (text, next) = refresh::generate().ok_or(Refused::Internal)?;
    match parts.refresh.rotate(hash, next, parts.now()).await? {
        Rotation::Done => {}
        Rotation::Reused => return Err(reused(parts, client, &family).await),
        Rotation::Gone => return Err(Refused::InvalidGrant),
        Rotation::Full => return Err(Refused::Unavailable("no room for another refresh token")),
    }
    Ok(answer(parts, client, REFRESH_TOKEN, &grant, &token, Some(&text)))
}

/// Ends the family, and every access token that came from it.
async fn reused(parts: &Parts, client: &Client, family: &Family) -> Refused {
    parts.metrics.reused(&client.label);
    tracing::warn!(
        client = client.id(),
        sid = family.id,
        "a refresh token was used twice: its family ends"
    );
    let Parts { settings, refresh, clock, .. } = parts;
    match parts.revocations.theft(settings, refresh, &family.id, &**clock).await {
        Ok(()) => Refused::InvalidGrant,
        Err(error) => error.into(),
    }
}

fn granted(
    client: &Client,
    scopes: &[String],
    audiences: &[String],
    session: Option<&str>,
) -> Grant {
    Grant {
        client: client.id().to_owned(),
        subject: client.subject.clone(),
        scopes: scopes.to_vec(),
        audiences: audiences.to_vec(),
        roles: client.roles.clone(),
        session: session.map(str::to_owned),
    }
}

async fn sign(parts: &Parts, client: &Client, grant: &Grant) -> Result<AccessToken, Refused> {
    let (ring, issuer) = (parts.ring.load_full(), parts.settings.issuer.clone());
    let (lifetime, now, grant) = (client.lifetime, parts.now(), grant.clone());
    let work = move || access_token::issue(&ring, &issuer, &grant, lifetime, now);
    let issued = parts.signing.run(work).await.map_err(|_| Refused::Overloaded)?;
    issued.map_err(|error| match error {
        IssueError::NothingSigns => Refused::Unavailable("no key is active"),
        IssueError::Library => Refused::Internal,
    })
}

/// The answer (RFC 6749 §5.1), and the audit line: who got what, by the token's ID. The token is in neither log nor metric.
fn answer(
    parts: &Parts,
    client: &Client,
    grant_type: &'static str,
    grant: &Grant,
    token: &AccessToken,
    refresh_token: Option<&Zeroizing<String>>,
) -> Response {
    let scope = grant.scopes.join(" ");
    tracing::info!(
        client = client.id(),
        grant = grant_type,
        jti = token.id,
        kid = token.kid,
        sub = grant.subject,
        sid = grant.session,
        scope,
        aud = grant.audiences.join(" "),
        exp = token.expires_at.as_millis().div_euclid(1000),
        refresh_token = refresh_token.is_some(),
        "token issued"
    );
    parts.metrics.issued(&client.label, grant_type, refresh_token.is_some());
    let mut body = Map::new();
    let mut member = |name: &str, value: Value| body.insert(name.to_owned(), value);
    member("access_token", json!(token.text));
    member("token_type", json!("Bearer"));
    member("expires_in", json!(token.lifetime.as_secs()));
    if !scope.is_empty() {
        member("scope", json!(scope));
    }
    if let Some(text) = refresh_token {
        member("refresh_token", json!(**text));
    }
    private(&Value::Object(body))
}

/// What is asked for, in the order of what may be had; `usual` when nothing is.
fn scopes(form: &Form, may_have: &[&str], usual: &[&str]) -> Result<Vec<String>, Refused> {
    let Some(text) = form.get("scope") else { return Ok(owned(usual)) };
    let asked = words(text).ok_or(Refused::InvalidScope)?;
    chosen(&asked, may_have).ok_or(Refused::InvalidScope)
}

/// The same of `resource` (RFC 8707 §2) and of `audience`, which mean one thing here.
fn audiences(form: &Form, may_have: &[&str], usual: &[&str]) -> Result<Vec<String>, Refused> {
    let asked: Vec<&str> = form.all("resource").chain(form.all("audience")).collect();
    let chosen = if asked.is_empty() { Some(owned(usual)) } else { chosen(&asked, may_have) };
    // A token without an audience would be good for everybody.
    chosen.filter(|audiences| !audiences.is_empty()).ok_or(Refused::InvalidTarget)
}

/// `None` when something is asked for that may not be had.
fn chosen(asked: &[&str], may_have: &[&str]) -> Option<Vec<String>> {
    let is_allowed = asked.iter().all(|one| may_have.contains(one));
    let chosen: Vec<&str> = may_have.iter().copied().filter(|one| asked.contains(one)).collect();
    is_allowed.then(|| owned(&chosen))
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn texts(owned: &[String]) -> Vec<&str> {
    owned.iter().map(String::as_str).collect()
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a request could not be answered");
        Self::Unavailable("the store of refresh tokens does not answer")
    }
}
