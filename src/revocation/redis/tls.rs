//! TLS to the server: which authorities are trusted, and what we show of ourselves. The files are read at every
//! connection, which is seldom, so that those that were replaced are taken without a restart.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use super::RedisError;
use super::settings::{RedisSettings, RedisTls};
use crate::util::file;

/// What connections are secured with.
pub(super) struct Tls {
    connector: TlsConnector,
    server_name: Option<String>,
}

/// Longer certificates and keys are refused.
const MAX_FILE_BYTES: usize = 1 << 20;

/// Of one file.
const FILE_TIMEOUT: Duration = Duration::from_secs(5);

impl Tls {
    /// `None`: no TLS is configured.
    ///
    /// # Errors
    /// A file that cannot be read or used.
    pub(super) async fn load(
        settings: &RedisSettings,
        turn: &file::Turn,
    ) -> Result<Option<Self>, RedisError> {
        let Some(tls) = &settings.tls else { return Ok(None) };
        let provider = Arc::new(crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| RedisError::File(format!("tls: {error}")))?;
        let builder = match &tls.ca_file {
            Some(path) => builder.with_root_certificates(authorities(turn, path).await?),
            None => builder.with_platform_verifier().map_err(|error| {
                RedisError::File(format!("tls: the system's authorities cannot be used: {error}"))
            })?,
        };
        let config = match &tls.identity {
            None => builder.with_no_client_auth(),
            Some((cert_file, key_file)) => {
                let chain = certificates(turn, "cert_file", cert_file).await?;
                let accepts_readable = settings.accepts_readable_secrets;
                let key = secret(turn, "key_file", key_file, accepts_readable).await?;
                let key = PrivateKeyDer::from_pem_slice(&key)
                    .map_err(|_| wrong("key_file", key_file, "no private key in PEM in it"))?;
                // The library's words: it names what does not fit, no content.
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| wrong("cert_file", cert_file, error))?
            }
        };
        let RedisTls { server_name, .. } = tls;
        let connector = TlsConnector::from(Arc::new(config));
        Ok(Some(Self { connector, server_name: server_name.clone() }))
    }

    /// Secures `stream`, which leads to `host`.
    pub(super) async fn handshake(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = self.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        self.connector.connect(name, stream).await
    }
}

/// The content of a file that should be nobody else's, whole.
pub(super) async fn secret(
    turn: &file::Turn,
    key: &str,
    path: &Path,
    accepts_readable: bool,
) -> Result<zeroize::Zeroizing<Vec<u8>>, RedisError> {
    let content =
        file::read_secret(turn, path, MAX_FILE_BYTES, FILE_TIMEOUT, accepts_readable).await;
    content.map(zeroize::Zeroizing::new).map_err(|error| wrong(key, path, error))
}

async fn authorities(turn: &file::Turn, path: &Path) -> Result<RootCertStore, RedisError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(turn, "ca_file", path).await? {
        roots.add(certificate).map_err(|error| wrong("ca_file", path, error))?;
    }
    Ok(roots)
}

async fn certificates(
    turn: &file::Turn,
    key: &str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, RedisError> {
    let content = file::read(turn, path, MAX_FILE_BYTES, FILE_TIMEOUT).await;
    let content = content.map_err(|error| wrong(key, path, error))?;
    let found = CertificateDer::pem_slice_iter(&content).collect::<Result<Vec<_>, _>>();
    let found = found.ok().filter(|found| !found.is_empty());
    found.ok_or_else(|| wrong(key, path, "no certificates in PEM in it"))
}

fn wrong(key: &str, path: &Path, what: impl fmt::Display) -> RedisError {
    RedisError::File(format!("{key} {}: {what}", path.display()))
}
