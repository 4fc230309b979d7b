//! The configuration of `claimgate issuer`: a file of its own, read with the same care as the service's.

use std::path::Path;
use std::time::Duration;

use super::{ConfigErrors, Profile, compile, read, text_of};
use crate::issuer::reference::settings::IssuerSettings;
use crate::server::listener::address::{Address, UnixAccess};
use crate::server::tls::TlsSettings;

/// An issuer's configuration that is right.
#[derive(Clone, Debug)]
pub struct IssuerConfig {
    /// How strict to be.
    pub profile: Profile,
    /// Where to listen.
    pub listen: IssuerListen,
    /// What to issue, to whom.
    pub settings: IssuerSettings,
}

/// Where the issuer listens, and how. There is at least one address each; port 0 lets the system choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerListen {
    /// Clients and verifiers. Default `127.0.0.1:9194`.
    pub http: Vec<Address>,
    /// Probes, metrics and status. Default `127.0.0.1:9195`.
    pub admin: Vec<Address>,
    /// Who may connect to the Unix sockets among them.
    pub unix: UnixAccess,
    /// For `http` over TCP; `None`: no TLS.
    pub tls: Option<TlsSettings>,
    /// For `admin` over TCP; `None`: no TLS.
    pub admin_tls: Option<TlsSettings>,
    /// How long a client of `http` may stay on one connection; `None`: as long as it likes.
    pub max_connection_age: Option<Duration>,
}

impl IssuerConfig {
    /// Reads a configuration. Relative paths in it are relative to `base_dir`.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn from_yaml(text: &str, base_dir: &Path) -> Result<Self, ConfigErrors> {
        let (raw, report) = read::read(text)?;
        compile::compile_issuer(raw, report, base_dir)
    }

    /// Reads the configuration in `file`. Relative paths in it are relative to its directory.
    ///
    /// # Errors
    /// The file cannot be read, is too long or is no UTF-8, or every mistake in it.
    pub fn from_file(file: &Path) -> Result<Self, ConfigErrors> {
        Self::from_yaml(&text_of(file)?, file.parent().unwrap_or_else(|| Path::new("")))
    }
}
