//! TLS to the server, whose name may be another than that of the host it is reached at.

use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

use super::RedisError;
use super::settings::RedisSettings;
use crate::util::file;

/// What connections are secured with.
pub(super) struct Tls {
    connector: TlsConnector,
    server_name: Option<String>,
}

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
        let config = tls.client.load(turn, settings.accepts_readable_secrets).await;
        let config = config.map_err(|error| RedisError::File(error.to_string()))?;
        let connector = TlsConnector::from(Arc::new(config));
        Ok(Some(Self { connector, server_name: tls.server_name.clone() }))
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
