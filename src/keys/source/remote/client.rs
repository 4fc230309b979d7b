//! Sets up the HTTP library as configured, again when one of its files has changed. Secrets are read here and
//! handed to the library; none is kept, shown or part of an error.

use std::path::Path;
use std::time::Duration;

use aws_lc_rs::digest::{Context, Digest, SHA256};
use reqwest::header::HeaderValue;
use reqwest::{Certificate, ClientBuilder, Identity, Proxy, redirect};
use url::Url;

use super::{CONNECT_TIMEOUT, innermost};
use crate::keys::source::{ClientCertificate, HttpSettings, SourceError};
use crate::util::file;

/// Longer certificate, key and token files are refused.
const MAX_FILE_BYTES: usize = 1 << 20;

/// Deadline of one such file. The deadline of the whole fetch is around it.
const FILE_TIMEOUT: Duration = Duration::from_secs(5);

/// Longer tokens are refused; servers refuse such header fields as well.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// A client of the library, and what it was set up from.
#[derive(Debug, Default)]
pub(super) struct Client {
    built: Option<Built>,
    /// Of the files.
    turn: file::Turn,
}

#[derive(Debug)]
struct Built {
    client: reqwest::Client,
    is_https: bool,
    of: Digest,
}

impl Client {
    /// The library's client for `url`. One for `http` does without certificates.
    ///
    /// # Errors
    /// A file that cannot be read or used: what was configured is not given up silently.
    pub(super) async fn prepare(
        &mut self,
        settings: &HttpSettings,
        url: &Url,
        https_only: bool,
    ) -> Result<&reqwest::Client, SourceError> {
        let is_https = url.scheme() == "https";
        let files = if is_https {
            TlsFiles::read(&self.turn, settings).await?
        } else {
            TlsFiles::default()
        };
        let of = files.digest();
        let built = match self.built.take() {
            Some(built) if built.is_https == is_https && built.of.as_ref() == of.as_ref() => built,
            _ => Built { client: build(settings, files, is_https, https_only)?, is_https, of },
        };
        Ok(&self.built.insert(built).client)
    }

    /// What the files are read with.
    pub(super) fn turn(&self) -> &file::Turn {
        &self.turn
    }
}

/// The token in `path` as a field value that the library will not show.
pub(super) async fn bearer(turn: &file::Turn, path: &Path) -> Result<HeaderValue, SourceError> {
    let content = read(turn, "bearer_token_file", path).await?;
    let wrong = |what: &str| {
        let error = SourceError::Unreachable(what.to_owned());
        Err(error.at(place("bearer_token_file", path)))
    };
    // Editors and `echo` end a file with a line break.
    let token = content.trim_ascii();
    if token.is_empty() || token.len() > MAX_TOKEN_BYTES {
        return wrong("it is empty or too long for a token");
    }
    // RFC 6750 §2.1 allows less still; what is left out here could end the field.
    if !token.iter().all(u8::is_ascii_graphic) {
        return wrong("it holds more than one token");
    }
    match HeaderValue::from_bytes(&[b"Bearer ", token].concat()) {
        Ok(mut value) => {
            value.set_sensitive(true);
            Ok(value)
        }
        Err(_) => wrong("it holds no token"),
    }
}

/// What the files of the TLS configuration hold.
#[derive(Default)]
struct TlsFiles {
    ca: Option<Vec<u8>>,
    /// The certificate and the key, one after the other as the library wants them.
    identity: Option<Vec<u8>>,
}

impl TlsFiles {
    async fn read(turn: &file::Turn, settings: &HttpSettings) -> Result<Self, SourceError> {
        let ca = match &settings.ca_file {
            Some(path) => Some(read(turn, "ca_file", path).await?),
            None => None,
        };
        let identity = match &settings.client_certificate {
            Some(certificate) => Some(identity(turn, certificate).await?),
            None => None,
        };
        Ok(Self { ca, identity })
    }

    fn digest(&self) -> Digest {
        let mut context = Context::new(&SHA256);
        for content in [&self.ca, &self.identity].into_iter().flatten() {
            context.update(&content.len().to_be_bytes());
            context.update(content);
        }
        context.finish()
    }
}

async fn identity(
    turn: &file::Turn,
    certificate: &ClientCertificate,
) -> Result<Vec<u8>, SourceError> {
    let ClientCertificate { cert_file, key_file, accepts_readable_key } = certificate;
    let mut content = read(turn, "client_cert_file", cert_file).await?;
    content.push(b'\n');
    let key =
        file::secret(turn, key_file, MAX_FILE_BYTES, FILE_TIMEOUT, *accepts_readable_key).await;
    let key =
        key.map_err(|error| SourceError::from(error).at(place("client_key_file", key_file)))?;
    content.extend_from_slice(&key);
    Ok(content)
}

fn build(
    settings: &HttpSettings,
    files: TlsFiles,
    is_https: bool,
    https_only: bool,
) -> Result<reqwest::Client, SourceError> {
    let mut builder = ClientBuilder::new()
        .user_agent(concat!("claimgate/", env!("CARGO_PKG_VERSION")))
        .https_only(https_only)
        .redirect(redirect::Policy::none())
        // Proxy variables of the environment are not configuration.
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        // Fetches are minutes apart: a new connection each follows the provider's DNS.
        .pool_max_idle_per_host(0);
    if let Some(proxy) = &settings.proxy {
        builder = builder.proxy(Proxy::all(proxy.clone()).map_err(|error| cannot(&error))?);
    }
    if !is_https {
        builder = builder.tls_certs_only([]);
    } else if let (Some(ca), Some(path)) = (files.ca, &settings.ca_file) {
        let authorities = Certificate::from_pem_bundle(&ca).unwrap_or_default();
        if authorities.is_empty() {
            let error = SourceError::Unreachable("no certificates in PEM in it".to_owned());
            return Err(error.at(place("ca_file", path)));
        }
        builder = builder.tls_certs_only(authorities);
    }
    if let (Some(pem), Some(certificate)) = (files.identity, &settings.client_certificate) {
        let identity = Identity::from_pem(&pem).map_err(|_| {
            let error =
                SourceError::Unreachable("no certificate and private key in PEM".to_owned());
            error.at(place("client_cert_file", &certificate.cert_file))
        })?;
        builder = builder.identity(identity);
    }
    builder.build().map_err(|error| cannot(&error))
}

fn cannot(error: &reqwest::Error) -> SourceError {
    SourceError::Unreachable(format!("the HTTP client cannot be set up: {}", innermost(error)))
}

async fn read(turn: &file::Turn, key: &str, path: &Path) -> Result<Vec<u8>, SourceError> {
    let read = file::read(turn, path, MAX_FILE_BYTES, FILE_TIMEOUT).await;
    read.map_err(|error| SourceError::from(error).at(place(key, path)))
}

fn place(key: &str, path: &Path) -> String {
    format!("{key} {}", path.display())
}
