//! The story of `claimgate demo --check`: what claimgate promises, tried on a real Envoy, step by step.
//!
//! Each request says in one line what the client got and what the upstream saw, and that line is compared with
//! the expected one. The upstream's counter is read around every request, so a request that was denied and
//! arrived all the same fails its step.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::client;
use super::seen::{bearer, describe};
use super::table::Table;
use super::wait::wait_until;
use super::world::{DemoError, World};
use crate::issuer::mint::mint;
use crate::issuer::{SigningKey, forgery};

/// What the upstream sees of the claims of [`claims`].
const WITH_CLAIMS: &str = "200, saw x-jwt-roles=reader,writer x-jwt-sub=alice";
/// What it sees on a public route.
const WITHOUT_CLAIMS: &str = "200, saw no claim header";
/// A refresh is due every few seconds.
const REFRESHED: Duration = Duration::from_secs(30);

/// Every spelling under which an upstream may read a reserved header, repeated ones, and one that claimgate
/// never sets.
const SPOOFED: [(&str, &str); 8] = [
    ("X-JWT-Sub", "mallory"),
    ("x_jwt_sub", "mallory"),
    ("x.jwt.sub", "mallory"),
    ("X-Jwt-SUB", "mallory"),
    ("X-Jwt-SUB", "mallory2"),
    ("X_JWT-Roles", "admin"),
    ("x-jwt-foo", "mallory"),
    ("x_jwt_foo", "mallory"),
];

/// Tells the whole story. claimgate is stopped at its end.
pub(super) async fn tell(world: &World) -> Result<Table, DemoError> {
    let mut story = Story { world, table: Table::default() };
    story.tokens().await?;
    story.spoofed_headers().await?;
    story.bad_tokens().await?;
    story.forgeries().await?;
    story.explanation().await;
    story.grpc().await?;
    story.rotation().await?;
    story.outage().await?;
    story.without_claimgate().await?;
    Ok(story.table)
}

struct Story<'w> {
    world: &'w World,
    table: Table,
}

