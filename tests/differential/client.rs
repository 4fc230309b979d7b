//! One HTTP/1.1 request as it is written, and what comes back: names keep their spelling and repeat as given, values are
//! any octets. No ordinary client allows that, and attackers have no ordinary one.

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http2;
use crate::kept;
use crate::service::PATIENCE;

/// What is sent.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    /// HTTP/2, and not HTTP/1.1.
    pub(crate) http2: bool,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn get(target: impl Into<String>) -> Self {
        let (method, target) = ("GET".to_owned(), target.into());
        Self { method, target, http2: false, headers: Vec::new() }
    }

    fn octets(&self) -> Vec<u8> {
        let mut octets = format!(
            "{} {} HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n",
            self.method, self.target
        )
        .into_bytes();
        for (name, value) in &self.headers {
            octets.extend(name.as_bytes());
            octets.extend(b": ");
            octets.extend(value);
            octets.extend(b"\r\n");
        }
        octets.extend(b"\r\n");
        octets
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// Whether a piece of a token in `request` is in here.
    pub(crate) fn repeats(&self, request: &Request) -> bool {
        const PIECE: usize = 30;
        let values = request.headers.iter().map(|(_, value)| value.as_slice());
        let sent = values.chain([request.target.as_bytes()]);
        let words = sent.flat_map(|value| value.split(|octet| !octet.is_ascii_alphanumeric()));
        let mut pieces = words.filter_map(|word| std::str::from_utf8(word.get(..PIECE)?).ok());
        pieces.any(|piece| {
            self.body.contains(piece) || self.headers.iter().any(|(_, value)| value.contains(piece))
        })
    }
}

/// Sends one request and reads its answer: up to where it says that it ends, since Envoy keeps the connection for a
/// second after that.
pub(crate) async fn send(address: SocketAddr, request: &Request) -> Answer {
    kept::sent(&request.target);
    for (_, value) in &request.headers {
        kept::sent(&String::from_utf8_lossy(value));
    }
    if request.http2 {
        return http2::send(address, request).await;
    }
    let exchange = async {
        let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
        stream.write_all(&request.octets()).await.unwrap();
        let mut answer = head(&mut stream).await;
        if request.method != "HEAD" {
            answer.body = body(&mut stream, &answer).await;
        }
        answer
    };
    timeout(PATIENCE, exchange).await.expect("an answer")
}

async fn head(stream: &mut BufReader<TcpStream>) -> Answer {
    let status = line(stream).await;
    let status = status.split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers = Vec::new();
    while let Some((name, value)) = line(stream).await.split_once(':') {
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    Answer { status, headers, body: String::new() }
}

async fn body(stream: &mut BufReader<TcpStream>, answer: &Answer) -> String {
    let mut body = Vec::new();
    if answer.header("transfer-encoding").is_some() {
        loop {
            // RFC 9112 §7.1, without extensions or trailers.
            let size = usize::from_str_radix(&line(stream).await, 16).unwrap();
            read(stream, size, &mut body).await;
            line(stream).await;
            if size == 0 {
                break;
            }
        }
    } else if let Some(length) = answer.header("content-length") {
        read(stream, length.parse().unwrap(), &mut body).await;
    } else {
        stream.read_to_end(&mut body).await.unwrap();
    }
    String::from_utf8_lossy(&body).into_owned()
}

async fn read(stream: &mut BufReader<TcpStream>, size: usize, body: &mut Vec<u8>) {
    let start = body.len();
    body.resize(start + size, 0);
    stream.read_exact(&mut body[start..]).await.unwrap();
}

/// Without its end.
async fn line(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line).await.unwrap();
    String::from_utf8_lossy(line.trim_ascii_end()).into_owned()
}
