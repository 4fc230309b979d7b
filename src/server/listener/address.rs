//! What can be listened on, as it is written: `127.0.0.1:9191`, `unix:///run/claimgate.sock`, `unix://@name`.
//! Opens nothing: [`super::Sockets`] does. The configuration parses with it.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// One place to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An IP address and a port; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// A Unix socket: a file, whose mode says who may connect.
    Unix(PathBuf),
    /// A Unix socket without a file, on Linux. Everybody in the network namespace may connect.
    Abstract(String),
}

/// Who may connect to a Unix socket that is a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnixAccess {
    /// Its permission bits; connecting takes the right to write.
    pub mode: u32,
    /// Its owner, if not who runs us. Takes privileges.
    pub owner: Option<u32>,
    /// Its group, if not ours. Without privileges it must be one that we are in.
    pub group: Option<u32>,
}

/// Owner and group: a proxy that runs as somebody else shares a group with us.
impl Default for UnixAccess {
    fn default() -> Self {
        Self { mode: 0o660, owner: None, group: None }
    }
}

/// What is accepted instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not one of the forms.
    #[error("{ACCEPTED}")]
    Form,
    /// The system's `sun_path` is short.
    #[error(
        "at most {MAX_PATH_BYTES} bytes after unix://, which is the system's limit; these are {0}"
    )]
    TooLong(usize),
    /// Only Linux has them.
    #[error("a path: only Linux has names such as unix://@claimgate")]
    NoAbstract,
}

/// For people.
pub const ACCEPTED: &str = "an address such as 127.0.0.1:9191, [::1]:9191, unix:///run/claimgate.sock or unix://@claimgate";

/// `sun_path` less the NUL at its end, or at the beginning of an abstract name.
pub const MAX_PATH_BYTES: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

impl Address {
    /// Reads one.
    ///
    /// # Errors
    /// Anything else than one of the forms, and a path that is too long for a socket.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let Some(place) = text.strip_prefix("unix://") else {
            return text.parse().map(Self::Tcp).map_err(|_| AddressError::Form);
        };
        let name = place.strip_prefix('@');
        let is_name = name.is_some_and(|name| !name.is_empty());
        let is_path = place.starts_with('/') && !place.ends_with('/');
        if place.contains('\0') || !(is_name || is_path) {
            return Err(AddressError::Form);
        }
        if place.len() > MAX_PATH_BYTES {
            return Err(AddressError::TooLong(place.len()));
        }
        match name {
            Some(_) if !cfg!(target_os = "linux") => Err(AddressError::NoAbstract),
            Some(name) => Ok(Self::Abstract(name.to_owned())),
            None => Ok(Self::Unix(Path::new(place).to_path_buf())),
        }
    }

    /// Whether both cannot be listened on.
    pub fn collides(&self, other: &Self) -> bool {
        let chosen_by_system = matches!(self, Self::Tcp(address) if address.port() == 0);
        !chosen_by_system && self == other
    }

    /// The address, if it is one of TCP.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) | Self::Abstract(_) => None,
        }
    }
}

/// As it is written.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Abstract(name) => write!(f, "unix://@{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted_is_shown_as_it_was_written() {
        for text in ["127.0.0.1:0", "[::1]:9191", "unix:///run/a b.sock", "unix://@claimgate"] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "localhost",
            ":9191",
            "127.0.0.1",
            "unix:/run/a",
            "unix://",
            "unix://run/a",
            "unix:///run/",
            "unix://@",
            "unix:///a\0b",
            "UNIX:///a",
            "tcp://127.0.0.1:1",
        ] {
            assert_eq!(Address::parse(text), Err(AddressError::Form), "{text:?}");
        }
    }

    #[test]
    fn a_path_that_no_socket_can_have_is_refused_with_its_length() {
        let longest = format!("unix:///{}", "a".repeat(MAX_PATH_BYTES - 1));
        assert!(Address::parse(&longest).is_ok());
        let error = Address::parse(&format!("{longest}b")).unwrap_err();
        assert_eq!(error, AddressError::TooLong(MAX_PATH_BYTES + 1));
        assert!(error.to_string().contains("107 bytes") || !cfg!(target_os = "linux"), "{error}");
    }
}
