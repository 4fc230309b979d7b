//! `claimgate issuer` as a process of its own, with a key directory, and its clients.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use tempfile::TempDir;

use super::own::{self, Said};
use crate::cli::demo::client::{self, Answer};
use crate::cli::demo::program::{Kind, Program, ProgramError};
use crate::cli::demo::world::DemoError;

/// The configuration, with the addresses that a user would write.
const CONFIGURATION: &str = include_str!("issuer.yaml");
/// How long verifiers may keep the keys, and so how long a rotation waits for them: much shorter than anybody's.
const GENERATE: [&str; 10] = [
    "keys",
    "generate",
    "--dir",
    "keys",
    "--type",
    "rsa-2048",
    "--kid",
    "first",
    "--jwks-max-age",
    "4s",
];

const ISSUER: Kind =
    Kind { name: "claimgate issuer", hint: "It is this program: was it moved while it ran?" };

/// A running issuer. Dropping it kills the process and removes its keys.
#[derive(Debug)]
pub(super) struct Issuer {
    // Before the directory: fields are dropped in this order.
    program: Program,
    directory: TempDir,
    pub(super) http: SocketAddr,
    pub(super) admin: SocketAddr,
    /// Of all its clients.
    pub(super) secret: String,
}

/// What a request for a token was answered with.
#[derive(Clone, Debug)]
pub(super) struct Granted {
    /// For the table: the status, and the access token's header or the error.
    pub(super) said: String,
    pub(super) access: String,
    pub(super) refresh: String,
}

impl Issuer {
    /// Makes its keys and its clients' secret, and starts it. Revocations and refresh tokens are in the Redis at `redis`.
    pub(super) async fn start(redis: &str) -> Result<Self, DemoError> {
        let directory = ISSUER.directory()?;
        own::must(directory.path(), &GENERATE).await?;
        let made = own::must(directory.path(), &["issuer", "hash-secret", "--generate"]).await?;
        let mut lines = made.lines().map(str::to_owned);
        let (secret, hash) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        let [http, admin] = places()?;
        let text = configuration_text([http, admin], redis, &hash);
        let file = directory.path().join("issuer.yaml");
        fs::write(file, text).map_err(|error| ISSUER.unprepared(error))?;
        let program = spawn(directory.path())?;
        let mut issuer = Self { program, directory, http, admin, secret };
        issuer.until_ready().await?;
        Ok(issuer)
    }

    /// At once, as a machine that fails does it.
    pub(super) async fn kill(&mut self) -> Result<(), ProgramError> {
        self.program.kill().await
    }

    /// Starts it again after [`Self::kill`].
    pub(super) async fn start_again(&mut self) -> Result<(), DemoError> {
        self.program = spawn(self.directory.path())?;
        self.until_ready().await
    }

    async fn until_ready(&mut self) -> Result<(), DemoError> {
        let admin = self.admin;
        let ready = async || {
            let answer = client::get(admin, "/readyz").await.ok()?;
            (answer.status == 200).then_some(())
        };
        Ok(self.program.until("claimgate issuer to be ready", ready).await?)
    }

    /// The next step of the keys' rotation, if it is allowed already.
    pub(super) async fn rotate(&self, more: &[&str]) -> Result<Said, DemoError> {
        let arguments = [&["keys", "rotate", "--dir", "keys"], more].concat();
        own::claimgate(self.directory.path(), &arguments).await
    }

    /// A token for both services, for the client's own secret.
    pub(super) async fn token(&self, client: &str) -> Granted {
        self.token_for(client, &["orders", "stock"]).await
    }

    /// The same, for these.
    pub(super) async fn token_for(&self, client: &str, audiences: &[&str]) -> Granted {
        let audiences: String =
            audiences.iter().map(|audience| format!("&audience={audience}")).collect();
        self.grant(client, &format!("grant_type=client_credentials{audiences}")).await
    }

    /// The next tokens, for a refresh token.
    pub(super) async fn refresh(&self, client: &str, token: &str) -> Granted {
        self.grant(client, &format!("grant_type=refresh_token&refresh_token={token}")).await
    }

    /// Takes the token's session back.
    pub(super) async fn log_out(&self, client: &str, token: &str) -> String {
        said(&self.post("/logout", client, &format!("token={token}")).await)
    }

