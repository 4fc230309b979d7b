//! A certificate authority in this process, the certificates it issues, and clients that speak TLS.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, SanType,
    date_time_ymd,
};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use crate::kept;

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // No two have the same, and nothing that they issue has: by its name a verifier looks for an authority.
        params.distinguished_name = named(&format!("authority {:016x}", fastrand::u64(..)));
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// For these names; what holds `://` is a URI.
    pub(crate) fn issue(&self, names: &[&str]) -> Pair {
        self.issue_until(names, 2100)
    }

    /// The same, up to the first day of a year.
    pub(crate) fn issue_until(&self, names: &[&str], year: i32) -> Pair {
        let is_uri = |name: &&&str| name.contains("://");
        let dns = names.iter().filter(|name| !is_uri(name)).map(|name| (*name).to_owned());
        let mut params = CertificateParams::new(dns.collect::<Vec<_>>()).unwrap();
        let uris = names.iter().filter(is_uri);
        params.subject_alt_names.extend(uris.map(|uri| SanType::URI((*uri).try_into().unwrap())));
        params.distinguished_name = named("one of an authority");
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        let key = key.serialize_pem();
        kept::key(&key);
        Pair { certificate, key }
    }

    /// A client that trusts this authority and shows `pair`.
    pub(crate) fn client(&self, pair: Option<&Pair>) -> Client {
        self.client_with(pair, &[&version::TLS12, &version::TLS13])
    }

    pub(crate) fn client_with(
        &self,
        pair: Option<&Pair>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Client {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider);
        let config = config.with_protocol_versions(versions).unwrap().with_root_certificates(roots);
        let mut config = match pair {
            None => config.with_no_client_auth(),
            Some(pair) => {
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
                config.with_client_auth_cert(vec![pair.der()], key).unwrap()
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Client(Arc::new(config))
    }
}

impl Pair {
    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()
    }
}

/// A client, which makes a new connection, with a whole handshake, each time.
#[derive(Clone)]
pub(crate) struct Client(Arc<ClientConfig>);

impl Client {
    /// The same for HTTP/1.1.
    pub(crate) fn http1(&self) -> Self {
        let mut config = ClientConfig::clone(&self.0);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self(Arc::new(config))
    }

    pub(crate) async fn connect(&self, address: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(address).await?;
        let connector = TlsConnector::from(Arc::clone(&self.0));
        connector.connect("localhost".try_into().unwrap(), stream).await
    }

    /// A channel that connects with this client.
    pub(crate) fn channel(&self, address: SocketAddr) -> Channel {
        let client = self.clone();
        channel(move || {
            let client = client.clone();
            async move { client.connect(address).await }
        })
    }
}

/// A channel over whatever `connect` comes with.
pub(crate) fn channel<IO, Connecting>(
    connect: impl Fn() -> Connecting + Send + Sync + Clone + 'static,
) -> Channel
where
    IO: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
    Connecting: Future<Output = io::Result<IO>> + Send + 'static,
{
    let connector = service_fn(move |_| {
        let connecting = connect();
        async move { connecting.await.map(TokioIo::new) }
    });
    Endpoint::from_static("http://localhost").connect_with_connector_lazy(connector)
}

/// Certificates in a directory as Kubernetes mounts a secret: what is shown is a link, swapped as a whole.
pub(crate) struct Mounted {
    directory: TempDir,
}

impl Mounted {
    pub(crate) fn new(pair: &Pair) -> Self {
        let mounted = Self { directory: tempfile::tempdir().unwrap() };
        mounted.put(pair);
        mounted
    }

    /// The same with `ca.crt`, and with links beside `..data` by the names of the three.
    pub(crate) fn with(pair: &Pair, authorities: &str) -> Self {
        let mounted = Self { directory: tempfile::tempdir().unwrap() };
        mounted.put_with(pair, authorities);
        for name in ["tls.crt", "tls.key", "ca.crt"] {
            symlink(Path::new("..data").join(name), mounted.root().join(name)).unwrap();
        }
        mounted
    }

    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    /// Shows another pair from now on.
    pub(crate) fn put(&self, pair: &Pair) {
        self.swap(pair, None);
    }

    /// Shows another pair and other authorities from now on.
    pub(crate) fn put_with(&self, pair: &Pair, authorities: &str) {
        self.swap(pair, Some(authorities));
    }

    fn swap(&self, pair: &Pair, authorities: Option<&str>) {
        let root = self.directory.path();
        let version = tempfile::Builder::new().prefix("v").tempdir_in(root).unwrap().keep();
        fs::write(version.join("tls.crt"), &pair.certificate).unwrap();
        write_private(&version.join("tls.key"), &pair.key);
        if let Some(authorities) = authorities {
            fs::write(version.join("ca.crt"), authorities).unwrap();
        }
        let link = root.join("..new");
        symlink(version.file_name().unwrap(), &link).unwrap();
        fs::rename(&link, root.join("..data")).unwrap();
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        write_private(&path, text);
        path
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.directory.path().join("..data/tls.crt")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.directory.path().join("..data/tls.key")
    }
}

fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}
