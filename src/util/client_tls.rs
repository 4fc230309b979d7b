//! TLS as a client of a server that is configured: which authorities are trusted, and what we show of ourselves. For what
//! speaks TLS without the HTTP library, which has its own way: `revocation::redis`, `telemetry::traces`.
//!
//! The files are read at every connection, which is seldom, so that those that were replaced are taken without a restart.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::task;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use super::file;

/// Where the files are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// The only authorities to trust, in PEM; `None`: the system's.
    pub ca_file: Option<PathBuf>,
    /// Our certificate and its key, in PEM; `None`: we show none.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// A file that cannot be read or used, or a system without authorities. Its text names the YAML key and the path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ClientTlsError(String);

/// Longer certificates and keys are refused.
const MAX_FILE_BYTES: usize = 1 << 20;

/// Of one file.
const FILE_TIMEOUT: Duration = Duration::from_secs(5);

impl ClientTls {
    /// What the library connects with. A private key that everybody on the machine can read is refused unless
    /// `accepts_readable`.
    ///
    /// # Errors
    /// A file that cannot be read or used.
    pub async fn load(
        &self,
        turn: &file::Turn,
        accepts_readable: bool,
    ) -> Result<ClientConfig, ClientTlsError> {
        let provider = Arc::new(crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| ClientTlsError(format!("tls: {error}")))?;
        let builder = match &self.ca_file {
            Some(path) => builder.with_root_certificates(authorities(turn, path).await?),
            None => {
                let unusable = |error: &dyn fmt::Display| {
                    ClientTlsError(format!("tls: the system's authorities cannot be used: {error}"))
                };
                // It reads and parses all of them: milliseconds, which are not a worker's.
                let loaded = task::spawn_blocking(|| builder.with_platform_verifier()).await;
                let loaded = loaded.map_err(|ended| unusable(&ended))?;
                loaded.map_err(|error| unusable(&error))?
            }
        };
        let Some((cert_file, key_file)) = &self.identity else {
            return Ok(builder.with_no_client_auth());
        };
        let chain = certificates(turn, "client_cert_file", cert_file).await?;
        let key =
            file::secret(turn, key_file, MAX_FILE_BYTES, FILE_TIMEOUT, accepts_readable).await;
        let key = key.map_err(|error| wrong("client_key_file", key_file, error))?;
        let key = PrivateKeyDer::from_pem_slice(&key)
            .map_err(|_| wrong("client_key_file", key_file, "no private key in PEM in it"))?;
        // The library's words: it names what does not fit, no content.
        builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| wrong("client_cert_file", cert_file, error))
    }
}

async fn authorities(turn: &file::Turn, path: &Path) -> Result<RootCertStore, ClientTlsError> {
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
) -> Result<Vec<CertificateDer<'static>>, ClientTlsError> {
    let content = file::read(turn, path, MAX_FILE_BYTES, FILE_TIMEOUT).await;
    let content = content.map_err(|error| wrong(key, path, error))?;
    let found = CertificateDer::pem_slice_iter(&content).collect::<Result<Vec<_>, _>>();
    let found = found.ok().filter(|found| !found.is_empty());
    found.ok_or_else(|| wrong(key, path, "no certificates in PEM in it"))
}

fn wrong(key: &str, path: &Path, what: impl fmt::Display) -> ClientTlsError {
    ClientTlsError(format!("{key} {}: {what}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::mpsc;

    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn no_worker_reads_the_systems_authorities() {
        let runtime = Builder::new_current_thread().max_blocking_threads(1).enable_time().build();
        runtime.unwrap().block_on(async {
            let (release, held) = mpsc::channel::<()>();
            let holding = task::spawn_blocking(move || held.recv());
            let (tls, turn) = (ClientTls::default(), file::Turn::default());
            let mut loading = pin!(tls.load(&turn, false));
            tokio::select! {
                biased;
                _ = &mut loading => panic!("the only thread that may block was not free"),
                () = task::yield_now() => {}
            }
            drop(release);
            assert!(holding.await.unwrap().is_err());
            // Whether there are any is the machine's.
            let _loaded = loading.await;
        });
    }
}
