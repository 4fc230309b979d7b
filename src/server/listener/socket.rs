//! Listening sockets: how each kind comes to be, and how a Unix socket's file goes again.
//!
//! A Unix socket answers nobody between `bind`, which makes its file, and `listen`: mode and owner are set between the two,
//! so there is no moment in which somebody else may connect, whatever the umask.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixSocket, UnixStream};
use tokio::time;

use super::address::{Address, UnixAccess};
use super::{Peer, Transport};

/// One listening socket. A Unix socket's file goes when it is dropped, unless it is another's by then.
#[derive(Debug)]
pub(super) struct Socket {
    listener: Listener,
    address: Address,
}

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    Unix {
        /// Goes before the socket that it leads to; an abstract name has none.
        _file: Option<SocketFile>,
        listener: UnixListener,
    },
}

/// Connections that wait to be accepted, as tokio has it for TCP.
const BACKLOG: u32 = 1024;

/// A process that does not answer in this time is there, and busy.
const STALE_CHECK: Duration = Duration::from_secs(2);

impl Socket {
    /// Listens at `address`.
    pub(super) async fn bind(address: &Address, access: UnixAccess) -> io::Result<Self> {
        let (listener, address) = match address {
            Address::Tcp(address) => {
                let listener = TcpListener::bind(address).await?;
                let bound = Address::Tcp(listener.local_addr()?);
                (Listener::Tcp(listener), bound)
            }
            Address::Unix(path) => {
                let (file, listener) = bind_file(path, access).await?;
                (Listener::Unix { _file: Some(file), listener }, address.clone())
            }
            Address::Abstract(name) => {
                (Listener::Unix { _file: None, listener: bind_name(name)? }, address.clone())
            }
        };
        Ok(Self { listener, address })
    }

    /// Where it listens; the port is the system's choice if it was left to it.
    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    pub(super) fn poll_accept(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Box<dyn Transport>, Peer)>> {
        match &self.listener {
            Listener::Tcp(listener) => {
                accept_tcp(listener, cx).map_ok(|(stream, peer)| (Box::new(stream) as _, peer))
            }
            Listener::Unix { listener, .. } => {
                listener.poll_accept(cx).map_ok(|(stream, _)| (Box::new(stream) as _, Peer::Unix))
            }
        }
    }
}

fn accept_tcp(listener: &TcpListener, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, Peer)>> {
    listener.poll_accept(cx).map_ok(|(stream, address)| {
        // An answer that waits for a delayed ACK is late, not wrong.
        let _slow = stream.set_nodelay(true).is_err();
        (stream, Peer::Ip(address.ip().to_canonical()))
    })
}

async fn bind_file(path: &Path, access: UnixAccess) -> io::Result<(SocketFile, UnixListener)> {
    let mut socket = UnixSocket::new_stream()?;
    if let Err(error) = socket.bind(path) {
        if error.kind() != io::ErrorKind::AddrInUse {
            return Err(explained(path, error));
        }
        remove_stale(path).await?;
        socket = UnixSocket::new_stream()?;
        socket.bind(path)?;
    }
    // From here on the file goes if anything fails.
    let file = SocketFile::of(path)?;
    if access.owner.is_some() || access.group.is_some() {
        chown(path, access.owner, access.group).map_err(|error| {
            io::Error::new(error.kind(), format!("owner and group cannot be set: {error}"))
        })?;
    }
    fs::set_permissions(path, Permissions::from_mode(access.mode))?;
    let listener = socket.listen(BACKLOG)?;
    Ok((file, listener))
}

/// What the system says of a socket is often about the directory that it was to be made in.
fn explained(path: &Path, error: io::Error) -> io::Error {
    let (directory, kind) = (path.parent().unwrap_or(path).display(), error.kind());
    let hint = if kind == io::ErrorKind::NotFound {
        format!("the directory {directory} must be there")
    } else if matches!(kind, io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) {
        let user = rustix::process::geteuid().as_raw();
        format!("user {user} must be able to write to the directory {directory}")
    } else {
        return error;
    };
    io::Error::new(kind, format!("{error}: {hint}"))
}

