//! A client for one HTTP/1.1 request as it is written: names keep their spelling and repeat as given,
//! which no ordinary client allows, and which is what an attacker does.
//!
//! It opens a connection for each request and bounds time and size. Used by the story and to wait for
//! readiness; what needs HTTP/2 uses `reqwest`.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(10);
const MAX_ANSWER: u64 = 1 << 20;

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// Why nothing usable came back.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error("no connection: {0}")]
    Io(#[from] io::Error),
    #[error("no answer within {} s", DEADLINE.as_secs())]
    Timeout,
    #[error("the answer is not HTTP/1.1, or larger than {MAX_ANSWER} octets")]
    NotHttp,
}

impl Answer {
    /// The value of the first header of this name, in any case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body, if it is JSON.
    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// Sends one request without a body and reads the answer to its end.
pub(super) async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(String, String)],
) -> Result<Answer, ClientError> {
    exchange(address, method, path, headers, "").await
}

/// POSTs a form.
pub(super) async fn post_form(
    address: SocketAddr,
    path: &str,
    headers: &[(String, String)],
    form: &str,
) -> Result<Answer, ClientError> {
    let kind = ("Content-Type".to_owned(), "application/x-www-form-urlencoded".to_owned());
    exchange(address, "POST", path, &[headers, &[kind]].concat(), form).await
}

async fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(String, String)],
    body: &str,
) -> Result<Answer, ClientError> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(text.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(MAX_ANSWER).read_to_end(&mut answer).await?;
        Ok::<_, io::Error>(answer)
    };
    let octets = timeout(DEADLINE, exchange).await.map_err(|_| ClientError::Timeout)??;
    parse(&octets).ok_or(ClientError::NotHttp)
}

/// A GET without headers of our own.
pub(super) async fn get(address: SocketAddr, path: &str) -> Result<Answer, ClientError> {
    send(address, "GET", path, &[]).await
}

fn parse(octets: &[u8]) -> Option<Answer> {
    let end = octets.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, rest) = octets.split_at_checked(end)?;
    let body = rest.strip_prefix(b"\r\n\r\n")?;
    let mut lines = std::str::from_utf8(head).ok()?.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.split(' ').next()?.parse().ok()?;
    let headers = lines
        .map(|line| {
            line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        })
        .collect::<Option<Vec<_>>>()?;
    let mut answer = Answer { status, headers, body: Vec::new() };
    answer.body = match answer.header("transfer-encoding") {
        Some(coding) if coding.eq_ignore_ascii_case("chunked") => unchunk(body)?,
        Some(_) => return None,
        None => body.to_vec(),
    };
    Some(answer)
}

/// RFC 9112 §7.1, without extensions or trailers, which nothing here sends.
fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n")?;
        let (size, after) = rest.split_at_checked(line)?;
        let size = usize::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        let (chunk, after) = after.strip_prefix(b"\r\n")?.split_at_checked(size)?;
        body.extend_from_slice(chunk);
        rest = after.strip_prefix(b"\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_status_headers_and_body() {
        let answer =
            parse(b"HTTP/1.1 401 Unauthorized\r\nX-Reason: expired\r\n\r\n{\"a\":1}").unwrap();
        assert_eq!(answer.status, 401);
        assert_eq!(answer.header("x-reason"), Some("expired"));
        assert_eq!(answer.json().unwrap()["a"], 1);
    }

    #[test]
    fn reads_a_chunked_body() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let answer = parse(format!("{head}3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n").as_bytes()).unwrap();
        assert_eq!(answer.body, b"[1,2]");
    }

    #[test]
    fn refuses_what_is_cut_short() {
        assert!(parse(b"HTTP/1.1 200 OK\r\nA: b").is_none());
        assert!(parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab").is_none());
        assert!(parse(b"").is_none());
    }
}
