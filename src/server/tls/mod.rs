//! TLS on a listener: its settings, the certificate in force, handshakes, and following the files as they are replaced.
//!
//! A new certificate is taken whole or not at all, and for new connections only: those that there are keep theirs.
//! [`Tls::load`] fails at the start; later the old certificate stays, and [`Tls::run`] says so in log and metric. The
//! configuration makes [`TlsSettings`], [`super::listener`] asks for handshakes.

mod files;
mod san;
#[cfg(test)]
mod tests;
mod verifier;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::digest::Digest;
use futures_util::future::select_all;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use self::files::Files;
pub use self::san::{ACCEPTED as ACCEPTED_SAN, AllowedSan};
use crate::telemetry::metrics::{HandshakeResult, TlsMetrics};
use crate::util::clock::{Clock, UnixTime};
use crate::util::file::Turn;
use crate::util::rfc3339::rfc3339;
use crate::util::watch::Watch;

/// Where a listener's identity is, and whom it lets in. The files are read when they are needed: nothing secret is in here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// Our certificate, and those between it and the authority, in PEM.
    pub cert_file: PathBuf,
    /// Its private key, in PEM.
    pub key_file: PathBuf,
    /// A PEM bundle of the authorities whose clients are let in; `None`: no client is asked for a certificate.
    pub client_ca_file: Option<PathBuf>,
    /// Which of those clients; empty: all.
    pub allowed_client_sans: Vec<AllowedSan>,
    /// Nothing older is spoken.
    pub min_version: TlsVersion,
    /// Whether a key file that everybody on the machine can read is used all the same.
    pub accepts_readable_key: bool,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246, with forward secrecy and AEADs only. The default: it is the most that Envoy offers an upstream
    /// unless it is told otherwise.
    V1_2,
    /// RFC 8446.
    V1_3,
}

/// A file that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} {file}: {reason}")]
pub struct TlsError {
    key: &'static str,
    file: String,
    reason: String,
}

impl TlsError {
    fn new(key: &'static str, file: &Path, reason: impl fmt::Display) -> Self {
        Self { key, file: file.display().to_string(), reason: reason.to_string() }
    }
}

/// A handshake that takes longer is given up.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The files are looked at again after this, watched or not.
const POLL: Duration = Duration::from_secs(10);

/// What gRPC clients are spoken to in (ALPN, RFC 7301).
pub const GRPC_PROTOCOLS: &[&[u8]] = &[b"h2"];
/// What browsers, scrapers and probes are spoken to in.
pub const HTTP_PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];

/// TLS of one kind of listener.
pub struct Tls {
    /// Its YAML path.
    name: &'static str,
    settings: TlsSettings,
    protocols: &'static [&'static [u8]],
    clock: Arc<dyn Clock>,
    metrics: TlsMetrics,
    /// Of the files.
    turn: Turn,
    current: ArcSwap<Current>,
    state: ArcSwap<TlsState>,
}

struct Current {
    config: Arc<ServerConfig>,
    /// Of the files it was made from.
    of: Digest,
}

/// The certificate in use, and what came of its files later; for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsState {
    /// The YAML path of the listener's settings.
    pub listener: &'static str,
    /// Where the certificate came from.
    pub cert_file: PathBuf,
    /// Which one it is.
    pub certificate: CertificateState,
    /// Since when it is in use.
    pub since: UnixTime,
    /// Why what is in the files now is not, and when that was tried; `None` when it is.
    pub refused: Option<(UnixTime, String)>,
}

/// What tells one certificate from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateState {
    /// Its serial number in hexadecimal, as `openssl x509 -serial` prints it.
    pub serial: String,
    /// Whom it is for: DNS names and URIs, escaped and cut.
    pub names: String,
    /// Its last second.
    pub expires: UnixTime,
}

impl TlsState {
    /// Whether clients still accept it.
    pub fn has_expired(&self, now: UnixTime) -> bool {
        now > self.certificate.expires
    }
}

