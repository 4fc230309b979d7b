//! One GET, and the answer as text: for /readyz and /metrics.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The status and all that was sent after the head.
pub(crate) fn get(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(socket, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let bad = || io::Error::other("no HTTP answer");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(bad)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(bad)?;
    Ok((status, body.to_owned()))
}

/// The sum of a metric's series; 0 where there is none.
pub(crate) fn metric(address: SocketAddr, name: &str) -> io::Result<f64> {
    let (_, text) = get(address, "/metrics")?;
    let of_line = |line: &str| -> Option<f64> {
        let rest = line.strip_prefix(name)?;
        rest.starts_with([' ', '{']).then(|| rest.rsplit_once(' ')?.1.parse().ok())?
    };
    Ok(text.lines().filter_map(of_line).sum())
}