#[cfg(target_os = "linux")]
fn bind_name(name: &str) -> io::Result<UnixListener> {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net;

    let address = net::SocketAddr::from_abstract_name(name)?;
    let listener = net::UnixListener::bind_addr(&address)?;
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

#[cfg(not(target_os = "linux"))]
fn bind_name(_name: &str) -> io::Result<UnixListener> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Removes the socket at `path` that nobody listens on any more: a process that was killed leaves it. Nothing else is
/// ever removed.
async fn remove_stale(path: &Path) -> io::Result<()> {
    let taken = |what: &str| Err(io::Error::new(io::ErrorKind::AddrInUse, what));
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return taken("there is something that is no socket, which is left alone");
    }
    match time::timeout(STALE_CHECK, UnixStream::connect(path)).await {
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Ok(Err(error)) => {
            let unclear =
                format!("there is a socket, and whether it is in use is unknown: {error}");
            return taken(&unclear);
        }
        Ok(Ok(_)) | Err(_) => return taken("another process listens there"),
    }
    tracing::info!(path = %path.display(), "removing a socket that nobody listens on");
    fs::remove_file(path)
}

/// The file of a bound socket.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Which file it is, whatever it is called by now: device and inode.
    identity: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_path_buf(), identity: identity(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody may have put another one in its place, which is not ours to remove.
        if identity(&self.path).is_ok_and(|there| there == self.identity) {
            // What cannot be removed is stale, and the next start removes it.
            let _left = fs::remove_file(&self.path).is_err();
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::os::unix::fs::symlink;

    use super::*;

    async fn bind(path: &Path) -> io::Result<Socket> {
        Socket::bind(&Address::Unix(path.to_path_buf()), UnixAccess::default()).await
    }

    #[tokio::test]
    async fn an_answer_on_an_accepted_connection_waits_for_no_acknowledgement() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).await.unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (accepted, peer) = poll_fn(|cx| accept_tcp(&listener, cx)).await.unwrap();
            assert!(accepted.nodelay().unwrap());
            assert_eq!(peer, Peer::Ip(client.local_addr().unwrap().ip()));
        }
    }

    #[tokio::test]
    async fn a_socket_has_the_mode_asked_for_and_its_file_goes_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        for mode in [0o600, 0o660, 0o666] {
            let access = UnixAccess { mode, ..UnixAccess::default() };
            let socket = Socket::bind(&Address::Unix(path.clone()), access).await.unwrap();
            assert_eq!(path.metadata().unwrap().mode() & 0o777, mode);
            drop(socket);
            assert!(!path.exists());
        }
    }

    #[tokio::test]
    async fn a_socket_that_nobody_answers_on_is_replaced_and_one_in_use_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "a killed process leaves it");
        let first = bind(&path).await.unwrap();
        let error = bind(&path).await.unwrap_err();
        assert_eq!(error.to_string(), "another process listens there");
        assert!(path.exists());
        drop(first);
    }

    #[tokio::test]
    async fn what_is_no_socket_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let stale = directory.path().join("stale");
        drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
        let [file, link, folder] =
            ["file", "link", "folder"].map(|name| directory.path().join(name));
        fs::write(&file, "precious").unwrap();
        symlink(&stale, &link).unwrap();
        fs::create_dir(&folder).unwrap();
        for path in [&file, &link, &folder] {
            let error = bind(path).await.unwrap_err().to_string();
            assert!(error.contains("no socket"), "{error}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
        assert!(link.is_symlink() && folder.is_dir() && stale.exists());
    }

    #[tokio::test]
    async fn the_file_of_a_successor_is_not_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let first = bind(&path).await.unwrap();
        fs::remove_file(&path).unwrap();
        let second = bind(&path).await.unwrap();
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn owner_and_group_are_set_or_the_start_fails_and_leaves_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let access = UnixAccess { owner: Some(1), group: Some(2), ..UnixAccess::default() };
        match Socket::bind(&Address::Unix(path.clone()), access).await {
            Ok(_socket) => {
                let metadata = path.metadata().unwrap();
                assert_eq!((metadata.uid(), metadata.gid()), (1, 2));
            }
            // Giving files away takes privileges.
            Err(error) => {
                assert!(!rustix::process::geteuid().is_root(), "{error}");
                assert!(error.to_string().starts_with("owner and group cannot be set"), "{error}");
                assert!(!path.exists());
            }
        }
    }
}
