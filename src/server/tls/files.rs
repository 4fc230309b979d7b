//! Certificate, key and authorities: files → what rustls serves with, or one error that names the file. Nothing of
//! their content is kept outside rustls, shown, or part of an error.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, Digest, SHA256};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{self, CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::time_provider::TimeProvider;
use tokio_rustls::rustls::{
    self, RootCertStore, ServerConfig, SupportedProtocolVersion, crypto, version,
};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::time::Time;
use zeroize::Zeroizing;

use super::verifier::AllowedClients;
use super::{CertificateState, TlsError, TlsSettings, TlsVersion, san};
use crate::util::clock::{Clock, UnixTime};
use crate::util::file;
use crate::util::rfc3339::rfc3339;

/// What the files hold, read at one time.
pub(super) struct Files {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    authorities: Option<Vec<u8>>,
}

/// What is served with. No `Debug`: it holds the key.
pub(super) struct Identity {
    pub(super) config: Arc<ServerConfig>,
    /// The first one of the chain: ours.
    pub(super) certificate: CertificateState,
}

/// Longer files are refused.
const MAX_FILE_BYTES: usize = 1 << 20;

/// Deadline of one file.
const FILE_TIMEOUT: Duration = Duration::from_secs(5);

const CERT_FILE: &str = "cert_file";
const KEY_FILE: &str = "key_file";
const CLIENT_CA_FILE: &str = "client_ca_file";

impl Files {
    /// # Errors
    /// One that cannot be read, or a key that others can read where that matters.
    pub(super) async fn read(turn: &file::Turn, settings: &TlsSettings) -> Result<Self, TlsError> {
        let TlsSettings { cert_file, key_file, client_ca_file, accepts_readable_key, .. } =
            settings;
        let key = file::secret(turn, key_file, MAX_FILE_BYTES, FILE_TIMEOUT, *accepts_readable_key);
        let key = key.await.map_err(|error| TlsError::new(KEY_FILE, key_file, error))?;
        let authorities = match client_ca_file {
            Some(path) => Some(read(turn, CLIENT_CA_FILE, path).await?),
            None => None,
        };
        let certificate = read(turn, CERT_FILE, cert_file).await?;
        Ok(Self { certificate, key, authorities })
    }

    /// Tells other content from this.
    pub(super) fn digest(&self) -> Digest {
        let mut context = Context::new(&SHA256);
        let authorities = self.authorities.as_deref().unwrap_or_default();
        for content in [&self.certificate, self.key.as_slice(), authorities] {
            context.update(&content.len().to_be_bytes());
            context.update(content);
        }
        context.finish()
    }

    /// # Errors
    /// A certificate that has expired or is not valid yet, a key that is another certificate's, or what rustls does
    /// not take.
    pub(super) fn identity(
        &self,
        settings: &TlsSettings,
        protocols: &[&[u8]],
        clock: &Arc<dyn Clock>,
    ) -> Result<Identity, TlsError> {
        let wrong = |what: String| TlsError::new(CERT_FILE, &settings.cert_file, what);
        let chain = certificates(&self.certificate).map_err(|what| wrong(what.to_owned()))?;
        let certificate = valid_now(&chain, clock.now()).map_err(wrong)?;
        let wrong = |what: String| TlsError::new(KEY_FILE, &settings.key_file, what);
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| wrong("no private key in PEM in it".to_owned()))?;
        let provider = Arc::new(crypto::aws_lc_rs::default_provider());
        let verifier = match (&self.authorities, &settings.client_ca_file) {
            (Some(content), Some(path)) => Some(
                verifier(content, settings, &provider)
                    .map_err(|what| TlsError::new(CLIENT_CA_FILE, path, what))?,
            ),
            _ => None,
        };
        let builder = ServerConfig::builder_with_details(
            provider,
            Arc::new(ClockOfService(Arc::clone(clock))),
        )
        .with_protocol_versions(settings.min_version.versions())
        .map_err(|error| wrong(error.to_string()))?;
        let builder = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(Arc::new(verifier)),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| {
            if let rustls::Error::InconsistentKeys(_) = error {
                let cert_file = settings.cert_file.display();
                return wrong(format!("it is not the key of the certificate in {cert_file}"));
            }
            wrong(format!("the key cannot be used: {error}"))
        })?;
        // A session that is resumed is not verified again, neither its chain nor its names.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(Identity { config: Arc::new(config), certificate })
    }
}

impl TlsVersion {
    const fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        static BOTH: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
        static NEWER: [&SupportedProtocolVersion; 1] = [&version::TLS13];
        match self {
            Self::V1_2 => &BOTH,
            Self::V1_3 => &NEWER,
        }
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    found.ok().filter(|found| !found.is_empty()).ok_or("no certificates in PEM in it")
}

/// The first certificate of `chain`, which must be valid.
fn valid_now(chain: &[CertificateDer<'_>], now: UnixTime) -> Result<CertificateState, String> {
    let der = chain.first().map(AsRef::as_ref).unwrap_or_default();
    let first = Certificate::from_der(der).ok();
    let first = first.ok_or("its first certificate cannot be read")?;
    let validity = first.tbs_certificate().validity();
    let (from, until) = (time(validity.not_before), time(validity.not_after));
    if now > until {
        return Err(format!("its certificate expired at {}", rfc3339(until)));
    }
    if now < from {
        return Err(format!("its certificate is valid only from {}", rfc3339(from)));
    }
    let serial = first.tbs_certificate().serial_number().as_bytes();
    let serial = serial.iter().map(|byte| format!("{byte:02X}")).collect();
    Ok(CertificateState { serial, names: san::shown(der), expires: until })
}

fn time(time: Time) -> UnixTime {
    let seconds = i64::try_from(time.to_unix_duration().as_secs()).ok();
    seconds.and_then(UnixTime::from_secs).unwrap_or(UnixTime::from_millis(i64::MAX))
}

fn verifier(
    content: &[u8],
    settings: &TlsSettings,
    provider: &Arc<crypto::CryptoProvider>,
) -> Result<AllowedClients, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(content)? {
        roots.add(certificate).map_err(|error| format!("an authority cannot be used: {error}"))?;
    }
    let chain =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
    let chain = chain.map_err(|error| error.to_string())?;
    Ok(AllowedClients { chain, allowed: settings.allowed_client_sans.clone() })
}

async fn read(turn: &file::Turn, key: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    let content = file::read(turn, path, MAX_FILE_BYTES, FILE_TIMEOUT).await;
    content.map_err(|error| TlsError::new(key, path, error))
}

/// The service's clock, for what rustls asks of time.
#[derive(Debug)]
struct ClockOfService(Arc<dyn Clock>);

impl TimeProvider for ClockOfService {
    fn current_time(&self) -> Option<pki_types::UnixTime> {
        let seconds = u64::try_from(self.0.now().as_millis().div_euclid(1000)).ok()?;
        Some(pki_types::UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}