    /// Takes the token back.
    pub(super) async fn revoke(&self, client: &str, token: &str) -> String {
        said(&self.post("/revoke", client, &format!("token={token}")).await)
    }

    async fn grant(&self, client: &str, form: &str) -> Granted {
        let answer = self.post("/token", client, form).await;
        let body = answer.as_ref().ok().and_then(Answer::json).unwrap_or_default();
        let text = |member: &str| body[member].as_str().unwrap_or_default().to_owned();
        let (access, refresh) = (text("access_token"), text("refresh_token"));
        let mut said = said(&answer);
        if let Some(header) = header(&access) {
            let word = |name: &str| header[name].as_str().unwrap_or("-").to_owned();
            said = format!("{said}, {} {}, kid {}", word("alg"), word("typ"), word("kid"));
        }
        Granted { said, access, refresh }
    }

    async fn post(
        &self,
        path: &str,
        client: &str,
        form: &str,
    ) -> Result<Answer, client::ClientError> {
        let basic = STANDARD.encode(format!("{client}:{}", self.secret));
        let headers = [("Authorization".to_owned(), format!("Basic {basic}"))];
        client::post_form(self.http, path, &headers, form).await
    }
}

/// The status, and the error if it is one.
fn said(answer: &Result<Answer, client::ClientError>) -> String {
    match answer {
        Ok(answer) => {
            let error = answer.json().unwrap_or_default();
            let error = error["error"].as_str().map(|word| format!(" {word}"));
            format!("{}{}", answer.status, error.unwrap_or_default())
        }
        Err(error) => error.to_string(),
    }
}

/// A token's header, unverified.
fn header(token: &str) -> Option<Value> {
    let (header, _) = token.split_once('.')?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()
}

fn spawn(directory: &Path) -> Result<Program, DemoError> {
    let log = directory.join("issuer.log");
    let (mut command, output) = ISSUER.prepare(own::executable()?, &log)?;
    command
        .args(["issuer", "--log-format", "text", "--drain-delay", "0", "--config"])
        .arg(directory.join("issuer.yaml"))
        .stdout(Stdio::null())
        .stderr(output);
    Ok(Program::start(ISSUER, &mut command, log)?)
}

/// Two free ports, on a loopback address of its own where the system has more than one: nobody else takes them while the
/// issuer is killed, and its name stays true.
fn places() -> Result<[SocketAddr; 2], DemoError> {
    let own = Ipv4Addr::new(127, 0, fastrand::u8(1..=254), fastrand::u8(1..=254));
    let own = TcpListener::bind((own, 0)).map_or(Ipv4Addr::LOCALHOST, |_is_there| own);
    // Both are held until both are known, so that they are two.
    let [(_http, http), (_admin, admin)] = [free(own)?, free(own)?];
    Ok([http, admin])
}

fn free(address: Ipv4Addr) -> Result<(TcpListener, SocketAddr), DemoError> {
    let address = SocketAddr::new(IpAddr::V4(address), 0);
    let failed = |error| DemoError::Listen { address, error };
    let listener = TcpListener::bind(address).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

fn configuration_text(places: [SocketAddr; 2], redis: &str, hash: &str) -> String {
    let [http, admin] = places;
    CONFIGURATION
        .replace("127.0.0.1:9194", &http.to_string())
        .replace("127.0.0.1:9195", &admin.to_string())
        .replace("unix:///run/redis.sock", redis)
        .replace("HASH", hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::IssuerConfig;

    #[test]
    fn the_configuration_is_accepted_and_every_address_in_it_is_replaced() {
        let place = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let hash = "$argon2id$v=19$m=19456,t=2,p=1$i2fqKsdqcftDP6CH4MaS3A$nW2ph2EYPQT3QHGmlNjnQqKGnbZa4U7QhHceqZaKR+U";
        let text = configuration_text([place(1), place(2)], "unix:///tmp/a.sock", hash);
        if let Err(errors) = IssuerConfig::from_yaml(&text, Path::new(".")) {
            panic!("{errors}");
        }
        for written in ["9194", "9195", "/run", "HASH"] {
            assert!(!text.contains(written), "{written}");
        }
    }
}