impl Story<'_> {
    async fn tokens(&mut self) -> Result<(), DemoError> {
        let ingress = self.world.places.ingress;
        self.step("no token", ingress, "/orders", &[], "401 missing_token").await;
        let good = self.token(&json!({}))?;
        self.step("good token", ingress, "/orders", &bearer(&good), WITH_CLAIMS).await;
        self.step("public route, no token", ingress, "/healthz", &[], WITHOUT_CLAIMS).await;
        Ok(())
    }

    /// Through the shipped listener, and through the one where only claimgate protects these headers.
    async fn spoofed_headers(&mut self) -> Result<(), DemoError> {
        let places = self.world.places;
        let good = self.token(&json!({}))?;
        for (listener, place) in [("", places.ingress), (", claimgate alone", places.bare)] {
            let mut headers = bearer(&good);
            headers.extend(spoofed());
            let what = format!("spoofed headers, good token{listener}");
            self.step(&what, place, "/orders", &headers, WITH_CLAIMS).await;
            let what = format!("spoofed headers, public route{listener}");
            self.step(&what, place, "/healthz", &spoofed(), WITHOUT_CLAIMS).await;
            let what = format!("spoofed headers, no token{listener}");
            self.step(&what, place, "/orders", &spoofed(), "401 missing_token").await;
        }
        Ok(())
    }

    /// Genuine signatures under claims that must not pass.
    async fn bad_tokens(&mut self) -> Result<(), DemoError> {
        let now = self.world.issuer.claims(&json!({}))["iat"].as_i64().unwrap_or_default();
        for (what, over, expected) in [
            ("expired", json!({"exp": now - 3600}), "401 expired"),
            ("wrong audience", json!({"aud": "billing"}), "401 audience_mismatch"),
            ("unknown issuer", json!({"iss": "https://else.where"}), "401 unknown_issuer"),
        ] {
            let token = self.token(&over)?;
            let ingress = self.world.places.ingress;
            self.step(what, ingress, "/orders", &bearer(&token), expected).await;
        }
        Ok(())
    }

    /// Good claims under signatures that must not pass.
    async fn forgeries(&mut self) -> Result<(), DemoError> {
        let claims = self.world.issuer.claims(&claims());
        let keys = self.world.issuer.keys();
        let Some(key) = keys.first() else { return Ok(()) };
        let stranger = SigningKey::generate(key.algorithm())?.with_kid(key.kid());
        let jwk = key.public_jwk().to_string();
        let pem = key.public_pem()?;
        let mac = |public: &str| forgery::keyed_with_public(public.as_bytes(), key.kid(), &claims);
        let (altered, signed) =
            (forgery::with_wrong_signature(&mint(key, &claims)?), "bad_signature");
        for (what, token, reason) in [
            ("forged: signature altered", altered, signed),
            ("forged: another key under our kid", mint(&stranger, &claims)?, signed),
            ("forged: alg none", forgery::unsigned(key.kid(), &claims)?, "alg_not_allowed"),
            ("forged: HS256 with the public PEM", mac(&pem)?, "alg_not_allowed"),
            ("forged: HS256 with the public JWK", mac(&jwk)?, "alg_not_allowed"),
        ] {
            let ingress = self.world.places.ingress;
            let expected = format!("401 {reason}");
            self.step(what, ingress, "/orders", &bearer(&token), &expected).await;
        }
        Ok(())
    }

    /// The reason is also where operators look.
    async fn explanation(&mut self) {
        let logged = async || self.world.envoy.access_log_holds(r#""reason":"bad_signature""#);
        let found = wait_until("a reason in the access log", REFRESHED, logged).await;
        let got = found.map_or_else(|error| error.to_string(), |()| "bad_signature".to_owned());
        self.table.push("the reason is in Envoy's access log", "bad_signature", got);
    }

    async fn grpc(&mut self) -> Result<(), DemoError> {
        let before = self.world.echo.requests();
        let client = reqwest::Client::builder()
            .http2_prior_knowledge()
            .no_proxy()
            .timeout(Duration::from_secs(10))
            .build()
            .map_err(DemoError::Client)?;
        let url = format!("http://{}/orders.Orders/List", self.world.places.ingress);
        let request = client.post(url).header("content-type", "application/grpc");
        let got = match request.header("te", "trailers").send().await {
            Ok(answer) => {
                let status = answer.headers().get("grpc-status").and_then(|v| v.to_str().ok());
                let arrived = self.world.echo.requests() != before;
                let note = if arrived { ", reached the upstream" } else { "" };
                format!("{}, grpc-status {}{note}", answer.status().as_u16(), status.unwrap_or("-"))
            }
            Err(error) => error.to_string(),
        };
        self.table.push("gRPC request, no token", "200, grpc-status 16", got);
        Ok(())
    }

    async fn rotation(&mut self) -> Result<(), DemoError> {
        let ingress = self.world.places.ingress;
        let old = self.token(&json!({}))?;
        self.provider("/rotate").await;
        // No pause: claimgate has not seen the new key, and its next refresh may be seconds away.
        let new = self.token(&json!({}))?;
        self.step("rotation: first new token", ingress, "/orders", &bearer(&new), WITH_CLAIMS)
            .await;
        self.step("rotation: old token", ingress, "/orders", &bearer(&old), WITH_CLAIMS).await;
        Ok(())
    }

    /// Longer than what the provider lets its keys be cached for: several refreshes have failed by then.
    async fn outage(&mut self) -> Result<(), DemoError> {
        let ingress = self.world.places.ingress;
        let max_age = self.world.issuer.settings().max_age.as_secs_f64();
        let withheld = self.world.issuer.withheld();
        self.provider("/down").await;
        let stale = async || {
            let age = self.source().await["age_seconds"].as_f64().unwrap_or_default();
            age > 2.0 * max_age && self.world.issuer.withheld() >= withheld + 2
        };
        let found =
            wait_until("two failed refreshes and old keys in /status", REFRESHED, stale).await;
        let got = found.map_or_else(|error| error.to_string(), |()| "happened".to_owned());
        self.table.push("provider down: refreshes fail, keys past max-age", "happened", got);
        let token = self.token(&json!({}))?;
        self.step("provider down: good token", ingress, "/orders", &bearer(&token), WITH_CLAIMS)
            .await;
        self.step("provider down: no token", ingress, "/orders", &[], "401 missing_token").await;
        self.world.restart_claimgate().await?;
        let origin = self.source().await["origin"].as_str().unwrap_or_default().to_owned();
        self.table.push("provider down, claimgate restarted: its keys", "disk", origin);
        let token = self.token(&json!({}))?;
        let what = "provider down, claimgate restarted: good token";
        self.step(what, ingress, "/orders", &bearer(&token), WITH_CLAIMS).await;
        self.provider("/up").await;
        Ok(())
    }

    async fn without_claimgate(&mut self) -> Result<(), DemoError> {
        let places = self.world.places;
        let good = self.token(&json!({}))?;
        self.world.stop_claimgate().await?;
        let what = "claimgate stopped: good token";
        self.step(what, places.ingress, "/orders", &bearer(&good), "503").await;
        self.step("claimgate stopped: no token", places.ingress, "/orders", &[], "503").await;
        self.step("claimgate stopped: public route", places.ingress, "/healthz", &[], "503").await;
        Ok(())
    }

    async fn step(
        &mut self,
        what: &str,
        place: SocketAddr,
        path: &str,
        headers: &[(String, String)],
        expected: &str,
    ) {
        let before = self.world.echo.requests();
        let got = match client::send(place, "GET", path, headers).await {
            Ok(answer) => describe(&answer, self.world.echo.requests() - before),
            Err(error) => error.to_string(),
        };
        self.table.push(what, expected, got);
    }

    fn token(&self, over: &Value) -> Result<String, DemoError> {
        let mut all = claims();
        for (name, value) in over.as_object().into_iter().flatten() {
            all[name] = value.clone();
        }
        Ok(self.world.issuer.token(&all, None)?)
    }

    /// Asks the identity provider for something, as a stranger would. What fails, fails the next step.
    async fn provider(&self, path: &str) -> Value {
        let answer = client::send(self.world.places.issuer, "POST", path, &[]).await;
        answer.ok().and_then(|answer| answer.json()).unwrap_or_default()
    }

    /// What `/status` says of the one key source.
    async fn source(&self) -> Value {
        let status = client::get(self.world.places.admin, "/status").await;
        let status = status.ok().and_then(|answer| answer.json()).unwrap_or_default();
        status.pointer("/issuers/0/sources/0").cloned().unwrap_or_default()
    }
}

fn claims() -> Value {
    json!({"sub": "alice", "roles": ["reader", "writer"]})
}

fn spoofed() -> Vec<(String, String)> {
    SPOOFED.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}