impl Tls {
    /// Reads the files. `name` is the YAML path, for the log.
    ///
    /// # Errors
    /// A file that cannot be read or used.
    pub async fn load(
        name: &'static str,
        settings: TlsSettings,
        protocols: &'static [&'static [u8]],
        clock: Arc<dyn Clock>,
        metrics: TlsMetrics,
    ) -> Result<Self, TlsError> {
        let turn = Turn::default();
        let files = Files::read(&turn, &settings).await?;
        let identity = files.identity(&settings, protocols, &clock)?;
        metrics.loaded(identity.certificate.expires);
        let current = Current { config: identity.config, of: files.digest() };
        let current = ArcSwap::from_pointee(current);
        let state = ArcSwap::from_pointee(TlsState {
            listener: name,
            cert_file: settings.cert_file.clone(),
            certificate: identity.certificate,
            since: clock.now(),
            refused: None,
        });
        Ok(Self { name, settings, protocols, clock, metrics, turn, current, state })
    }

    /// The certificate in use, and what came of its files later.
    pub fn state(&self) -> Arc<TlsState> {
        self.state.load_full()
    }

    /// Its YAML path.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Speaks TLS on `io`; `None` when the client is not one that is let in, or too slow.
    pub async fn handshake<IO>(&self, io: IO) -> Option<TlsStream<IO>>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.current.load().config));
        match time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(io)).await {
            Ok(Ok(stream)) => {
                self.metrics.handshake(HandshakeResult::Ok);
                Some(stream)
            }
            Ok(Err(error)) => {
                // Scanners and probes of the port do this all day.
                tracing::debug!(listener = self.name, %error, "a TLS handshake failed");
                self.metrics.handshake(HandshakeResult::Failed);
                None
            }
            Err(_) => {
                self.metrics.handshake(HandshakeResult::Timeout);
                None
            }
        }
    }

    /// Follows the files until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut watches: Vec<Watch> = self.files().map(Watch::new).collect();
        for watch in &mut watches {
            watch.arm().await;
        }
        let mut said = None;
        while !stop.is_cancelled() {
            // Once before the first wait: they may have changed since they were loaded.
            self.look(&mut said).await;
            tokio::select! {
                () = any_changed(&mut watches) => {}
                () = time::sleep(POLL) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    fn files(&self) -> impl Iterator<Item = &Path> {
        let TlsSettings { cert_file, key_file, client_ca_file, .. } = &self.settings;
        [Some(cert_file), Some(key_file), client_ca_file.as_ref()]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
    }

    /// Takes what the files hold now, if it is another thing than before and good. An error is said once, in `said`
    /// until it is another one or over.
    async fn look(&self, said: &mut Option<TlsError>) {
        match self.reloaded().await {
            Ok(None) => {
                if said.take().is_some() {
                    self.tell(|state| state.refused = None);
                    tracing::info!(
                        listener = self.name,
                        "the certificate in use is back in its files"
                    );
                }
            }
            Ok(Some(certificate)) => {
                *said = None;
                let (expires, serial) = (rfc3339(certificate.expires), &certificate.serial);
                tracing::info!(
                    listener = self.name,
                    expires,
                    serial,
                    "a new certificate is in use"
                );
                let since = self.clock.now();
                self.tell(|state| {
                    *state = TlsState { certificate, since, refused: None, ..state.clone() };
                });
            }
            Err(error) if said.as_ref() == Some(&error) => {}
            Err(error) => {
                self.metrics.reload_failed();
                tracing::error!(listener = self.name, %error, "the old certificate stays in use");
                let refused = Some((self.clock.now(), error.to_string()));
                self.tell(|state| state.refused = refused);
                *said = Some(error);
            }
        }
    }

    /// Only [`Self::run`] changes it.
    fn tell(&self, change: impl FnOnce(&mut TlsState)) {
        let mut state = TlsState::clone(&self.state.load());
        change(&mut state);
        self.state.store(Arc::new(state));
    }

    /// The new certificate, if there is one.
    async fn reloaded(&self) -> Result<Option<CertificateState>, TlsError> {
        let files = Files::read(&self.turn, &self.settings).await?;
        let of = files.digest();
        if of.as_ref() == self.current.load().of.as_ref() {
            return Ok(None);
        }
        let identity = files.identity(&self.settings, self.protocols, &self.clock)?;
        self.current.store(Arc::new(Current { config: identity.config, of }));
        self.metrics.reloaded(identity.certificate.expires);
        Ok(Some(identity.certificate))
    }
}

/// Resolves when the file of one of `watches`, of which there are some, may have changed.
async fn any_changed(watches: &mut [Watch]) {
    select_all(watches.iter_mut().map(|watch| Box::pin(watch.changed()))).await;
}

/// Settings only: what is in force holds a key.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("settings", &self.settings).finish_non_exhaustive()
    }
}
